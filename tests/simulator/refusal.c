/*
 * refusal: a message about waiting and the headers about waiting are made from the same number. `voice` is
 * what a provider says when a limit is reached; which voice speaks is decided in one place,
 * refusal_by_limit.
 */
#include "refusal.h"

#include <inttypes.h>
#include <stdio.h>

#include "duration.h"
#include "exchange.h"
#include "metergate/base/clock.h"

static int64_t seconds(int64_t us)
{
    return (us + CLOCK_S - 1) / CLOCK_S;
}

static void wait_headers(struct exchange *x, int64_t wait_us, bool in_seconds, bool in_ms)
{
    if (in_seconds)
        answer_header(&x->answer, "Retry-After: %" PRId64, seconds(wait_us));
    if (in_ms)
        answer_header(&x->answer, "retry-after-ms: %" PRId64, (wait_us + CLOCK_MS - 1) / CLOCK_MS);
}

static const char *model_name(const struct exchange *x)
{
    return x->call.account->model ? x->call.account->model->name : "this";
}

/* ---- Google's ---- */

struct quota {
    const char *metric, *id; /* after generativelanguage.googleapis.com/ */
};

static const struct quota quotas[METRICS] = {
    [METRIC_REQUESTS] = {"generate_requests_per_model", "GenerateRequestsPerMinutePerProjectPerModel"},
    [METRIC_TOKENS] = {"generate_content_paid_tier_input_token_count",
                       "GenerateContentInputTokensPerModelPerMinute"},
    [METRIC_INPUT] = {"generate_content_paid_tier_input_token_count",
                      "GenerateContentInputTokensPerModelPerMinute"},
    [METRIC_OUTPUT] = {"generate_content_paid_tier_output_token_count",
                       "GenerateContentOutputTokensPerModelPerMinute"},
    [METRIC_DAY_REQUESTS] = {"generate_requests_per_model_per_day",
                             "GenerateRequestsPerDayPerProjectPerModel"},
    [METRIC_DAY_TOKENS] = {"generate_content_paid_tier_input_token_count",
                           "GenerateContentInputTokensPerModelPerDay"},
};

/* "26s"; with retry_after_ms in the settings to the millisecond, "26.5s". */
static void print_retry_delay(struct exchange *x, int64_t wait_us)
{
    int64_t ms = (wait_us + CLOCK_MS - 1) / CLOCK_MS;

    if (x->call.retry_after_ms)
        buf_addf(&x->error_details, "\"%" PRId64 ".%03" PRId64 "s\"", ms / 1000, ms % 1000);
    else
        buf_addf(&x->error_details, "\"%" PRId64 "s\"", seconds(wait_us));
}

/*
 * The violation, where to read more, and the wait. All of it is what its SDKs and ours read; max <= 0: no
 * value is told.
 */
