/*
 * model: limits[i] is initialised exactly while config.max[i] > 0. `requests` and `tokens` hold what was counted since the
 * last reset and are never forgotten before, so that the audit's peaks are exact; the limiters forget what has expired.
 */
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "duration.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

const char *metric_title(enum metric metric)
{
    static const char *const titles[METRICS] = {
        "requests per min (RPM)", "tokens per min (TPM)", "input tokens per min (ITPM)", "output tokens per min (OTPM)"};

    return titles[metric];
}

const char *metric_type(enum metric metric)
{
    return metric == METRIC_REQUESTS ? "requests" : "tokens";
}

struct model *model_new(const char *name, const struct model_config *config)
{
    struct model *m = xcalloc(1, sizeof *m);

    snprintf(m->name, sizeof m->name, "%s", name);
    model_configure(m, config);
    return m;
}

static void release_limits(struct model *m)
{
    for (int i = 0; i < METRICS; i++)
        limiter_release(&m->limits[i]);
}

void model_free(struct model *m)
{
    if (!m)
        return;
    release_limits(m);
    charges_release(&m->requests);
    charges_release(&m->tokens);
    free(m);
}

/* Azure looks at requests in slices of a second or ten: 60 a minute are one a second. */
static bool is_sliced(const struct model *m, int i)
{
    return i == METRIC_REQUESTS && m->config.rpm_slice_ms > 0 && m->config.rpm_slice_ms < m->config.window_ms;
}

static void init_limit(struct model *m, int i)
{
    int64_t max = m->config.max[i], span_ms = m->config.window_ms;

    limiter_release(&m->limits[i]);
    if (is_sliced(m, i)) {
        span_ms = m->config.rpm_slice_ms;
        max = max * span_ms / m->config.window_ms > 0 ? max * span_ms / m->config.window_ms : 1;
    }
    if (m->config.max[i] > 0)
        limiter_init(&m->limits[i], m->config.limiter, max, span_ms * CLOCK_MS);
}

void model_configure(struct model *m, const struct model_config *config)
{
    struct model_config old = m->config;

    m->config = *config;
    for (int i = 0; i < METRICS; i++) {
        if (old.limiter != config->limiter || old.rpm_slice_ms != config->rpm_slice_ms || is_sliced(m, i) || old.window_ms != config->window_ms || !old.max[i] || !config->max[i])
            init_limit(m, i);
        else
            m->limits[i].max = config->max[i];
    }
}

void model_reset(struct model *m)
{
    for (int i = 0; i < METRICS; i++)
        init_limit(m, i);
    charges_release(&m->requests);
    charges_release(&m->tokens);
    m->refused = 0;
}

static int64_t tokens_on_arrival(const struct model *m, const struct demand *d)
{
    int64_t estimate = (d->chars + 3) / 4;

    if (m->config.charging == CHARGING_ACTUAL || m->config.charging == CHARGING_GEMINI)
        return d->input;
    if (m->config.charging == CHARGING_AZURE)
        return d->input + d->max_output;
    return estimate > d->max_output ? estimate : d->max_output;
}

static void amounts(const struct model *m, const struct demand *d, int64_t ret[METRICS])
{
    ret[METRIC_REQUESTS] = 1;
    ret[METRIC_TOKENS] = tokens_on_arrival(m, d);
    ret[METRIC_INPUT] = d->input;
    ret[METRIC_OUTPUT] = 0;
}

/* The first limit that says no; what can never fit comes before what could wait. */
static struct verdict judge(struct model *m, const int64_t amount[METRICS], int64_t now_us)
{
    struct verdict v = {.kind = VERDICT_ADMITTED};

    for (int i = 0; i < METRICS; i++) {
        int64_t wait_us;

        if (m->config.max[i] <= 0)
            continue;
        /* output is charged as it comes: a call starts while any of it is left */
        wait_us = limiter_wait_us(&m->limits[i], i == METRIC_OUTPUT ? 1 : amount[i], now_us);
        if (wait_us == 0 || (v.kind != VERDICT_ADMITTED && wait_us != LIMITER_NEVER))
            continue;
        v = (struct verdict){.kind = wait_us == LIMITER_NEVER ? VERDICT_TOO_LARGE : VERDICT_LIMITED,
                             .metric = (enum metric)i,
                             .max = m->config.max[i],
                             .used = limiter_used(&m->limits[i], now_us),
                             .requested = i == METRIC_OUTPUT ? 1 : amount[i],
                             .wait_us = wait_us == LIMITER_NEVER ? 0 : wait_us};
        if (v.kind == VERDICT_TOO_LARGE)
            break;
    }
    return v;
}

void model_count_request(struct model *m, int64_t now_us)
{
    charges_add(&m->requests, now_us, 1);
    if (m->config.max[METRIC_REQUESTS] > 0)
        (void)limiter_charge(&m->limits[METRIC_REQUESTS], 1, now_us);
}

struct verdict model_arrive(struct model *m, const struct demand *demand, int64_t now_us, struct claim *ret_claim)
{
    int64_t amount[METRICS];
    struct verdict v;

