/*
 * exposition: GET /metrics, read strictly: https://prometheus.io/docs/instrumenting/exposition_formats/ and the conventions of
 * https://prometheus.io/docs/practices/naming/. Reading fails the test at the first line that breaks a rule:
 *
 *   - a family is HELP, TYPE and then all its series, once in the page; counters, and they alone, end in _total
 *   - no series stands twice; names and label names are well-formed, values escaped with \\ \" \n and nothing else, and UTF-8
 *   - of a histogram: le rises, counts do not fall, +Inf is there and is the count
 */
#ifndef E2E_EXPOSITION_H
#define E2E_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

#include "fixture.h"

struct series {
    char *name;   /* with _bucket, _sum, _count */
    char *labels; /* as they stand between the braces; "": none */
    double value; /* may be NaN */
};

struct family {
    char *name, *type, *help;
    char label[8][32]; /* of all its series, in the order in which they were met */
    size_t labels;
    struct series *v;
    size_t n;
};

struct exposition {
    struct family *v;
    size_t n;
};

void exposition_read(const char *text, struct exposition *ret);

/* What the daemon answers now. */
void exposition_fetch(const struct fixture *f, struct exposition *ret);
void exposition_release(struct exposition *e);

/* NULL: there is none. */
const struct family *exposition_family(const struct exposition *e, const char *name);

/* The sum of all series of that name (of a histogram: NAME_count) whose labels contain `part`. At least one must. */
double exposition_sum(const struct exposition *e, const char *name, const char *part);

/* Whether a program may ask for series of that name. */
bool exposition_has(const struct exposition *e, const char *name);

#endif
