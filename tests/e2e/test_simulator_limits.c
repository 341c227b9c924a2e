/* The simulator's limits and how it tells of them: whose they are, what else uses them up, in whose words it
 * refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/err.h"

/* "hello" is 8 tokens for OpenAI's models. */
#define HELLO  "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":2"
#define CHAT   "{\"model\":\"gpt-4o\"," HELLO "}"
#define CLAUDE "{\"model\":\"claude-opus-5\"," HELLO "}"
#define ASK                                                                                                  \
    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello\"}]}],\"generationConfig\":{"            \
    "\"maxOutputTokens\":2}}"

/* Ten minutes, so that nothing expires under a slow test. */
#define SLOW "\"window_ms\":600000,"

/* What every row begins with. */
#define NO_LIMITS                                                                                            \
    "{\"models\":{\"*\":{\"rpm\":0,\"tpm\":0,\"itpm\":0,\"rpd\":0,\"tpd\":0,\"limiter\":\"rolling\"," \
    "\"window_ms\":60000,\"day_ms\":86400000,\"headers\":\"auto\",\"refusal_style\":\"own\"}}}"

static struct fixture fixture;

static void start(const char *settings)
{
    fixture = (struct fixture){0};
    fixture_start_simulator(&fixture, settings, NULL);
}

