/* report: the limits that refusals are about: sentences, Google's quotas, and what the headers say beside them. */
#include "report_rows.h"

#include "metergate/base/buf.h"

#define TOKENS_LEFT(limit, remaining)                                                                        \
    "x-ratelimit-limit-tokens", limit, "x-ratelimit-remaining-tokens", remaining,                            \
        "x-ratelimit-reset-tokens", "90s"
#define QUOTA(id, value) "{\"quotaMetric\":\"m\",\"quotaId\":\"" id "\",\"quotaValue\":" value "}"

static const struct row refusals[] = {
    {"OpenAI, tokens",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Used "
            "29937, "
            "Requested 385. Please try again in 644ms.",
            "tokens"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 30000, 63, 0, -1, true}}},
    {"OpenAI, requests",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for gpt-4o-mini in organization org-X on requests per min (RPM): Limit 3, "
            "Used 3, "
            "Requested 1. Please try again in 20s.",
            "requests"),
     1,
     {{METRIC_REQUESTS, MINUTE, false, 3, 0, 0, -1, true}}},
    {"OpenAI, requests of a day, more used than there are",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for m in organization org-X on requests per day (RPD): Limit 200, Used 201, "
            "Requested 1.",
            "requests"),
     1,
     {{METRIC_REQUESTS, DAY, false, 200, 0, 0, -1, true}}},
    {"OpenAI, an old name of tokens",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for gpt-4 in organization org-X on tokens_usage_based per min: Limit 10000, "
            "Used 8554, "
            "Requested 3082.",
            "tokens_usage_based"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 10000, 1446, 0, -1, true}}},
    {"OpenAI, too large",
     429,
     {{NULL}},
     OPENAI("Request too large for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, "
            "Requested 40666. The "
            "input or output tokens must be reduced.",
            "tokens"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 30000, -1, 0, -1, true}}},
    {"OpenAI, a limit that is not of calls or tokens",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for dall-e-3 in organization org-X on images per min: Limit 5, Used 5, "
            "Requested 1.",
            "images"),
     0,
     {{0}}},
    {"OpenAI, figures that make no sense",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for m in organization o on tokens per min (TPM): Limit 99999999999999999999, "
            "Used -5",
            "x"),
     0,
     {{0}}},
    {"header and body of one limit: the body is finer",
     429,
     {{TOKENS_LEFT("30000", "0")}},
     OPENAI("Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used 29937, "
            "Requested 385.",
            "x"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 30000, 63, 0, 90 * S, true}}},
    {"header and body of two limits",
     429,
     {{"x-ratelimit-limit-requests", "14400", "x-ratelimit-remaining-requests", "14000"}},
     OPENAI("Rate limit reached for model `x` in organization `org_1` service tier `on_demand` on requests "
            "per minute (RPM): "
            "Limit 30, Used 30, Requested 1.",
            "requests"),
     2,
     {{METRIC_REQUESTS, 0, false, 14400, 14000, 0, -1, false},
      {METRIC_REQUESTS, MINUTE, false, 30, 0, 0, -1, true}}},
    {"Groq, tokens of a day",
     429,
     {{TOKENS_LEFT("8000", "7000")}},
     OPENAI("Rate limit reached for model `openai/gpt-oss-120b` in organization `org_01m` service tier "
            "`on_demand` on tokens "
            "per day (TPD): Limit 200000, Used 199650, Requested 1321. Please try again in 6m59s.",
            "tokens"),
     2,
     {{METRIC_TOKENS, 0, false, 8000, 7000, 0, 90 * S, false},
      {METRIC_TOKENS, DAY, false, 200000, 350, 0, -1, true}}},
    {"Groq, too large",
     413,
     {{NULL}},
     OPENAI("Request too large for model `qwen/qwen3.8-27b` in organization `org_x` service tier `on_demand` "
            "on input tokens "
            "per minute (ITPM): Limit 7000, Requested 8278, please reduce your message size and try again.",
            "tokens"),
     1,
     {{METRIC_INPUT, MINUTE, false, 7000, -1, 0, -1, true}}},
    {"Anthropic, input",
     429,
     {{"anthropic-ratelimit-input-tokens-limit", "30000", "anthropic-ratelimit-input-tokens-remaining",
       "1000"}},
     ANTHROPIC("This request would exceed your organization's rate limit of 30,000 input tokens per minute "
               "(org: 1-2, model: "
               "claude-sonnet-4-20250514). For details"),
     1,
     {{METRIC_INPUT, MINUTE, false, 30000, 1000, 500, -1, true}}},
    {"Anthropic, as it was said in 2025",
     429,
     {{NULL}},
     ANTHROPIC("This request would exceed the rate limit for your organization (0dccdde6-f924) of 1,000,000 "
               "output tokens per "
               "minute. For details"),
     1,
     {{METRIC_OUTPUT, MINUTE, false, 1000000, -1, 0, -1, true}}},
    {"Anthropic, requests",
     429,
     {{NULL}},
     ANTHROPIC("This request would exceed your organization's rate limit of 5 requests per minute."),
     1,
     {{METRIC_REQUESTS, MINUTE, false, 5, -1, 0, -1, true}}},
    {"Anthropic's ramp is no limit",
     429,
     {{NULL}},
     ANTHROPIC("This request would exceed your organization's maximum usage increase rate for input tokens "
               "per minute (org: x, "
               "model: y). Your current limit is 58,276 input tokens per minute, and will increase to 68,276 "
               "at the next minute"),
     0,
     {{0}}},
    {"a gateway",
     429,
     {{NULL}},
     OPENAI("You have reached the request limit[z-ai/glm]: Maximum 8 requests within 1 minutes, Including "
            "the number of failed "
            "attempts",
            "x"),
     1,
     {{METRIC_REQUESTS, MINUTE, false, 8, -1, 0, -1, true}}},
    {"a gateway, in another case, of more than one minute",
     429,
     {{NULL}},
     "maximum 100 REQUESTS Within 15 Minutes",
     1,
     {{METRIC_REQUESTS, 15 * MINUTE, false, 100, -1, 0, -1, true}}},
    {"a gateway that counts in centuries", 429, {{NULL}}, "Maximum 5 requests within 36500 days", 0, {{0}}},
    {"Google, several quotas, as string and as number",
     429,
     {{NULL}},
     GOOGLE(QUOTA("GenerateContentInputTokensPerModelPerMinute-FreeTier", "\"250000\"") "," QUOTA(
         "GenerateRequestsPerMinutePerProjectPerModel",
         "15") "," QUOTA("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "\"200\"")),
     3,
     {{METRIC_INPUT, MINUTE, false, 250000, -1, 0, -1, true},
      {METRIC_REQUESTS, MINUTE, false, 15, -1, 0, -1, true},
      {METRIC_REQUESTS, DAY, false, 200, -1, 0, -1, true}}},
    {"Google, figures that are none",
     429,
     {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerMinutePerProjectPerModel",
                  "\"many\"") "," QUOTA("GenerateRequestsPerDayPerProject", "0")),
     2,
     {{METRIC_REQUESTS, MINUTE, false, 0, -1, 0, -1, true},
      {METRIC_REQUESTS, DAY, false, 0, -1, 0, -1, true}}},
    {"Google, the older form",
     429,
     {{NULL}},
     "{\"error\":{\"code\":429,\"message\":\"Quota "
     "exceeded\",\"details\":[{\"@type\":\"ErrorInfo\",\"reason\":"
     "\"RATE_LIMIT_EXCEEDED\",\"metadata\":{\"quota_limit\":"
     "\"GenerateContentRequestsPerMinutePerProjectPerRegion\","
     "\"quota_limit_value\":\"60\"}}]}}",
     1,
     {{METRIC_REQUESTS, MINUTE, false, 60, -1, 0, -1, true}}},
    {"Google, no details",
     429,
     {{NULL}},
     "{\"error\":{\"code\":429,\"message\":\"Resource has been exhausted\"}}",
     0,
     {{0}}},
    {"Azure says what, but not how much",
     429,
     {{"x-ratelimit-remaining-requests", "10", "x-ratelimit-remaining-tokens", "0"}},
     "{\"error\":{\"code\":\"429\",\"message\":\"Requests to the ChatCompletions_Create Operation have "
     "exceeded token rate "
     "limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds.\"}}",
     2,
     {{METRIC_REQUESTS, 0, false, 0, 10, 0, -1, false}, {METRIC_TOKENS, 0, false, 0, 0, 0, -1, true}}},
    {"no figures and no headers",
     429,
     {{NULL}},
     OPENAI("Slow down", "requests"),
     1,
     {{METRIC_REQUESTS, 0, false, 0, -1, 0, -1, true}}},
    {"no figures: what has least left",
     429,
     {{"x-ratelimit-remaining-requests", "9", TOKENS_LEFT("30000", "200")}},
     OPENAI("Slow down", "tokens"),
     2,
     {{METRIC_REQUESTS, 0, false, 0, 9, 0, -1, false},
      {METRIC_TOKENS, 0, false, 30000, 200, 0, 90 * S, true}}},
    {"no words at all: what has nothing left",
     429,
     {{"x-ratelimit-remaining-requests", "9", TOKENS_LEFT("30000", "0")}},
     "",
     2,
     {{METRIC_REQUESTS, 0, false, 0, 9, 0, -1, false}, {METRIC_TOKENS, 0, false, 30000, 0, 0, 90 * S, true}}},
    {"the body is exact where the header is not",
     429,
     {{"anthropic-ratelimit-input-tokens-limit", "7000", "anthropic-ratelimit-input-tokens-remaining",
       "1000"}},
     OPENAI("Reached on input tokens per minute (ITPM): Limit 7000, Used 6100, Requested 1000", "x"),
     1,
     {{METRIC_INPUT, MINUTE, false, 7000, 900, 0, -1, true}}},
    {"no more remains than the limit",
     429,
     {{"x-ratelimit-remaining-tokens", "90000"}},
     OPENAI("Request too large for m on tokens per min (TPM): Limit 30000, Requested 40666.", "x"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 30000, 30000, 0, -1, true}}},
    {"a span that followed from the figures gives way to one that is said",
     429,
     {{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens", "29700",
       "x-ratelimit-reset-tokens", "36s"}},
     OPENAI("Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used 300, "
            "Requested 29900",
            "x"),
     1,
     {{METRIC_TOKENS, MINUTE, false, 30000, 29700, 0, 36 * S, true}}},
    {"but not where that one is there as well",
     429,
     {{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens", "29700",
       "x-ratelimit-reset-tokens", "36s", "x-ratelimit-limit-tokens-minute", "30000"}},
     OPENAI("Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used 300, "
            "Requested 29900",
            "x"),
     2,
     {{METRIC_TOKENS, HOUR, true, 30000, 29700, 0, 36 * S, false},
      {METRIC_TOKENS, MINUTE, false, 30000, 29700, 0, -1, true}}},
    {"in whatever order",
     429,
     {{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens", "29700", "x-ratelimit-reset-tokens",
       "600ms", "x-tokenlimit-limit", "30000", "x-tokenlimit-remaining", "29700", "x-tokenlimit-reset", "36s"}},
     OPENAI("Reached on tokens per min (TPM): Limit 30000, Used 300, Requested 29900", "x"),
     2,
     {{METRIC_TOKENS, MINUTE, false, 30000, 29700, 0, 600 * MS, true},
      {METRIC_TOKENS, HOUR, true, 30000, 29700, 0, 36 * S, false}}},
    {"a limit above all that we count",
     429,
     {{NULL}},
     OPENAI("Rate limit reached for m in organization o on tokens per min (TPM): Limit 1099511627777, Used 3",
            "x"),
     0,
     {{0}}},
    {"a quota above all that we count",
     429,
     {{NULL}},
     GOOGLE(QUOTA("GenerateRequestsPerMinutePerProjectPerModel", "1099511627777")),
     1,
     {{METRIC_REQUESTS, MINUTE, false, 0, -1, 0, -1, true}}},
    {"a thing that nobody counts",
     429,
     {{NULL}},
     ANTHROPIC("a rate limit of 5 input requests per minute"),
     0,
     {{0}}},
    {"another status speaks of no limit",
     503,
     {{TOKENS_LEFT("30000", "0")}},
     OPENAI("on tokens per min (TPM): Limit 10000, Used 10000", "tokens"),
     1,
     {{METRIC_TOKENS, 0, false, 30000, 0, 0, 90 * S, false}}},
};