    amounts(m, demand, amount);
    v = judge(m, amount, now_us);
    if (v.kind != VERDICT_ADMITTED) {
        m->refused++;
        if (v.metric != METRIC_REQUESTS)
            model_count_request(m, now_us);
        else
            charges_add(&m->requests, now_us, 1);
        return v;
    }
    *ret_claim = (struct claim){.demand = *demand};
    model_count_request(m, now_us);
    ret_claim->tokens = charges_add(&m->tokens, now_us, amount[METRIC_TOKENS]);
    for (int i = 0; i < METRICS; i++) {
        ret_claim->charged[i] = amount[i];
        if (i != METRIC_REQUESTS && m->config.max[i] > 0)
            ret_claim->refs[i] = limiter_charge(&m->limits[i], amount[i], now_us);
    }
    return v;
}

static void charge_tokens(struct model *m, int64_t tokens, int64_t now_us)
{
    charges_add(&m->tokens, now_us, tokens);
    if (m->config.max[METRIC_TOKENS] > 0)
        (void)limiter_charge(&m->limits[METRIC_TOKENS], tokens, now_us);
}

void model_produce(struct model *m, struct claim *claim, int64_t output, int64_t now_us)
{
    int64_t more = output - claim->produced;

    if (more <= 0)
        return;
    claim->produced = output;
    if (m->config.max[METRIC_OUTPUT] > 0)
        (void)limiter_charge(&m->limits[METRIC_OUTPUT], more, now_us);
    if (m->config.charging == CHARGING_ACTUAL)
        charge_tokens(m, more, now_us);
}

void model_finish(struct model *m, const struct claim *claim, int64_t input, int64_t output, int64_t now_us)
{
    struct claim rest = *claim;

    model_produce(m, &rest, output, now_us);
    if (m->config.charging == CHARGING_ACTUAL)
        return;
    if (m->config.refund && m->config.charging != CHARGING_GEMINI) {
        int64_t delta = input + output - claim->charged[METRIC_TOKENS];
        int64_t i = charges_index(&m->tokens, claim->tokens);

        if (i >= 0)
            m->tokens.v[i].amount += delta;
        if (m->config.max[METRIC_TOKENS] > 0)
            limiter_adjust(&m->limits[METRIC_TOKENS], claim->refs[METRIC_TOKENS], delta, now_us);
    }
}

void model_charge(struct model *m, int64_t tokens, int64_t now_us)
{
    charge_tokens(m, tokens, now_us);
}

void model_print_headers(struct model *m, struct buf *out, int64_t now_us)
{
    for (int i = METRIC_REQUESTS; i <= METRIC_TOKENS; i++) {
        const char *type = metric_type((enum metric)i);
        int64_t used;

        if (m->config.max[i] <= 0)
            continue;
        used = limiter_used(&m->limits[i], now_us);
        buf_addf(out, "x-ratelimit-limit-%s: %" PRId64 "\r\n", type, m->config.max[i]);
        buf_addf(out, "x-ratelimit-remaining-%s: %" PRId64 "\r\n", type,
                 used < m->config.max[i] ? m->config.max[i] - used : 0);
        buf_addf(out, "x-ratelimit-reset-%s: ", type);
        duration_print(out, limiter_reset_us(&m->limits[i], now_us));
        buf_add_str(out, "\r\n");
    }
}

static int64_t remaining(struct model *m, int i, int64_t now_us)
{
    int64_t left = m->config.max[i] - limiter_used(&m->limits[i], now_us);

    return left > 0 ? left : 0;
}

void model_print_azure_headers(struct model *m, struct buf *out, int64_t now_us)
{
    for (int i = METRIC_REQUESTS; i <= METRIC_TOKENS; i++)
        if (m->config.max[i] > 0)
            buf_addf(out, "x-ratelimit-remaining-%s: %" PRId64 "\r\n", metric_type((enum metric)i), remaining(m, i, now_us));
}

/* Tokens are rounded to the thousand, and moments are RFC 3339. */
void model_print_anthropic_headers(struct model *m, struct buf *out, int64_t now_us, int64_t wall_us)
{
    static const char *const names[METRICS] = {"requests", "tokens", "input-tokens", "output-tokens"};

    for (int i = 0; i < METRICS; i++) {
        int64_t left;
        time_t at;
        struct tm tm;
        char text[32];

        if (m->config.max[i] <= 0)
            continue;
        left = remaining(m, i, now_us);
        at = (time_t)((wall_us + limiter_reset_us(&m->limits[i], now_us) + CLOCK_S - 1) / CLOCK_S);
        gmtime_r(&at, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        buf_addf(out,
                 "anthropic-ratelimit-%s-limit: %" PRId64 "\r\nanthropic-ratelimit-%s-remaining: %" PRId64
                 "\r\nanthropic-ratelimit-%s-reset: %s\r\n",
                 names[i], m->config.max[i], names[i], i == METRIC_REQUESTS ? left : (left + 500) / 1000 * 1000, names[i], text);
    }
}
