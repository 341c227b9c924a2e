/*
 * limiter: rolling: sum is that of charges[lo..n) at all times; charges before lo are kept for a while because moments
 * may come slightly out of order (each is the kernel's receive time of a request, and requests race to the lock).
 * bucket: debt >= 0 is exact at last_us. fixed: used belongs to `window`.
 */
#include "limiter.h"

#include "metergate/base/err.h"

/* How much out of order moments may be. */
#define SLACK_US INT64_C(30000000)

void limiter_init(struct limiter *l, enum limiter_kind kind, int64_t max, int64_t span_us)
{
    MG_ASSERT(max > 0 && span_us > 0);
    *l = (struct limiter){.kind = kind, .max = max, .span_us = span_us, .last_us = INT64_MIN};
    charges_init(&l->charges);
}

void limiter_release(struct limiter *l)
{
    charges_release(&l->charges);
    *l = (struct limiter){0};
}

/* ---- rolling ---- */

static int64_t rolling_sum(struct limiter *l, int64_t end_us)
{
    const struct charge *v = l->charges.v;
    int64_t later = 0;

    while (l->lo < l->charges.n && v[l->lo].at_us <= end_us - l->span_us)
        l->sum -= v[l->lo++].amount;
    while (l->lo > 0 && v[l->lo - 1].at_us > end_us - l->span_us)
        l->sum += v[--l->lo].amount;
    for (size_t i = l->charges.n; i-- > l->lo && v[i].at_us > end_us;)
        later += v[i].amount;
    return l->sum - later;
}

/* The fullest of the spans that a charge at `now_us` would be in. */
static int64_t rolling_worst(struct limiter *l, int64_t now_us)
{
    int64_t worst = rolling_sum(l, now_us);

    for (size_t i = charges_after(&l->charges, now_us); i < l->charges.n; i++) {
        int64_t sum = rolling_sum(l, l->charges.v[i].at_us);

        if (sum > worst)
            worst = sum;
    }
    return worst;
}

static int64_t rolling_wait(struct limiter *l, int64_t amount, int64_t now_us)
{
    int64_t end_us = now_us, need;

    if (rolling_worst(l, now_us) + amount <= l->max)
        return 0;
    if (l->charges.n && l->charges.v[l->charges.n - 1].at_us > end_us)
        end_us = l->charges.v[l->charges.n - 1].at_us;
    need = rolling_sum(l, end_us) + amount - l->max;
    for (size_t i = l->lo; i < l->charges.n && need > 0; i++) {
        need -= l->charges.v[i].amount;
        end_us = l->charges.v[i].at_us + l->span_us;
    }
    return end_us > now_us ? end_us - now_us : 1;
}

static void rolling_forget(struct limiter *l)
{
    size_t k = charges_after(&l->charges, l->last_us - l->span_us - SLACK_US);

    /* in lots, so that moving the rest costs little */
    if (k < 1024 || k > l->lo)
        return;
    charges_drop_head(&l->charges, k);
    l->lo -= k;
}

static struct charge_ref rolling_charge(struct limiter *l, int64_t amount, int64_t now_us)
{
    struct charge_ref ref = charges_add(&l->charges, now_us, amount);

    if ((size_t)charges_index(&l->charges, ref) >= l->lo)
        l->sum += amount;
    else
        l->lo++;
    rolling_forget(l);
    return ref;
}

static void rolling_adjust(struct limiter *l, struct charge_ref ref, int64_t delta)
{
    int64_t i = charges_index(&l->charges, ref);

    if (i < 0)
        return;
    l->charges.v[i].amount += delta;
    if ((size_t)i >= l->lo)
        l->sum += delta;
}

/* ---- the public ---- */

/* Moves the state of bucket and fixed to the present. */
static int64_t advance(struct limiter *l, int64_t now_us)
{
    if (l->last_us == INT64_MIN)
        l->last_us = now_us;
    if (l->kind == LIMITER_ROLLING) {
        if (now_us > l->last_us)
            l->last_us = now_us;
        return now_us;
    }
    if (now_us < l->last_us)
        now_us = l->last_us;
    l->debt -= (limiter_wide)l->max * (now_us - l->last_us);
    if (l->debt < 0)
        l->debt = 0;
    if (now_us / l->span_us != l->window) {
        l->window = now_us / l->span_us;
        l->used = 0;
    }
    l->last_us = now_us;
    return now_us;
}

int64_t limiter_used(struct limiter *l, int64_t now_us)
{
    now_us = advance(l, now_us);
    switch (l->kind) {
    case LIMITER_ROLLING:
        return rolling_sum(l, now_us);
    case LIMITER_BUCKET:
        return (int64_t)((l->debt + l->span_us - 1) / l->span_us);
    case LIMITER_FIXED:
        break;
    }
    return l->used;
}

int64_t limiter_wait_us(struct limiter *l, int64_t amount, int64_t now_us)
{
    limiter_wide over;

    if (amount > l->max)
        return LIMITER_NEVER;
    now_us = advance(l, now_us);
    switch (l->kind) {
    case LIMITER_ROLLING:
        return rolling_wait(l, amount, now_us);
    case LIMITER_BUCKET:
        over = l->debt + (limiter_wide)(amount - l->max) * l->span_us;
        return over <= 0 ? 0 : (int64_t)((over + l->max - 1) / l->max);
    case LIMITER_FIXED:
        break;
    }
    return l->used + amount <= l->max ? 0 : (l->window + 1) * l->span_us - now_us;
}

struct charge_ref limiter_charge(struct limiter *l, int64_t amount, int64_t now_us)
{
    now_us = advance(l, now_us);
    switch (l->kind) {
    case LIMITER_ROLLING:
        return rolling_charge(l, amount, now_us);
    case LIMITER_BUCKET:
        l->debt += (limiter_wide)amount * l->span_us;
        break;
    case LIMITER_FIXED:
        l->used += amount;
        break;
    }
    return (struct charge_ref){now_us, 0};
}

void limiter_adjust(struct limiter *l, struct charge_ref ref, int64_t delta, int64_t now_us)
{
    (void)advance(l, now_us);
    switch (l->kind) {
    case LIMITER_ROLLING:
        rolling_adjust(l, ref, delta);
        break;
    case LIMITER_BUCKET:
        l->debt += (limiter_wide)delta * l->span_us;
        if (l->debt < 0)
            l->debt = 0;
        break;
    case LIMITER_FIXED:
        if (ref.at_us / l->span_us == l->window)
            l->used += delta;
        break;
    }
}

int64_t limiter_reset_us(struct limiter *l, int64_t now_us)
{
    now_us = advance(l, now_us);
    switch (l->kind) {
    case LIMITER_ROLLING:
        for (size_t i = l->charges.n; i-- > 0;)
            if (l->charges.v[i].amount > 0 && l->charges.v[i].at_us + l->span_us > now_us)
                return l->charges.v[i].at_us + l->span_us - now_us;
        return 0;
    case LIMITER_BUCKET:
        return (int64_t)((l->debt + l->max - 1) / l->max);
    case LIMITER_FIXED:
        break;
    }
    return l->used > 0 ? (l->window + 1) * l->span_us - now_us : 0;
}
