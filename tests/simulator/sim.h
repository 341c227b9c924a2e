/*
 * sim: the whole provider: its settings, its accounts, what it has seen. One lock guards all of it; every
 * function here takes that lock itself. `changed` is signalled on every event that a test can wait for.
 */
#ifndef SIMULATOR_SIM_H
#define SIMULATOR_SIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounts.h"
#include "audit.h"
#include "down.h"
#include "fault.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "model.h"
#include "settings.h"

struct buf;
struct cJSON;
struct wire;

/* Whose errors and headers an answer has. */
enum speech { SPEECH_OPENAI, SPEECH_AZURE, SPEECH_ANTHROPIC, SPEECH_GEMINI };

#define SIM_HELD 4096

struct sim {
    pthread_mutex_t lock; /* everything below is private and guarded by it */
    pthread_cond_t changed;
    struct settings settings;
    struct accounts accounts;
    struct violations violations;
    int64_t connections_opened, connections_now;
    int64_t peak_in_flight;
    int64_t start_us;
    struct wire *held[SIM_HELD]; /* who waits for a release, oldest first */
    size_t n_held;
    struct down down;
    int64_t down_asked, down_done; /* how often the way of being down changed; how often the server has obeyed */
    int wake_fd;                   /* an eventfd that the server waits for */
    bool stopping;
};

void sim_init(struct sim *s);
void sim_release(struct sim *s);

/* As settings_merge. Limits that change start empty. */
int sim_configure(struct sim *s, const struct cJSON *json, struct errbuf *e) MG_MUSTCHECK;

/* Forgets what was seen and charged, and the faults; lets go what is held. Other settings stay. */
void sim_reset(struct sim *s);

/* Use by somebody else, of that credential's account. */
void sim_charge(struct sim *s, struct slice model, struct slice key, int64_t tokens);

/* The foreign use that is configured for the model begins now. */
void sim_start_foreign(struct sim *s, struct slice model, struct slice key);

/* ---- a call's way through ---- */

struct call {
    struct account *account;    /* private */
    struct arrival *arrival;    /* private; gone after sim_finish */
    struct claim claim;         /* private */
    bool claimed, settled;      /* private */
    struct verdict verdict;     /* readable */
    struct model_config config; /* readable: the model's */
    struct organization organization; /* readable: who pays */
    bool retry_after, retry_after_ms, obfuscation; /* readable: settings at its arrival */
};

/* The faults that act when a head was read and nothing else; what they end is no arrival. */
void sim_plan_connection(struct sim *s, struct slice path, struct plan *plan);

/*
 * A request has been read whole: `arrival` (taken over) says when. The settings' faults are added to the
 * plan; then the limits are asked, unless the plan is an error status: that costs one request and no
 * tokens. An empty model: no limits. Of `key` only a hash is kept.
 */
void sim_arrive(struct sim *s, struct slice model, struct slice key, struct slice path, const struct demand *demand,
                struct arrival *arrival, struct plan *plan, struct call *ret);

/* So much of the answer's output was produced so far: charged now. */
void sim_produce(struct sim *s, struct call *call, int64_t output);

/*
 * The answer is made: its output is charged now, and the audit shows its end. To be called before its last
 * bytes are written, so that no client can have the answer before the provider has counted it.
 */
void sim_settle(struct sim *s, struct call *call, const struct used *used, int status);

enum sim_end { SIM_END_WHOLE, SIM_END_CUT, SIM_END_LEFT /* by the client */ };

/* The call is over; `status` 0 when none was sent. Once for each sim_arrive; settles what was not. */
void sim_finish(struct sim *s, struct call *call, const struct used *used, int status, enum sim_end end);

/* Appends the lines about the limits as they are now, as that speech has them. */
void sim_print_limits(struct sim *s, const struct call *call, enum speech speech, struct buf *out);

/* Whether it is one of the configured keys; true when none is. */
bool sim_key_is_good(struct sim *s, struct slice key);

/* The configured models, as the JSON objects of that speech's list. */
void sim_print_models(struct sim *s, enum speech speech, struct buf *out);

/* ---- connections ---- */

void sim_connection_opened(struct sim *s);

/*
 * Its first request came, or it closed without one: it is the provider's, or the tests' own, which is not
 * counted.
 */
void sim_connection_is(struct sim *s, bool provider);
void sim_connection_closed(struct sim *s, bool provider);
int64_t sim_keepalive_us(struct sim *s, int64_t *ret_max_calls); /* negative: for ever */

void sim_violation(struct sim *s, const char *text);

/* ---- for tests ---- */

/* Waits in line for a release. False when the client left meanwhile. */
bool sim_hold(struct sim *s, struct wire *w);

/* Lets the n oldest go, all when n < 0; tells how many. */
int64_t sim_let_go(struct sim *s, int64_t n);

/* Ends every inspect_wait: the process is about to end. */
void sim_stop(struct sim *s);

/* ---- being down ---- */

/*
 * Goes down, or up. Returns when the server has obeyed; the connections of the old days have been told to
 * end then.
 */
void sim_go_down(struct sim *s, enum down_mode mode, int64_t ms, bool cut);

/* For the server: how it should be now, until when, and the number of the order. */
enum down_mode sim_down_mode(struct sim *s, int64_t *ret_until_us, bool *ret_cut, int64_t *ret_order);

/* The server has done what the order of that number wants. */
void sim_down_obeyed(struct sim *s, int64_t order);

/* A connection was reset. */
void sim_down_attempt(struct sim *s);

#endif
