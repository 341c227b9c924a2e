/*
 * judge: what a provider's error means, whoever the provider is (error_body.h has the shapes).
 *
 * Nothing in an error decides more than how long to wait, whether to, and for whom: one that cannot be read
 * is an error without hints. Only what says so itself concerns the whole account: stalling every model for
 * the limit of one costs more than asking once for each.
 */
#include "metergate/dialect/verdict.h"

#include <errno.h>
#include <string.h>

#include "error_body.h"
#include "metergate/base/clock.h"

/* Azure names a day when a request alone is over the limit, which no waiting mends ("Please retry after 86400
 * seconds"). */
#define AZURE_NEVER_US (INT64_C(86400) * CLOCK_S)

static struct slice header(const struct provider_answer *a, const char *name)
{
    return a->header ? slice_trim(a->header(a->arg, name)) : slice_of(NULL, 0);
}

/* Codes and types after which only a person with a credit card can help. */
static bool is_quota(struct slice word)
{
    static const char *const codes[] = {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "enforced_spend_limit_reached", /* Anthropic */
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(codes); i++)
        if (slice_eq(word, slice_str(codes[i])))
            return true;
    return false;
}

/* The wait of the limit that is used up, by the reset headers: until it is full again, so never too short. */
static int reset_wait(const struct provider_answer *a, struct slice type, int64_t *ret)
{
    static const struct {
        const char *type, *remaining, *reset;
    } limits[] = {
        {"tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
        {"tokens", "x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens"},
        {"requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
    };
    int64_t longest = -1, us;

    for (size_t i = 0; i < MG_ARRAY_LEN(limits); i++) {
        struct slice remaining = header(a, limits[i].remaining);

        if (!slice_eq(remaining, SLICE("0")) && !slice_eq(type, slice_str(limits[i].type)))
            continue;
        if (verdict_reset_us(a, limits[i].reset, &us) == 0 && us > longest)
            longest = us;
    }
    if (longest < 0)
        return -1;
    *ret = longest;
    return 0;
}

/* The longest wait of those that the answer names; the reset headers only when nothing else does. */
static void read_wait(const struct provider_answer *a, const struct error_facts *f, struct verdict *v)
{
    int64_t us;
    int rc;

    if (verdict_retry_after_us(a, &us) == 0) {
        v->wait_known = true;
        v->wait_us = us;
    }
    if (verdict_sentence_wait_us(buf_slice(&f->message), &us) == 0) {
        v->wait_known = true;
        v->wait_us = us > v->wait_us ? us : v->wait_us;
    }
    rc = f->retry_delay.n ? slice_duration_us(f->retry_delay, &us) : -EINVAL;
    if (rc == 0 || rc == -ERANGE) {
        v->wait_known = true;
        us = rc == 0 && us < VERDICT_WAIT_MAX_US ? us : VERDICT_WAIT_MAX_US;
        v->wait_us = us > v->wait_us ? us : v->wait_us;
    }
    if (!v->wait_known && reset_wait(a, f->type, &us) == 0) {
        v->wait_known = true;
        v->wait_us = us;
    }
}

static void read_limit(struct slice message, struct verdict *v)
{
    v->limit = verdict_sentence_number(message, ": limit ");
    v->used = verdict_sentence_number(message, ", used ");
    v->requested = verdict_sentence_number(message, ", requested ");
    v->limit_known = v->limit > 0;
}

/* ---- for whom -------------------------------------------------------------------------------- */

/* "reached for gpt-4o in organization", "for model `llama`", "(org: 1, model: claude-x)", "limit: 5, model: y" */
static bool names_a_model(struct slice message)
{
    struct slice whose = slice_trim(verdict_after(message, "reached for "));

    return (whose.n && !slice_starts(whose, SLICE("organization")) &&
            !slice_starts(whose, SLICE("project"))) ||
           verdict_says(message, "for model ") || verdict_says(message, "model: ");
}

/* Whose limit the sentence says that it is, where that is not a model's. */
static bool says_account(struct slice message)
{
    static const char *const phrases[] = {
        "would exceed your account's rate limit",   /* Anthropic's subscriptions */
        "would exceed your workspace's rate limit", /* Anthropic */
        "rate limit for your workspace",
        "limit reached for organization", /* OpenAI */
        "limit reached for project",
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(phrases); i++)
        if (verdict_says(message, phrases[i]))
            return true;
    return false;
}

/* A subscription has limits of single models beside its own: "seven_day_opus". */
static bool claims_a_model(const struct provider_answer *a)
{
    struct slice claim = header(a, "anthropic-ratelimit-unified-representative-claim");

    return claim.n && !slice_eq(claim, SLICE("five_hour")) && !slice_eq(claim, SLICE("seven_day"));
}

/* OpenAI's project has used up its tokens, and this model has not. */
static bool is_project_used_up(const struct provider_answer *a)
{
    struct slice model = header(a, "x-ratelimit-remaining-tokens");

    return slice_eq(header(a, "x-ratelimit-remaining-project-tokens"), SLICE("0")) && model.n &&
           !slice_eq(model, SLICE("0"));
}

static bool is_project_wide(const struct error_quota *q)
{
    return !error_quota_is_of_a_model(q) && q->id.n && memmem(q->id.p, q->id.n, "PerProject", 10);
}

/* Whether every model of this account has to wait for a 429. */
static enum verdict_scope scope_of(const struct provider_answer *a, const struct error_facts *f)
{
    struct slice message = buf_slice(&f->message);

    for (size_t i = 0; i < f->quota_n; i++)
        if (is_project_wide(&f->quotas[i]))
            return VERDICT_ACCOUNT;
    if (f->quota_n || names_a_model(message) || claims_a_model(a))
        return VERDICT_MODEL;
    return says_account(message) || is_project_used_up(a) ? VERDICT_ACCOUNT : VERDICT_MODEL;
}

/* Whether waiting can help at all, and for whom; v->reason says which case it was. */
static bool may_help(const struct provider_answer *a, const struct error_facts *f, struct verdict *v)
{
    v->scope = VERDICT_REQUEST;
    v->reason = "refused";
    if (verdict_says(buf_slice(&f->message), "request too large")) {
        v->reason = "too large";
        v->add_should_retry_false = true;
        return false;
    }
    if (a->status != 429 && a->status != 503 && a->status != 529)
        return false;
    if (verdict_says(buf_slice(&f->message), "extra usage is required")) { /* Anthropic, for a long context */
        v->reason = "quota";
        return false;
    }
    if (is_quota(f->code) || is_quota(f->type)) {
        v->scope = VERDICT_ACCOUNT;
        v->reason = "quota";
        return false;
    }
    v->scope = a->status == 429 ? scope_of(a, f) : VERDICT_MODEL;
    if (f->daily) { /* until midnight at the provider, whatever wait it names */
        v->reason = "daily quota";
        return false;
    }
    v->reason = a->status == 429 ? "rate limit" : "overloaded";
    return true;
}

/* The request alone is over an Azure limit. */
static bool is_azure_never(const struct verdict *v, struct slice message)
{
    return v->wait_known && v->wait_us >= AZURE_NEVER_US &&
           verdict_says(message, "retry after 86400 seconds");
}

void verdict_judge(const struct provider_answer *a, struct verdict *ret)
{
    struct slice should = header(a, "x-should-retry");
    struct verdict v = {0};
    struct error_facts f;

    error_body_read(a->body, &f);
    v.retry_may_help = may_help(a, &f, &v);
    if (v.retry_may_help && slice_eq_nocase(should, SLICE("false"))) {
        v.retry_may_help = false;
        v.reason = "the provider says not to retry";
    }
    v.refuses_usage_option =
        (a->status == 400 || a->status == 422) &&
        (verdict_says(a->body, "stream_options") || verdict_says(a->body, "include_usage"));
    read_wait(a, &f, &v);
    if (v.retry_may_help && is_azure_never(&v, buf_slice(&f.message))) {
        v.retry_may_help = false;
        v.scope = VERDICT_REQUEST;
        v.reason = "too large";
        v.add_should_retry_false = true;
    }
    read_limit(buf_slice(&f.message), &v);
    error_body_release(&f);
    *ret = v;
}
