/*
 * table: text in columns as wide as their widest cell, two spaces between them. Cells are UTF-8 and are made
 * safe to show (base/plain.h); heads are taken as they are.
 */
#ifndef METERGATE_TOOL_TABLE_H
#define METERGATE_TOOL_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define TABLE_COLUMNS_MAX 12

struct table {
    const char *const *heads; /* borrowed */
    size_t columns;
    uint32_t right; /* bit i: column i is aligned to the right */
    char **cells;   /* private; owned, row by row */
    size_t n;       /* private: how many cells */
    size_t cap;     /* private */
    uint32_t out;   /* private: bit i: column i is not shown */
};

void table_init(struct table *t, const char *const *heads, size_t columns, uint32_t right);
void table_release(struct table *t);

/* The next cell of the current row, or the first of a new one. */
void table_add(struct table *t, const char *fmt, ...) MG_PRINTF(2, 3);
void table_add_slice(struct table *t, struct slice s);

/* Cut to so many places (the others to 400), "..." at its end where something is missing. */
void table_add_short(struct table *t, struct slice s, size_t places);

/* 1234567 as "1,234,567". */
void table_add_int(struct table *t, int64_t v);

/* Leaves columns out, those of `first_out` in that order (ended by TABLE_END), until lines are at most
 * `width` places long or there is no more to leave out. After all cells. */
#define TABLE_END 99
void table_fit(struct table *t, size_t width, const unsigned char *first_out);

/* Heads and rows; the last row must be complete. Nothing at all when there is no row. */
void table_print(const struct table *t, FILE *out);

#endif
