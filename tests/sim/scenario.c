/*
 * scenario: a line is a time and a verb with its words. Before a line is obeyed, the gate's own time runs up
 * to it: what wakes up on the way wakes up at its exact moment, and every dispatch is noted with its time.
 */
#include "scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/slice.h"
#include "metergate/gate/gate.h"

#define NAMES_MAX 64
#define WORDS_MAX 16
#define START_US  CLOCK_S

struct player {
    struct ticket ticket;
    char name[32], client[32];
    struct estimate estimate;
    int64_t dispatched_us; /* the last time; -1: never */
    enum gate_verdict verdict;
    struct gate_refusal refusal;
    bool expired, flying;
};

struct scenario {
    const char *path;
    int line;
    bool failed;
    int64_t now_us; /* since the start */
    enum profile profile;
    int headroom_permille;
    bool send_by_hand;
    struct gate *gate;
    struct budget *budgets[NAMES_MAX], *shared;
    int budget_count;
    struct player players[NAMES_MAX];
    int player_count;
    struct slice words[WORDS_MAX];
    int word_count;
};

static void __attribute__((format(printf, 2, 3))) wrong(struct scenario *s, const char *fmt, ...)
{
    va_list ap;

    if (!s->failed)
        printf("%s:%d: ", s->path, s->line);
    va_start(ap, fmt);
    if (!s->failed)
        vprintf(fmt, ap);
    va_end(ap);
    if (!s->failed)
        printf("\n");
    s->failed = true;
}

/* ---- words ---- */

/* The value of `key=value` among the words; false when it is not there. */
static bool value_of(const struct scenario *s, const char *key, struct slice *ret)
{
    size_t n = strlen(key);

    for (int i = 0; i < s->word_count; i++) {
        if (slice_starts(s->words[i], slice_str(key)) && s->words[i].n > n && s->words[i].p[n] == '=') {
            *ret = slice_skip(s->words[i], n + 1);
            return true;
        }
    }
    return false;
}

static bool has(const struct scenario *s, const char *word)
{
    for (int i = 0; i < s->word_count; i++) {
        if (slice_eq(s->words[i], slice_str(word)))
            return true;
    }
    return false;
}

static int64_t count(struct scenario *s, const char *key, int64_t otherwise)
{
    struct slice v;
    int64_t n = otherwise;

    if (value_of(s, key, &v) && slice_count(v, &n) < 0)
        wrong(s, "%s wants a count", key);
    return n;
}

static int64_t duration(struct scenario *s, const char *key, int64_t otherwise)
{
    struct slice v;
    int64_t us = otherwise;

    if (value_of(s, key, &v) && slice_duration_us(v, &us) < 0)
        wrong(s, "%s wants a duration", key);
    return us;
}

static struct slice word(struct scenario *s, int i)
{
    if (i < s->word_count)
        return s->words[i];
    wrong(s, "the line is too short");
    return slice_of("", 0);
}

static struct player *player(struct scenario *s, struct slice name)
{
    for (int i = 0; i < s->player_count; i++) {
        if (slice_eq(name, slice_str(s->players[i].name)))
            return &s->players[i];
    }
    wrong(s, "there is no call %.*s", (int)name.n, name.p);
    return &s->players[NAMES_MAX - 1];
}

static struct budget *budget(struct scenario *s, struct slice name)
{
    for (int i = 0; i < s->budget_count; i++) {
        if (slice_eq(name, slice_str(s->budgets[i]->name)))
            return s->budgets[i];
    }
    wrong(s, "there is no budget %.*s", (int)name.n, name.p);
    return s->budgets[0];
}

/* ---- time ---- */

static int64_t clock_of(const struct scenario *s)
{
    return START_US + s->now_us;
}

static void let_go(struct scenario *s)
{
    struct ticket *t;
    int64_t wait_us;
    bool again;

    do {
        again = false;
        while ((t = gate_next(s->gate, clock_of(s))) != NULL) {
            struct player *p = MG_CONTAINER(t, struct player, ticket);

            p->dispatched_us = s->now_us;
            p->flying = true;
            if (!s->send_by_hand)
                gate_sent(s->gate, t, clock_of(s));
        }
        while ((t = gate_expire(s->gate, clock_of(s), &wait_us)) != NULL) {
            MG_CONTAINER(t, struct player, ticket)->expired = true;
            again = true;
        }
    } while (again);
}

static void run_to(struct scenario *s, int64_t to_us)
{
    if (to_us < s->now_us)
        wrong(s, "time goes back");
    for (;;) {
        int64_t wake = gate_wakeup(s->gate) - START_US;

        if (wake > to_us)
            break;
        if (wake > s->now_us)
            s->now_us = wake;
        let_go(s);
        if (gate_wakeup(s->gate) - START_US <= s->now_us && wake <= s->now_us)
            break;
    }
    s->now_us = to_us;
}

