/* grid: a wide character stands in two cells, the second of which is empty; a character that would lose one
 * of them to another's place becomes a blank. */
#include "metergate/tool/grid.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/plain.h"

static int side(int n)
{
    if (n < 1)
        return 1;
    return n > GRID_SIDE_MAX ? GRID_SIDE_MAX : n;
}

static void blank(struct cell *c)
{
    memcpy(c->text, " ", 2);
}

void grid_init(struct grid *g, int rows, int columns)
{
    size_t n;

    g->rows = side(rows);
    g->columns = side(columns);
    n = (size_t)g->rows * (size_t)g->columns;
    g->cells = xcalloc(n, sizeof *g->cells);
    for (size_t i = 0; i < n; i++)
        blank(&g->cells[i]);
}

void grid_release(struct grid *g)
{
    free(g->cells);
    *g = (struct grid){0};
}

static struct cell *at(const struct grid *g, int row, int column)
{
    if (row < 0 || row >= g->rows || column < 0 || column >= g->columns)
        return NULL;
    return &g->cells[(size_t)row * (size_t)g->columns + (size_t)column];
}

const struct cell *grid_cell(const struct grid *g, int row, int column)
{
    return at(g, row, column);
}

/* Nothing is left of a character that stood there, in its other cell neither. */
static void clear(struct grid *g, int row, int column)
{
    struct cell *c = at(g, row, column), *next = at(g, row, column + 1), *before = at(g, row, column - 1);

    if (!c)
        return;
    if (next && !next->text[0])
        blank(next);
    if (!c->text[0] && before)
        blank(before);
    blank(c);
}

/* One character of 1 or 2 places that fits. */
static void set(struct grid *g, int row, int column, int places, enum style style, struct slice character)
{
    struct cell *c = at(g, row, column), *half = places > 1 ? at(g, row, column + 1) : NULL;

    MG_ASSERT(c && character.n < sizeof c->text);
    clear(g, row, column);
    memcpy(c->text, character.p, character.n);
    c->text[character.n] = '\0';
    c->style = (unsigned char)style;
    if (!half)
        return;
    clear(g, row, column + 1);
    half->text[0] = '\0';
    half->style = (unsigned char)style;
}

/* A mark joins the character before it, which may be a wide one. */
static void join(struct grid *g, int row, int column, struct slice mark)
{
    struct cell *c = at(g, row, column);
    size_t n;

    if (c && !c->text[0])
        c = at(g, row, column - 1);
    if (!c)
        return;
    n = strlen(c->text);
    if (n + mark.n >= sizeof c->text)
        return;
    memcpy(c->text + n, mark.p, mark.n);
    c->text[n + mark.n] = '\0';
}

/* Writes safe text that has room. */
static void write_safe(struct grid *g, int row, int column, enum style style, struct slice s)
{
    while (s.n) {
        size_t n = slice_utf8(s);
        struct slice one = slice_head(s, n);
        int places = (int)plain_width(one);

        if (places > 0)
            set(g, row, column, places, style, one);
        else
            join(g, row, column - 1, one);
        column += places;
        s = slice_skip(s, n);
    }
}

int grid_put(struct grid *g, int row, int column, int width, enum style style, struct slice text)
{
    struct buf b;
    struct slice safe;
    int taken;

    if (row < 0 || row >= g->rows || column < 0 || column >= g->columns)
        return 0;
    if (width > g->columns - column)
        width = g->columns - column;
    if (width <= 0)
        return 0;
    buf_init(&b, BUF_UNLIMITED);
    plain_add(&b, text);
    safe = buf_slice(&b);
    if (plain_width(safe) > (size_t)width) {
        safe = slice_head(safe, plain_fit(safe, (size_t)width - 1));
        taken = (int)plain_width(safe) + 1;
        set(g, row, column + taken - 1, 1, style, SLICE("~"));
    } else {
        taken = (int)plain_width(safe);
    }
    write_safe(g, row, column, style, safe);
    buf_release(&b);
    return taken;
}

void grid_put_right(struct grid *g, int row, int column, int width, enum style style, struct slice text)
{
    struct buf b;
    size_t places;

    buf_init(&b, BUF_UNLIMITED);
    plain_add(&b, text);
    places = plain_width(buf_slice(&b));
    if (width > 0 && places < (size_t)width) {
        column += width - (int)places;
        width = (int)places;
    }
    grid_put(g, row, column, width, style, text);
    buf_release(&b);
}

void grid_paint(struct grid *g, int row, int column, int width, enum style style)
{
    for (int i = 0; i < width; i++) {
        struct cell *c = at(g, row, column + i);

        if (c)
            c->style = (unsigned char)style;
    }
}

void grid_text(const struct grid *g, struct buf *out)
{
    for (int row = 0; row < g->rows; row++) {
        size_t start = out->n;

        for (int column = 0; column < g->columns; column++)
            buf_add_str(out, at(g, row, column)->text);
        while (out->n > start && out->p[out->n - 1] == ' ')
            buf_drop_tail(out, 1);
        buf_add_char(out, '\n');
    }
}
