/*
 * status_queue: what waits for one budget, as people see it. next_dispatch_ms, waits_for.until_ms and the start of the
 * first of `queue` are one number: v[0].start_us.
 */
#include <string.h>

#include "metergate/base/clock.h"
#include "status_inside.h"

/* Calls of one queue that came since the last replay and have an estimate, a few microseconds each. */
#define ESTIMATES 100

/* What line_each is handed. */
struct look {
    const struct proxy *p;
    struct status_queue *q;
    int64_t now;
    int estimates;
};

static bool goes_before(const struct call *a, int64_t a_us, const struct call *b, int64_t b_us)
{
    if (a_us != b_us)
        return a_us < b_us;
    return a_us < CLOCK_NEVER ? gate_goes_before(&a->ticket, &b->ticket)
                              : gate_place(&a->ticket) < gate_place(&b->ticket);
}

/* Among the first, if it is one of them. */
static void keep(struct status_queue *q, const struct call *c, int64_t start_us)
{
    size_t i = q->n;

    while (i > 0 && goes_before(c, start_us, q->v[i - 1].call, q->v[i - 1].start_us))
        i--;
    if (i == q->most)
        return;
    if (q->n < q->most)
        q->n++;
    memmove(&q->v[i + 1], &q->v[i], (q->n - i - 1) * sizeof q->v[0]);
    q->v[i].call = c;
    q->v[i].start_us = start_us;
}

/* line_each: one more. */
static void look_at(void *arg, struct ticket *t)
{
    struct look *l = arg;
    const struct call *c = MG_CONTAINER(t, const struct call, ticket);
    int64_t start_us = gate_start_us(l->p->gate, t, l->now, &l->estimates);

    if (start_us <= l->now && upstream_is_full(l->p->pool))
        start_us = CLOCK_NEVER;
    c->share->seen.tokens += call_estimated_tokens(c);
    if (start_us < c->share->seen.next_us)
        c->share->seen.next_us = start_us;
    if (start_us > c->share->seen.last_us)
        c->share->seen.last_us = start_us;
    if (start_us > l->q->last_us)
        l->q->last_us = start_us;
    keep(l->q, c, start_us);
}

void status_queue_look(const struct proxy *p, struct model_budget *b, size_t most, int64_t now, struct status_queue *ret)
{
    ret->n = 0;
    ret->most = most;
    ret->last_us = b->budget->line.n > 0 ? 0 : CLOCK_NEVER;
    LIST_EACH (&b->waiting, node, next) {
        struct share *share = LIST_ENTRY(node, struct share, link);

        share->seen.tokens = 0;
        share->seen.next_us = CLOCK_NEVER;
        share->seen.last_us = 0;
    }
    line_each(&b->budget->line, look_at, &(struct look){p, ret, now, ESTIMATES});
}

/* ---- members ---- */

static void write_waits_for(struct json_writer *w, const struct status_queue *q, int64_t now)
{
    struct hold_reason why;

    json_key(w, "waits_for");
    if (q->n == 0 || q->v[0].start_us <= now) {
        json_null(w);
        return;
    }
    why = hold_why(q->v[0].call, now);
    if (!why.what)
        why = (struct hold_reason){"queue", ROW_OF_NOBODY};
    json_object_begin(w);
    json_member_str(w, "limit", slice_str(why.what));
    json_member_str(w, "of", slice_str(row_whose_name(why.whose)));
    json_member_str(w, "name", slice_str(hold_name(q->v[0].call, why.whose)));
    status_member_until(w, "until_ms", q->v[0].start_us, now);
    json_object_end(w);
}

void status_queue_write_next(struct json_writer *w, const struct status_queue *q, int64_t now)
{
    status_member_until(w, "next_dispatch_ms", q->n > 0 ? q->v[0].start_us : CLOCK_NEVER, now);
    status_member_until(w, "last_dispatch_ms", q->last_us, now);
    write_waits_for(w, q, now);
}

static void write_held_of(struct json_writer *w, const int64_t held[TICKET_CLASSES])
{
    json_key(w, "held_by_priority");
    json_object_begin(w);
    json_member_int(w, "high", held[TICKET_HIGH]);
    json_member_int(w, "normal", held[TICKET_NORMAL]);
    json_member_int(w, "low", held[TICKET_LOW]);
    json_object_end(w);
}

void status_queue_write_clients(struct json_writer *w, const struct model_budget *b, int64_t now)
{
    json_key(w, "clients");
    json_array_begin(w);
    LIST_EACH (&b->waiting, node, next) {
        const struct share *share = LIST_ENTRY(node, const struct share, link);

        json_object_begin(w);
        json_member_str(w, "name", slice_str(share->client->name));
        json_member_int(w, "held", share->held);
        write_held_of(w, share->held_of);
        json_member_int(w, "tokens", share->seen.tokens);
        status_member_until(w, "next_ms", share->seen.next_us, now);
        status_member_until(w, "last_ms", share->seen.last_us, now);
        json_object_end(w);
    }
    json_array_end(w);
}

static const char *class_name(enum ticket_class class)
{
    static const char *const names[TICKET_CLASSES] = {"high", "normal", "low"};

    return names[class];
}

void status_queue_write(struct json_writer *w, const struct status_queue *q, int64_t now)
{
    json_key(w, "queue");
    json_array_begin(w);
    for (size_t i = 0; i < q->n; i++) {
        const struct call *c = q->v[i].call;

        json_object_begin(w);
        json_member_str(w, "id", slice_str(c->id));
        json_member_str(w, "client", slice_str(c->client->name));
        json_member_str(w, "priority", slice_str(class_name(c->ticket.class)));
        json_member_str(w, "model", slice_str(c->request.model));
        json_member_int(w, "tokens", call_estimated_tokens(c));
        json_member_int(w, "waited_ms", (c->queued_us + now - c->held_us) / 1000);
        status_member_until(w, "start_ms", q->v[i].start_us, now);
        json_member_int(w, "attempts", c->attempts);
        json_object_end(w);
    }
    json_array_end(w);
}
