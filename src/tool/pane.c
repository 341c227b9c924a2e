/* pane: a row takes a line and one for each of its gauges; the chosen row's own line is always among those
 * that are seen. */
#include "metergate/tool/pane.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/plain.h"
#include "metergate/tool/figure.h"

#define FIRST_MAX 48 /* places of the first column */
#define MARGIN    2  /* left of the first column: where the chosen row has its mark */

void pane_init(struct pane *p, const char *title, const struct column *columns, size_t column_count)
{
    MG_ASSERT(column_count > 0 && column_count <= PANE_COLUMNS_MAX);
    *p = (struct pane){.title = title, .columns = columns, .column_count = column_count};
}

static void row_release(struct pane_row *row)
{
    for (size_t i = 0; i < PANE_COLUMNS_MAX; i++)
        free(row->cells[i]);
    for (size_t i = 0; i < row->gauge_count; i++)
        free(row->gauges[i].name);
    free(row->gauges);
    free(row->id);
}

void pane_release(struct pane *p)
{
    for (size_t i = 0; i < p->n; i++)
        row_release(&p->rows[i]);
    free(p->rows);
    *p = (struct pane){0};
}

struct pane_row *pane_add(struct pane *p, const char *id)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->rows = xrealloc(p->rows, p->cap * sizeof *p->rows);
    }
    p->rows[p->n] = (struct pane_row){.id = xstrdup(id)};
    return &p->rows[p->n++];
}

void pane_cell(struct pane_row *row, size_t column, int64_t key, const char *fmt, ...)
{
    struct buf b;
    va_list ap;

    MG_ASSERT(column < PANE_COLUMNS_MAX && !row->cells[column]);
    buf_init(&b, BUF_UNLIMITED);
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    row->cells[column] = buf_take(&b, NULL);
    row->keys[column] = key;
}

void pane_gauge(struct pane_row *row, char *name, int64_t used, int64_t reserved, int64_t usable, bool money)
{
    row->gauges = xrealloc(row->gauges, (row->gauge_count + 1) * sizeof *row->gauges);
    row->gauges[row->gauge_count++] =
        (struct gauge){.name = name, .used = used, .reserved = reserved, .usable = usable, .money = money};
}

/* ---- order ---- */

struct order {
    size_t column;
    bool text, reverse;
};

static int compare(const void *a, const void *b, void *ctx)
{
    const struct pane_row *x = a, *y = b;
    const struct order *o = ctx;
    int by;

    if (o->text)
        by = strcmp(x->cells[o->column], y->cells[o->column]);
    else
        by = (x->keys[o->column] < y->keys[o->column]) - (x->keys[o->column] > y->keys[o->column]);
    if (by == 0)
        return strcmp(x->id, y->id); /* whatever the order: rows that are alike do not jump about */
    return o->reverse ? -by : by;
}

void pane_sort(struct pane *p, size_t column, bool reverse)
{
    struct order o = {.column = column, .reverse = reverse};

    MG_ASSERT(column < p->column_count);
    o.text = p->columns[column].text;
    if (p->n)
        qsort_r(p->rows, p->n, sizeof *p->rows, compare, &o);
}

size_t pane_find(const struct pane *p, const char *id)
{
    size_t i = 0;

    while (i < p->n && strcmp(p->rows[i].id, id) != 0)
        i++;
    return i;
}

/* ---- room ---- */

static int row_lines(const struct pane_row *row)
{
    return 1 + (int)row->gauge_count;
}

int pane_lines(const struct pane *p)
{
    int lines = 1;

    for (size_t i = 0; i < p->n; i++)
        lines += row_lines(&p->rows[i]);
    return p->n ? lines : 2;
}

/* The width of each column, 0 of those that are left out. */
static void fit(const struct pane *p, int places, int widths[PANE_COLUMNS_MAX])
{
    for (;;) {
        int all = MARGIN;
        size_t worst = 0;

        for (size_t i = 0; i < p->column_count; i++) {
            if (widths[i])
                all += widths[i] + (i ? 1 : 0);
            if (widths[i] && p->columns[i].rank > (worst ? p->columns[worst].rank : 0))
                worst = i;
        }
        if (all <= places || worst == 0) {
            widths[0] += all < places ? places - all : 0;
            widths[0] =
                widths[0] < FIRST_MAX ? widths[0] : FIRST_MAX; /* the eye has to find the rest of the line */
            return;
        }
        widths[worst] = 0;
    }
}

/* ---- drawing ---- */

static void put(struct grid *g, int line, int column, int width, bool right, enum style style,
                const char *text)
{
    if (right)
        grid_put_right(g, line, column, width, style, slice_str(text));
    else
        grid_put(g, line, column, width, style, slice_str(text));
}

