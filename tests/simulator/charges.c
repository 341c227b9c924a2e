/* charges: v is sorted by (at_us, id) at all times; ids only grow, so an equal time keeps the order of arrival. */
#include "charges.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"

void charges_init(struct charges *c)
{
    *c = (struct charges){0};
}

void charges_release(struct charges *c)
{
    free(c->v);
    charges_init(c);
}

size_t charges_after(const struct charges *c, int64_t at_us)
{
    size_t lo = 0, hi = c->n;

    /* arrivals come nearly in order: the end is the likely answer */
    if (c->n && c->v[c->n - 1].at_us <= at_us)
        return c->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (c->v[mid].at_us <= at_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct charge_ref charges_add(struct charges *c, int64_t at_us, int64_t amount)
{
    size_t i = charges_after(c, at_us);

    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->v = xrealloc(c->v, c->cap * sizeof *c->v);
    }
    memmove(c->v + i + 1, c->v + i, (c->n - i) * sizeof *c->v);
    c->v[i] = (struct charge){at_us, ++c->last_id, amount};
    c->n++;
    return (struct charge_ref){at_us, c->last_id};
}

int64_t charges_index(const struct charges *c, struct charge_ref ref)
{
    for (size_t i = charges_after(c, ref.at_us); i-- > 0 && c->v[i].at_us == ref.at_us;)
        if (c->v[i].id == ref.id)
            return (int64_t)i;
    return -1;
}

void charges_drop_head(struct charges *c, size_t k)
{
    MG_ASSERT(k <= c->n);
    c->n -= k;
    memmove(c->v, c->v + k, c->n * sizeof *c->v);
}

int64_t charges_peak(const struct charges *c, int64_t span_us)
{
    int64_t sum = 0, peak = 0;
    size_t tail = 0;

    /* a sum can only rise at the moment of a charge, so those moments are the only ends to look at */
    for (size_t i = 0; i < c->n; i++) {
        sum += c->v[i].amount;
        while (c->v[tail].at_us <= c->v[i].at_us - span_us)
            sum -= c->v[tail++].amount;
        if (sum > peak)
            peak = sum;
    }
    return peak;
}

int64_t charges_total(const struct charges *c)
{
    int64_t sum = 0;

    for (size_t i = 0; i < c->n; i++)
        sum += c->v[i].amount;
    return sum;
}
