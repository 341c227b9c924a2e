/* arrears: charges in no order. They are few, or the disk has been full for long: then a start takes a moment
 * longer. */
#include "metergate/ledger/arrears.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

struct arrear {
    char *scope; /* owned */
    bool given;
    struct ledger_charged charged;
};

void arrears_release(struct arrears *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].scope);
    free(l->v);
    *l = (struct arrears){0};
}

static void add(struct arrears *l, struct slice scope, int64_t at_us, const int64_t amount[METRICS],
                int64_t cost_nano)
{
    struct arrear *one;
    int64_t any = cost_nano;

    for (int m = 0; m < METRIC_CONCURRENT; m++)
        any |= amount[m];
    if (any == 0)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    one = &l->v[l->n++];
    *one = (struct arrear){.scope = xstrndup(scope.p, scope.n),
                           .charged = {.until_us = at_us, .cost_nano = cost_nano}};
    for (int m = 0; m < METRIC_CONCURRENT; m++)
        one->charged.amount[m] = amount[m];
}

void arrears_add(struct arrears *l, const struct ledger_row *r)
{
    static void (*const scopes[])(const struct ledger_row *row, struct buf *out) = {row_budget_scope,
                                                                                    row_client_scope};
    int64_t cost_nano = r->cost_nano == PRICE_UNKNOWN ? 0 : r->cost_nano;

    if (r->kind == ROW_CORRECTION) /* its call has its estimate */
        return;
    for (size_t i = 0; i < MG_ARRAY_LEN(scopes); i++) {
        struct buf scope;

        buf_init(&scope, BUF_UNLIMITED);
        scopes[i](r, &scope);
        if (scope.n) {
            add(l, buf_slice(&scope), r->charge.sent_us ? r->charge.sent_us : r->t_us, r->charge.on_arrival,
                0);
            add(l, buf_slice(&scope), r->t_us, r->charge.at_end, cost_nano);
        }
        buf_release(&scope);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct ledger_charged *x = a, *y = b;

    return (x->until_us > y->until_us) - (x->until_us < y->until_us);
}

void arrears_begin(struct arrears *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->v[i].given = false;
}

void arrears_join(struct arrears *l, struct slice scope, const struct ledger_charged *v, size_t n,
                  int64_t from_us, ledger_scope_charged *give, void *arg)
{
    struct ledger_charged *all;
    size_t count = n;

    if (l->n == 0) {
        give(arg, scope, v, n);
        return;
    }
    all = xcalloc(n + l->n, sizeof *all);
    if (n)
        memcpy(all, v, n * sizeof *all);
    for (size_t i = 0; i < l->n; i++) {
        struct arrear *one = &l->v[i];

        if (one->given || !slice_eq(slice_str(one->scope), scope))
            continue;
        one->given = true;
        if (one->charged.until_us > from_us)
            all[count++] = one->charged;
    }
    qsort(all, count, sizeof *all, by_time);
    if (count)
        give(arg, scope, all, count);
    free(all);
}

void arrears_give(struct arrears *l, struct slice prefix, int64_t from_us, ledger_scope_charged *give,
                  void *arg)
{
    for (size_t i = 0; i < l->n; i++) {
        struct slice scope = slice_str(l->v[i].scope);

        if (!l->v[i].given && slice_starts(scope, prefix))
            arrears_join(l, scope, NULL, 0, from_us, give, arg);
    }
}