static void add_google_details(struct exchange *x, enum metric metric, int64_t max, int64_t wait_us)
{
    struct buf *out = &x->error_details;

    buf_addf(
        out,
        ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":"
        "\"generativelanguage.googleapis.com/%s\",\"quotaId\":\"%s\",\"quotaDimensions\":{\"location\":\"global\",\"model\":",
        quotas[metric].metric, quotas[metric].id);
    audit_quote(out, slice_str(model_name(x)));
    buf_add_char(out, '}');
    if (max > 0)
        buf_addf(out, ",\"quotaValue\":\"%" PRId64 "\"", max);
    buf_add_str(
        out,
        "}]},{\"@type\":\"type.googleapis.com/google.rpc.Help\",\"links\":[{\"description\":\"Learn more about Gemini "
        "API quotas\",\"url\":\"https://ai.google.dev/gemini-api/docs/rate-limits\"}]},"
        "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":");
    print_retry_delay(x, wait_us);
    buf_add_str(out, "}]");
}

static void google_voice(struct exchange *x, const struct verdict *v)
{
    int64_t wait_us = v->kind == VERDICT_TOO_LARGE ? CLOCK_S : v->wait_us,
            ms = (wait_us + CLOCK_MS - 1) / CLOCK_MS;

    if (v->kind == VERDICT_BUSY) {
        exchange_error(x, 429, NULL, NULL, NULL, "Resource has been exhausted (e.g. check quota).");
        return;
    }
    add_google_details(x, v->metric, v->max, wait_us);
    exchange_error(
        x, 429, NULL, NULL, NULL,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. \n* Quota exceeded for metric: "
        "generativelanguage.googleapis.com/%s, limit: %" PRId64 ", model: %s\nPlease retry in %" PRId64
        ".%03" PRId64 "s.",
        quotas[v->metric].metric, v->max, model_name(x), ms / 1000, ms % 1000);
}

/* ---- Anthropic's ---- */

/* "30,000" */
static void print_grouped(char *out, size_t size, int64_t n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n);
    size_t at = 0;

    for (int i = 0; i < length && at + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

static void anthropic_voice(struct exchange *x, const struct verdict *v)
{
    static const char *const titles[METRICS] = {"requests",      "tokens",   "input tokens",
                                                "output tokens", "requests", "tokens"};
    char max[32];

    if (v->kind == VERDICT_BUSY) {
        exchange_error(
            x, 429, NULL, NULL, NULL,
            "Number of concurrent connections has exceeded your rate limit. Please try again later or contact "
            "sales at https://www.anthropic.com/contact-sales to discuss your options for a rate limit increase.");
        return;
    }
    print_grouped(max, sizeof max, v->max);
    wait_headers(x, v->kind == VERDICT_TOO_LARGE ? CLOCK_S : v->wait_us, x->call.retry_after, false);
    exchange_error(
        x, 429, NULL, NULL, NULL,
        "This request would exceed your organization's rate limit of %s %s per %s (org: %s, model: %s). For details, "
        "refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. "
        "Please reduce the prompt length or the maximum tokens requested, or try again later.",
        max, titles[v->metric], metric_is_daily(v->metric) ? "day" : "minute", x->call.organization.uuid,
        v->pool ? v->pool : model_name(x));
}

/* ---- Azure's ---- */

static void azure_voice(struct exchange *x, const struct verdict *v)
{
    int64_t wait_s = v->kind == VERDICT_TOO_LARGE ? 86400 : v->kind == VERDICT_BUSY ? 1 : seconds(v->wait_us);

    wait_headers(x, wait_s * CLOCK_S, true, true);
    exchange_error(
        x, 429, NULL, NULL, "429",
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded %s "
        "rate limit of your current OpenAI S0 pricing tier. Please retry after %" PRId64 " seconds.",
        v->kind == VERDICT_BUSY || metric_is_requests(v->metric) ? "call" : "token", wait_s);
}

/* ---- OpenAI's, and Groq's, who says nearly the same ---- */

static void busy_voice(struct exchange *x)
{
    /* Moonshot's: OpenAI itself has no such limit */
    exchange_error(x, 429, "rate_limit_reached_error", NULL, NULL,
                   "Your account %s<ak-simulator> request reached max organization concurrency: %" PRId64
                   ", please try again after 1 seconds",
                   x->call.organization.name, x->call.verdict.max);
}

static void openai_voice(struct exchange *x, const struct verdict *v)
{
    struct buf name, again;

    buf_init(&name, BUF_UNLIMITED);
    buf_init(&again, BUF_UNLIMITED);
    buf_add_str(&name, model_name(x));
    if (v->pool)
        buf_addf(&name, " (for limit %s)", v->pool);
    if (v->kind == VERDICT_TOO_LARGE) {
        exchange_error(x, 429, metric_type(v->metric), NULL, "rate_limit_exceeded",
                       "Request too large for %s in organization %s on %s: Limit %" PRId64
                       ", Requested %" PRId64
                       ". The input or output tokens must be reduced in order to run successfully. Visit "
                       "https://platform.openai.com/account/rate-limits to learn more.",
                       name.p, x->call.organization.name, metric_title(v->metric), v->max, v->requested);
    } else {
        duration_print(&again, v->wait_us);
        wait_headers(x, v->wait_us, x->call.retry_after, x->call.retry_after_ms);
        exchange_error(
            x, 429, metric_type(v->metric), NULL, "rate_limit_exceeded",
            "Rate limit reached for %s in organization %s on %s: Limit %" PRId64 ", Used %" PRId64
            ", Requested %" PRId64
            ". Please try again in %s. Visit https://platform.openai.com/account/rate-limits to learn more.",
            name.p, x->call.organization.name, metric_title(v->metric), v->max, v->used, v->requested,
            again.p);
    }
    buf_release(&name);
    buf_release(&again);
}

/* 413 for what can never fit. */
static void groq_voice(struct exchange *x, const struct verdict *v)
{
    static const char *const titles[METRICS] = {
        "requests per minute (RPM)",       "tokens per minute (TPM)", "input tokens per minute (ITPM)",
        "output tokens per minute (OTPM)", "requests per day (RPD)",  "tokens per day (TPD)"};
    struct buf again;

    if (v->kind == VERDICT_TOO_LARGE) {
        exchange_error(
            x, 413, metric_type(v->metric), NULL, "rate_limit_exceeded",
            "Request too large for model `%s` in organization `%s` service tier `on_demand` on %s: Limit %" PRId64
            ", Requested %" PRId64 ", please reduce your message size and try again.",
            model_name(x), x->call.organization.name, titles[v->metric], v->max, v->requested);
        return;
    }
    buf_init(&again, BUF_UNLIMITED);
    duration_print(&again, v->wait_us);
    wait_headers(x, v->wait_us, x->call.retry_after, false);
    exchange_error(
        x, 429, metric_type(v->metric), NULL, "rate_limit_exceeded",
        "Rate limit reached for model `%s` in organization `%s` service tier `on_demand` on %s: Limit %" PRId64
        ", Used %" PRId64 ", Requested %" PRId64
        ". Please try again in %s. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
        model_name(x), x->call.organization.name, titles[v->metric], v->max, v->used, v->requested, again.p);
    buf_release(&again);
}

/* ---- those that tell little ---- */

/*
 * As gateways between a client and a provider say it: the limit and its span, and no word of how long to
 * wait.
 */
static void plain_voice(struct exchange *x, const struct verdict *v)
{
    const char *type = metric_type(v->metric), *unit = "minutes";
    int64_t n = v->span_ms;

    if (v->kind == VERDICT_BUSY) {
        exchange_error(x, 429, NULL, NULL, NULL,
                       "Too many concurrent requests. Limit: %" PRId64 " concurrent requests", v->max);
        return;
    }
    if (n % 60000 == 0) {
        n /= 60000;
    } else if (n % 1000 == 0) {
        n /= 1000;
        unit = "seconds";
    } else {
        unit = "milliseconds";
    }
    exchange_error(x, 429, NULL, NULL, NULL,
                   "You have reached the %s limit: Maximum %" PRId64 " %s within %" PRId64 " %s.",
                   metric_is_requests(v->metric) ? "request" : "token", v->max, type, n, unit);
}

void refusal_by_limit(struct exchange *x)
{
    const struct verdict *v = &x->call.verdict;

    if (x->call.config.refusal_style == WORDING_PLAIN)
        plain_voice(x, v);
    else if (x->call.config.refusal_style == WORDING_BARE)
        exchange_error(x, 429, NULL, NULL, NULL,
                       x->speech == SPEECH_GEMINI ? "Resource has been exhausted (e.g. check quota)."
                                                  : "Rate limit exceeded");
    else if (x->speech == SPEECH_ANTHROPIC)
        anthropic_voice(x, v);
    else if (x->speech == SPEECH_GEMINI)
        google_voice(x, v);
    else if (x->speech == SPEECH_AZURE)
        azure_voice(x, v);
    else if (v->kind == VERDICT_BUSY)
        busy_voice(x);
    else if (x->call.config.headers == FAMILY_GROQ)
        groq_voice(x, v);
    else
        openai_voice(x, v);
}

/* ---- by the plan ---- */

static void rate_limited(struct exchange *x)
{
    const struct plan *p = &x->plan;
    struct buf again;

    if (p->quota > 0) {
        exchange_error(
            x, 429, "insufficient_quota", NULL, "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details. For more information "
            "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.");
        return;
    }
    buf_init(&again, BUF_UNLIMITED);
    if (p->retry_after_ms >= 0 || p->retry_after >= 0) {
        buf_add_str(&again, " Please try again in ");
        duration_print(&again,
                       p->retry_after_ms >= 0 ? p->retry_after_ms * CLOCK_MS : p->retry_after * CLOCK_S);
        buf_add_char(&again, '.');
    }
    exchange_error(x, 429, "requests", NULL, "rate_limit_exceeded",
                   "Rate limit reached for %s in organization %s on requests per min (RPM): Limit 3, Used 3, "
                   "Requested 1.%s Visit https://platform.openai.com/account/rate-limits to learn more.",
                   model_name(x), x->call.account->model ? x->call.organization.name : "org-simulator",
                   again.n ? again.p : "");
    buf_release(&again);
}

void refusal_by_plan(struct exchange *x)
{
    const struct plan *p = &x->plan;
    int status = (int)p->status;

    if (x->speech == SPEECH_GEMINI) { /* it never sends the headers */
        add_google_details(x, METRIC_REQUESTS, 0, p->retry_after >= 0 ? p->retry_after * CLOCK_S : 0);
        exchange_error(x, status, NULL, NULL, NULL, "The simulator was told to answer %d", status);
        return;
    }
    wait_headers(x, p->retry_after * CLOCK_S, p->retry_after >= 0, false);
    wait_headers(x, p->retry_after_ms * CLOCK_MS, false, p->retry_after_ms >= 0);
    if (p->should_retry >= 0)
        answer_header(&x->answer, "x-should-retry: %s", p->should_retry ? "true" : "false");
    if (status == 429)
        rate_limited(x);
    else if (status == 503 || status == 529)
        exchange_error(x, status, "server_error", NULL, "overloaded",
                       "The engine is currently overloaded, please try again later");
    else if (status >= 500)
        exchange_error(x, status, "server_error", NULL, NULL,
                       "The server had an error while processing your request. Sorry about that!");
    else
        exchange_error(x, status, "invalid_request_error", NULL, NULL, "The simulator was told to answer %d",
                       status);
}