static struct client_reply post_as(const char *path, const char *header, const char *body)
{
    const char *const headers[] = {header, NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", fixture.simulator_url, path);
    return client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
}

static struct client_reply chat(const char *body)
{
    return post_as("/v1/chat/completions", "Authorization: Bearer sk-one", body);
}

static void assert_in(const struct buf *b, const char *text)
{
    if (!b->n || !strstr(b->p, text))
        fail_msg("\"%s\" is not in: %.*s", text, (int)b->n, b->n ? b->p : "");
}

static void assert_not_in(const struct buf *b, const char *text)
{
    if (b->n && strstr(b->p, text))
        fail_msg("\"%s\" is in: %.*s", text, (int)b->n, b->p);
}

static void expect(const char *body, int status)
{
    struct client_reply r = chat(body);

    if (r.status != status)
        fail_msg("%d: %.*s", r.status, (int)r.body.n, r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

/* ---- in whose words ---- */

struct words {
    const char *settings; /* of every model */
    const char *path, *header, *body;
    int status;
    const char *in_head, *not_in_head; /* NULL: nothing in particular */
    const char *in_body[3];
};

#define OPENAI    "/v1/chat/completions", "X-None: 1", CHAT
#define ANTHROPIC "/v1/messages", "anthropic-version: 2023-06-01", CLAUDE
#define GEMINI    "/v1beta/models/g:generateContent", "x-goog-api-key: k", ASK
#define AZURE     "/openai/deployments/d/chat/completions", "api-key: k", "{" HELLO "}"

/* Each is asked twice: the first call is within the limit wherever it can be, the second is not. */
static const struct words rows[] = {
    {SLOW "\"day_ms\":7200000,\"rpd\":1",
     OPENAI,
     429,
     "Retry-After: 7",
     NULL,
     {"Rate limit reached for gpt-4o in organization org-simulator on requests per day (RPD): Limit 1, Used "
      "1, Requested 1. Please try again in "}},
    {SLOW "\"tpd\":17", OPENAI, 429, NULL, NULL, {"on tokens per day (TPD): Limit 17, Used 10, Requested 8"}},
    {SLOW "\"tpm\":17,\"limiter\":\"bucket\",\"headers\":\"groq\",\"rpd\":9",
     OPENAI,
     429,
     "x-ratelimit-limit-requests: 9\r\n",
     "openai-organization",
     {"Rate limit reached for model `gpt-4o` in organization `org-simulator` service tier `on_demand` on "
      "tokens per minute (TPM): Limit 17, Used 10, Requested 8. Please try again in 35.",
      "\"type\":\"tokens\"", "\"code\":\"rate_limit_exceeded\""}},
    {"\"tpm\":7,\"headers\":\"groq\"",
     OPENAI,
     413,
     NULL,
     "Retry-After",
     {"Request too large for model `gpt-4o`", "Limit 7, Requested 8, please reduce your message size"}},
    {SLOW "\"rpm\":1,\"refusal_style\":\"plain\"", OPENAI, 429, NULL, "Retry-After",
     {"You have reached the request limit: Maximum 1 requests within 10 minutes."}},
    {"\"tpm\":11,\"window_ms\":90000,\"refusal_style\":\"plain\"",
     OPENAI,
     429,
     NULL,
     "Retry-After",
     {"Maximum 11 tokens within 90 seconds."}},
    {"\"rpd\":1,\"day_ms\":1234567,\"refusal_style\":\"plain\"",
     OPENAI,
     429,
     NULL,
     NULL,
     {"Maximum 1 requests within 1234567 milliseconds."}},
    {SLOW "\"rpm\":1,\"refusal_style\":\"bare\"",
     OPENAI,
     429,
     NULL,
     "Retry-After",
     {"\"message\":\"Rate limit exceeded\""}},
    {SLOW "\"rpm\":1,\"refusal_style\":\"bare\"",
     GEMINI,
     429,
     NULL,
     NULL,
     {"Resource has been exhausted (e.g. check quota).\",\"status\":\"RESOURCE_EXHAUSTED\"}}"}},
    {"\"itpm\":1",
     ANTHROPIC,
     429,
     "anthropic-ratelimit-input-tokens-limit: 1\r\n",
     NULL,
     {"This request would exceed your organization's rate limit of 1 input tokens per minute (org: "
      "608c5951-ca67-4ed3-8bf5-2fe0b1fb2608, model: claude-opus-5). For details, refer to: "}},
    {SLOW "\"rpm\":1",
     ANTHROPIC,
     429,
     "anthropic-organization-id: 608c5951-",
     NULL,
     {"rate limit of 1 requests per minute"}},
    {SLOW "\"rpm\":1",
     GEMINI,
     429,
     NULL,
     "ratelimit",
     {"\"quotaId\":\"GenerateRequestsPerMinutePerProjectPerModel\",\"quotaDimensions\":{\"location\":"
      "\"global\",\"model\":\"g\"},"
      "\"quotaValue\":\"1\"",
      "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"",
      "limit: 1, model: g\\nPlease retry in "}},
    {"\"rpd\":1",
     GEMINI,
     429,
     NULL,
     NULL,
     {"\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel\"", "\"retryDelay\":\"86400s\"}]}}"}},
    {"\"itpm\":1",
     GEMINI,
     429,
     NULL,
     NULL,
     {"\"quotaId\":\"GenerateContentInputTokensPerModelPerMinute\"", "\"quotaValue\":\"1\""}},
    {SLOW "\"tpm\":12",
     AZURE,
     429,
     "x-ratelimit-remaining-tokens: ",
     "x-ratelimit-limit",
     {"exceeded token rate limit of your"}},
    {SLOW "\"rpd\":1", AZURE, 429, NULL, NULL, {"exceeded call rate limit of your"}},
    {SLOW "\"rpm\":1,\"headers\":\"venice\"",
     OPENAI,
     429,
     "x-ratelimit-reset-requests: 1",
     "openai-organization",
     {"requests per min (RPM)"}},
    {SLOW "\"rpm\":1,\"headers\":\"none\"",
     OPENAI,
     429,
     "Retry-After",
     "ratelimit",
     {"requests per min (RPM)"}},
    {SLOW "\"rpm\":1,\"headers\":\"anthropic\"",
     OPENAI,
     429,
     "anthropic-ratelimit-requests-remaining: 0\r\n",
     "x-ratelimit",
     {"requests per min (RPM)"}},
};

static void test_refusals__in_each_providers_words__are_as_quoted(void **state)
{
    (void)state;
    start(NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct words *w = &rows[i];
        struct client_reply r;
        char settings[512];

        /* a window of its own each time: limits that change start empty */
        fixture_sim_config(&fixture, NO_LIMITS);
        snprintf(settings, sizeof settings, "{\"models\":{\"*\":{%s}}}", w->settings);
        fixture_sim_config(&fixture, settings);
        r = post_as(w->path, w->header, w->body);
        client_reply_release(&r);
        r = post_as(w->path, w->header, w->body);
        if (r.status != w->status)
            fail_msg("%s: %d %.*s", w->settings, r.status, (int)r.body.n, r.body.p);
        if (w->in_head)
            assert_in(&r.head, w->in_head);
        if (w->not_in_head)
            assert_not_in(&r.head, w->not_in_head);
        for (size_t k = 0; k < MG_ARRAY_LEN(w->in_body) && w->in_body[k]; k++)
            assert_in(&r.body, w->in_body[k]);
        client_reply_release(&r);
    }
    fixture_stop(&fixture);
}

static void test_anthropic__big_numbers__are_grouped(void **state)
{
    struct client_reply r;

    (void)state;
    start("{\"models\":{\"*\":{\"itpm\":30000," SLOW "\"limiter\":\"rolling\"}}}");
    fixture_sim_post(&fixture, "/_sim/charge", "{\"model\":\"claude-opus-5\",\"tokens\":30000}");
    r = post_as("/v1/messages", "anthropic-version: 2023-06-01", CLAUDE);
    assert_int_equal(r.status, 429);
    assert_in(&r.body, "rate limit of 30,000 input tokens per minute");
    client_reply_release(&r);
    fixture_stop(&fixture);
}

static void test_gemini__with_retry_after_ms__tells_the_wait_to_the_millisecond(void **state)
{
    struct client_reply r;
    const char *at;
    int whole = 0, ms = 0, length = 0;

    (void)state;
    start("{\"retry_after_ms\":true,\"models\":{\"*\":{\"rpd\":1,\"day_ms\":7200000}}}");
    r = post_as("/v1beta/models/g:generateContent", "x-goog-api-key: k", ASK);
    client_reply_release(&r);
    r = post_as("/v1beta/models/g:generateContent", "x-goog-api-key: k", ASK);
    at = strstr(r.body.p, "\"retryDelay\":\"");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"retryDelay\":\"%d.%3ds\"%n", &whole, &ms, &length), 2);
    assert_true(length > 0);
    assert_in_range(whole, 7000, 7200);
    client_reply_release(&r);
    fixture_stop(&fixture);
}

/* ---- whose limits they are ---- */

static void test_scope_key__two_credentials__are_two_organizations(void **state)
{
    struct client_reply one, two;
    char first[64], path[128];
    cJSON *audit;

    (void)state;
    start("{\"scope\":\"key\",\"models\":{\"gpt-4o\":{\"rpm\":1," SLOW "\"limiter\":\"rolling\"}}}");
    one = post_as("/v1/chat/completions", "Authorization: Bearer sk-one", CHAT);
    two = post_as("/v1/chat/completions", "Authorization: Bearer sk-two", CHAT);
    assert_int_equal(one.status, 200);
    assert_int_equal(two.status, 200);
    snprintf(first, sizeof first, "%s", client_header(&one, "openai-organization"));
    assert_string_not_equal(first, client_header(&two, "openai-organization"));
    client_reply_release(&one);
    client_reply_release(&two);
    two = post_as("/v1/chat/completions", "Authorization: Bearer sk-one", CHAT);
    assert_int_equal(two.status, 429);
    assert_in(&two.body, first);
    client_reply_release(&two);
    audit = fixture_audit(&fixture);
    snprintf(path, sizeof path, "models.gpt-4o@%s.arrivals", first);
    assert_int_equal(json_number(audit, path), 2);
    snprintf(path, sizeof path, "models.gpt-4o@%s.organization", first);
    assert_string_equal(json_text(audit, path), first);
    assert_int_equal(json_number(audit, "arrivals"), 3);
    cJSON_Delete(audit);
    fixture_stop(&fixture);
}

static void test_pool__of_a_family__limits_all_of_it(void **state)
{
    struct client_reply r;
    cJSON *audit;

    (void)state;
    start("{\"models\":{\"gpt-4o\":{\"tpm\":1000," SLOW "\"limiter\":\"rolling\"}},"
          "\"pools\":{\"family\":{\"models\":[\"gpt-4o*\"],\"tpm\":27," SLOW "\"limiter\":\"rolling\"}}}");
    expect(CHAT, 200);
    r = chat("{\"model\":\"gpt-4o-mini\"," HELLO "}");
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "x-ratelimit-limit-tokens"), "27");
    assert_string_equal(client_header(&r, "x-ratelimit-remaining-tokens"),
                        "9"); /* 8 + 2 and 8: its output is to come */
    client_reply_release(&r);
    r = chat(CHAT);
    assert_int_equal(r.status, 429);
    assert_in(&r.body, "Rate limit reached for gpt-4o (for limit family) in organization org-simulator on "
                       "tokens per min (TPM): "
                       "Limit 27, Used 20, Requested 8");
    client_reply_release(&r);
    expect("{\"model\":\"claude\"," HELLO "}", 200);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "pools.family.peak_tokens"), 20);
    assert_int_equal(json_number(audit, "models.gpt-4o.refused"), 1);
    assert_int_equal(json_number(audit, "refused"), 1);
    cJSON_Delete(audit);
    fixture_stop(&fixture);
}

