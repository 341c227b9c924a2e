/* report: what answers say of the provider's limits, family by family, what bad values do, and who pays. */
#include "report_rows.h"

#include <stdio.h>

/* ---- headers --------------------------------------------------------------------------------- */

static const struct row families[] = {
    {"no headers", 200, {{NULL}}, NULL, 0, {{0}}},
    {"OpenAI, of a minute",
     200,
     {{"x-ratelimit-limit-requests", "5000", "x-ratelimit-limit-tokens", "160000",
       "x-ratelimit-limit-tokens_usage_based", "160000", "x-ratelimit-remaining-requests", "4999",
       "x-ratelimit-remaining-tokens", "158866", "x-ratelimit-remaining-tokens_usage_based", "158866",
       "x-ratelimit-reset-requests", "12ms", "x-ratelimit-reset-tokens", "425ms",
       "x-ratelimit-reset-tokens_usage_based", "425ms"}},
     NULL,
     2,
     {{METRIC_REQUESTS, MINUTE, true, 5000, 4999, 0, 12 * MS, false},
      {METRIC_TOKENS, MINUTE, true, 160000, 158866, 0, 425 * MS, false}}},
    {"OpenAI, requests of a day",
     200,
     {{"x-ratelimit-limit-requests", "200", "x-ratelimit-remaining-requests", "182",
       "x-ratelimit-reset-requests", "2h7m1.233s"}},
     NULL,
     1,
     {{METRIC_REQUESTS, DAY, true, 200, 182, 0, INT64_C(7621233) * MS, false}}},
    {"OpenAI, a project's limit below the model's",
     200,
     {{"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "149984",
       "x-ratelimit-reset-tokens", "6ms", "x-ratelimit-limit-project-tokens", "60000",
       "x-ratelimit-remaining-project-tokens", "57000", "x-ratelimit-reset-project-tokens", "3s"}},
     NULL,
     1,
     {{METRIC_TOKENS, MINUTE, true, 60000, 57000, 0, 3 * S, false}}},
    {"OpenAI, a project's limit above what is left of the model's",
     200,
     {{"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "500",
       "x-ratelimit-limit-project-tokens", "60000", "x-ratelimit-remaining-project-tokens", "57000"}},
     NULL,
     1,
     {{METRIC_TOKENS, 0, false, 60000, 500, 0, -1, false}}},
    {"the example of OpenAI's documentation, which fits no span",
     200,
     {{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "59",
       "x-ratelimit-reset-requests", "1s", "x-ratelimit-limit-tokens", "150000",
       "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6m0s"}},
     NULL,
     2,
     {{METRIC_REQUESTS, MINUTE, true, 60, 59, 0, S, false},
      {METRIC_TOKENS, 0, false, 150000, 149984, 0, 360 * S, false}}},
    {"Anthropic",
     200,
     {{"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49",
       "anthropic-ratelimit-requests-reset", "2026-11-23T12:00:01Z", "anthropic-ratelimit-input-tokens-limit",
       "30000", "anthropic-ratelimit-input-tokens-remaining", "28000",
       "anthropic-ratelimit-input-tokens-reset", "2026-11-23T12:00:04Z",
       "anthropic-ratelimit-output-tokens-limit", "8000", "anthropic-ratelimit-output-tokens-remaining",
       "8000", "anthropic-ratelimit-output-tokens-reset", "2026-11-23T12:00:00Z"}},
     NULL,
     3,
     {{METRIC_REQUESTS, MINUTE, false, 50, 49, 0, S, false},
      {METRIC_INPUT, MINUTE, false, 30000, 28000, 500, 4 * S, false},
      {METRIC_OUTPUT, MINUTE, false, 8000, 8000, 500, 0, false}}},
    {"Azure, which tells no limit",
     200,
     {{"x-ratelimit-remaining-requests", "99", "x-ratelimit-remaining-tokens", "99000"}},
     NULL,
     2,
     {{METRIC_REQUESTS, 0, false, 0, 99, 0, -1, false}, {METRIC_TOKENS, 0, false, 0, 99000, 0, -1, false}}},
    {"Azure, the reset with a hyphen too many",
     200,
     {{"x-ratelimit-remaining-tokens", "0", "x-rate-limit-reset-tokens", "55"}},
     NULL,
     1,
     {{METRIC_TOKENS, 0, false, 0, 0, 0, 55 * S, false}}},
    {"Azure's responses, which are not limited by these",
     200,
     {{"x-ratelimit-limit-tokens", "-1", "x-ratelimit-remaining-tokens", "-1", "x-ratelimit-reset-tokens",
       "0", "x-ratelimit-limit-requests", "-1", "x-ratelimit-remaining-requests", "0",
       "x-ratelimit-reset-requests", "0"}},
     NULL,
     0,
     {{0}}},
    {"Groq, requests of a day and tokens of a minute",
     200,
     {{"x-ratelimit-limit-requests", "14400", "x-ratelimit-limit-tokens", "18000",
       "x-ratelimit-remaining-requests", "14370", "x-ratelimit-remaining-tokens", "15702",
       "x-ratelimit-reset-requests", "2m59.56s", "x-ratelimit-reset-tokens", "7.66s"}},
     NULL,
     2,
     {{METRIC_REQUESTS, DAY, true, 14400, 14370, 0, INT64_C(179560) * MS, false},
      {METRIC_TOKENS, MINUTE, true, 18000, 15702, 0, 7660 * MS, false}}},
    {"Mistral, by the minute",
     200,
     {{"x-ratelimit-limit-tokens-minute", "5000000", "x-ratelimit-remaining-tokens-minute", "4999911",
       "x-ratelimit-tokens-query-cost", "52", "x-ratelimit-limit-req-minute", "720",
       "x-ratelimit-remaining-req-minute", "717"}},
     NULL,
     2,
     {{METRIC_REQUESTS, MINUTE, false, 720, 717, 0, -1, false},
      {METRIC_TOKENS, MINUTE, false, 5000000, 4999911, 0, -1, false}}},
    {"Mistral, by size",
     200,
     {{"ratelimitbysize-limit", "500000", "ratelimitbysize-remaining", "499900", "ratelimitbysize-reset",
       "28", "x-ratelimitbysize-limit-minute", "500000", "x-ratelimitbysize-remaining-minute", "499900",
       "x-ratelimitbysize-limit-month", "1000000000", "x-ratelimitbysize-remaining-month", "0"}},
     NULL,
     1,
     {{METRIC_TOKENS, MINUTE, false, 500000, 499900, 0, 28 * S, false}}},
    {"Mistral, a model that the account may not use",
     429,
     {{"x-ratelimit-limit-req-minute", "0", "x-ratelimit-remaining-req-minute", "0"}},
     "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\",\"code\":\"1300\"}",
     0,
     {{0}}},
    {"Cerebras",
     200,
     {{"x-ratelimit-limit-requests-day", "14400", "x-ratelimit-remaining-requests-day", "14398",
       "x-ratelimit-reset-requests-day", "33011.382867", "x-ratelimit-limit-tokens-minute", "60000",
       "x-ratelimit-remaining-tokens-minute", "59900", "x-ratelimit-reset-tokens-minute", "11.382867"}},
     NULL,
     2,
     {{METRIC_REQUESTS, DAY, false, 14400, 14398, 0, INT64_C(33011382867), false},
      {METRIC_TOKENS, MINUTE, false, 60000, 59900, 0, 11382867, false}}},
    {"a span that is said is not inferred",
     200,
     {{"x-ratelimit-limit-tokens", "60000", "x-ratelimit-remaining-tokens", "57000",
       "x-ratelimit-reset-tokens", "3s", "x-ratelimit-limit-tokens-minute", "60000",
       "x-ratelimit-remaining-tokens-minute", "56000"}},
     NULL,
     1,
     {{METRIC_TOKENS, MINUTE, false, 60000, 56000, 0, 3 * S, false}}},
    {"Together, by the second",
     200,
     {{"x-ratelimit-limit", "10", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "1",
       "x-tokenlimit-limit", "3000", "x-tokenlimit-remaining", "2990"}},
     NULL,
     2,
     {{METRIC_REQUESTS, S, true, 10, 0, 0, S, false}, {METRIC_TOKENS, 0, false, 3000, 2990, 0, -1, false}}},
    {"OpenRouter, epoch in milliseconds",
     429,
     {{"X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1795435260000"}},
     "{\"error\":{\"message\":\"Rate limit exceeded: free-models-per-min. \",\"code\":429}}",
     1,
     {{METRIC_REQUESTS, MINUTE, true, 20, 0, 0, MINUTE, true}}},
    {"Venice, epoch for requests and seconds for tokens",
     200,
     {{"x-ratelimit-limit-requests", "100", "x-ratelimit-remaining-requests", "50",
       "x-ratelimit-reset-requests", "1795435205", "x-ratelimit-limit-tokens", "1000",
       "x-ratelimit-remaining-tokens", "500", "x-ratelimit-reset-tokens", "30"}},
     NULL,
     2,
     {{METRIC_REQUESTS, 0, false, 100, 50, 0, 5 * S, false},
      {METRIC_TOKENS, MINUTE, true, 1000, 500, 0, 30 * S, false}}},
};