/* ---- verbs ---- */

/* rpm=500, tpm=30000/10s, concurrent=3 */
static size_t read_limits(struct scenario *s, struct limit *out)
{
    static const struct limit known[] = {
        {METRIC_TOKENS, 0, 60 * CLOCK_S, false, "tpm"},   {METRIC_TOKENS, 0, 86400 * CLOCK_S, false, "tpd"},
        {METRIC_REQUESTS, 0, 60 * CLOCK_S, false, "rpm"}, {METRIC_REQUESTS, 0, 86400 * CLOCK_S, false, "rpd"},
        {METRIC_INPUT, 0, 60 * CLOCK_S, false, "itpm"},   {METRIC_OUTPUT, 0, 60 * CLOCK_S, false, "otpm"},
        {METRIC_CONCURRENT, 0, 0, false, "concurrent"},
    };
    size_t n = 0;

    for (size_t i = 0; i < MG_ARRAY_LEN(known); i++) {
        struct slice v;

        if (!value_of(s, known[i].key, &v))
            continue;
        out[n] = known[i];
        out[n].smooth = has(s, "smooth") && known[i].metric == METRIC_REQUESTS;
        if (slice_count(slice_head(v, slice_find(v, '/')), &out[n].max) < 0)
            wrong(s, "%s wants a count", known[i].key);
        if (slice_find(v, '/') < v.n &&
            slice_duration_us(slice_skip(v, slice_find(v, '/') + 1), &out[n].span_us) < 0)
            wrong(s, "%s wants a duration after /", known[i].key);
        n++;
    }
    return n;
}

static void do_budget(struct scenario *s)
{
    struct limit limits[BUDGET_LIMITS_MAX];
    size_t n = read_limits(s, limits);
    char name[32];
    struct budget *b;

    snprintf(name, sizeof name, "%.*s", (int)word(s, 2).n, word(s, 2).p);
    if (has(s, "again")) {
        gate_budget_update(s->gate, budget(s, word(s, 2)), s->headroom_permille, limits, n);
        let_go(s);
        return;
    }
    b = gate_budget_new(s->gate, name, s->headroom_permille, limits, n);
    if (has(s, "shared"))
        s->shared = b;
    s->budgets[s->budget_count++] = b;
}

static enum ticket_class class_of(struct scenario *s, struct slice name)
{
    static const char *const names[] = {"high", "normal", "low"};

    for (int k = TICKET_HIGH; k < TICKET_CLASSES; k++) {
        if (slice_eq(name, slice_str(names[k])))
            return (enum ticket_class)k;
    }
    wrong(s, "a class is high, normal or low");
    return TICKET_NORMAL;
}

/* Calls that name the same client are of one: the name as its first call has it. */
static void belong(struct scenario *s, struct player *p)
{
    struct slice client = slice_of("", 0), class = SLICE("normal");
    const char *whose = p->client;

    (void)value_of(s, "client", &client);
    (void)value_of(s, "class", &class);
    snprintf(p->client, sizeof p->client, "%.*s", (int)client.n, client.p);
    for (int i = s->player_count - 1; i >= 0; i--) {
        if (strcmp(s->players[i].client, p->client) == 0)
            whose = s->players[i].client;
    }
    ticket_belongs(&p->ticket, whose, count(s, "weight", 1), class_of(s, class));
}

static void do_call(struct scenario *s)
{
    struct player *p = &s->players[s->player_count++];
    struct budget *budgets[2] = {budget(s, word(s, 3)), s->shared};
    struct cost cost;

    snprintf(p->name, sizeof p->name, "%.*s", (int)word(s, 2).n, word(s, 2).p);
    p->estimate = (struct estimate){.input = count(s, "input", 0),
                                    .expected_output = count(s, "output", 0),
                                    .characters = count(s, "characters", 4 * count(s, "input", 0)),
                                    .max_output = count(s, "max_output", 0),
                                    .choices = count(s, "n", 1),
                                    .exact = !has(s, "guessed")};
    p->dispatched_us = -1;
    cost = profile_reserve(s->profile, &p->estimate);
    ticket_init(&p->ticket, &cost, budgets, s->shared ? 2 : 1, clock_of(s),
                clock_of(s) + duration(s, "max_wait", INT64_C(86400) * CLOCK_S));
    belong(s, p);
    p->verdict = gate_offer(s->gate, &p->ticket, clock_of(s), &p->refusal);
    let_go(s);
}