static void test_concurrent__one_too_many__is_refused_without_a_time(void **state)
{
    struct client_async *held;
    struct client_reply r;
    char url[256];

    (void)state;
    start("{\"models\":{\"gpt-4o\":{\"concurrent\":1}},\"faults\":[{\"fault\":\"hold\",\"next\":1}]}");
    snprintf(url, sizeof url, "%s/v1/chat/completions", fixture.simulator_url);
    held = client_start(&(struct client_call){.url = url, .body = CHAT});
    fixture_sim_wait(&fixture, "held=1");
    r = chat(CHAT);
    assert_int_equal(r.status, 429);
    assert_in(&r.body, "reached max organization concurrency: 1, please try again after 1 seconds");
    assert_not_in(&r.head, "Retry-After");
    client_reply_release(&r);
    fixture_sim_post(&fixture, "/_sim/release", NULL);
    r = client_finish(held);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    expect(CHAT, 200);
    fixture_stop(&fixture);
}

/* ---- what else uses them up ---- */

static void test_foreign__use_of_others__is_in_headers_and_refusals_but_no_arrival(void **state)
{
    struct client_reply r;
    cJSON *audit;

    (void)state;
    start("{\"models\":{\"gpt-4o\":{\"tpm\":68," SLOW
          "\"limiter\":\"rolling\",\"foreign\":{\"tokens\":50,\"every_ms\":3600000}}}}");
    r = chat(CHAT);
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "x-ratelimit-remaining-tokens"), "10");
    client_reply_release(&r);
    r = chat("{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello "
             "hello\"}],\"max_tokens\":2}");
    assert_int_equal(r.status, 429);
    assert_in(&r.body, "Limit 68, Used 60, Requested 9");
    client_reply_release(&r);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.gpt-4o.foreign_tokens"), 50);
    assert_int_equal(json_number(audit, "models.gpt-4o.tokens"), 60);
    assert_int_equal(json_number(audit, "models.gpt-4o.arrivals"), 2);
    assert_int_equal(json_number(audit, "models.gpt-4o.refused"), 1);
    assert_int_equal(json_number(audit, "models.gpt-4o.n429"), 1);
    assert_int_equal(json_number(audit, "models.gpt-4o.requests"), 2);
    cJSON_Delete(audit);

    /* nobody calls: it begins when it is told to */
    fixture_sim_post(&fixture, "/_sim/reset", NULL);
    fixture_sim_post(&fixture, "/_sim/foreign", "{\"model\":\"gpt-4o\"}");
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.gpt-4o.foreign_tokens"), 50);
    assert_int_equal(json_number(audit, "models.gpt-4o.arrivals"), 0);
    cJSON_Delete(audit);
    fixture_stop(&fixture);
}

