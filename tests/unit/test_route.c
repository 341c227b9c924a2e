/* route: every routing rule, one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/proxy/route.h"

static bool is_upstream(void *arg, struct slice name)
{
    (void)arg;
    return slice_eq(name, SLICE("openai")) || slice_eq(name, SLICE("groq"));
}

static bool is_our_host(void *arg, struct slice host)
{
    (void)arg;
    return slice_eq(slice_head(host, slice_find(host, ':')), SLICE("127.0.0.1")) ||
           slice_eq(host, SLICE("localhost"));
}

static const struct route_rules rules = {is_upstream, is_our_host, NULL};

static const struct {
    const char *method, *target;
    struct route_hints hints;
    enum route_kind kind;
    const char *client, *priority, *path, *query;
} rows[] = {
    {"GET", "/", {0}, ROUTE_OWN, "", "", "/", ""},
    {"GET", "/healthz", {0}, ROUTE_OWN, "", "", "/healthz", ""},
    {"GET", "/-/status?x=1", {0}, ROUTE_OWN, "", "", "/-/status", "x=1"},
    {"GET", "/metricsx", {0}, ROUTE_NONE, "", "", "/metricsx", ""},
    {"POST", "/v1/chat/completions", {0}, ROUTE_OPENAI, "", "", "/v1/chat/completions", ""},
    {"POST", "/@nightly/v1/chat/completions", {0}, ROUTE_OPENAI, "nightly", "", "/v1/chat/completions", ""},
    {"POST", "/@nightly:low/v1/models", {0}, ROUTE_OPENAI, "nightly", "low", "/v1/models", ""},
    {"GET", "/@a", {0}, ROUTE_OWN, "a", "", "/", ""},
    {"GET", "/@a:urgent/v1/models", {0}, ROUTE_BAD, "a", "urgent", NULL, ""},
    {"GET", "/@/v1/models", {0}, ROUTE_BAD, "", "", NULL, ""},
    {"GET", "/@a%20b/v1/models", {0}, ROUTE_BAD, NULL, "", NULL, ""},
    {"POST", "/groq/v1/chat/completions?a=b", {0}, ROUTE_NAMED, "", "", "/v1/chat/completions", "a=b"},
    {"POST", "/openai/v1/chat/completions", {0}, ROUTE_NAMED, "", "", "/v1/chat/completions", ""},
    {"POST", "/openai/deployments/x/chat/completions", {0}, ROUTE_AZURE, "", "", NULL, ""},
    {"POST", "/openai/v1/responses", {.has_api_key = true}, ROUTE_AZURE, "", "", NULL, ""},
    {"POST", "/v1/chat/completions?api-version=1", {0}, ROUTE_AZURE, "", "", NULL, NULL},
    {"POST", "/v1/messages", {0}, ROUTE_ANTHROPIC, "", "", "/v1/messages", ""},
    {"POST", "/v1/messages/count_tokens", {0}, ROUTE_ANTHROPIC, "", "", NULL, ""},
    {"POST", "/messages", {0}, ROUTE_ANTHROPIC, "", "", "/messages", ""},
    {"GET", "/v1/models", {.has_anthropic_version = true}, ROUTE_ANTHROPIC, "", "", NULL, ""},
    {"POST", "/v1beta/models/g:generateContent", {0}, ROUTE_GEMINI, "", "", NULL, ""},
    {"POST", "/v1/models/g:generateContent?key=k", {0}, ROUTE_GEMINI, "", "", NULL, "key=k"},
    {"POST", "/v1/x?monkey=k", {0}, ROUTE_OPENAI, "", "", NULL, "monkey=k"},
    {"POST", "/api/chat", {0}, ROUTE_OLLAMA, "", "", "/api/chat", ""},
    {"GET", "/favicon.ico", {0}, ROUTE_NONE, "", "", NULL, ""},
    {"GET", "/v1x/models", {0}, ROUTE_NONE, "", "", NULL, ""},
    {"POST", "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", {0}, ROUTE_NONE, "", "", NULL, ""},
    {"POST", "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", {.has_api_key = true}, ROUTE_NONE, "", "", NULL, ""},
    {"POST", "/v1beta1/projects/p/x?key=k", {.has_goog_api_key = true}, ROUTE_NONE, "", "", NULL, "key=k"},
    {"POST", "/@me/v1/v1beta1/projects/p", {.has_anthropic_version = true}, ROUTE_NONE, "me", "", NULL, ""},
    {"POST", "/v1beta1/publishers/google/models/g:generateContent", {.has_goog_api_key = true}, ROUTE_NONE, "", "", NULL, ""},
    {"POST", "/groq/v1/projects/p", {0}, ROUTE_NAMED, "", "", "/v1/projects/p", ""},
    {"GET", "/v1/projectsx", {0}, ROUTE_OPENAI, "", "", NULL, ""},
    {"GET", "/v1/organization/projects", {0}, ROUTE_OPENAI, "", "", NULL, ""},
    {"GET", "/v1beta/projects/p", {0}, ROUTE_GEMINI, "", "", NULL, ""},
    {"CONNECT", "api.openai.com:443", {0}, ROUTE_NOT_A_TUNNEL, "", "", NULL, ""},
    {"GET", "http://api.openai.com/v1/models", {0}, ROUTE_NOT_A_TUNNEL, "", "", NULL, ""},
    {"GET", "http://127.0.0.1:4283/v1/models?a=b", {0}, ROUTE_OPENAI, "", "", "/v1/models", "a=b"},
    {"GET", "HTTP://localhost", {0}, ROUTE_OWN, "", "", "/", ""},
    {"GET", "http://localhost.evil.example/v1/models", {0}, ROUTE_NOT_A_TUNNEL, "", "", NULL, ""},
    {"GET", "http://user@localhost/v1/models", {0}, ROUTE_NOT_A_TUNNEL, "", "", NULL, ""},
    {"GET", "https://localhost/v1/models", {0}, ROUTE_NOT_A_TUNNEL, "", "", NULL, ""},
    {"OPTIONS", "*", {0}, ROUTE_NONE, "", "", NULL, ""},
    {"GET", "/v1/%2e%2e/x", {0}, ROUTE_OPENAI, "", "", "/v1/%2e%2e/x", ""},
    {"GET", "/v1/a#b", {0}, ROUTE_BAD, "", "", NULL, ""},
    {"GET", "//v1/models", {0}, ROUTE_NONE, "", "", NULL, ""},
};

static void same(struct slice got, const char *want)
{
    if (want && !slice_eq(got, slice_str(want)))
        fail_msg("got '%.*s', want '%s'", (int)got.n, got.p, want);
}

static void test_route__every_row_of_the_contract__goes_where_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct route r =
            route_read(slice_str(rows[i].method), slice_str(rows[i].target), &rows[i].hints, &rules);

        if (r.kind != rows[i].kind)
            fail_msg("%s %s: kind %d, want %d", rows[i].method, rows[i].target, (int)r.kind, (int)rows[i].kind);
        if (r.kind == ROUTE_BAD)
            assert_non_null(r.problem);
        same(r.client, rows[i].client);
        same(r.priority, rows[i].priority);
        same(r.path, rows[i].path);
        same(r.query, rows[i].query);
    }
}

/* A credential of Google's cloud must not reach another provider, and its owner is told what to do. */
static void test_route__a_path_of_vertex__is_no_route_and_says_why(void **state)
{
    struct slice target = SLICE("/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict");
    struct route r = route_read(SLICE("POST"), target, &(struct route_hints){.has_anthropic_version = true}, &rules);

    (void)state;
    assert_int_equal(r.kind, ROUTE_NONE);
    assert_non_null(strstr(r.problem, "GOOGLE_VERTEX_BASE_URL"));
    assert_null(route_read(SLICE("GET"), SLICE("/v2/x"), &(struct route_hints){0}, &rules).problem);
}