static void do_end(struct scenario *s)
{
    struct player *p = player(s, word(s, 2));
    const struct usage u = {.input = count(s, "input", p->estimate.input), .output = count(s, "output", 0)};
    struct cost final = profile_settle(s->profile, &p->estimate, &u);

    gate_close(s->gate, &p->ticket, clock_of(s), &final);
    p->flying = false;
    let_go(s);
}

/* What the provider took of an answer that was lost is not known: what was expected. */
static void do_lost(struct scenario *s)
{
    struct player *p = player(s, word(s, 2));
    const struct usage u = {.input = p->estimate.input, .output = p->estimate.expected_output};
    struct cost final = profile_settle(s->profile, &p->estimate, &u);

    gate_close(s->gate, &p->ticket, clock_of(s), &final);
    p->flying = false;
    let_go(s);
}

static void do_429(struct scenario *s)
{
    struct player *p = player(s, word(s, 2));
    struct cost final = profile_refused(s->profile);

    gate_pause(s->gate, p->ticket.budgets[0], clock_of(s) + duration(s, "wait", 0));
    gate_requeue(s->gate, &p->ticket, clock_of(s), &final);
    p->flying = false;
    let_go(s);
}

static void do_sent(struct scenario *s)
{
    gate_sent(s->gate, &player(s, word(s, 2))->ticket, clock_of(s));
    let_go(s);
}

static void do_cancel(struct scenario *s)
{
    gate_cancel(s->gate, &player(s, word(s, 2))->ticket, clock_of(s));
    let_go(s);
}

static void do_pause(struct scenario *s)
{
    gate_pause(s->gate, budget(s, word(s, 2)), clock_of(s) + duration(s, "for", 0));
}

static void do_stop(struct scenario *s)
{
    gate_stop(s->gate);
}

static void do_resume(struct scenario *s)
{
    gate_resume(s->gate);
    let_go(s);
}

static void do_order(struct scenario *s)
{
    gate_set_policy(s->gate, &(struct gate_policy){.fifo = slice_eq(word(s, 2), SLICE("fifo"))});
    let_go(s);
}

static void do_polite(struct scenario *s)
{
    struct slice mode = word(s, 3), expects;
    unsigned expected = value_of(s, "expects", &expects) ? 1u << class_of(s, expects) : 0;

    gate_budget_polite(s->gate, budget(s, word(s, 2)),
                       slice_eq(mode, SLICE("always"))  ? POLITE_ALWAYS
                       : slice_eq(mode, SLICE("never")) ? POLITE_NEVER
                                                        : POLITE_AUTO,
                       expected);
    let_go(s);
}

/* ---- what must be true ---- */

static void expect_dispatched(struct scenario *s, const struct player *p)
{
    struct slice at = word(s, s->word_count - 1);
    int64_t us;

    if (slice_duration_us(at, &us) < 0)
        wrong(s, "expect CALL dispatched at TIME");
    else if (p->dispatched_us != us)
        wrong(s, "%s was dispatched at %.6f s (-: never), not at %.*s", p->name,
              (double)p->dispatched_us / CLOCK_S, (int)at.n, at.p);
}

static void expect_too_large(struct scenario *s, const struct player *p)
{
    if (p->verdict != GATE_TOO_LARGE)
        wrong(s, "%s was not refused as too large", p->name);
    else if (p->refusal.limit->max != count(s, "limit", -1) ||
             p->refusal.requested != count(s, "requested", -1))
        wrong(s, "%s: limit %" PRId64 ", requested %" PRId64, p->name, p->refusal.limit->max,
              p->refusal.requested);
}

static void expect_max_wait(struct scenario *s, const struct player *p)
{
    if (p->verdict != GATE_MAX_WAIT)
        wrong(s, "%s was not refused for its max_wait", p->name);
    else if (p->refusal.wait_us != duration(s, "wait", -1))
        wrong(s, "%s was told to wait %.6f s", p->name, (double)p->refusal.wait_us / CLOCK_S);
}

static void expect_why(struct scenario *s, const struct player *p)
{
    struct gate_reason why = gate_why(s->gate, &p->ticket, clock_of(s));
    struct slice limit;

    if (!value_of(s, "limit", &limit) || !why.limit || !slice_eq(limit, slice_str(why.limit->limit.key)))
        wrong(s, "%s waits for %s", p->name, why.limit ? why.limit->limit.key : "a pause");
}

static void expect_used(struct scenario *s)
{
    struct budget *b = budget(s, word(s, 2));
    struct limit_figures f;

    budget_advance(b, clock_of(s));
    f = budget_figures(b, &b->limits[0]);
    if (f.used != count(s, "used", 0) || f.reserved != count(s, "reserved", 0))
        wrong(s, "%s: used %" PRId64 ", reserved %" PRId64, b->name, f.used, f.reserved);
}

