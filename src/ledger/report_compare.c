/* report_compare: the sample is found hour by hour, from the latest one in which the model was asked; other
 * hours are not looked at. */
#include "report_inside.h"

#include <stdlib.h>

static void add_up(void *arg, int64_t key, const struct report_sums *sums)
{
    (void)key;
    report_sums_add(arg, sums);
}

/* ---- spreads ---- */

struct values {
    int64_t *ms; /* room for REPORT_SAMPLE */
    int64_t n;
};

static int compare_ms(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Nearest rank: the smallest value that at least `percent` of all do not pass. */
static int64_t percentile(const struct values *v, int64_t percent)
{
    return v->ms[(v->n * percent + 99) / 100 - 1];
}

static struct report_spread spread_of(struct values *v)
{
    int64_t sum = 0;

    if (v->n == 0)
        return (struct report_spread){0};
    qsort(v->ms, (size_t)v->n, sizeof v->ms[0], compare_ms);
    for (int64_t i = 0; i < v->n; i++)
        sum += v->ms[i];
    return (struct report_spread){
        .n = v->n,
        .mean = (sum + v->n / 2) / v->n,
        .p50 = percentile(v, 50),
        .p95 = percentile(v, 95),
        .max = v->ms[v->n - 1],
    };
}

/* ---- the sample ---- */

struct sampling {
    struct report *r;
    struct db_stmt *s;
    int64_t model;
    struct report_sample *sample;
    struct values queued, first_byte, total;
};

static void push(struct values *v, int64_t ms)
{
    v->ms[v->n++] = ms;
}

static void add(int64_t *to, int64_t v)
{
    if (__builtin_add_overflow(*to, v, to))
        *to = INT64_MAX;
}

_Static_assert(ROW_COMPLETED == 0 && ROW_NO_USAGE == 0, "as the statement and take_call have them");
#define SAMPLE_SQL                                                                                           \
    "SELECT queued_ms, total_ms, first_byte_ms, source, input, output, cost_nano FROM calls"                 \
    " WHERE t_us >= ?1 AND t_us < ?2 AND model = ?3 AND outcome = 0 AND status < 400"                        \
    " ORDER BY t_us DESC, id DESC LIMIT ?4"

static void take_call(struct sampling *g)
{
    struct report_sample *to = g->sample;

    to->calls++;
    push(&g->queued, report_ms(g->s, 0));
    push(&g->total, report_ms(g->s, 1));
    if (!db_is_null(g->s, 2))
        push(&g->first_byte, report_ms(g->s, 2));
    if (db_int(g->s, 3) == ROW_NO_USAGE)
        return;
    to->used++;
    add(&to->input, db_int(g->s, 4));
    add(&to->output, db_int(g->s, 5));
    if (db_is_null(g->s, 6))
        return;
    to->priced++;
    add(&to->cost_nano, db_int(g->s, 6));
}

static int take_hour(void *arg, const struct report_span *part, struct errbuf *e)
{
    struct sampling *g = arg;
    int rc;

    db_bind_int(g->s, 1, part->since_us);
    db_bind_int(g->s, 2, part->until_us);
    db_bind_int(g->s, 3, g->model);
    db_bind_int(g->s, 4, REPORT_SAMPLE - g->sample->calls);
    while ((rc = report_step(g->r, g->s, e)) == DB_ROW)
        take_call(g);
    db_reset(g->s);
    return rc == DB_OK && g->sample->calls < REPORT_SAMPLE ? DB_ROW : rc;
}

static int sample(struct report *r, int64_t model, const struct report_span *span, struct report_sample *ret,
                  struct errbuf *e)
{
    struct sampling g = {.r = r, .model = model, .sample = ret};
    int rc = report_prepare(r, SAMPLE_SQL, &g.s, e);

    g.queued.ms = xcalloc(REPORT_SAMPLE, sizeof(int64_t));
    g.first_byte.ms = xcalloc(REPORT_SAMPLE, sizeof(int64_t));
    g.total.ms = xcalloc(REPORT_SAMPLE, sizeof(int64_t));
    if (rc == DB_OK)
        rc = report_hours_back(r, NAME_ANY, model, span, take_hour, &g, e);
    ret->queued = spread_of(&g.queued);
    ret->first_byte = spread_of(&g.first_byte);
    ret->total = spread_of(&g.total);
    free(g.queued.ms);
    free(g.first_byte.ms);
    free(g.total.ms);
    db_finalize(g.s);
    return rc;
}

int report_compare(struct report *r, struct slice model, const struct report_span *span,
                   struct report_model *ret, struct errbuf *e)
{
    int64_t id;
    int rc = report_name(r, model, &id, e);

    *ret = (struct report_model){0};
    if (rc != DB_OK || id == NAME_NONE)
        return rc;
    rc = report_sum(r, REPORT_BY_MODEL, id, span, add_up, &ret->sums, e);
    return rc == DB_OK ? sample(r, id, span, &ret->sample, e) : rc;
}
