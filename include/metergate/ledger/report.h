/*
 * report: what people ask the ledger. Each question has a connection of its own, made in the thread that asks, so that it
 * never keeps the writer waiting and sees one moment of the database.
 *
 * Sums come from `hours` where whole hours are asked for, and from `calls` for the parts of hours at both ends. Where the
 * rows of such a part were removed (retention), the whole hour stands for it.
 */
#ifndef METERGATE_LEDGER_REPORT_H
#define METERGATE_LEDGER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/row.h"

/* Microseconds since 1970: since <= t < until. */
struct report_span {
    int64_t since_us, until_us;
};

enum report_by { REPORT_BY_MODEL, REPORT_BY_CLIENT, REPORT_BY_BUDGET, REPORT_BY_UPSTREAM, REPORT_BY_ENDPOINT,
                 REPORT_BY_DAY, REPORT_BY_HOUR, REPORT_BYS };

const char *report_by_name(enum report_by by); /* "model" */
int report_by_read(struct slice text, enum report_by *ret); /* -EINVAL */

struct report_sums {
    int64_t calls, outcome[ROW_OUTCOMES], attempts;
    struct usage usage; /* sums; without a tier */
    int64_t cost_nano;  /* of those that have one */
    int64_t unpriced;   /* calls that have none */
    int64_t queued_ms, total_ms;         /* sums */
    int64_t first_bytes, first_byte_ms;  /* how many had one, and their sum */
};

/*
 * One row of sums for each key that occurs, in order: days ("2026-11-28") and hours ("2026-11-28T14:00Z"), both of UTC, by time,
 * others by cost, then tokens, then key. All functions return a code of db.h, DB_OK when they gave all; *e is set when
 * they did not. `dir` is ledger_dir's.
 */
typedef void report_row(void *arg, struct slice key, const struct report_sums *sums);
int report_usage(const char *dir, enum report_by by, const struct report_span *span, report_row *give, void *arg,
                 struct errbuf *e) MG_MUSTCHECK;

/* The mean, the median and the 95th percentile of milliseconds. `n` calls had one. */
struct report_spread {
    int64_t n, mean, p50, p95, max;
};

/* One model, for comparing it with others: sums, and spreads over its latest REPORT_SAMPLE calls of the span. */
#define REPORT_SAMPLE 10000
struct report_model {
    struct report_sums sums;
    struct report_spread queued, first_byte, total;
};
int report_compare(const char *dir, struct slice model, const struct report_span *span, struct report_model *ret,
                   struct errbuf *e) MG_MUSTCHECK;

/* Which calls: the latest first. Empty texts: any. */
struct report_filter {
    int64_t limit;     /* at most REPORT_CALLS_MAX */
    int64_t before_us; /* only those that ended before; 0: all */
    struct slice client, model;
};
#define REPORT_CALLS_MAX 10000

/* Rows as they were written, but for `charge` and `budget_scope`, which are not kept. Holds come with report_call alone. */
typedef void report_call_row(void *arg, const struct ledger_row *row);
int report_calls(const char *dir, const struct report_filter *f, report_call_row *give, void *arg,
                 struct errbuf *e) MG_MUSTCHECK;

/* One call. *ret_found false: there is none of that id. */
int report_call(const char *dir, int64_t id, struct ledger_row *ret, bool *ret_found, struct errbuf *e) MG_MUSTCHECK;

#endif