static void do_expect(struct scenario *s)
{
    struct slice what = word(s, 3);
    struct player *p;

    if (slice_starts(what, SLICE("used="))) {
        expect_used(s);
        return;
    }
    p = player(s, word(s, 2));
    if (slice_eq(what, SLICE("dispatched")))
        expect_dispatched(s, p);
    else if (slice_eq(what, SLICE("too-large")))
        expect_too_large(s, p);
    else if (slice_eq(what, SLICE("max-wait")))
        expect_max_wait(s, p);
    else if (slice_eq(what, SLICE("why")))
        expect_why(s, p);
    else if (slice_eq(what, SLICE("held")) && p->ticket.state != TICKET_HELD)
        wrong(s, "%s is not held", p->name);
    else if (slice_eq(what, SLICE("expired")) && !p->expired)
        wrong(s, "%s has not met its deadline", p->name);
    else if (!slice_eq(what, SLICE("held")) && !slice_eq(what, SLICE("expired")))
        wrong(
            s,
            "expect CALL dispatched|held|expired|too-large|max-wait|why, or expect BUDGET used=N reserved=N");
}

static void do_profile(struct scenario *s)
{
    s->profile = slice_eq(word(s, 2), SLICE("actual")) ? PROFILE_ACTUAL : PROFILE_OPENAI;
}

static void do_headroom(struct scenario *s)
{
    struct slice v = word(s, 2);
    int64_t percent = 0;

    if (!slice_ends(v, SLICE("%")) || slice_int64(slice_head(v, v.n - 1), &percent) < 0)
        wrong(s, "headroom wants a percentage");
    s->headroom_permille = (int)percent * 10;
}

static void do_by_hand(struct scenario *s)
{
    s->send_by_hand = true;
}

/* ---- files ---- */

static const struct {
    const char *verb;
    void (*obey)(struct scenario *s);
} verbs[] = {
    {"profile", do_profile}, {"headroom", do_headroom}, {"send-by-hand", do_by_hand},
    {"budget", do_budget},   {"call", do_call},         {"sent", do_sent},
    {"end", do_end},         {"429", do_429},           {"cancel", do_cancel},
    {"pause", do_pause},     {"stop", do_stop},         {"resume", do_resume},
    {"expect", do_expect},   {"lost", do_lost},         {"order", do_order},
    {"polite", do_polite},
};

static void obey(struct scenario *s, struct slice line)
{
    int64_t at_us;

    s->word_count = 0;
    line = slice_head(line, slice_find(line, '#'));
    while (line.n) {
        size_t end = slice_find(line, ' ');

        if (end > 0 && s->word_count < WORDS_MAX)
            s->words[s->word_count++] = slice_head(line, end);
        line = slice_skip(line, end + 1);
    }
    if (s->word_count == 0)
        return;
    if (slice_duration_us(s->words[0], &at_us) < 0) {
        wrong(s, "a line begins with a time");
        return;
    }
    run_to(s, at_us);
    for (size_t i = 0; i < MG_ARRAY_LEN(verbs); i++) {
        if (slice_eq(word(s, 1), slice_str(verbs[i].verb))) {
            verbs[i].obey(s);
            return;
        }
    }
    wrong(s, "unknown verb %.*s", (int)word(s, 1).n, word(s, 1).p);
}

/* Everything that a story leaves behind must be gone when its calls are. */
static void tidy(struct scenario *s)
{
    for (int i = 0; i < s->player_count; i++) {
        struct player *p = &s->players[i];
        struct cost final = profile_refused(s->profile);

        if (p->ticket.state == TICKET_HELD)
            gate_cancel(s->gate, &p->ticket, clock_of(s));
        else if (p->ticket.state == TICKET_DISPATCHED)
            gate_close(s->gate, &p->ticket, clock_of(s), &final);
    }
    for (int i = 0; i < s->budget_count; i++) {
        for (size_t j = 0; j < s->budgets[i]->limit_count; j++) {
            if (s->budgets[i]->limits[j].window.reserved || s->budgets[i]->limits[j].in_flight)
                wrong(s, "%s: something stays reserved at the end", s->budgets[i]->name);
        }
    }
    gate_free(s->gate);
}

int scenario_play(const char *path)
{
    static struct scenario s;
    FILE *f = fopen(path, "r");
    char line[512];

    s = (struct scenario){.path = path, .profile = PROFILE_OPENAI};
    if (!f) {
        wrong(&s, "cannot be opened");
        return -1;
    }
    s.gate = gate_new();
    while (!s.failed && fgets(line, sizeof line, f)) {
        s.line++;
        line[strcspn(line, "\n")] = '\0';
        obey(&s, slice_str(line));
    }
    fclose(f);
    tidy(&s);
    return s.failed ? -1 : 0;
}