static void test_groq_charging__cached_tokens__do_not_count(void **state)
{
    static const char body[] = "{\"model\":\"llama\",\"messages\":[{\"role\":\"user\",\"content\":\"one two "
                               "three four [[cached=9]]\"}],\"max_tokens\":2}";
    struct client_reply r;
    cJSON *json, *audit;
    double input;

    (void)state;
    start("{\"models\":{\"llama\":{\"tpm\":1000," SLOW "\"charging\":\"groq\",\"headers\":\"groq\"}}}");
    r = chat(body);
    json = client_json(&r);
    input = json_number(json, "usage.prompt_tokens");
    assert_true(input > 9);
    assert_int_equal(json_number(json, "usage.prompt_tokens_details.cached_tokens"), 9);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.llama.tokens"), input - 9 + 2);
    assert_int_equal(json_number(audit, "models.llama.list.0.charged"), input - 9);
    cJSON_Delete(json);
    cJSON_Delete(audit);
    client_reply_release(&r);
    fixture_stop(&fixture);
}

/* ---- the audit and the settings ---- */

static void test_audit__tells__the_makespan_and_peaks_of_any_span(void **state)
{
    char url[256];
    struct client_reply r;
    cJSON *audit;

    (void)state;
    start(NULL);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "other.makespan_us"), 0);
    cJSON_Delete(audit);
    expect(CHAT, 200);
    expect(CHAT, 200);
    audit = fixture_audit(&fixture);
    assert_int_equal(json_number(audit, "models.gpt-4o.first_us"),
                     json_number(audit, "models.gpt-4o.list.0.t_us"));
    assert_int_equal(json_number(audit, "models.gpt-4o.last_us"),
                     json_number(audit, "models.gpt-4o.list.1.t_us"));
    assert_int_equal(json_number(audit, "models.gpt-4o.last_end_us"),
                     json_number(audit, "models.gpt-4o.list.1.end_us"));
    assert_int_equal(json_number(audit, "models.gpt-4o.makespan_us"),
                     json_number(audit, "models.gpt-4o.list.1.end_us") -
                         json_number(audit, "models.gpt-4o.list.0.t_us"));
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_tokens"), 20);
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_input"), 16);
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_output"), 4);
    cJSON_Delete(audit);

    /* sixty seconds and more back: a day and an hour see the same */
    snprintf(url, sizeof url, "%s/_sim/audit?span_ms=3600000&arrivals=0", fixture.control_url);
    r = client_run(&(struct client_call){.url = url});
    audit = client_json(&r);
    assert_int_equal(json_number(audit, "models.gpt-4o.peak_tokens"), 20);
    cJSON_Delete(audit);
    client_reply_release(&r);
    fixture_stop(&fixture);
}