static void test_report__each_family_of_headers__is_understood(void **state)
{
    (void)state;
    check_rows(families, MG_ARRAY_LEN(families));
}

/* ---- Anthropic's strictest limit ------------------------------------------------------------- */

#define ANTHROPIC_BOTH                                                                                       \
    "anthropic-ratelimit-input-tokens-limit", "30000", "anthropic-ratelimit-output-tokens-limit", "8000"

static const struct row strictest[] = {
    {"alone, it is a limit",
     200,
     {{"anthropic-ratelimit-tokens-limit", "40000", "anthropic-ratelimit-tokens-remaining", "39000"}},
     NULL,
     1,
     {{METRIC_TOKENS, MINUTE, false, 40000, 39000, 500, -1, false}}},
    {"the sum of both says nothing new",
     200,
     {{ANTHROPIC_BOTH, "anthropic-ratelimit-tokens-limit", "38000", "anthropic-ratelimit-tokens-remaining",
       "1000"}},
     NULL,
     2,
     {{METRIC_INPUT, MINUTE, false, 30000, -1, 0, -1, false},
      {METRIC_OUTPUT, MINUTE, false, 8000, -1, 0, -1, false}}},
    {"nor does one of them",
     200,
     {{ANTHROPIC_BOTH, "anthropic-ratelimit-tokens-limit", "8000", "anthropic-ratelimit-tokens-remaining",
       "0"}},
     NULL,
     2,
     {{METRIC_INPUT, MINUTE, false, 30000, -1, 0, -1, false},
      {METRIC_OUTPUT, MINUTE, false, 8000, -1, 0, -1, false}}},
    {"nor does one without its limit",
     200,
     {{ANTHROPIC_BOTH, "anthropic-ratelimit-tokens-remaining", "0"}},
     NULL,
     2,
     {{METRIC_INPUT, MINUTE, false, 30000, -1, 0, -1, false},
      {METRIC_OUTPUT, MINUTE, false, 8000, -1, 0, -1, false}}},
    {"another number is the workspace's",
     200,
     {{ANTHROPIC_BOTH, "anthropic-ratelimit-tokens-limit", "20000", "anthropic-ratelimit-tokens-remaining",
       "0"}},
     NULL,
     3,
     {{METRIC_INPUT, MINUTE, false, 30000, -1, 0, -1, false},
      {METRIC_OUTPUT, MINUTE, false, 8000, -1, 0, -1, false},
      {METRIC_TOKENS, MINUTE, false, 20000, 0, 500, -1, false}}},
};

