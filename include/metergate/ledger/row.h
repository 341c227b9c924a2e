/*
 * row: what the ledger keeps of one call. A plain struct of a fixed size, without pointers: it stands in a slot of the
 * journal (journal.h), where the loop writes it and the writer reads it.
 *
 * Texts are NUL-terminated and valid UTF-8 as far as they came from callers; what does not fit is cut. Nothing in here
 * is a key, a prompt, or an answer.
 *
 * Times that people and restarts read are of the wall clock, in microseconds since 1970; they come from the boot clock
 * at the moment of writing, so that a stepped clock does not reorder one run.
 */
#ifndef METERGATE_LEDGER_ROW_H
#define METERGATE_LEDGER_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/gate/price.h"
#include "metergate/gate/profile.h"

enum row_kind {
    ROW_CALL,      /* a call that reached its verdict */
    ROW_ATTEMPT,   /* an attempt that was refused and whose call goes on: only `charge`, `scope`s and t_us count */
    ROW_CORRECTION /* what a call used is known only now: id, usage, source, cost and rates replace what was kept */
};

enum row_outcome { ROW_COMPLETED, ROW_REFUSED, ROW_CANCELLED, ROW_FAILED, ROW_OUTCOMES };

/* Where the usage comes from. ROW_NO_USAGE: no attempt, or one that used nothing. */
enum row_source { ROW_NO_USAGE, ROW_BY_PROVIDER, ROW_COUNTED, ROW_ESTIMATED, ROW_SOURCES };

/* Whose limit kept a call waiting. */
enum row_whose { ROW_OF_BUDGET, ROW_OF_UPSTREAM, ROW_OF_ACCOUNT, ROW_OF_CLIENT, ROW_OF_NOBODY, ROW_WHOSES };

/* For how long one thing kept the call waiting; from its arrival on. */
struct row_hold {
    char what[16]; /* a limit's key ("tpm", "concurrent"), or "queue": others before it, "pause": the provider asked for
                      it, "politeness": room left to higher priorities, "stop": the operator paused everything,
                      "connections": as many are open as may be. What a call was refused for stands last, from and to the
                      same moment: a limit's key, or "price": a money limit needs one, and none is known */
    enum row_whose whose;
    int64_t from_us, to_us;
};

#define ROW_HOLDS_MAX 6 /* the last one goes on until the call went */

/* What its last attempt took of the limits, as the provider counts; windows are rebuilt from it. */
struct row_charge {
    int64_t sent_us;               /* when the arrival part began to count; 0: it has not (then it counts at t_us) */
    int64_t on_arrival[METRICS];   /* METRIC_REQUESTS .. METRIC_OUTPUT; METRIC_CONCURRENT is of no use here */
    int64_t at_end[METRICS];       /* counts from t_us on */
};

/* The price that the call was billed by. */
struct row_price {
    char name[64];      /* of its row; empty: none is known */
    int32_t since;      /* as in struct price */
    struct rates rates; /* those that were used: long or not, times the tier */
};

struct ledger_row {
    int64_t id; /* of the request id: row_id */
    enum row_kind kind;
    int64_t t_us; /* when it ended */

    /* who, what, where: these make the scopes of its charges, too */
    char client[65];
    char upstream[129];
    char budget[257];
    char account[24]; /* empty: all callers of the upstream share its windows */
    char model[257];  /* empty: none is known */
    char endpoint[16];
    char budget_scope[8]; /* sets apart budgets of one name: "entry", "model"; empty: it took from none */

    enum row_outcome outcome;
    int status; /* that the client got; 0: none */
    char reason[48];
    int attempts;
    int64_t estimated_input, estimated_output;
    struct usage usage;
    enum row_source source;
    int64_t cost_nano; /* PRICE_UNKNOWN: unpriced */
    struct row_price price;
    int64_t queued_us, total_us;
    int64_t first_byte_us; /* from its arrival; -1: none came */
    struct row_charge charge;
    int hold_count;
    struct row_hold hold[ROW_HOLDS_MAX];
};

/* No time of a row is later than the end of the year 9999, and no span longer. */
#define ROW_TIME_MAX INT64_C(253402300799999999)
#define ROW_COST_MAX (INT64_MAX / 8) /* nano-dollars: over a billion dollars */
#define ROW_ATTEMPTS_MAX 1000000

/*
 * Whether all who read rows can bear this one, wherever it comes from: enums are one of theirs, texts end within their
 * arrays, amounts lie between 0 and a bound (tokens: PROFILE_AMOUNT_MAX), there are at most ROW_HOLDS_MAX holds. What a
 * call of ours can be is sound.
 */
bool row_is_sound(const struct ledger_row *r);

/* A number that is another one when the struct's parts lie elsewhere. */
uint64_t row_layout(void);

/* Request ids are mg-RRRRRRR-N: the run in 28 bits (hexadecimal) and the call's number in it. */
#define ROW_RUN_BITS    28
#define ROW_NUMBER_BITS 35

static inline int64_t row_id(uint32_t run, uint64_t number)
{
    return (int64_t)(((uint64_t)(run & ((1u << ROW_RUN_BITS) - 1)) << ROW_NUMBER_BITS) |
                     (number & ((UINT64_C(1) << ROW_NUMBER_BITS) - 1)));
}

#define ROW_ID_SIZE 24

/* The text of an id, and back: -EINVAL when it is none. */
void row_id_text(int64_t id, char ret[ROW_ID_SIZE]);
int row_id_read(const char *text, size_t n, int64_t *ret);

/*
 * The scopes whose limits a row was charged to, as texts that the next run finds again: "budget:UPSTREAM/ACCOUNT/KIND/NAME"
 * and "client:NAME". Appends; nothing when the row has none.
 */
void row_budget_scope(const struct ledger_row *r, struct buf *out);
void row_client_scope(const struct ledger_row *r, struct buf *out);

/* The same from its parts. */
void row_scope_of_budget(const char *upstream, const char *account, const char *kind, const char *name, struct buf *out);

const char *row_outcome_name(enum row_outcome o); /* "completed" */
const char *row_source_name(enum row_source s);   /* "none", "provider", "counted", "estimated" */
const char *row_whose_name(enum row_whose w);     /* "budget", "upstream", "account", "client", "" */

#endif
