/*
 * refusal_shapes: our refusals as Anthropic's and Google's SDKs read them. Both make the class of the
 * exception from the status; the word beside it is the one that the provider itself sends with that status.
 * OpenAI's shape is in openai_error.c.
 */
#include "metergate/base/json.h"
#include "metergate/dialect/refusal.h"

/* Sources: Anthropic's API errors, google.rpc.Code. The last row is for all the others. */
static const struct {
    int status;
    const char *anthropic, *google;
} words[] = {
    {401, "authentication_error", "UNAUTHENTICATED"},
    {403, "permission_error", "PERMISSION_DENIED"},
    {404, "not_found_error", "NOT_FOUND"},
    {413, "request_too_large", "INVALID_ARGUMENT"},
    {429, "rate_limit_error", "RESOURCE_EXHAUSTED"},
    {502, "api_error", "UNAVAILABLE"},
    {503, "overloaded_error", "UNAVAILABLE"},
    {504, "timeout_error", "DEADLINE_EXCEEDED"},
    {0, "invalid_request_error", "INVALID_ARGUMENT"},
};

static size_t row_of(int status)
{
    size_t i = 0;

    while (words[i].status && words[i].status != status)
        i++;
    return i;
}

static void add_message(struct json_writer *w, const struct refusal *r)
{
    struct buf sentence;

    buf_init(&sentence, BUF_UNLIMITED);
    refusal_sentence(r, &sentence);
    json_member_str(w, "message", buf_slice(&sentence));
    buf_release(&sentence);
}

/*
 * What else programs look for to leave a call alone that only money, or a day, mends. x-should-retry, which
 * all refusals of money have, is read by OpenAI's and Anthropic's SDKs, not by Google's, which try nothing
 * again by themselves; what is built on them goes by these: Anthropic's own word for a spend limit (429,
 * without Retry-After), and a quota of a day (Gemini CLI: TerminalQuotaError for a quotaId with "PerDay"),
 * whichever span it is of.
 */
static void add_anthropics_details(struct json_writer *w)
{
    json_key(w, "details");
    json_object_begin(w);
    json_member_str(w, "error_code", SLICE("enforced_spend_limit_reached"));
    json_object_end(w);
}

static void add_googles_details(struct json_writer *w, const struct refusal *r)
{
    json_key(w, "details");
    json_array_begin(w);
    json_object_begin(w);
    json_member_str(w, "@type", SLICE("type.googleapis.com/google.rpc.QuotaFailure"));
    json_key(w, "violations");
    json_array_begin(w);
    json_object_begin(w);
    json_member_str(w, "quotaMetric", slice_str(r->metric ? r->metric : "usd"));
    json_member_str(w, "quotaId", SLICE("MetergateSpendPerDay"));
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
    json_array_end(w);
}

void refusal_as_anthropic(const struct refusal *r, struct buf *out)
{
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "type", SLICE("error"));
    json_key(&w, "error");
    json_object_begin(&w);
    json_member_str(&w, "type", slice_str(words[row_of(refusal_status(r))].anthropic));
    add_message(&w, r);
    if (r->reason == REFUSAL_BUDGET_USD)
        add_anthropics_details(&w);
    json_object_end(&w);
    if (r->request_id)
        json_member_str(&w, "request_id", slice_str(r->request_id));
    json_object_end(&w);
}

void refusal_as_gemini(const struct refusal *r, struct buf *out)
{
    int status = refusal_status(r);
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_member_int(&w, "code", status);
    add_message(&w, r);
    json_member_str(&w, "status", slice_str(words[row_of(status)].google));
    if (r->reason == REFUSAL_BUDGET_USD)
        add_googles_details(&w, r);
    json_object_end(&w);
    json_object_end(&w);
}
