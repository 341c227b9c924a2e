/*
 * run: what a run of a workload is made of, shared by workload.c (clients, turns) and call.c (a call's life).
 */
#ifndef METERGATE_TESTS_SIM_RUN_H
#define METERGATE_TESTS_SIM_RUN_H

#include "account.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/heap.h"
#include "promise.h"
#include "workload.h"

struct event {
    struct heap_node node;
    bool of_client;
};

struct client {
    struct event event;
    const struct stream *stream;
    int stream_index, index;
    struct rng rng;
    int made; /* calls: of this loop, if it is one */
    int held; /* STEADY */
};

enum step { ARRIVED, ON_ITS_WAY, ANSWERED, DONE };

struct call {
    struct event event;
    struct ticket ticket;
    struct client *client;
    struct estimate estimate;
    int64_t output, answer_us, way_us, leave_us; /* as it will be; leave_us: CLOCK_NEVER */
    int64_t next_us;                             /* of its life, if it does not give up before */
    int64_t produced;
    int parts;
    enum step step;
    bool refused; /* this attempt */
    size_t record;
    struct slip slips[2][ACCOUNT_LIMITS];
};

struct run {
    const struct workload *w;
    struct gate *gate;
    struct budget *pools[WORKLOAD_POOLS];
    struct account accounts[WORKLOAD_POOLS];
    int held_in[WORKLOAD_POOLS]; /* by the pool that they queue for */
    struct promise promises[WORKLOAD_POOLS];
    int pool_count;
    struct heap events;
    struct client *clients;
    struct call **calls;
    size_t call_count, call_cap;
    struct rng rng;
    int64_t now_us;
    int batch_left; /* calls of batches that have not ended */
    struct outcome *o;
};

/* Times begin here: a start at 0 would be no time to the gate. */
#define BEGIN_US (1000 * CLOCK_S)

static inline int64_t run_us(double s)
{
    return (int64_t)(s * 1e6 + 0.5);
}

static inline int run_times(int n)
{
    return n > 0 ? n : 1;
}

/* ---- workload.c ---- */

/* The client asks for what it asks for now, and sets its next event. */
void client_ask(struct run *r, struct client *c);

/* A call of it has ended: its next one, where that waits for this. */
void client_follow(struct run *r, struct client *c);

/* ---- call.c ---- */

/* A new call of the client comes to the gate. */
void call_arrive(struct run *r, struct client *cl);

/* The gate has let it go. */
void call_go(struct run *r, struct call *c);

/* Its event has come. */
void call_live(struct run *r, struct call *c);

#endif