static void test_report__anthropics_strictest_limit__is_told_only_if_it_is_another(void **state)
{
    (void)state;
    check_rows(strictest, MG_ARRAY_LEN(strictest));
}

/* ---- bad values ------------------------------------------------------------------------------ */

static void test_report__what_is_no_amount__is_not_said(void **state)
{
    static const char *const bad[] = {"-1",           "",     " ",         "1.5",
                                      "1e3",          "0x10", "+5",        "5 5",
                                      "30000, 30000", "30k",  "unlimited", "99999999999999999999",
                                      "1099511627777" /* PROFILE_AMOUNT_MAX + 1 */};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        struct headers remaining = {{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens",
                                     bad[i], "x-ratelimit-reset-tokens", "20ms"}};
        struct headers alone = {{"x-ratelimit-remaining-tokens", bad[i], "x-ratelimit-reset-tokens", "20ms"}};
        struct headers limit = {{"x-ratelimit-limit-tokens", bad[i], "x-ratelimit-remaining-tokens", "0"}};
        struct report r;

        read_answer(200, &remaining, "", &r);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.v[0].limit, 30000);
        assert_int_equal(r.v[0].remaining, -1);
        assert_int_equal(r.v[0].span_us, 0);
        read_answer(200, &alone, "", &r);
        assert_int_equal(r.n, 0);
        read_answer(200, &limit, "", &r);
        if (slice_trim(slice_str(bad[i])).n == 0) { /* as if it were not there */
            assert_int_equal(r.n, 1);
            assert_int_equal(r.v[0].limit, 0);
            assert_int_equal(r.v[0].remaining, 0);
        } else if (r.n != 0) {
            fail_msg("a limit of '%s' leaves something remaining", bad[i]);
        }
    }
}

