/*
 * problems: what is wrong with a configuration file, all of it, each at its line and column.
 *
 * A printed problem is `file:line:column: message`; where no place in the file can be named (it cannot be
 * read), it is `file: message`. Warnings leave the configuration usable. At most PROBLEMS_MAX are kept; the
 * rest are counted.
 */
#ifndef METERGATE_CONFIG_PROBLEMS_H
#define METERGATE_CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

#define PROBLEMS_MAX 100

struct problem {
    int line;   /* from 1; 0 where the file has no such place */
    int column; /* from 1, in characters */
    bool warning;
    char *message; /* owned */
};

struct problems {
    struct problem *v; /* readable; in the order of the file after config_load */
    size_t n;          /* readable */
    size_t errors;     /* readable: all of them, also those not kept */
    size_t dropped;    /* readable: how many were not kept */
    char *file;        /* readable: the file's name as the operator gave it; NULL before the first load */
};

void problems_init(struct problems *p);
void problems_release(struct problems *p);

/* Names the file that the next problems belong to. */
void problems_set_file(struct problems *p, const char *file);

void problems_error(struct problems *p, int line, int column, const char *fmt, ...) MG_PRINTF(4, 5);
void problems_warn(struct problems *p, int line, int column, const char *fmt, ...) MG_PRINTF(4, 5);

/* By line and column, stable. */
void problems_sort(struct problems *p);

/* Appends `file:line:column: message` of problem i, without a line end. */
void problems_print(const struct problems *p, size_t i, struct buf *out);

/* Appends all of them, a line each, and how many more there are. */
void problems_print_all(const struct problems *p, struct buf *out);

#endif