static void test_report__each_kind_of_refusal__names_its_limit(void **state)
{
    (void)state;
    check_rows(refusals, MG_ARRAY_LEN(refusals));
}

/* Nobody has so many limits; whoever says so gets no more than there is room for. */
static void test_report__more_limits_than_there_is_room_for__keep_the_refused_one(void **state)
{
    struct headers h = {{
        "x-ratelimit-limit-requests", "1000", "x-ratelimit-remaining-requests", "900",       /* of an hour */
        "x-ratelimit-reset-requests", "360s", "x-ratelimit-limit-req-minute", "20",          /* and a minute */
        "x-ratelimit-limit-requests-day", "30", "x-ratelimit-limit-tokens", "100",           /* and a day */
        "x-ratelimit-remaining-tokens", "90", "x-ratelimit-reset-tokens", "360s",            /* of an hour */
        "x-ratelimit-limit-project-tokens", "100", "x-ratelimit-remaining-project-tokens", "90",
        "x-ratelimit-reset-project-tokens", "100ms", "x-ratelimit-limit-tokens-minute", "50", /* a second, a minute */
        "x-ratelimit-limit-tokens-day", "60", "anthropic-ratelimit-input-tokens-limit", "70",
        "anthropic-ratelimit-output-tokens-limit", "80"}};
    struct buf violations, body;
    struct report r;

    (void)state;
    buf_init(&violations, BUF_UNLIMITED);
    buf_init(&body, BUF_UNLIMITED);
    for (int i = 0; i < 100; i++)
        buf_addf(&violations, "%s{\"quotaId\":\"GenerateRequestsPerSecondPerModel\",\"quotaValue\":%d}",
                 i ? "," : "", 100 - i);
    buf_addf(&body, "{\"error\":{\"details\":[{\"violations\":[%s]}]}}", violations.p);
    read_answer(200, &h, "", &r);
    assert_int_equal(r.n, REPORT_LIMITS_MAX);
    read_answer(429, &h, body.p, &r);
    assert_int_equal(r.n, REPORT_LIMITS_MAX);
    assert_true(r.v[r.n - 1].refused);
    assert_int_equal(r.v[r.n - 1].span_us, S);
    assert_int_equal(r.v[r.n - 1].limit, 93); /* the smallest of the first eight */
    buf_release(&violations);
    buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report__each_kind_of_refusal__names_its_limit),
        cmocka_unit_test(test_report__more_limits_than_there_is_room_for__keep_the_refused_one),
    };

    return cmocka_run_group_tests_name("report_refused", tests, NULL, NULL);
}
