/*
 * report_usage: sums by key. A key is a number until all rows are read: that of a name, or a day or hour
 * since 1970. Each number has one row in the table, but for those that found it full.
 */
#include "report_inside.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/map.h"
#include "metergate/base/when.h"

struct key_row {
    int64_t key;
    char *text; /* NULL until all rows are read */
    struct report_sums sums;
};

struct usage_table {
    struct map index;     /* by the bytes of the key */
    struct key_row **row; /* in the order in which they came */
    size_t n, cap;
    struct key_row *last; /* most rows have the key of the one before; or NULL */
    struct report_sums others;
};

static struct key_row *find(struct usage_table *t, int64_t key)
{
    struct slice bytes = slice_of((const char *)&key, sizeof key);
    struct key_row *k = map_get(&t->index, bytes);

    if (k || t->n == REPORT_KEYS_MAX)
        return k;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->row = xrealloc((void *)t->row, t->cap * sizeof(t->row[0]));
    }
    k = xcalloc(1, sizeof *k);
    k->key = key;
    t->row[t->n++] = k;
    map_set(&t->index, bytes, k);
    return k;
}

static void add_row(void *arg, int64_t key, const struct report_sums *sums)
{
    struct usage_table *t = arg;

    if (!t->last || t->last->key != key)
        t->last = find(t, key);
    report_sums_add(t->last ? &t->last->sums : &t->others, sums);
}

static bool by_time(enum report_by by)
{
    return by == REPORT_BY_DAY || by == REPORT_BY_HOUR;
}

static char *time_text(enum report_by by, int64_t key)
{
    char text[WHEN_SIZE];
    int64_t us;

    if (__builtin_mul_overflow(key, by == REPORT_BY_DAY ? WHEN_DAY_US : WHEN_HOUR_US, &us))
        us = INT64_MAX;
    if (by == REPORT_BY_DAY)
        when_day_text(us, text);
    else
        when_hour_text(us, text);
    return xstrdup(text);
}

static int name_keys(struct report *r, struct usage_table *t, struct errbuf *e)
{
    struct db_stmt *s = NULL;
    int rc = report_prepare(r, "SELECT text FROM names WHERE id = ?1", &s, e);

    for (size_t i = 0; i < t->n && rc == DB_OK; i++) {
        struct slice text = SLICE("");

        db_bind_int(s, 1, t->row[i]->key);
        rc = report_step(r, s, e);
        if (rc == DB_ROW) {
            text = db_text(s, 0);
            rc = DB_OK;
        }
        t->row[i]->text = xstrndup(text.p, text.n);
        db_reset(s);
    }
    db_finalize(s);
    return rc;
}

static int64_t tokens_of(const struct report_sums *s)
{
    int64_t tokens;

    return __builtin_add_overflow(s->usage.input, s->usage.output, &tokens) ? INT64_MAX : tokens;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key_row *x = *(struct key_row *const *)a, *y = *(struct key_row *const *)b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static int compare_weight(const void *a, const void *b)
{
    const struct key_row *x = *(struct key_row *const *)a, *y = *(struct key_row *const *)b;
    int64_t xt = tokens_of(&x->sums), yt = tokens_of(&y->sums);

    if (x->sums.cost_nano != y->sums.cost_nano)
        return x->sums.cost_nano > y->sums.cost_nano ? -1 : 1;
    if (xt != yt)
        return xt > yt ? -1 : 1;
    return strcmp(x->text, y->text);
}

static int finish(struct report *r, struct usage_table *t, enum report_by by, struct errbuf *e)
{
    int rc = DB_OK;

    if (by_time(by)) {
        for (size_t i = 0; i < t->n; i++)
            t->row[i]->text = time_text(by, t->row[i]->key);
    } else {
        rc = name_keys(r, t, e);
    }
    if (rc == DB_OK && t->n)
        qsort((void *)t->row, t->n, sizeof(t->row[0]), by_time(by) ? compare_keys : compare_weight);
    return rc;
}

static void release(struct usage_table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->row[i]->text);
        free(t->row[i]);
    }
    free((void *)t->row);
    map_release(&t->index);
}

int report_usage(struct report *r, enum report_by by, const struct report_span *span, report_row *give,
                 void *arg, struct errbuf *e)
{
    struct usage_table t = {0};
    int rc;

    map_init(&t.index);
    rc = report_sum(r, by, NAME_ANY, span, add_row, &t, e);
    if (rc == DB_OK)
        rc = finish(r, &t, by, e);
    for (size_t i = 0; i < t.n && rc == DB_OK; i++)
        give(arg, slice_str(t.row[i]->text), &t.row[i]->sums);
    if (t.others.calls && rc == DB_OK)
        give(arg, SLICE(REPORT_OTHERS), &t.others);
    release(&t);
    return rc;
}
