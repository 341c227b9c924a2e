/*
 * ask: what people ask the gate. Nothing here lets anybody go; it looks at heads as they are, and has the future played.
 */
#include "metergate/gate/gate.h"

#include "gate_inside.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/pick.h"
#include "metergate/gate/predict.h"
#include "metergate/gate/replay.h"

/* ---- when a held call will start ---- */

static void replay_when_due(struct gate *g, int64_t now_us)
{
    int64_t pause_us = (int64_t)g->deadlines.n * GATE_REPLAY_CALL_US;

    if (g->replay || (g->replayed && now_us < g->replay_us))
        return;
    if (g->deadlines.n <= GATE_REPLAY_AT_ONCE)
        replay_held(g, now_us);
    else
        g->replay = replay_new(g, now_us);
    g->replayed = true;
    g->replay_us = now_us + (pause_us > GATE_REPLAY_EVERY_US ? pause_us : GATE_REPLAY_EVERY_US);
}

bool gate_replay_more(struct gate *g)
{
    if (!g->replay)
        return false;
    if (replay_more(g->replay, GATE_REPLAY_STEPS))
        return true;
    replay_free(g->replay, true);
    g->replay = NULL;
    return false;
}

struct prediction gate_predict(struct gate *g, const struct ticket *t, int64_t now_us)
{
    struct prediction p;
    int64_t latest_us;

    MG_ASSERT(t->state == TICKET_HELD);
    if (now_us < g->latest_us)
        now_us = g->latest_us; /* gate_expire may be asked for the microsecond before */
    replay_when_due(g, now_us);
    ticket_advance(t, now_us);
    p = predict_held(t, now_us);
    if (t->replayed_us == 0)
        return p;
    latest_us = p.slack_us < CLOCK_NEVER ? p.start_us + p.slack_us : CLOCK_NEVER;
    p.start_us = t->replayed_us > now_us ? t->replayed_us : now_us;
    if (p.slack_us < CLOCK_NEVER)
        p.slack_us = latest_us > p.start_us ? latest_us - p.start_us : 0;
    return p;
}

/* Whether something that is under way decides when it goes: a probe, or a call that has to end before it, or before the
 * head of its queue, which has room otherwise. */
static bool event_decides(const struct ticket *t, int64_t start_us, int64_t now_us)
{
    const struct ticket *head = t->budgets[0]->promised;
    bool has_room = start_us <= now_us || (head && head->replayed_us > 0 && head->replayed_us <= now_us);

    for (size_t i = 0; i < t->budget_count; i++) {
        const struct budget *b = t->budgets[i];

        if ((b->probing && (b->probe_is_out || head != t)) || (has_room && budget_free_places(b) <= 0))
            return true;
    }
    return false;
}

int64_t gate_start_us(struct gate *g, const struct ticket *t, int64_t now_us, int *estimates)
{
    int64_t start_us;

    if (g->stopped)
        return CLOCK_NEVER;
    if (now_us < g->latest_us)
        now_us = g->latest_us;
    replay_when_due(g, now_us);
    if (t->replayed_us == 0 && (*estimates)-- <= 0)
        return CLOCK_NEVER;
    start_us = t->replayed_us > 0 ? t->replayed_us : gate_predict(g, t, now_us).start_us;
    return event_decides(t, start_us, now_us) ? CLOCK_NEVER : start_us > now_us ? start_us : now_us;
}

bool gate_goes_before(const struct ticket *a, const struct ticket *b)
{
    if (a->replayed_us > 0 && b->replayed_us > 0)
        return a->replayed_as < b->replayed_as;
    return a->replayed_us == b->replayed_us ? a->seq < b->seq : a->replayed_us > 0;
}

/* ---- what it waits for ---- */

struct gate_reason gate_why(struct gate *g, const struct ticket *t, int64_t now_us)
{
    struct ticket *head;
    struct gate_reason why;

    (void)g;
    ticket_advance(t, now_us);
    if (t->state != TICKET_HELD)
        return ticket_earliest(t, now_us);
    why = pick_head(t->budgets[0], now_us, &head);
    return head == t ? why : ticket_earliest(t, now_us);
}

struct gate_reason gate_head_why(struct gate *g, struct budget *b, int64_t now_us, const struct ticket **ret_head)
{
    struct ticket *head;
    struct gate_reason why;

    (void)g;
    MG_ASSERT(b->line.n > 0);
    why = pick_head(b, now_us, &head);
    *ret_head = head;
    return why;
}

int64_t gate_next_dispatch_us(struct gate *g, struct budget *b, int64_t now_us)
{
    struct ticket *head;

    return b->line.n > 0 && !g->stopped ? pick_head(b, now_us, &head).until_us : CLOCK_NEVER;
}
