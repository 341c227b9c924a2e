/*
 * What the files of report share: statements that tell of their problems in sentences, names, and the hours
 * that a question is about. Nobody else includes this.
 */
#ifndef METERGATE_LEDGER_REPORT_INSIDE_H
#define METERGATE_LEDGER_REPORT_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/report.h"

#define HOUR_US   INT64_C(3600000000)
#define UNTIL_MAX (INT64_MAX / 2) /* no row is later: so that the end of its hour can be computed */

/* What no honest row passes: 29 years, so that as many as there are in a sample can be added up. */
#define MS_MAX (INT64_MAX / 1000 / REPORT_SAMPLE)

struct report {
    struct db *db;
    atomic_bool stopped;
    struct buf path;
};

int report_prepare(struct report *r, const char *sql, struct db_stmt **ret, struct errbuf *e) MG_MUSTCHECK;

/* DB_ROW, DB_OK after the last row, or what went wrong. */
int report_step(struct report *r, struct db_stmt *s, struct errbuf *e) MG_MUSTCHECK;

/* A statement of one integer in one row; NULL, and no row, are 0. `bound` are its parameters. */
int report_number(struct report *r, const char *sql, const int64_t *bound, size_t n, int64_t *ret,
                  struct errbuf *e) MG_MUSTCHECK;

/* A number that no name has: of any name. */
#define NAME_ANY  INT64_C(0)
#define NAME_NONE INT64_C(-1)

/* The number of a name; NAME_NONE: no row has it. */
int report_name(struct report *r, struct slice text, int64_t *ret, struct errbuf *e) MG_MUSTCHECK;

/* Milliseconds of a column, in bounds. */
int64_t report_ms(const struct db_stmt *s, int column);

/* Each row of `hours`, and each call of the parts of hours, whose model is that one (or NAME_ANY), with the
 * number that its key has (report_sums.c). */
typedef void report_sums_row(void *arg, int64_t key, const struct report_sums *sums);
int report_sum(struct report *r, enum report_by by, int64_t model, const struct report_span *span,
               report_sums_row *give, void *arg, struct errbuf *e) MG_MUSTCHECK;
void report_sums_add(struct report_sums *to, const struct report_sums *more);

/*
 * The hours of the span, latest first, in which there were calls of that client and model (or NAME_ANY): what
 * of each lies in the span. `each` gives DB_ROW to go on, DB_OK when it has enough, or what went wrong.
 */
typedef int report_hour(void *arg, const struct report_span *part, struct errbuf *e);
int report_hours_back(struct report *r, int64_t client, int64_t model, const struct report_span *span,
                      report_hour *each, void *arg, struct errbuf *e) MG_MUSTCHECK;

#endif