static void test_report__what_is_no_reset__is_not_said(void **state)
{
    static const struct {
        const char *reset;
        int64_t want_us;
    } rows[] = {
        {"", -1},
        {"-3s", -1},
        {"soon", -1},
        {"3 parsecs", -1},
        {"99999999999999999999s", -1},
        {"2026-11-23T12:00", -1},
        {"2026-11-23T12:00:09+1", -1},
        {"0", 0},
        {"0s", 0},
        {"6m0s", 360 * S},
        {"9ms", 9 * MS},
        {"3000000s", VERDICT_WAIT_MAX_US},
        {"2026-11-23T11:00:00Z", 0},
        {"2026-11-23T12:00:09Z", 9 * S},
        {"2026-11-23T12:00:09.250Z", 9 * S},
        {"2026-11-23T14:00:09+02:00", 9 * S},
        {"2026-11-23T06:30:09.5-05:30", 9 * S},
        {"1795435207", 7 * S},
        {"9223372036854775807", VERDICT_WAIT_MAX_US},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct headers h = {{"x-ratelimit-remaining-tokens", "5", "x-ratelimit-reset-tokens", rows[i].reset}};
        struct report r;

        read_answer(200, &h, "", &r);
        assert_int_equal(r.n, 1);
        if (r.v[0].reset_us != rows[i].want_us)
            fail_msg("'%s' is %lld us", rows[i].reset, (long long)r.v[0].reset_us);
    }
}

/* A window that is reset at fixed times, or that rolls, says "in 30 s" whatever was used. That is near a
 * second, an hour or a day for one answer in fifty; that it fits to the digit must be rare. */
