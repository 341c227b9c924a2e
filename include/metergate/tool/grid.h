/*
 * grid: a page of character cells, before anybody shows it. Pure: what a page looks like is tested here,
 * without a terminal. Every text that is put into it is made safe (base/plain.h); what lies outside is cut.
 */
#ifndef METERGATE_TOOL_GRID_H
#define METERGATE_TOOL_GRID_H

#include <stdbool.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* How a cell is meant; the screen chooses how that looks, with colours or without. */
enum style {
    STYLE_PLAIN,
    STYLE_STRONG,
    STYLE_FAINT,
    STYLE_TITLE,    /* of a pane */
    STYLE_TITLE_ON, /* of the pane that has the keys */
    STYLE_CHOSEN,   /* the row that is chosen, in that pane */
    STYLE_USED,     /* of a gauge */
    STYLE_RESERVED,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_BAD,
    STYLES
};

#define GRID_CELL_SIZE 16 /* a character with marks that combine with it; further marks are left out */

struct cell {
    char text[GRID_CELL_SIZE]; /* ends with NUL; empty: the right half of the wide character before it */
    unsigned char style;
};

struct grid {
    int rows, columns;  /* readable */
    struct cell *cells; /* readable: row by row; owned */
};

#define GRID_SIDE_MAX 1000

/* Empty; 1 to GRID_SIDE_MAX each way, what is beyond is taken as that. */
void grid_init(struct grid *g, int rows, int columns);
void grid_release(struct grid *g);

const struct cell *grid_cell(const struct grid *g, int row, int column);

/*
 * Writes `text` from there on into at most `width` places, the last of which becomes a ~ where that is not
 * enough. Returns how many places it took. Whatever lies outside of the grid is not written.
 */
int grid_put(struct grid *g, int row, int column, int width, enum style style, struct slice text);

/* The same, at the right end of these places. */
void grid_put_right(struct grid *g, int row, int column, int width, enum style style, struct slice text);

/* Gives these places a style, whatever is in them. */
void grid_paint(struct grid *g, int row, int column, int width, enum style style);

/* The page as text: a line a row, without the blanks at its end. */
void grid_text(const struct grid *g, struct buf *out);

#endif
