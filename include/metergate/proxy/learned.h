/*
 * learned: what answers have taught of each model at each upstream: what its tokenizer makes of a text
 * (tokens/calibration.h), and how much output each client has (tokens/expect.h); and of each budget: the provider's
 * limits (limits.h). It is kept in a file of the
 * state directory, read at start, written when something was learned (at most once in LEARNED_SAVE_US, by a
 * worker) and at the end.
 *
 * Models and clients are named by callers, so only so many of each are kept apart. A model and a budget's limits live as
 * long as the table: calls and budgets may point to them freely.
 *
 * The file: a line of JSON for each model, and one for each budget of which limits are known,
 *     {"upstream":"openai","model":"m","text":[COUNTED,REPORTED,...],"tools":[...],"media":[...],"output":{"CLIENT":[TOKENS,...]}}
 *     {"upstream":"openai","budget":"b","limits":[{"limit":"tpm","max":30000,"span_ms":60000,"from":"header","date":SECONDS}]}
 * A line that cannot be read is left out; a file that cannot be read or written costs a warning and nothing
 * else.
 */
#ifndef METERGATE_PROXY_LEARNED_H
#define METERGATE_PROXY_LEARNED_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/base/slice.h"
#include "metergate/net/loop.h"
#include "metergate/proxy/limits.h"
#include "metergate/proxy/worker.h"
#include "metergate/tokens/calibration.h"
#include "metergate/tokens/expect.h"

#define LEARNED_MODELS_MAX  1000
#define LEARNED_BUDGETS_MAX 1000
#define LEARNED_CLIENTS_MAX 64 /* of one model */
#define LEARNED_SAVE_US     (INT64_C(60) * 1000000)
#define LEARNED_FILE_MAX    ((size_t)64 << 20)

/* Readable. */
struct learned_model {
    struct list link; /* on learned.all, in order of first use */
    char *upstream, *model;
    struct calibration calibration;
    struct map output; /* private: client name -> struct expect, owned */
};

struct learned {
    struct map by_key; /* private, like the rest */
    struct list all;   /* readable: struct learned_model */
    struct map budgets_by_key;
    struct list budgets; /* struct learned_budget */
    struct loop *loop;
    struct workers *workers;
    char *path; /* NULL: nothing is kept */
    struct loop_timer timer;
    bool changed; /* since the last time it was written */
    bool saving;  /* a worker has `job` and `text` */
    bool failed;  /* the last time: it was said */
    struct worker_job job;
    struct buf text;
    int save_rc;
};

void learned_init(struct learned *l, struct loop *loop);

/* Reads the file and keeps it from now on. `workers` must outlive every save: free them before
 * learned_release. */
void learned_keep(struct learned *l, const char *path, struct workers *workers);

/* Writes what is not written yet. */
void learned_release(struct learned *l);

/* What is known of that model there; made at first use. NULL when too many are known: nothing is learned of
 * it. */
struct learned_model *learned_of(struct learned *l, struct slice upstream, struct slice model);

/* The same, but only if it is known. */
struct learned_model *learned_look(const struct learned *l, struct slice upstream, struct slice model);

/* What answers to this client were like. Clients beyond LEARNED_CLIENTS_MAX share one. Never NULL. */
struct expect *learned_output(struct learned_model *m, struct slice client);

/* What is known of the limits of that budget; made at first use. NULL when too many are known. */
struct limits *learned_limits(struct learned *l, struct slice upstream, struct slice budget);

/* Something was learned, and is to be kept. */
void learned_changed(struct learned *l);

#endif
