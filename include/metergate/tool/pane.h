/*
 * pane: rows in columns, of which one is chosen and some more may be seen by scrolling; a row may have gauges
 * below it. Pure: rows come in, cells of a grid go out.
 */
#ifndef METERGATE_TOOL_PANE_H
#define METERGATE_TOOL_PANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/tool/grid.h"

#define PANE_COLUMNS_MAX 10

/* The first column of a pane takes the room that the others leave (at least its width, at most 48 places). */
struct column {
    const char *head;
    int width;
    bool right;
    bool text;          /* sorted by what is written, from A; else by number, the largest first */
    unsigned char rank; /* where there is too little room the highest go first; 0: stays */
};

/* What is taken of something that has an end. Nano-dollars where it is money. */
struct gauge {
    char *name; /* owned, safe */
    int64_t used, reserved, usable;
    bool money;
};

/* One row; texts are owned. */
struct pane_row {
    char *id;                       /* what it is known by from one document to the next */
    char *cells[PANE_COLUMNS_MAX];  /* any text */
    int64_t keys[PANE_COLUMNS_MAX]; /* what it is sorted by; not where the column is text */
    enum style style;
    struct gauge *gauges; /* owned */
    size_t gauge_count;
};

struct pane {
    const char *title;
    const struct column *columns;
    size_t column_count;
    struct pane_row *rows; /* owned */
    size_t n;
    size_t cap; /* private */
};

/* `columns` is borrowed. */
void pane_init(struct pane *p, const char *title, const struct column *columns, size_t column_count);
void pane_release(struct pane *p);

/* A new row at the end; good until the next one. pane_cell fills its next column: a text and its key. */
struct pane_row *pane_add(struct pane *p, const char *id);
void pane_cell(struct pane_row *row, size_t column, int64_t key, const char *fmt, ...) MG_PRINTF(4, 5);

/* Takes `name`. */
void pane_gauge(struct pane_row *row, char *name, int64_t used, int64_t reserved, int64_t usable, bool money);

void pane_sort(struct pane *p, size_t column, bool reverse);

/* The index of the row of that id; n: there is none. */
size_t pane_find(const struct pane *p, const char *id);

/* How many lines show all of it, with its title. */
int pane_lines(const struct pane *p);

/* How it is looked at. */
struct pane_look {
    size_t chosen; /* a row that is always seen */
    int sorted;    /* the column that says so; -1: none */
    bool reverse;
    bool on;           /* it has the keys */
    const char *empty; /* what stands there while there is no row */
};

/* Draws title and rows into the lines from `top` on, over the whole width of the grid. */
void pane_draw(const struct pane *p, const struct pane_look *look, struct grid *g, int top, int lines);

#endif
