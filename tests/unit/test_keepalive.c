/* keepalive, patience: who may be told 102, and how long a client waits by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/proxy/keepalive.h"
#include "metergate/proxy/patience.h"

#define HEADERS_MAX 4

struct request {
    int minor;
    const char *headers[HEADERS_MAX][2];
};

static struct http_head head_of(const struct request *r, struct http_header *to)
{
    struct http_head head = {.method = SLICE("POST"), .target = SLICE("/"), .minor = r->minor, .headers = to};

    for (size_t i = 0; i < HEADERS_MAX && r->headers[i][0]; i++)
        to[head.header_count++] =
            (struct http_header){slice_str(r->headers[i][0]), slice_str(r->headers[i][1])};
    return head;
}

#define AGENT(text)                                                                                          \
    {                                                                                                        \
        1,                                                                                                   \
        {                                                                                                    \
            {                                                                                                \
                "User-Agent", text                                                                           \
            }                                                                                                \
        }                                                                                                    \
    }

static void test_keepalive__is_for_clients_that_are_known_to_skip_it(void **state)
{
    static const struct {
        struct request request;
        bool may;
    } rows[] = {
        {AGENT("curl/7.88.1"), true},
        {AGENT("node"), true},
        {AGENT("undici"), true},
        {AGENT("python-httpx/0.28.1"), true},
        {AGENT("Python/3.11 aiohttp/3.14.5"), true},
        {AGENT("ai/6.0.326 ai-sdk/provider-utils/4.0.66 runtime/node.js/v20.20.2"), true},
        {AGENT("ai/6.0.326 runtime/browser"), false},
        {{1,
          {{"User-Agent", "OpenAI/JS 6.49.0"}, {"X-Stainless-Lang", "js"}, {"X-Stainless-Runtime", "node"}}},
         true},
        {{1, {{"User-Agent", "mine"}, {"x-stainless-lang", "js"}, {"x-stainless-runtime", "node"}}}, true},
        {{1,
          {{"User-Agent", "OpenAI/Python 3.3.1"},
           {"x-stainless-lang", "python"},
           {"x-stainless-runtime", "CPython"}}},
         true},
        {{1,
          {{"User-Agent", "OpenAI/JS 6.49.0"}, {"x-stainless-lang", "js"}, {"x-stainless-runtime", "bun"}}},
         false},
        {{1, {{"x-stainless-lang", "go"}, {"x-stainless-runtime", "go"}}}, false},
        {AGENT("OpenAI/JS 6.49.0"), false}, /* without the rest it is not sure what runs it */
        {AGENT("python-requests/2.31.0"), false},
        {AGENT("python-urllib3/2.2"), false},
        {AGENT("Python-urllib/3.11"), false},
        {AGENT("Go-http-client/1.1"), false},
        {AGENT("nodejs"), false},
        {AGENT(""), false},
        {{1, {{NULL, NULL}}}, false},
        {{0, {{"User-Agent", "curl/7.88.1"}}}, false},
        {{1, {{"User-Agent", "curl/7.88.1"}, {"Via", "1.1 squid"}}}, false},
        {{1, {{"User-Agent", "curl/7.88.1"}, {"Forwarded", "for=1"}}}, false},
        {{1, {{"User-Agent", "curl/7.88.1"}, {"X-Forwarded-For", "::1"}}}, false},
        {{1, {{"User-Agent", "curl/7.88.1"}, {"x-real-ip", "::1"}}}, false},
        {AGENT("my-agent/2"), false},
    };
    struct http_header to[HEADERS_MAX];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_head head = head_of(&rows[i].request, to);

        if (keepalive_may_tell(&head, &(struct config_strings){0}) != rows[i].may)
            fail_msg("row %zu", i);
    }
}

static void test_keepalive__a_glob_adds_agents__but_not_those_that_break(void **state)
{
    char glob[] = "my-agent/*", all[] = "*";
    char *globs[] = {glob}, *everybody[] = {all};
    static const struct request mine = AGENT("my-agent/2"), requests = AGENT("python-requests/2.31.0");
    struct http_header to[HEADERS_MAX];
    struct http_head head = head_of(&mine, to);

    (void)state;
    assert_true(keepalive_may_tell(&head, &(struct config_strings){globs, 1}));
    head = head_of(&requests, to);
    assert_false(keepalive_may_tell(&head, &(struct config_strings){everybody, 1}));
}

static void test_patience__ends_before_the_clients_own_timer(void **state)
{
    static const struct {
        struct request request;
        int64_t told_s, untold_s; /* -1: for ever */
    } rows[] = {
        {{1, {{"x-stainless-lang", "js"}}}, 570, 270},
        {{1, {{"x-stainless-lang", "js"}, {"x-stainless-timeout", "100"}}}, 75, 75},
        {{1, {{"x-stainless-lang", "js"}, {"x-stainless-timeout", "3600"}}}, 3570, 270},
        {{1, {{"x-stainless-lang", "js"}, {"x-stainless-timeout", "soon"}}}, 570, 270},
        {{1, {{"x-stainless-lang", "js"}, {"x-stainless-timeout", "0"}}}, 570, 270},
        {{1, {{"x-stainless-lang", "python"}, {"x-stainless-read-timeout", "600.0"}}}, -1, 570},
        {{1, {{"x-stainless-lang", "python"}, {"x-stainless-timeout", "600"}}}, -1, 570},
        {{1, {{"x-stainless-lang", "python"}}}, -1, -1},
        {{1, {{"User-Agent", "curl/8"}, {"x-stainless-timeout", "5"}}}, -1, -1},
    };
    struct http_header to[HEADERS_MAX];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_head head = head_of(&rows[i].request, to);
        int64_t told = patience_us(&head, true), untold = patience_us(&head, false);

        if (told != (rows[i].told_s < 0 ? CLOCK_NEVER : rows[i].told_s * CLOCK_S) ||
            untold != (rows[i].untold_s < 0 ? CLOCK_NEVER : rows[i].untold_s * CLOCK_S))
            fail_msg("row %zu: %lld %lld", i, (long long)told, (long long)untold);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalive__is_for_clients_that_are_known_to_skip_it),
        cmocka_unit_test(test_keepalive__a_glob_adds_agents__but_not_those_that_break),
        cmocka_unit_test(test_patience__ends_before_the_clients_own_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