static void draw_title(const struct pane *p, const struct pane_look *look, const int *widths, struct grid *g,
                       int line)
{
    enum style style = look->on ? STYLE_TITLE_ON : STYLE_TITLE;
    int column = MARGIN;

    grid_paint(g, line, 0, g->columns, style);
    for (size_t i = 0; i < p->column_count; i++) {
        char head[48];
        const char *mark = "";

        if (!widths[i])
            continue;
        if ((int)i == look->sorted)
            mark = p->columns[i].text == look->reverse ? "v" : "^";
        snprintf(head, sizeof head, "%s%s", i ? p->columns[i].head : p->title, mark);
        put(g, line, column, widths[i], p->columns[i].right, style, head);
        column += widths[i] + 1;
    }
}

static void draw_row(const struct pane *p, const struct pane_row *row, bool chosen, bool on,
                     const int *widths, struct grid *g, int line)
{
    enum style style = chosen && on ? STYLE_CHOSEN : row->style;
    int column = MARGIN;

    if (chosen)
        grid_put(g, line, 0, 1, style, SLICE(">"));
    for (size_t i = 0; i < p->column_count; i++) {
        if (!widths[i])
            continue;
        if (row->cells[i])
            put(g, line, column, widths[i], p->columns[i].right, style, row->cells[i]);
        column += widths[i] + 1;
    }
    if (chosen && on)
        grid_paint(g, line, 0, g->columns, STYLE_CHOSEN);
}

/* How many of `places` stand for `part` of `whole`; something is never nothing. */
static int share(int64_t part, int64_t whole, int places)
{
    int n = figure_part(part, whole, places);

    return n == 0 && part > 0 ? 1 : n;
}

static const char *amount(int64_t v, bool money, char out[FIGURE_SIZE])
{
    return money ? figure_usd(v, 6, out) : figure_int(v, out);
}

/* "  tpm 60 s  [#######===.......]  17,877 + 4,100 of 24,000" */
static void draw_gauge(const struct gauge *u, struct grid *g, int line)
{
    char used[FIGURE_SIZE], reserved[FIGURE_SIZE], usable[FIGURE_SIZE], text[3 * FIGURE_SIZE + 16];
    int name = g->columns >= 60 ? 18 : 10, from = MARGIN + 2 + name + 1, figures, bar, a, b;
    int64_t taken = figure_sum(u->used, u->reserved);
    enum style state = taken < u->usable ? STYLE_PLAIN : STYLE_WARN;

    if (g->columns >= 70)
        snprintf(text, sizeof text, "%s + %s of %s", amount(u->used, u->money, used),
                 amount(u->reserved, u->money, reserved), amount(u->usable, u->money, usable));
    else
        snprintf(text, sizeof text, "%s/%s", amount(taken, u->money, used),
                 amount(u->usable, u->money, usable));
    figures = g->columns >= 70 ? 36 : (int)strlen(text);
    bar = g->columns - from - figures - 4;
    if (bar > 48)
        bar = 48;
    grid_put(g, line, MARGIN + 2, name, STYLE_FAINT, slice_str(u->name));
    if (bar >= 3) {
        a = share(u->used, u->usable, bar);
        b = share(u->reserved, u->usable, bar);
        grid_put(g, line, from, 1, STYLE_PLAIN, SLICE("["));
        for (int i = 0; i < bar; i++)
            grid_put(g, line, from + 1 + i, 1,
                     i < a       ? STYLE_USED
                     : i < a + b ? STYLE_RESERVED
                                 : STYLE_FAINT,
                     i < a       ? SLICE("#")
                     : i < a + b ? SLICE("=")
                                 : SLICE("."));
        grid_put(g, line, from + 1 + bar, 1, STYLE_PLAIN, SLICE("]"));
        from += bar + 3;
    }
    grid_put(g, line, from, g->columns - from, state, slice_str(text));
}

/* The first row to show, so that the chosen one is seen with its gauges, as far as there is room. */
static size_t first_row(const struct pane *p, size_t chosen, int lines)
{
    int room = lines - row_lines(&p->rows[chosen]);
    size_t first = chosen;

    while (first > 0 && room >= row_lines(&p->rows[first - 1]))
        room -= row_lines(&p->rows[--first]);
    return first;
}

void pane_draw(const struct pane *p, const struct pane_look *look, struct grid *g, int top, int lines)
{
    size_t chosen = look->chosen < p->n ? look->chosen : p->n - 1;
    int widths[PANE_COLUMNS_MAX] = {0}, line = top + 1, end = top + lines;

    for (size_t i = 0; i < p->column_count; i++)
        widths[i] = p->columns[i].width;
    fit(p, g->columns, widths);
    if (lines <= 0)
        return;
    draw_title(p, look, widths, g, top);
    if (p->n == 0) {
        if (line < end)
            grid_put(g, line, MARGIN, g->columns - MARGIN, STYLE_FAINT, slice_str(look->empty));
        return;
    }
    for (size_t i = first_row(p, chosen, lines - 1); i < p->n && line < end; i++) {
        draw_row(p, &p->rows[i], i == chosen, look->on, widths, g, line++);
        for (size_t k = 0; k < p->rows[i].gauge_count && line < end; k++)
            draw_gauge(&p->rows[i].gauges[k], g, line++);
    }
}
