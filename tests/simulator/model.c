/*
 * model: foreign_us is MODEL_NEVER until foreign use has begun and after it has ended (foreign_over). A
 * claim is charged to its model and to the pool that the model had when it arrived, and settled with both.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

struct model *model_new(const char *name, const struct model_config *config)
{
    struct model *m = xcalloc(1, sizeof *m);

    snprintf(m->name, sizeof m->name, "%s", name);
    m->config = *config;
    m->foreign_us = MODEL_NEVER;
    limits_init(&m->limits, &config->limits);
    return m;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    limits_release(&m->limits);
    free(m);
}

static bool same_foreign(const struct foreign *a, const struct foreign *b)
{
    return a->tokens == b->tokens && a->output == b->output && a->requests == b->requests &&
           a->every_ms == b->every_ms && a->times == b->times;
}

/* It begins anew with the next arrival. */
static void forget_foreign(struct model *m)
{
    m->foreign_us = MODEL_NEVER;
    m->foreign_over = false;
}

void model_configure(struct model *m, const struct model_config *config)
{
    if (!same_foreign(&m->config.foreign, &config->foreign))
        forget_foreign(m);
    m->config = *config;
    limits_configure(&m->limits, &config->limits);
}

void model_reset(struct model *m)
{
    limits_reset(&m->limits);
    m->refused = m->foreign_tokens = m->heads = 0;
    forget_foreign(m);
}

/* ---- foreign use ---- */

void model_charge_foreign(struct model *m, int64_t tokens, int64_t output, int64_t requests, int64_t now_us)
{
    const int64_t amount[METRICS] = {requests, tokens, tokens - output, output, requests, tokens};

    m->foreign_tokens += tokens;
    limits_charge(&m->limits, amount, now_us, NULL);
    if (m->pool)
        limits_charge(&m->pool->limits, amount, now_us, NULL);
}

void model_start_foreign(struct model *m, int64_t now_us)
{
    const struct foreign *f = &m->config.foreign;

    if (f->tokens <= 0 || m->foreign_us != MODEL_NEVER || m->foreign_over)
        return;
    m->foreign_us = now_us;
    m->foreign_left = f->times > 0 ? f->times : -1;
}

void model_step_foreign(struct model *m)
{
    const struct foreign *f = &m->config.foreign;

    model_charge_foreign(m, f->tokens, f->output, f->requests, m->foreign_us);
    m->foreign_us += f->every_ms * CLOCK_MS;
    if (m->foreign_left > 0 && --m->foreign_left == 0) {
        m->foreign_us = MODEL_NEVER;
        m->foreign_over = true;
    }
}

void model_look(struct model *m, int64_t now_us)
{
    while (m->foreign_us <= now_us)
        model_step_foreign(m);
}

/* ---- a call's way ---- */

static int64_t tokens_on_arrival(const struct model *m, const struct demand *d)
{
    int64_t estimate = (d->chars + 3) / 4;

    switch (m->config.charging) {
    case CHARGING_ACTUAL:
    case CHARGING_GEMINI:
        return d->input;
    case CHARGING_GROQ:
        return d->input - d->cached;
    case CHARGING_AZURE:
        return d->input + d->max_output;
    case CHARGING_OPENAI:
        break;
    }
    return estimate > d->max_output ? estimate : d->max_output;
}

static void amounts(const struct model *m, const struct demand *d, int64_t ret[METRICS])
{
    int64_t tokens = tokens_on_arrival(m, d);

    ret[METRIC_REQUESTS] = ret[METRIC_DAY_REQUESTS] = 1;
    ret[METRIC_TOKENS] = ret[METRIC_DAY_TOKENS] = tokens;
    ret[METRIC_INPUT] = m->config.charging == CHARGING_GROQ ? tokens : d->input;
    ret[METRIC_OUTPUT] = 0;
}

/* Both must agree; what can never fit is told before what could wait. */
static struct verdict judge(struct model *m, const int64_t amount[METRICS], int64_t now_us)
{
    struct verdict v = limits_judge(&m->limits, amount, now_us), shared;

    if (!m->pool || v.kind == VERDICT_TOO_LARGE)
        return v;
    shared = limits_judge(&m->pool->limits, amount, now_us);
    if (v.kind != VERDICT_ADMITTED && shared.kind != VERDICT_TOO_LARGE)
        return v;
    shared.pool = m->pool->name;
    return shared;
}

static void count_request(struct model *m, bool charge, int64_t now_us)
{
    limits_request(&m->limits, charge, now_us);
    if (m->pool)
        limits_request(&m->pool->limits, charge, now_us);
}

void model_count_request(struct model *m, int64_t now_us)
{
    model_start_foreign(m, now_us);
    model_look(m, now_us);
    count_request(m, true, now_us);
}

struct verdict model_arrive(struct model *m, const struct demand *demand, int64_t now_us,
                            struct claim *ret_claim)
{
    int64_t amount[METRICS];
    struct verdict v;

    model_start_foreign(m, now_us);
    model_look(m, now_us);
    amounts(m, demand, amount);
    v = judge(m, amount, now_us);
    if (v.kind != VERDICT_ADMITTED) {
        m->refused++;
        count_request(m, v.kind == VERDICT_BUSY || !metric_is_requests(v.metric), now_us);
        return v;
    }
    *ret_claim = (struct claim){.pool = m->pool};
    memcpy(ret_claim->charged, amount, sizeof ret_claim->charged);
    limits_charge(&m->limits, amount, now_us, &ret_claim->own);
    limits_enter(&m->limits);
    if (m->pool) {
        limits_charge(&m->pool->limits, amount, now_us, &ret_claim->shared);
        limits_enter(&m->pool->limits);
    }
    return v;
}

static bool charges_output(const struct model *m)
{
    return m->config.charging == CHARGING_ACTUAL || m->config.charging == CHARGING_GROQ;
}

void model_produce(struct model *m, struct claim *claim, int64_t output, int64_t now_us)
{
    int64_t more = output - claim->produced, amount[METRICS] = {0};

    if (more <= 0)
        return;
    model_look(m, now_us);
    claim->produced = output;
    amount[METRIC_OUTPUT] = more;
    if (charges_output(m))
        amount[METRIC_TOKENS] = amount[METRIC_DAY_TOKENS] = more;
    limits_charge(&m->limits, amount, now_us, NULL);
    if (claim->pool)
        limits_charge(&claim->pool->limits, amount, now_us, NULL);
}

void model_finish(struct model *m, const struct claim *claim, int64_t input, int64_t output, int64_t now_us)
{
    int64_t delta = input + output - claim->charged[METRIC_TOKENS];
    struct claim rest = *claim;

    model_produce(m, &rest, output, now_us);
    limits_leave(&m->limits);
    if (claim->pool)
        limits_leave(&claim->pool->limits);
    if (!m->config.refund || charges_output(m) || m->config.charging == CHARGING_GEMINI)
        return;
    limits_adjust_tokens(&m->limits, &claim->own, delta, now_us);
    if (claim->pool)
        limits_adjust_tokens(&claim->pool->limits, &claim->shared, delta, now_us);
}

bool model_standing(struct model *m, enum metric metric, int64_t now_us, struct standing *ret)
{
    struct standing shared;
    bool own = limits_standing(&m->limits, metric, now_us, ret);

    if (!m->pool || !limits_standing(&m->pool->limits, metric, now_us, &shared))
        return own;
    if (!own || shared.left < ret->left)
        *ret = shared;
    return true;
}