static void test_settings__that_make_no_sense__are_refused(void **state)
{
    static const char *const bad[] = {
        "{\"models\":{\"m\":{\"headers\":\"moonshot\"}}}",
        "{\"models\":{\"m\":{\"day_ms\":0}}}",
        "{\"models\":{\"m\":{\"foreign\":{\"tokens\":5}}}}",
        "{\"models\":{\"m\":{\"foreign\":{\"tokens\":5,\"every_ms\":5,\"output\":6}}}}",
        "{\"models\":{\"m\":{\"foreign\":{\"token\":5,\"every_ms\":5}}}}",
        "{\"models\":{\"m\":{\"foreign\":7}}}",
        "{\"pools\":{\"p\":{\"models\":\"m\"}}}",
        "{\"pools\":{\"p\":{\"models\":[1]}}}",
        "{\"pools\":{\"p\":{\"charging\":\"openai\"}}}",
        "{\"pools\":{\"p\":{\"window_ms\":0}}}",
        "{\"scope\":\"organization\"}",
        "{\"models\":{\"m\":{\"refusal_style\":true}}}",
    };

    (void)state;
    start(NULL);
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        struct client_reply r = post_as("/_sim/config", "X-None: 1", bad[i]);

        if (r.status != 400)
            fail_msg("%s: %d", bad[i], r.status);
        client_reply_release(&r);
    }
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals__in_each_providers_words__are_as_quoted),
        cmocka_unit_test(test_anthropic__big_numbers__are_grouped),
        cmocka_unit_test(test_gemini__with_retry_after_ms__tells_the_wait_to_the_millisecond),
        cmocka_unit_test(test_scope_key__two_credentials__are_two_organizations),
        cmocka_unit_test(test_pool__of_a_family__limits_all_of_it),
        cmocka_unit_test(test_concurrent__one_too_many__is_refused_without_a_time),
        cmocka_unit_test(test_foreign__use_of_others__is_in_headers_and_refusals_but_no_arrival),
        cmocka_unit_test(test_groq_charging__cached_tokens__do_not_count),
        cmocka_unit_test(test_audit__tells__the_makespan_and_peaks_of_any_span),
        cmocka_unit_test(test_settings__that_make_no_sense__are_refused),
    };

    return cmocka_run_group_tests_name("simulator_limits", tests, NULL, NULL);
}