static void test_report__a_window_that_is_no_bucket__fits_hardly_ever(void **state)
{
    int64_t wrong = 0, all = 0;

    (void)state;
    for (int64_t used = 1; used < 30000; used += 7) {
        for (int64_t reset_ms = 500 + used % 4231; reset_ms < 60000; reset_ms += 4231) {
            char remaining[32], reset[32];
            struct headers h = {{"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens",
                                 remaining, "x-ratelimit-reset-tokens", reset}};
            struct report r;

            (void)snprintf(remaining, sizeof remaining, "%lld", (long long)(30000 - used));
            (void)snprintf(reset, sizeof reset, "%lld.%03llds", (long long)(reset_ms / 1000),
                           (long long)(reset_ms % 1000));
            read_answer(200, &h, "", &r);
            assert_int_equal(r.n, 1);
            assert_int_equal(r.v[0].inferred, r.v[0].span_us > 0);
            wrong += r.v[0].span_us > 0 && r.v[0].span_us != MINUTE;
            all++;
        }
    }
    if (wrong * 2000 > all)
        fail_msg("%lld of %lld", (long long)wrong, (long long)all);
}

/* ---- who pays -------------------------------------------------------------------------------- */

#define A128                                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_report__who_pays__is_read_where_it_stands(void **state)
{
    static const struct {
        int status;
        struct headers headers;
        const char *body, *want, *from;
    } rows[] = {
        {200, {{"openai-organization", " acme-inc "}}, "", "acme-inc", "openai-organization"},
        {200,
         {{"anthropic-workspace-id", "wrkspc_1", "anthropic-organization-id", "0dcc-1"}},
         "",
         "0dcc-1",
         "anthropic-organization-id"},
        {200, {{"anthropic-workspace-id", "wrkspc_1"}}, "", "wrkspc_1", "anthropic-workspace-id"},
        {429,
         {{NULL}},
         OPENAI("Rate limit reached for m in organization org-AbC_1 on tokens", "x"),
         "org-AbC_1",
         "sentence"},
        {429,
         {{NULL}},
         OPENAI("for model `m` in organization `org_01ka` service tier", "x"),
         "org_01ka",
         "sentence"},
        {429,
         {{"openai-organization", "acme"}},
         OPENAI("in organization org-X on", "x"),
         "acme",
         "openai-organization"},
        {200, {{NULL}}, OPENAI("in organization org-X on", "x"), "", NULL},
        {429, {{NULL}}, OPENAI("would exceed your organization's rate limit", "x"), "", NULL},
        {200, {{"openai-organization", ""}}, "", "", NULL},
        {200, {{"openai-organization", "caf\xC3\xA9"}}, "", "", NULL},
        {200, {{"openai-organization", "a\x01z"}}, "", "", NULL},
        {200, {{"openai-organization", A128}}, "", A128, "openai-organization"},
        {200, {{"openai-organization", A128 "a"}}, "", "", NULL},
        {429, {{NULL}}, "in organization org-" A128, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct headers h = rows[i].headers;
        struct report r;

        read_answer(rows[i].status, &h, rows[i].body, &r);
        if (!slice_eq(r.organization, slice_str(rows[i].want)))
            fail_msg("row %zu: '%.*s'", i, (int)r.organization.n, r.organization.p);
        if (rows[i].from)
            assert_string_equal(r.organization_from, rows[i].from);
        else
            assert_null(r.organization_from);
    }
}

static void test_report__an_answer_without_a_way_to_its_headers__says_nothing(void **state)
{
    struct provider_answer a = {.status = 429};
    struct report r;

    (void)state;
    report_read(&a, &r);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.organization.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report__each_family_of_headers__is_understood),
        cmocka_unit_test(test_report__anthropics_strictest_limit__is_told_only_if_it_is_another),
        cmocka_unit_test(test_report__what_is_no_amount__is_not_said),
        cmocka_unit_test(test_report__what_is_no_reset__is_not_said),
        cmocka_unit_test(test_report__a_window_that_is_no_bucket__fits_hardly_ever),
        cmocka_unit_test(test_report__who_pays__is_read_where_it_stands),
        cmocka_unit_test(test_report__an_answer_without_a_way_to_its_headers__says_nothing),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
