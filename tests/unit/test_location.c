/* location: wherever a provider sends a client, its credentials come to nobody but that provider, by whatever spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/location.h"

struct row {
    const char *value, *becomes; /* NULL: none */
};

static void check(const struct location_context *c, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf out;
        bool given;

        buf_init(&out, BUF_UNLIMITED);
        given = location_for_client(slice_str(rows[i].value), c, &out);
        if (given != (rows[i].becomes != NULL) || !slice_eq(buf_slice(&out), slice_str(given ? rows[i].becomes : "")))
            fail_msg("%s became %.*s", rows[i].value, given ? (int)out.n : 4, given ? out.p : "none");
        buf_release(&out);
    }
}

/* openai's: base_url takes the place of /v1. */
#define CORP                                                                                                           \
    {                                                                                                                  \
        .base_url = SLICE("https://api.corp.example/llm/v7"), .url = SLICE("https://api.corp.example/llm/v7/models/x"), \
        .upstream = SLICE("corp"), .takes_v1 = true, .host = SLICE("localhost:4283"), .port = 4283,                    \
    }

static void test_location__of_the_provider_itself__leads_back_to_that_provider(void **state)
{
    static const struct row rows[] = {
        {"/llm/v7/models/x/", "/corp/v1/models/x/"},
        {"/llm/v7", "/corp/v1"},
        {"/llm/v7?a=b", "/corp/v1?a=b"},
        {"https://api.corp.example/llm/v7/models/x/", "/corp/v1/models/x/"},
        {"HTTPS://API.corp.example:443/llm/v7/y?a=/..#z", "/corp/v1/y?a=/..#z"},
        {"http://api.corp.example/llm/v7/models/x/", "/corp/v1/models/x/"}, /* its TLS ends before it */
        {"//api.corp.example/llm/v7/y", "/corp/v1/y"},
        {"y", "/corp/v1/models/y"},
        {"y/z?q", "/corp/v1/models/y/z?q"},
        {"?q=1", "/corp/v1/models/x?q=1"},
        {"#part", "/corp/v1/models/x#part"},
        {"/llm/v7//evil.example/y", "/corp/v1//evil.example/y"},
    };
    const struct location_context c = CORP;

    (void)state;
    check(&c, rows, MG_ARRAY_LEN(rows));
}

static void test_location__elsewhere__is_whole(void **state)
{
    static const struct row rows[] = {
        {"https://evil.example/x?y#z", "https://evil.example/x?y#z"},
        {"https://evil.example", "https://evil.example/"},
        {"https://evil.example?y", "https://evil.example/?y"},
        {"http://127.0.0.1:11434/x", "http://127.0.0.1:11434/x"},
        {"//evil.example/x", "https://evil.example/x"},
        {"/v1/models/x", "https://api.corp.example/v1/models/x"}, /* here it would be another upstream's */
        {"/-/pause", "https://api.corp.example/-/pause"},
        {"/", "https://api.corp.example/"},
        {"/llm/v77/x", "https://api.corp.example/llm/v77/x"},
        {"http://api.corp.example:8080/llm/v7/x", "http://api.corp.example:8080/llm/v7/x"},
    };
    const struct location_context c = CORP;

    (void)state;
    check(&c, rows, MG_ARRAY_LEN(rows));
}

static void test_location__to_this_daemon_or_ambiguous__is_none(void **state)
{
    static const struct row rows[] = {
        {"http://localhost:4283/-/pause", NULL},
        {"http://LOCALHOST:4283/-/pause", NULL},
        {"http://127.0.0.1:4283/openai/v1/files", NULL},
        {"http://127.1:4283/-/pause", NULL},
        {"http://0x7f000001:04283/-/pause", NULL},
        {"http://[::ffff:127.0.0.1]:4283/-/pause", NULL},
        {"http://localtest.me:4283/-/pause", NULL},
        {"http://user@localhost:4283/-/pause", NULL},
        {"https://user:secret@evil.example/", NULL},
        {"//localhost:4283/-/pause", NULL},
        {"http:/-/pause", NULL},
        {"http:-/pause", NULL},
        {"https:////evil.example/", NULL},
        {"/llm/v7/../../-/pause", NULL},
        {"/llm/v7/%2e%2e/%2E./-/pause", NULL},
        {"/llm/v7/%252e%252e/x", NULL},
        {"/llm/v7/..;/x", NULL},
        {"../../../-/pause", NULL},
        {"..", NULL},
        {"\\\\evil.example\\x", NULL},
        {"/\\evil.example", NULL},
        {"/llm/v7/a\tb", NULL},
        {"/llm/v7/a b", NULL},
        {"/llm/v7/caf\xc3\xa9", NULL},
        {"javascript:alert(1)", NULL},
        {"data:text/html,x", NULL},
        {"file:///etc/passwd", NULL},
        {"ftp://evil.example/", NULL},
        {"//", NULL},
        {"http://", NULL},
        {"", NULL},
    };
    const struct location_context c = CORP;

    (void)state;
    check(&c, rows, MG_ARRAY_LEN(rows));
}

static void test_location__of_other_dialects_and_clients__keeps_their_path(void **state)
{
    static const struct row host[] = {
        {"/v1/messages/", "/@nightly:low/claude/v1/messages/"},
        {"http://127.0.0.1:9/", "/@nightly:low/claude/"},
        {"http://127.0.0.1:9", "/@nightly:low/claude/"},
        {"http://127.0.0.1/", "http://127.0.0.1/"},
        {"http://proxy.lan/x", NULL}, /* by this name the client has called */
        {"http://proxy.lan:80/x", NULL},
    };
    static const struct row slash[] = {
        {"/v1/y", "/@a/plain/v1/y"},
    };
    const struct location_context with_priority = {
        .base_url = SLICE("http://127.0.0.1:9"), .url = SLICE("http://127.0.0.1:9/v1/messages"), .upstream = SLICE("claude"),
        .client = SLICE("nightly"), .priority = SLICE("low"), .host = SLICE("proxy.lan"), .port = 4283,
    };
    const struct location_context on_unix = {
        .base_url = SLICE("http://127.0.0.1:9/v1/"), .url = SLICE("http://127.0.0.1:9/v1/x"), .upstream = SLICE("plain"),
        .takes_v1 = true, .client = SLICE("a"),
    };

    (void)state;
    check(&with_priority, host, MG_ARRAY_LEN(host));
    check(&on_unix, slash, MG_ARRAY_LEN(slash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_location__of_the_provider_itself__leads_back_to_that_provider),
        cmocka_unit_test(test_location__elsewhere__is_whole),
        cmocka_unit_test(test_location__to_this_daemon_or_ambiguous__is_none),
        cmocka_unit_test(test_location__of_other_dialects_and_clients__keeps_their_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
