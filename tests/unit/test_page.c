/* page: what is put into a page, and which requests are our own pages'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/proxy/page.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static void test_page_fill__placeholders_are_replaced_and_the_rest_stays(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"@A@", "one"},
        {"x@A@@B@@A@y", "xone@A@oney"}, /* what was put in is not looked at */
        {"a@b.example @A @ A@ @", "a@b.example @A @ A@ @"},
        {"@@A@@", "@one@"},
    };
    static const struct page_value values[] = {{"@A@", {"one", 3}}, {"@B@", {"@A@", 3}}};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        page_fill(slice_str(rows[i].text), values, 2, &out);
        buf_add_char(&out, '\0');
        assert_string_equal(out.p, rows[i].want);
        buf_release(&out);
    }
}

/* Headers besides Host: localhost:4283 ("Name: value|..."), and whether they can be our own page's, and are the dashboard's. */
static const struct {
    const char *headers;
    bool own, page;
} rows[] = {
    {"", true, false},
    {"Metergate-Page: " SECRET, true, false},
    {"Origin: http://localhost:4283", true, false},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET, true, true},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET "|Sec-Fetch-Site: same-origin", true, true},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET "|Sec-Fetch-Site: same-site", false, false},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET "|Sec-Fetch-Site: none", true, false},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET "|Sec-Fetch-Site: same-origin|Sec-Fetch-Site: none", false, false},
    {"Origin: http://localhost:4283|Metergate-Page: 0123456789abcdef0123456789abcdee", true, false},
    {"Origin: http://localhost:4283|Metergate-Page: 0123456789abcdef", true, false},
    {"Origin: http://localhost:4283|Metergate-Page: ", true, false},
    {"Origin: http://localhost:4283|Metergate-Page: " SECRET "|Metergate-Page: x", true, false},
    {"Origin: http://localhost:4283|Origin: http://localhost:4283|Metergate-Page: " SECRET, false, false},
    {"Origin: http://localhost|Metergate-Page: " SECRET, false, false},
    {"Origin: http://localhost:3000|Metergate-Page: " SECRET, false, false},
    {"Origin: http://127.0.0.1:4283|Metergate-Page: " SECRET, false, false},
    {"Origin: https://localhost:4283|Metergate-Page: " SECRET, true, false}, /* a proxy with TLS before us */
    {"Origin: HTTP://localhost:4283|Metergate-Page: " SECRET, false, false},
    {"Origin: null|Metergate-Page: " SECRET, false, false},
    {"Origin: |Metergate-Page: " SECRET, false, false},
    {"Host: localhost:4283|Origin: http://localhost:4283|Metergate-Page: " SECRET, false, false},
    {"Sec-Fetch-Site: same-origin", true, false},
    {"Sec-Fetch-Site: none|Sec-Fetch-Mode: navigate", true, false},
    {"Sec-Fetch-Site: same-site", false, false},
    {"Sec-Fetch-Site: same-site|Sec-Fetch-Mode: navigate", true, false}, /* a link */
    {"Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors", false, false},
};

static size_t read_headers(const char *text, struct http_header *v)
{
    struct slice rest = slice_str(text);
    size_t n = 0;

    v[n++] = (struct http_header){SLICE("Host"), SLICE("localhost:4283")};
    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '|'));
        struct slice name = slice_head(line, slice_find(line, ':'));

        v[n++] = (struct http_header){name, slice_trim(slice_skip(line, name.n + 1))};
        rest = slice_skip(rest, line.n + 1);
    }
    return n;
}

static void test_page__every_row__is_told_apart(void **state)
{
    struct secret secret, unset;

    (void)state;
    secret_init(&secret);
    secret_init(&unset);
    assert_int_equal(secret_set(&secret, SLICE(SECRET)), 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_header v[8];
        const struct http_head head = {.headers = v, .header_count = read_headers(rows[i].headers, v)};

        if (page_is_own_request(&head) != rows[i].own || page_has_sent(&secret, &head) != rows[i].page)
            fail_msg("%s: own %d, page %d", rows[i].headers, page_is_own_request(&head), page_has_sent(&secret, &head));
        assert_false(page_has_sent(&unset, &head));
    }
    secret_release(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_fill__placeholders_are_replaced_and_the_rest_stays),
        cmocka_unit_test(test_page__every_row__is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
