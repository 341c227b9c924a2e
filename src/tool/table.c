/* table: cells are kept in one row after the other; cell i is in column i % columns. */
#include "metergate/tool/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/plain.h"
#include "metergate/tool/figure.h"

void table_init(struct table *t, const char *const *heads, size_t columns, uint32_t right)
{
    MG_ASSERT(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *t = (struct table){.heads = heads, .columns = columns, .right = right};
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

/* Owned from here on. */
static void push(struct table *t, char *safe)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = xrealloc(t->cells, t->cap * sizeof *t->cells);
    }
    t->cells[t->n++] = safe;
}

void table_add(struct table *t, const char *fmt, ...)
{
    struct buf b;
    va_list ap;

    buf_init(&b, BUF_UNLIMITED);
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    table_add_slice(t, buf_slice(&b));
    buf_release(&b);
}

/* Longer than any name of a daemon's; what is put into one cell makes all of its column as wide. */
#define CELL_PLACES_MAX 400

void table_add_slice(struct table *t, struct slice s)
{
    table_add_short(t, s, CELL_PLACES_MAX);
}

void table_add_short(struct table *t, struct slice s, size_t places)
{
    struct buf b;

    places = places < CELL_PLACES_MAX ? places : CELL_PLACES_MAX;
    buf_init(&b, BUF_UNLIMITED);
    plain_add(&b, s);
    if (plain_width(buf_slice(&b)) > places) {
        MG_ASSERT(places >= 3);
        buf_drop_tail(&b, b.n - plain_fit(buf_slice(&b), places - 3));
        buf_add_str(&b, "...");
    }
    push(t, buf_take(&b, NULL));
    buf_release(&b);
}

void table_add_int(struct table *t, int64_t v)
{
    char digits[FIGURE_SIZE];

    push(t, xstrdup(figure_int(v, digits)));
}

static size_t width(const char *text)
{
    return plain_width(slice_str(text));
}

static void measure(const struct table *t, size_t widths[TABLE_COLUMNS_MAX])
{
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = width(t->heads[i]);
    for (size_t i = 0; i < t->n; i++) {
        if (width(t->cells[i]) > widths[i % t->columns])
            widths[i % t->columns] = width(t->cells[i]);
    }
}

static bool is_out(const struct table *t, size_t column)
{
    return t->out >> column & 1;
}

void table_fit(struct table *t, size_t places, const unsigned char *first_out)
{
    size_t widths[TABLE_COLUMNS_MAX], all = 0;

    measure(t, widths);
    for (size_t i = 0; i < t->columns; i++)
        all += is_out(t, i) ? 0 : widths[i] + 2;
    for (; all > places + 2 && *first_out != TABLE_END; first_out++) {
        MG_ASSERT(*first_out < t->columns);
        all -= is_out(t, *first_out) ? 0 : widths[*first_out] + 2;
        t->out |= UINT32_C(1) << *first_out;
    }
}

static void print_row(const struct table *t, const char *const *cells, const size_t *widths, FILE *out)
{
    size_t last = t->columns - 1;
    bool begun = false;

    while (last > 0 && is_out(t, last))
        last--;
    for (size_t i = 0; i < t->columns; i++) {
        int pad = (int)(widths[i] - width(cells[i]));
        bool right = t->right >> i & 1;

        if (is_out(t, i))
            continue;
        fprintf(out, "%s%*s%s", begun ? "  " : "", right ? pad : 0, "", cells[i]);
        if (!right && i != last)
            fprintf(out, "%*s", pad, "");
        begun = true;
    }
    fputc('\n', out);
}

void table_print(const struct table *t, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX];

    MG_ASSERT(t->n % t->columns == 0);
    if (t->n == 0)
        return;
    measure(t, widths);
    print_row(t, t->heads, widths, out);
    for (size_t i = 0; i < t->n; i += t->columns)
        print_row(t, (const char *const *)t->cells + i, widths, out);
}
