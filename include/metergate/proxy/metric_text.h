/*
 * metric_text: Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), and tables of
 * metrics that have the same labels.
 *
 * A family's lines must stand together, but its figures are best worked out object by object, at one moment. So a table
 * has a column for each family and a row for each series: its rows are filled first, and written by columns.
 *
 * Values are whole numbers of some part of the unit; nothing here is floating point.
 */
#ifndef METERGATE_PROXY_METRIC_TEXT_H
#define METERGATE_PROXY_METRIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* How many decimals of the unit a value counts. */
enum metric_part {
    METRIC_ONE = 0,   /* calls, tokens, bytes */
    METRIC_CENTI = 2, /* hundredths: the kernel's ticks */
    METRIC_MYRIO = 4, /* ten-thousandths */
    METRIC_MICRO = 6, /* microseconds */
    METRIC_NANO = 9   /* nano-dollars */
};

/* One family. */
struct metric_family {
    const char *name; /* whole, as it is written */
    const char *type; /* "counter", "gauge" or "histogram" */
    const char *help; /* a sentence without a line feed or backslash */
    enum metric_part part;
};

#define METRIC_ABSENT  INT64_MIN       /* the family has no such series */
#define METRIC_UNKNOWN (INT64_MIN + 1) /* it has, and nobody can know its value now: NaN */

#define METRIC_NUMBER_MAX 32

/* The value as a decimal number of units without zeros at its end: (1500000, METRIC_MICRO) is "1.5". Returns where in `out`
 * it begins. */
const char *metric_number(int64_t value, enum metric_part part, char out[METRIC_NUMBER_MAX]);

/* The lines HELP and TYPE, once for each family. */
void metric_head(struct buf *out, const struct metric_family *m);

/* NAME="value", escaped, what is no UTF-8 as U+FFFD; with a comma before it unless it is the first thing in `out`. */
void metric_label(struct buf *out, const char *name, struct slice value);

/* One line of the family; `labels` as they stand between the braces, may be empty. Nothing for METRIC_ABSENT. */
void metric_value(struct buf *out, const struct metric_family *m, struct slice labels, int64_t value);

/* The whole of a family that has one series without labels. */
void metric_single(struct buf *out, const struct metric_family *m, int64_t value);

/* ---- tables ---- */

struct metric_table {
    const struct metric_family *metrics; /* borrowed, `n` of them */
    size_t n;
    struct buf labels; /* private: of all rows, one behind the other, each ended by NUL */
    int64_t *values;   /* private: rows times n */
    size_t rows, room; /* private */
};

void metric_table_init(struct metric_table *t, const struct metric_family *metrics, size_t n);

/* One series more in every family: its n values, all METRIC_ABSENT, valid until the next row. `labels` are copied. */
int64_t *metric_table_row(struct metric_table *t, struct slice labels);

/* All families with all their series; the table is released. */
void metric_table_write(struct metric_table *t, struct buf *out);

#endif
