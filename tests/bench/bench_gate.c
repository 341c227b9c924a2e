/*
 * bench_gate: what a decision costs while many calls wait. Each row keeps that many calls held in virtual
 * time: whenever one ends, another arrives. A call is four events, each followed by a turn of the gate: it
 * arrives, goes, is sent some time later, and ends some time after that. Nothing is asserted; the aim is at
 * most 2 us an event at 10,000 held.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/gate/gate.h"
#include "metergate/gate/replay.h"

#define MINUTE (60 * CLOCK_S)
#define DAY    (86400 * CLOCK_S)

enum { QUEUES_MAX = 1000 };

struct row {
    const char *what;
    enum profile profile;
    int held;
    int queues;
    int64_t tpm, rpm, concurrent; /* of each queue; of all of them together; 0: no such limit */
    int64_t low, high;            /* tokens of a call; one in 20 is 20 times as big */
    int clients;                  /* whose they are; 0: one's */
    bool classes;                 /* a tenth each is of high and of low class */
};

static const struct row rows[] = {
    {"one queue, similar calls", PROFILE_OPENAI, 10, 1, 30000, 500, 0, 100, 200, 0, false},
    {"one queue, similar calls", PROFILE_OPENAI, 1000, 1, 30000, 500, 0, 100, 200, 0, false},
    {"one queue, similar calls", PROFILE_OPENAI, 10000, 1, 30000, 500, 0, 100, 200, 0, false},
    {"one queue, similar calls", PROFILE_OPENAI, 100000, 1, 30000, 500, 0, 100, 200, 0, false},
    {"one queue, big and small", PROFILE_OPENAI, 10000, 1, 30000, 500, 0, 50, 1200, 0, false},
    {"output reserved until the end", PROFILE_ACTUAL, 10000, 1, 30000, 500, 0, 50, 1200, 0, false},
    {"a large account", PROFILE_OPENAI, 10000, 1, 2000000, 10000, 0, 100, 6000, 0, false},
    {"20 clients", PROFILE_OPENAI, 10000, 1, 30000, 500, 0, 50, 1200, 20, false},
    {"10,000 clients", PROFILE_OPENAI, 10000, 1, 30000, 500, 0, 50, 1200, 10000, false},
    {"20 clients, three classes", PROFILE_OPENAI, 10000, 1, 30000, 500, 0, 50, 1200, 20, true},
    {"a large account, 1,000 clients, classes", PROFILE_OPENAI, 10000, 1, 2000000, 10000, 0, 100, 6000, 1000,
     true},
    {"20 queues, one cap in flight", PROFILE_OPENAI, 10000, 20, 200000, 0, 50, 100, 6000, 0, false},
    {"1,000 queues", PROFILE_OPENAI, 10000, QUEUES_MAX, 30000, 500, 0, 50, 1200, 0, false},
    {"1,000 queues, one cap in flight", PROFILE_OPENAI, 10000, QUEUES_MAX, 200000, 0, 50, 100, 6000, 0,
     false},
};

struct caller {
    struct ticket ticket;
    struct heap_node next; /* sent or ended */
};

struct run {
    const struct row *row;
    struct gate *gate;
    struct budget *all, *queues[QUEUES_MAX];
    struct heap flying;
    uint64_t random;
    int64_t now_us, events, calls;
};

static int64_t between(struct run *r, int64_t low, int64_t high)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return low + (int64_t)(r->random % (uint64_t)(high - low + 1));
}

static void prepare(struct run *r)
{
    const struct row *row = r->row;
    const struct limit limits[] = {{METRIC_TOKENS, row->tpm, MINUTE, false, "tpm"},
                                   {METRIC_REQUESTS, row->rpm, MINUTE, false, "rpm"}};
    const struct limit cap = {METRIC_CONCURRENT, row->concurrent, 0, false, "concurrent"};

    r->gate = gate_new();
    r->all = gate_budget_new(r->gate, "upstream", 0, &cap, row->concurrent ? 1 : 0);
    for (int q = 0; q < row->queues; q++)
        r->queues[q] = gate_budget_new(r->gate, "model", 200, limits, row->rpm ? 2 : 1);
}

