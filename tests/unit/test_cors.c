/* cors: a page of ours may read the answer, in place of whatever the provider says; to all others nothing is
 * added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/proxy/cors.h"

/* Constant, unlike SLICE: for tables. */
#define H(n, v)                                                                                              \
    {                                                                                                        \
        {"" n, sizeof(n) - 1},                                                                               \
        {                                                                                                    \
            "" v, sizeof(v) - 1                                                                              \
        }                                                                                                    \
    }

static const char *const origins[] = {"https://app.example"};
static const struct guard_rules rules = {.origins = origins, .origin_count = 1};

static struct headers answer_to(struct slice method, const struct http_header *v, size_t n)
{
    const struct http_head head = {.method = method, .headers = v, .header_count = n};
    struct headers answer;

    headers_init(&answer);
    headers_add(&answer, SLICE("Content-Type"), SLICE("text/plain"));
    headers_add(&answer, SLICE("access-control-allow-origin"), SLICE("*"));
    headers_add(&answer, SLICE("Vary"), SLICE("Accept"));
    cors_add(&head, &rules, &answer);
    return answer;
}

static unsigned count(const struct headers *h, struct slice name)
{
    unsigned n = 0;

    for (size_t i = 0; i < h->n; i++)
        n += slice_eq_nocase(h->v[i].name, name);
    return n;
}

static void assert_has(const struct headers *h, struct slice name, const char *want)
{
    struct slice got = http_header_get(h->v, h->n, name);

    if (!slice_eq(got, slice_str(want)))
        fail_msg("%s: %.*s", name.p, (int)got.n, got.p);
}

static void test_cors__page_of_ours__takes_the_place_of_what_the_provider_says(void **state)
{
    static const struct http_header v[] = {H("Origin", "https://app.example")};
    struct headers h = answer_to(SLICE("POST"), v, 1);

    (void)state;
    assert_int_equal(count(&h, SLICE("Access-Control-Allow-Origin")), 1);
    assert_has(&h, SLICE("Access-Control-Allow-Origin"), "https://app.example");
    assert_has(&h, SLICE("Access-Control-Expose-Headers"), "*");
    assert_has(&h, SLICE("Content-Type"), "text/plain");
    assert_int_equal(count(&h, SLICE("Vary")), 2);
    assert_int_equal(count(&h, SLICE("Access-Control-Allow-Methods")), 0);
    headers_release(&h);
}

static void test_cors__others__get_the_answer_as_it_was(void **state)
{
    static const struct http_header rows[][1] = {
        {H("Accept", "text/plain")},
        {H("Origin", "https://evil.example")},
        {H("Origin", "null")},
        {H("Origin", "")},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct headers h = answer_to(SLICE("POST"), rows[i], 1);

        assert_int_equal(h.n, 3);
        assert_has(&h, SLICE("Access-Control-Allow-Origin"), "*");
        headers_release(&h);
    }
}

static void test_cors__preflight__is_told_what_it_asks_for_and_no_more(void **state)
{
    static const struct http_header v[] = {
        H("Origin", "http://localhost:3000"),
        H("Access-Control-Request-Method", "DELETE"),
        H("Access-Control-Request-Headers", "authorization"),
        H("Access-Control-Request-Private-Network", "true"),
    };
    struct headers h = answer_to(SLICE("OPTIONS"), v, 4);

    (void)state;
    assert_has(&h, SLICE("Access-Control-Allow-Methods"), "DELETE");
    assert_has(&h, SLICE("Access-Control-Allow-Headers"), "authorization");
    assert_has(&h, SLICE("Access-Control-Allow-Private-Network"), "true");
    headers_release(&h);
    h = answer_to(SLICE("OPTIONS"), v, 2);
    assert_int_equal(count(&h, SLICE("Access-Control-Allow-Headers")), 0);
    assert_int_equal(count(&h, SLICE("Access-Control-Allow-Private-Network")), 0);
    assert_int_equal(count(&h, SLICE("Access-Control-Allow-Credentials")), 0);
    headers_release(&h);
}

static void test_cors__preflight__is_options_with_origin_and_method(void **state)
{
    static const struct http_header v[] = {H("Origin", "null"), H("Access-Control-Request-Method", "POST")};
    struct http_head head = {.method = SLICE("OPTIONS"), .headers = v, .header_count = 2};

    (void)state;
    assert_true(cors_is_preflight(&head));
    head.header_count = 1;
    assert_false(cors_is_preflight(&head));
    head.header_count = 2;
    head.method = SLICE("POST");
    assert_false(cors_is_preflight(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cors__page_of_ours__takes_the_place_of_what_the_provider_says),
        cmocka_unit_test(test_cors__others__get_the_answer_as_it_was),
        cmocka_unit_test(test_cors__preflight__is_told_what_it_asks_for_and_no_more),
        cmocka_unit_test(test_cors__preflight__is_options_with_origin_and_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
