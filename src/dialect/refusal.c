/*
 * refusal: one row a reason; nobody else composes the sentence of a refusal. Every sentence says what to
 * change, and the names of providers' limits stand in it as the providers write them.
 */
#include "metergate/dialect/refusal.h"

#include <inttypes.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "refusal_money.h"

static const struct {
    int status;
    const char *name;
    const char *sentence; /* without a detail of the caller's */
} rows[REFUSAL_REASONS] = {
    [REFUSAL_BAD_REQUEST] = {400, "bad-request", "Metergate could not understand this request as HTTP."},
    [REFUSAL_TOKEN] =
        {401, "token",
         "Metergate wants a client token here: send it as the Metergate-Token header (or as the API "
         "key, where Metergate holds the provider's key); tokens are configured under `clients`."},
    [REFUSAL_ORIGIN] = {403, "origin",
                        "Metergate does not serve this web origin or host name; add it under `allow` in its "
                        "configuration if it is yours."},
    [REFUSAL_USER] =
        {403, "user",
         "This local user may not use Metergate; add the name to `clients.users` in its configuration."},
    [REFUSAL_NO_ROUTE] =
        {404, "no-route",
         "Metergate has no upstream for this path; check the base URL, or add the upstream to its "
         "configuration."},
    [REFUSAL_NOT_A_TUNNEL] =
        {405, "not-a-tunnel",
         "Metergate is not an HTTP proxy that opens tunnels: unset HTTP_PROXY/HTTPS_PROXY for it "
         "and set the base URL instead (OPENAI_BASE_URL=http://127.0.0.1:4283/v1, "
         "ANTHROPIC_BASE_URL=http://127.0.0.1:4283, GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:4283)."},
    [REFUSAL_TOO_LARGE] =
        {413, "too-large",
         "The request body is larger than Metergate may hold; send less, or raise `queue.max_body`."},
    [REFUSAL_UPGRADE] =
        {426, "upgrade",
         "Metergate does not carry WebSockets; use the plain HTTP interface of this endpoint."},
    [REFUSAL_MAX_WAIT] = {429, "max-wait",
                          "The call would have to wait longer than it may; raise `queue.max_wait` (or send "
                          "Metergate-Max-Wait) to let it."},
    [REFUSAL_QUEUE_FULL] = {429, "queue-full",
                            "Metergate already holds as many calls as it may; send fewer at once, or raise "
                            "`queue.max_requests` and `queue.max_bytes`."},
    [REFUSAL_BUDGET_USD] =
        {429, "budget-usd",
         "The money limit of this budget is spent; wait until its window frees, or raise the "
         "`usd_per_...` limit."},
    [REFUSAL_UPSTREAM_CONNECT] =
        {502, "upstream-connect",
         "Metergate could not connect to the provider; check `base_url` of the upstream and "
         "the network."},
    [REFUSAL_UPSTREAM_PROTOCOL] =
        {502, "upstream-protocol",
         "The provider's answer could not be understood; try again, and check `base_url` of "
         "the upstream if it stays so."},
    [REFUSAL_DRAINING] = {503, "draining", "Metergate is shutting down; send the call again."},
    [REFUSAL_UPSTREAM_TIMEOUT] =
        {504, "upstream-timeout",
         "The provider did not answer in time; raise `timeout.first_byte` or `timeout.idle` "
         "of the upstream if it needs longer."},
};

int refusal_status(const struct refusal *r)
{
    return r->status ? r->status : rows[r->reason].status;
}

const char *refusal_name(enum refusal_reason reason)
{
    return rows[reason].name;
}

struct refusal_retry refusal_retry(const struct refusal *r)
{
    struct refusal_retry retry = {0};
    int64_t wait_us = r->wait_us > 1 ? r->wait_us : 1;

    switch (r->reason) {
    case REFUSAL_DRAINING:
        retry.should_retry = "true";
        wait_us = CLOCK_S;
        break;
    case REFUSAL_BUDGET_USD:
        retry.should_retry = "false";
        return retry;
    case REFUSAL_MAX_WAIT:
    case REFUSAL_QUEUE_FULL:
        break;
    default:
        return retry;
    }
    retry.retry_after = true;
    retry.retry_after_s = (wait_us - 1) / CLOCK_S + 1;
    retry.retry_after_ms = (wait_us - 1) / CLOCK_MS + 1;
    return retry;
}

/* The limit's key as providers write it in their sentences: "tokens per min (TPM)". */
static void add_metric(const char *metric, struct buf *out)
{
    static const struct {
        const char *key, *words;
    } names[] = {
        {"rpm", "requests per min (RPM)"},        {"rpd", "requests per day (RPD)"},
        {"tpm", "tokens per min (TPM)"},          {"tpd", "tokens per day (TPD)"},
        {"itpm", "input tokens per min (ITPM)"},  {"itpd", "input tokens per day (ITPD)"},
        {"otpm", "output tokens per min (OTPM)"}, {"otpd", "output tokens per day (OTPD)"},
        {"concurrent", "concurrent requests"},    {"learning", "concurrent requests until its limits are known"},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        if (strcmp(names[i].key, metric) == 0) {
            buf_add_str(out, names[i].words);
            return;
        }
    }
    buf_add_str(out, metric);
}

static void too_large(const struct refusal *r, struct buf *out)
{
    struct slice budget = r->budget.n ? r->budget : r->model;

    buf_add_str(out, "Request too large for ");
    buf_add_slice(out, r->model.n ? r->model : SLICE("this model"));
    buf_add_str(out, " on ");
    add_metric(r->metric, out);
    buf_addf(out, ": Limit %" PRId64 ", Requested %" PRId64 ". ", r->limit, r->requested);
    if (r->detail.n) {
        buf_add_slice(out, r->detail);
        return;
    }
    buf_add_str(out, "The input or output tokens must be reduced in order to run successfully. "
                     "The call was not sent: no wait makes room for it. ");
    buf_addf(out, "If the %s allows more, raise `%s` of `%s: ", r->client.n ? "administrator" : "provider", r->metric,
             r->client.n ? "clients" : "models");
    if (r->client.n)
        budget = r->client;
    buf_add_slice(out, budget.n ? budget : SLICE("\"*\""));
    buf_add_str(out, "` in Metergate's configuration.");
}

void refusal_sentence(const struct refusal *r, struct buf *out)
{
    struct refusal_retry retry = refusal_retry(r);

    if (r->reason == REFUSAL_BUDGET_USD && r->metric && (r->unpriced || r->max_nano > 0)) {
        refusal_money_sentence(r, out);
        return;
    }
    if (r->reason == REFUSAL_TOO_LARGE && r->metric && r->limit > 0) {
        too_large(r, out);
        return;
    }
    if (retry.retry_after && r->model.n && r->reason != REFUSAL_DRAINING) {
        buf_add_str(out, "Rate limit reached for ");
        buf_add_slice(out, r->model);
        if (r->metric) {
            buf_add_str(out, " on ");
            add_metric(r->metric, out);
        }
        if (r->client.n) {
            buf_add_str(out, " of the client ");
            buf_add_slice(out, r->client);
        }
        buf_add_str(out, ". ");
    }
    if (r->detail.n)
        buf_add_slice(out, r->detail);
    else
        buf_add_str(out, rows[r->reason].sentence);
    if (retry.retry_after)
        buf_addf(out, " Please try again in %" PRId64 "s.", retry.retry_after_s);
}
