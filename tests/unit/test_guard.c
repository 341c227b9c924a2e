/* guard: programs pass, web pages of other origins do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/proxy/guard.h"

static const struct {
    const char *host, *origin, *site;
    enum guard_verdict want;
} rows[] = {
    {"127.0.0.1:4283", NULL, NULL, GUARD_OK},
    {"localhost", NULL, NULL, GUARD_OK},
    {"LOCALHOST:4283", NULL, NULL, GUARD_OK},
    {"metergate.localhost:4283", NULL, NULL, GUARD_OK},
    {"[::1]:4283", NULL, NULL, GUARD_OK},
    {"127.8.9.1", NULL, NULL, GUARD_OK},
    {NULL, NULL, NULL, GUARD_OK},
    {"proxy.lan:4283", NULL, NULL, GUARD_OK},
    {"evil.example", NULL, NULL, GUARD_HOST},
    {"127.0.0.1.evil.example", NULL, NULL, GUARD_HOST},
    {"localhost.evil.example", NULL, NULL, GUARD_HOST},
    {"evillocalhost", NULL, NULL, GUARD_HOST},
    {"10.0.0.1", NULL, NULL, GUARD_HOST},
    {"192.0.2.7:4283", NULL, NULL, GUARD_OK},
    {"192.0.2.70", NULL, NULL, GUARD_HOST},
    {"localhost", "http://192.0.2.7:4283", NULL, GUARD_ORIGIN},
    {"192.0.2.7:4283", "http://192.0.2.7:4283", NULL, GUARD_OK}, /* the dashboard, from another machine */
    {"192.0.2.7:4283", "http://192.0.2.7:4284", NULL, GUARD_ORIGIN},
    {"192.0.2.7:4283", "http://192.0.2.7", NULL, GUARD_ORIGIN},
    {"proxy.lan", "https://proxy.lan", NULL, GUARD_OK},
    {"evil.example", "http://evil.example", NULL, GUARD_HOST},
    {"", NULL, NULL, GUARD_HOST},
    {"[::2]", NULL, NULL, GUARD_HOST},
    {"localhost", "http://localhost:3000", NULL, GUARD_OK},
    {"localhost", "https://127.0.0.1", "cross-site", GUARD_OK},
    {"localhost", "https://app.example", NULL, GUARD_OK},
    {"localhost", "https://evil.example", NULL, GUARD_ORIGIN},
    {"localhost", "https://localhost.evil.example", NULL, GUARD_ORIGIN},
    {"localhost", "null", NULL, GUARD_ORIGIN},
    {"localhost", "", NULL, GUARD_ORIGIN},
    {"localhost", "file://localhost", NULL, GUARD_ORIGIN},
    {"localhost", "http://localhost:80@evil.example", NULL, GUARD_ORIGIN},
    {"localhost", "http://[::1]evil.example", NULL, GUARD_ORIGIN},
    {"localhost", "http://[::1", NULL, GUARD_ORIGIN},
    {"localhost:x", NULL, NULL, GUARD_HOST},
    {"localhost:", NULL, NULL, GUARD_OK},
    {"localhost", NULL, "cross-site", GUARD_SITE},
    {"localhost", NULL, "Cross-Site", GUARD_SITE},
    {"localhost", NULL, "same-origin", GUARD_OK},
    {"localhost", NULL, "none", GUARD_OK},
};

static void test_guard__every_row__is_judged_as_it_says(void **state)
{
    static const char *const hosts[] = {"proxy.lan"}, *const origins[] = {"https://app.example"};
    const struct guard_rules rules = {hosts, 1, origins, 1, SLICE("192.0.2.7")};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_header v[3];
        struct http_head head = {.headers = v};
        struct slice culprit;
        enum guard_verdict got;

        if (rows[i].host)
            v[head.header_count++] = (struct http_header){SLICE("Host"), slice_str(rows[i].host)};
        if (rows[i].origin)
            v[head.header_count++] = (struct http_header){SLICE("Origin"), slice_str(rows[i].origin)};
        if (rows[i].site)
            v[head.header_count++] = (struct http_header){SLICE("Sec-Fetch-Site"), slice_str(rows[i].site)};
        got = guard_check(&head, &rules, &culprit);
        if (got != rows[i].want)
            fail_msg("row %zu (%s, %s): got %d", i, rows[i].host, rows[i].origin, (int)got);
    }
}

static void test_guard__two_origins__must_both_be_ours(void **state)
{
    struct http_header v[] = {{SLICE("Host"), SLICE("localhost")},
                              {SLICE("Origin"), SLICE("http://localhost")},
                              {SLICE("origin"), SLICE("https://evil.example")}};
    const struct http_head head = {.headers = v, .header_count = MG_ARRAY_LEN(v)};
    const struct guard_rules rules = {NULL, 0, NULL, 0, SLICE("")};
    struct slice culprit;

    (void)state;
    assert_int_equal(guard_check(&head, &rules, &culprit), GUARD_ORIGIN);
    assert_true(slice_eq(culprit, SLICE("https://evil.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard__every_row__is_judged_as_it_says),
        cmocka_unit_test(test_guard__two_origins__must_both_be_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