static void test_route__a_target_with_a_control_byte__is_bad(void **state)
{
    (void)state;
    for (int c = 0; c <= 0x20; c++) {
        char target[] = "/v1/?x";
        struct route r;

        target[4] = (char)c;
        r = route_read(SLICE("GET"), slice_of(target, sizeof target - 1), &(struct route_hints){0}, &rules);
        assert_int_equal(r.kind, ROUTE_BAD);
    }
}

static void test_route__an_empty_query__is_not_no_query(void **state)
{
    (void)state;
    assert_null(route_read(SLICE("GET"), SLICE("/v1/models"), &(struct route_hints){0}, &rules).query.p);
    assert_non_null(route_read(SLICE("GET"), SLICE("/v1/models?"), &(struct route_hints){0}, &rules).query.p);
}

static const struct {
    const char *target;
    struct route_hints hints;
    enum route_kind want;
} speech[] = {
    {"/v1/chat/completions", {0}, ROUTE_OPENAI},
    {"/nowhere", {0}, ROUTE_OPENAI},
    {"", {0}, ROUTE_OPENAI},
    {"/v1/messages", {0}, ROUTE_ANTHROPIC},
    {"/messages", {0}, ROUTE_ANTHROPIC},
    {"/@me/nosuch/v1/messages/count_tokens?x", {0}, ROUTE_ANTHROPIC},
    {"/nowhere", {.has_anthropic_version = true}, ROUTE_ANTHROPIC},
    {"/v1/projects/p/locations/l/publishers/google/models/g:generateContent", {0}, ROUTE_GEMINI},
    {"/v1beta1/projects/p/x", {0}, ROUTE_GEMINI},
    {"/nosuch/v1beta/models/g:generateContent", {0}, ROUTE_GEMINI},
    {"/nowhere?alt=sse&key=k", {0}, ROUTE_GEMINI},
    {"/nowhere", {.has_goog_api_key = true}, ROUTE_GEMINI},
    {"/v1beta/openai/chat/completions", {.has_goog_api_key = true}, ROUTE_OPENAI},
};

static void test_route__speech__is_told_by_path_or_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(speech); i++) {
        if (route_speech(slice_str(speech[i].target), &speech[i].hints) != speech[i].want)
            fail_msg("row %zu: %s", i, speech[i].target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__every_row_of_the_contract__goes_where_it_says),
        cmocka_unit_test(test_route__a_path_of_vertex__is_no_route_and_says_why),
        cmocka_unit_test(test_route__a_target_with_a_control_byte__is_bad),
        cmocka_unit_test(test_route__an_empty_query__is_not_no_query),
        cmocka_unit_test(test_route__speech__is_told_by_path_or_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
