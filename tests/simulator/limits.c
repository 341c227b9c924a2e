/*
 * limits: v[i] is initialised exactly while config.max[i] > 0. counted[] holds what was counted since the
 * last reset and is never forgotten before, so that the audit's peaks are exact; the limiters forget what
 * has expired.
 */
#include "limits.h"

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

const char *metric_title(enum metric metric)
{
    static const char *const titles[METRICS] = {"requests per min (RPM)",      "tokens per min (TPM)",
                                                "input tokens per min (ITPM)", "output tokens per min (OTPM)",
                                                "requests per day (RPD)",      "tokens per day (TPD)"};

    return titles[metric];
}

bool metric_is_requests(enum metric metric)
{
    return metric == METRIC_REQUESTS || metric == METRIC_DAY_REQUESTS;
}

bool metric_is_daily(enum metric metric)
{
    return metric == METRIC_DAY_REQUESTS || metric == METRIC_DAY_TOKENS;
}

const char *metric_type(enum metric metric)
{
    return metric_is_requests(metric) ? "requests" : "tokens";
}

/* Azure looks at requests in slices of a second or ten: 60 a minute are one a second. */
static bool is_sliced(const struct limits_config *c, int i)
{
    return i == METRIC_REQUESTS && c->rpm_slice_ms > 0 && c->rpm_slice_ms < c->window_ms;
}

static void init_limit(struct limits *l, int i)
{
    const struct limits_config *c = &l->config;
    int64_t max = c->max[i], span_ms = metric_is_daily((enum metric)i) ? c->day_ms : c->window_ms;

    limiter_release(&l->v[i]);
    if (is_sliced(c, i)) {
        span_ms = c->rpm_slice_ms;
        max = max * span_ms / c->window_ms > 0 ? max * span_ms / c->window_ms : 1;
    }
    if (c->max[i] > 0)
        limiter_init(&l->v[i], c->limiter, max, span_ms * CLOCK_MS);
}

void limits_init(struct limits *l, const struct limits_config *config)
{
    *l = (struct limits){.config = *config};
    for (int i = 0; i < METRICS; i++)
        init_limit(l, i);
}

void limits_release(struct limits *l)
{
    for (int i = 0; i < METRICS; i++)
        limiter_release(&l->v[i]);
    for (int i = 0; i < LIMITS_COUNTED; i++)
        charges_release(&l->counted[i]);
}

static bool starts_again(const struct limits_config *old, const struct limits_config *now, int i)
{
    return old->limiter != now->limiter || old->window_ms != now->window_ms || old->day_ms != now->day_ms ||
           old->rpm_slice_ms != now->rpm_slice_ms || is_sliced(now, i) || !old->max[i] || !now->max[i];
}

void limits_configure(struct limits *l, const struct limits_config *config)
{
    struct limits_config old = l->config;

    l->config = *config;
    for (int i = 0; i < METRICS; i++) {
        if (starts_again(&old, config, i))
            init_limit(l, i);
        else
            l->v[i].max = config->max[i];
    }
}

void limits_reset(struct limits *l)
{
    for (int i = 0; i < METRICS; i++)
        init_limit(l, i);
    for (int i = 0; i < LIMITS_COUNTED; i++)
        charges_release(&l->counted[i]);
}

/* ---- admission ---- */

/* As the provider tells it: a reader of the message has the whole tokens alone. */
static int64_t told_wait_us(struct limiter *l, const struct verdict *v, int64_t exact_us)
{
    limiter_wide over;

    if (l->kind != LIMITER_BUCKET)
        return exact_us;
    over = (limiter_wide)(v->used + v->requested - l->max) * l->span_us;
    return (int64_t)((over + l->max - 1) / l->max);
}

struct verdict limits_judge(struct limits *l, const int64_t amount[METRICS], int64_t now_us)
{
    struct verdict v = {.kind = VERDICT_ADMITTED};

    for (int i = 0; i < METRICS; i++) {
        /* output is charged as it comes: a call starts while any of it is left */
        int64_t asked = i == METRIC_OUTPUT ? 1 : amount[i], wait_us;

        if (l->config.max[i] <= 0)
            continue;
        wait_us = limiter_wait_us(&l->v[i], asked, now_us);
        if (wait_us == 0 || (v.kind != VERDICT_ADMITTED && wait_us != LIMITER_NEVER))
            continue;
        v = (struct verdict){.kind = wait_us == LIMITER_NEVER ? VERDICT_TOO_LARGE : VERDICT_LIMITED,
                             .metric = (enum metric)i,
                             .max = l->config.max[i],
                             .used = limiter_used(&l->v[i], now_us),
                             .requested = asked,
                             .span_ms =
                                 metric_is_daily((enum metric)i) ? l->config.day_ms : l->config.window_ms};
        if (v.kind == VERDICT_TOO_LARGE)
            return v;
        v.wait_us = told_wait_us(&l->v[i], &v, wait_us);
    }
    if (l->config.concurrent > 0 && l->in_flight >= l->config.concurrent)
        v = (struct verdict){
            .kind = VERDICT_BUSY, .max = l->config.concurrent, .used = l->in_flight, .requested = 1};
    return v;
}

static void charge_one(struct limits *l, int i, int64_t amount, int64_t now_us, struct limits_claim *ret)
{
    struct charge_ref ref;

    if (i < LIMITS_COUNTED) {
        ref = charges_add(&l->counted[i], now_us, amount);
        if (ret)
            ret->counted[i] = ref;
    }
    if (l->config.max[i] <= 0)
        return;
    ref = limiter_charge(&l->v[i], amount, now_us);
    if (ret)
        ret->limit[i] = ref;
}

void limits_charge(struct limits *l, const int64_t amount[METRICS], int64_t now_us, struct limits_claim *ret)
{
    for (int i = 0; i < METRICS; i++)
        /* a charge of nothing may be corrected later, when somebody holds it */
        if (amount[i] != 0 || (ret && i != METRIC_OUTPUT))
            charge_one(l, i, amount[i], now_us, ret);
}

void limits_request(struct limits *l, bool charge, int64_t now_us)
{
    if (charge) {
        charge_one(l, METRIC_REQUESTS, 1, now_us, NULL);
        charge_one(l, METRIC_DAY_REQUESTS, 1, now_us, NULL);
    } else {
        charges_add(&l->counted[METRIC_REQUESTS], now_us, 1);
    }
}

void limits_adjust_tokens(struct limits *l, const struct limits_claim *claim, int64_t delta, int64_t now_us)
{
    static const enum metric metrics[] = {METRIC_TOKENS, METRIC_DAY_TOKENS};
    int64_t i = charges_index(&l->counted[METRIC_TOKENS], claim->counted[METRIC_TOKENS]);

    if (i >= 0)
        l->counted[METRIC_TOKENS].v[i].amount += delta;
    for (size_t k = 0; k < MG_ARRAY_LEN(metrics); k++)
        if (l->config.max[metrics[k]] > 0)
            limiter_adjust(&l->v[metrics[k]], claim->limit[metrics[k]], delta, now_us);
}

void limits_enter(struct limits *l)
{
    l->in_flight++;
}

void limits_leave(struct limits *l)
{
    MG_ASSERT(l->in_flight > 0);
    l->in_flight--;
}

bool limits_standing(struct limits *l, enum metric metric, int64_t now_us, struct standing *ret)
{
    int64_t max = l->config.max[metric], left;

    if (max <= 0)
        return false;
    left = max - limiter_used(&l->v[metric], now_us);
    *ret = (struct standing){max, left > 0 ? left : 0, limiter_reset_us(&l->v[metric], now_us)};
    return true;
}