static void belong(struct run *r, struct ticket *t)
{
    static const char names[10000];
    int64_t dice = between(r, 1, 10);

    if (r->row->clients > 0)
        ticket_belongs(t, &names[between(r, 0, r->row->clients - 1)], 1,
                       !r->row->classes ? TICKET_NORMAL
                       : dice == 1      ? TICKET_HIGH
                       : dice == 2      ? TICKET_LOW
                                        : TICKET_NORMAL);
}

static void arrive(struct run *r, struct caller *c)
{
    struct budget *both[] = {r->queues[between(r, 0, r->row->queues - 1)], r->all};
    struct estimate e = {.expected_output = 100, .choices = 1, .exact = true};
    struct gate_refusal why;
    struct cost cost;

    e.input = between(r, r->row->low, r->row->high) * (between(r, 1, 20) == 1 ? 20 : 1);
    cost = profile_reserve(r->row->profile, &e);
    ticket_init(&c->ticket, &cost, both, 2, r->now_us, r->now_us + 1000 * DAY);
    belong(r, &c->ticket);
    MG_ASSERT(gate_offer(r->gate, &c->ticket, r->now_us, &why) == GATE_HELD);
    r->events++;
}

static void turn(struct run *r)
{
    struct ticket *t;

    while ((t = gate_next(r->gate, r->now_us)) != NULL) {
        heap_set(&r->flying, &MG_CONTAINER(t, struct caller, ticket)->next,
                 r->now_us + between(r, 1, 300) * CLOCK_MS);
        r->events++;
    }
}

/* It is sent, or it ends and another arrives. */
static void live(struct run *r, struct caller *c)
{
    heap_remove(&r->flying, &c->next);
    r->events++;
    if (!c->ticket.sent) {
        gate_sent(r->gate, &c->ticket, r->now_us);
        heap_set(&r->flying, &c->next, r->now_us + between(r, 500, 5000) * CLOCK_MS);
        return;
    }
    gate_close(r->gate, &c->ticket, r->now_us, &c->ticket.cost);
    r->calls++;
    arrive(r, c);
}

/* The next moment at which anything happens. */
static void step(struct run *r)
{
    struct heap_node *next = heap_first(&r->flying);
    int64_t wake_us = gate_wakeup(r->gate), at_us = next && next->key < wake_us ? next->key : wake_us;

    MG_ASSERT(at_us < CLOCK_NEVER);
    if (at_us > r->now_us)
        r->now_us = at_us;
    if (next && next->key <= r->now_us)
        live(r, MG_CONTAINER(next, struct caller, next));
    turn(r);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const struct row *row)
{
    struct run r = {.row = row, .random = 88172645463325252u, .now_us = CLOCK_S};
    struct caller *callers = xcalloc((size_t)row->held, sizeof *callers);
    double from, event_ns;

    heap_init(&r.flying);
    prepare(&r);
    for (int i = 0; i < row->held; i++)
        arrive(&r, &callers[i]);
    turn(&r);
    while (r.calls < 500) /* until the windows are as full as they get */
        step(&r);
    r.events = r.calls = 0;
    from = seconds();
    while (r.calls < 5000)
        step(&r);
    event_ns = (seconds() - from) * 1e9 / (double)r.events;
    from = seconds();
    replay_held(r.gate, r.now_us);
    printf("%-40s %7d held  %6.0f ns an event  %8.2f ms a replay\n", row->what, row->held, event_ns, (seconds() - from) * 1e3);
    for (int i = 0; i < row->held; i++) {
        if (callers[i].ticket.state == TICKET_HELD)
            gate_cancel(r.gate, &callers[i].ticket, r.now_us);
        else
            gate_close(r.gate, &callers[i].ticket, r.now_us, &callers[i].ticket.cost);
    }
    gate_free(r.gate);
    heap_release(&r.flying);
    free(callers);
}

int main(void)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        measure(&rows[i]);
    return 0;
}
