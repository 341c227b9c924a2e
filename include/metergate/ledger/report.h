/*
 * report: what people ask the ledger. A report has a connection of its own, made in the thread that asks, so
 * that it never keeps the writer waiting; all that it is asked is answered of one moment of the database.
 *
 * Sums come from `hours` where whole hours are asked for, and from `calls` for the parts of hours at both
 * ends. Where the rows of such a part were removed (retention), the whole hour stands for it.
 *
 * All functions return a code of db.h, DB_OK when they gave all; the sentence in *e is set when they did not,
 * and names the file. One report belongs to one thread at a time, but for report_interrupt.
 */
#ifndef METERGATE_LEDGER_REPORT_H
#define METERGATE_LEDGER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/row.h"

struct report;

/* `dir` is ledger_dir's. *ret is set on success alone. A ledger.db that is not there, cannot be read, or was
 * written by another version than this program's is a code other than DB_OK. */
int report_open(const char *dir, struct report **ret, struct errbuf *e) MG_MUSTCHECK;
void report_close(struct report *r); /* NULL is fine */

/* From any thread: what is being asked, and whatever is asked later, ends with DB_ERROR. */
void report_interrupt(struct report *r);

/* Microseconds since 1970: since <= t < until. */
struct report_span {
    int64_t since_us, until_us;
};

/* ---- sums ---- */

enum report_by {
    REPORT_BY_MODEL,
    REPORT_BY_CLIENT,
    REPORT_BY_BUDGET,
    REPORT_BY_UPSTREAM,
    REPORT_BY_ENDPOINT,
    REPORT_BY_DAY,
    REPORT_BY_HOUR,
    REPORT_BYS
};

const char *report_by_name(enum report_by by);              /* "model" */
int report_by_read(struct slice text, enum report_by *ret); /* -EINVAL */

/* Each stays at INT64_MAX once it would pass it. */
struct report_sums {
    int64_t calls, outcome[ROW_OUTCOMES], attempts;
    struct usage usage;                 /* sums; without a tier */
    int64_t cost_nano;                  /* of those that have one */
    int64_t unpriced;                   /* calls that have none */
    int64_t queued_ms, total_ms;        /* sums */
    int64_t first_bytes, first_byte_ms; /* how many had one, and their sum */
};

/*
 * One row of sums for each key that occurs, in order: days ("2026-11-28") and hours ("2026-11-28T14:00Z"),
 * both of UTC, by time, others by cost, then tokens (both the largest first), then key. At most
 * REPORT_KEYS_MAX keys; what has a further one is summed in a row with the key REPORT_OTHERS, which comes
 * last.
 */
#define REPORT_KEYS_MAX 10000
#define REPORT_OTHERS   "(others)"
typedef void report_row(void *arg, struct slice key, const struct report_sums *sums);
int report_usage(struct report *r, enum report_by by, const struct report_span *span, report_row *give,
                 void *arg, struct errbuf *e) MG_MUSTCHECK;

/* ---- one model, for comparing it with others ---- */

/* The mean, the median and the 95th percentile (nearest rank), the largest. `n` calls had one; all 0 without
 * any. */
struct report_spread {
    int64_t n, mean, p50, p95, max; /* milliseconds */
};

#define REPORT_SAMPLE 10000

/* Of the latest REPORT_SAMPLE calls of the span that were completed with a status below 400. */
struct report_sample {
    int64_t calls;
    int64_t used, input, output; /* how many of them have a usage, and their tokens */
    int64_t priced, cost_nano;   /* how many of these have a cost, and its sum */
    struct report_spread queued, first_byte, total;
};

/* `sums` are of all calls of the span. A model that does not occur has zeros. */
struct report_model {
    struct report_sums sums;
    struct report_sample sample;
};
int report_compare(struct report *r, struct slice model, const struct report_span *span,
                   struct report_model *ret, struct errbuf *e) MG_MUSTCHECK;

/* ---- calls ---- */

/* Which calls: the latest first, of one moment those with the larger id. Empty texts: any. */
#define REPORT_CALLS_MAX 10000
struct report_filter {
    int64_t limit;     /* 1 to REPORT_CALLS_MAX */
    int64_t before_us; /* only those that ended before; 0: all */
    int64_t before_id; /* those of before_us itself with a smaller id, too: the rest of a list that ended
                          there; or 0 */
    struct slice client, model;
};

/* Rows as they were written, but for `charge` and `budget_scope`, which are not kept; times are whole
 * milliseconds. Holds come with report_call alone. The row lives until the next one. */
typedef void report_call_row(void *arg, const struct ledger_row *row);
int report_calls(struct report *r, const struct report_filter *f, report_call_row *give, void *arg,
                 struct errbuf *e) MG_MUSTCHECK;

/* One call. *ret_found false: there is none of that id. */
int report_call(struct report *r, int64_t id, struct ledger_row *ret, bool *ret_found,
                struct errbuf *e) MG_MUSTCHECK;

#endif
