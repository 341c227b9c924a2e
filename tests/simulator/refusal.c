/* refusal: a message about waiting and the headers about waiting are made from the same number. */
#include "refusal.h"

#include <inttypes.h>

#include "duration.h"
#include "exchange.h"
#include "metergate/base/clock.h"

static void wait_headers(struct exchange *x, int64_t wait_us, bool seconds, bool ms)
{
    if (seconds)
        answer_header(&x->answer, "Retry-After: %" PRId64, (wait_us + CLOCK_S - 1) / CLOCK_S);
    if (ms)
        answer_header(&x->answer, "retry-after-ms: %" PRId64, (wait_us + CLOCK_MS - 1) / CLOCK_MS);
}

/* Google's violation and its wait. Both are what its SDKs and ours read. */
static void add_google_details(struct exchange *x, const char *quota, int64_t wait_us)
{
    buf_addf(&x->error_details,
             ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"%s\"}]},"
             "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%" PRId64 "s\"}]",
             quota, (wait_us + CLOCK_S - 1) / CLOCK_S);
}

/* In the words of the other providers. */
static void refuse_elsewhere(struct exchange *x)
{
    const struct verdict *v = &x->call.verdict;
    bool never = v->kind == VERDICT_TOO_LARGE;
    int64_t wait_us = never ? CLOCK_S : v->wait_us;

    if (x->speech == SPEECH_ANTHROPIC) {
        static const char *const titles[METRICS] = {"requests", "tokens", "input tokens", "output tokens"};

        wait_headers(x, wait_us, true, false);
        exchange_error(x, 429, NULL, NULL, NULL,
                       "This request would exceed your organization's rate limit of %" PRId64
                       " %s per minute (org: simulator, model: %s). For details, refer to: "
                       "https://docs.claude.com/en/api/rate-limits.",
                       v->max, titles[v->metric], x->call.account->model->name);
    } else if (x->speech == SPEECH_GEMINI) {
        add_google_details(x, v->metric == METRIC_REQUESTS ? "GenerateRequestsPerMinutePerProjectPerModel"
                                                           : "GenerateContentInputTokensPerModelPerMinute", wait_us);
        exchange_error(x, 429, NULL, NULL, NULL, "You exceeded your current quota, please check your plan and billing details.");
    } else {
        int64_t seconds = never ? 86400 : (wait_us + CLOCK_S - 1) / CLOCK_S;

        wait_headers(x, seconds * CLOCK_S, true, true);
        exchange_error(x, 429, NULL, NULL, "429",
                       "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded %s "
                       "rate limit of your current OpenAI S0 pricing tier. Please retry after %" PRId64 " seconds.",
                       v->metric == METRIC_REQUESTS ? "call" : "token", seconds);
    }
}

void refusal_by_limit(struct exchange *x)
{
    const struct verdict *v = &x->call.verdict;
    const char *model = x->call.account->model->name;
    struct buf again;

    if (x->speech != SPEECH_OPENAI) {
        refuse_elsewhere(x);
        return;
    }
    if (v->kind == VERDICT_TOO_LARGE) {
        exchange_error(x, 429, metric_type(v->metric), NULL, "rate_limit_exceeded",
                       "Request too large for %s in organization org-simulator on %s: Limit %" PRId64 ", Requested %" PRId64
                       ". The input or output tokens must be reduced in order to run successfully. Visit "
                       "https://platform.openai.com/account/rate-limits to learn more.",
                       model, metric_title(v->metric), v->max, v->requested);
        return;
    }
    buf_init(&again, BUF_UNLIMITED);
    duration_print(&again, v->wait_us);
    wait_headers(x, v->wait_us, x->call.retry_after, x->call.retry_after_ms);
    exchange_error(x, 429, metric_type(v->metric), NULL, "rate_limit_exceeded",
                   "Rate limit reached for %s in organization org-simulator on %s: Limit %" PRId64 ", Used %" PRId64
                   ", Requested %" PRId64
                   ". Please try again in %s. Visit https://platform.openai.com/account/rate-limits to learn more.",
                   model, metric_title(v->metric), v->max, v->used, v->requested, again.p);
    buf_release(&again);
}

static void rate_limited(struct exchange *x)
{
    const struct plan *p = &x->plan;
    struct buf again;

    if (p->quota > 0) {
        exchange_error(x, 429, "insufficient_quota", NULL, "insufficient_quota",
                       "You exceeded your current quota, please check your plan and billing details. For more information "
                       "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.");
        return;
    }
    buf_init(&again, BUF_UNLIMITED);
    if (p->retry_after_ms >= 0 || p->retry_after >= 0) {
        buf_add_str(&again, " Please try again in ");
        duration_print(&again, p->retry_after_ms >= 0 ? p->retry_after_ms * CLOCK_MS : p->retry_after * CLOCK_S);
        buf_add_char(&again, '.');
    }
    exchange_error(x, 429, "requests", NULL, "rate_limit_exceeded",
                   "Rate limit reached for %s in organization org-simulator on requests per min (RPM): Limit 3, Used 3, "
                   "Requested 1.%s Visit https://platform.openai.com/account/rate-limits to learn more.",
                   x->call.account->model ? x->call.account->model->name : "this", again.n ? again.p : "");
    buf_release(&again);
}

void refusal_by_plan(struct exchange *x)
{
    const struct plan *p = &x->plan;
    int status = (int)p->status;

    if (x->speech == SPEECH_GEMINI) { /* it never sends the headers */
        add_google_details(x, "GenerateRequestsPerMinutePerProjectPerModel", p->retry_after >= 0 ? p->retry_after * CLOCK_S : 0);
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
        exchange_error(x, status, "invalid_request_error", NULL, NULL, "The simulator was told to answer %d", status);
}
