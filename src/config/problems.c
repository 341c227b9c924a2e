/* problems: n <= PROBLEMS_MAX; what does not fit is counted in `dropped` (and in `errors` when it is one). */
#include "metergate/config/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
}

void problems_release(struct problems *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].message);
    free(p->v);
    free(p->file);
    problems_init(p);
}

void problems_set_file(struct problems *p, const char *file)
{
    char *copy = xstrdup(file);

    free(p->file);
    p->file = copy;
}

MG_PRINTF(5, 0)
static void add(struct problems *p, bool warning, int line, int column, const char *fmt, va_list ap)
{
    struct errbuf text;

    if (!warning)
        p->errors++;
    if (p->n == PROBLEMS_MAX) {
        p->dropped++;
        return;
    }
    if (!p->v)
        p->v = xcalloc(PROBLEMS_MAX, sizeof p->v[0]);
    vsnprintf(text.text, sizeof text.text, fmt, ap);
    p->v[p->n++] = (struct problem){line, column, warning, xstrdup(text.text)};
}

void problems_error(struct problems *p, int line, int column, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(p, false, line, column, fmt, ap);
    va_end(ap);
}

void problems_warn(struct problems *p, int line, int column, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(p, true, line, column, fmt, ap);
    va_end(ap);
}

static bool comes_after(const struct problem *a, const struct problem *b)
{
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* By insertion: stable, and the list is short and nearly sorted already. */
void problems_sort(struct problems *p)
{
    for (size_t i = 1; i < p->n; i++) {
        struct problem one = p->v[i];
        size_t at = i;

        while (at > 0 && comes_after(&p->v[at - 1], &one)) {
            p->v[at] = p->v[at - 1];
            at--;
        }
        p->v[at] = one;
    }
}

void problems_print(const struct problems *p, size_t i, struct buf *out)
{
    MG_ASSERT(i < p->n);
    if (p->file)
        buf_addf(out, "%s:", p->file);
    if (p->v[i].line > 0)
        buf_addf(out, "%d:%d:", p->v[i].line, p->v[i].column);
    if (p->file || p->v[i].line > 0)
        buf_add_char(out, ' ');
    buf_add_str(out, p->v[i].message);
}

void problems_print_all(const struct problems *p, struct buf *out)
{
    for (size_t i = 0; i < p->n; i++) {
        problems_print(p, i, out);
        buf_add_char(out, '\n');
    }
    if (p->dropped)
        buf_addf(out, "and %zu more\n", p->dropped);
}
