#include "metergate/net/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

/* Constant, unlike SLICE: for tables. */
#define S(text)                                                                                              \
    {                                                                                                        \
        "" text, sizeof(text) - 1                                                                            \
    }
#define H(n, v)                                                                                              \
    {                                                                                                        \
        S(n), S(v)                                                                                           \
    }

static const char *check(struct slice method, struct slice target, int minor,
                         const struct http_header *headers, size_t n, struct http_framing *framing)
{
    struct http_head h = {method, target, minor, headers, n};

    return http_check_head(&h, framing);
}

/* For Connection, which may name 64. */
#define NAMES32 "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"

static void test_http__plain_heads__say_how_the_body_is_delimited(void **state)
{
    static const struct {
        struct http_header headers[3];
        size_t n;
        int64_t length;
        int minor;
        bool chunked;
    } rows[] = {
        {{H("Host", "x")}, 1, -1, 1, false},
        {{H("hOST", "x"), H("Content-Length", "0")}, 2, 0, 1, false},
        {{H("Host", ""), H("content-length", "9223372036854775807")}, 2, INT64_MAX, 1, false},
        {{H("Host", "[::1]:80"), H("Transfer-Encoding", "Chunked")}, 2, -1, 1, true},
        {{H("X", "y")}, 1, -1, 0, false},
        {{H("Host", "x"), H("Expect", "anything"), H("Empty", "")}, 3, -1, 1, false},
        {{H("Host", "x"), H("Connection", NAMES32), H("connection", NAMES32)}, 3, -1, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_framing f = {0, false};

        assert_null(check(SLICE("POST"), SLICE("/x?y"), rows[i].minor, rows[i].headers, rows[i].n, &f));
        assert_int_equal(f.content_length, rows[i].length);
        assert_int_equal(f.chunked, rows[i].chunked);
    }
}

static void test_http__ambiguous_heads__are_refused_with_a_sentence(void **state)
{
    static const struct {
        struct http_header headers[3];
        size_t n;
        int minor;
        const char *why; /* a word of it */
    } rows[] = {
        {{H("A", "b")}, 1, 1, "no Host"},
        {{H("Host", "x"), H("HOST", "x")}, 2, 1, "more than one Host"},
        {{H("Host", "x y")}, 1, 1, "not a host"},
        {{H("Host", "x,y")}, 1, 0, "not a host"},
        {{H("Host", "x"), H("Content-Length", "1"), H("Content-Length", "1")},
         3,
         1,
         "more than one Content-Length"},
        {{H("Host", "x"), H("Content-Length", "1,1")}, 2, 1, "not a number"},
        {{H("Host", "x"), H("Content-Length", "")}, 2, 1, "not a number"},
        {{H("Host", "x"), H("Content-Length", "9223372036854775808")}, 2, 1, "not a number"},
        {{H("Host", "x"), H("Content-Length", "1"), H("Transfer-Encoding", "chunked")}, 3, 1, "both"},
        {{H("Host", "x"), H("Transfer-Encoding", "gzip, chunked")}, 2, 1, "exactly"},
        {{H("Host", "x"), H("Transfer-Encoding", "chunked"), H("Transfer-Encoding", "chunked")},
         3,
         1,
         "exactly"},
        {{H("Host", "x"), H("Transfer-Encoding", "")}, 2, 1, "exactly"},
        {{H("Transfer-Encoding", "chunked")}, 1, 0, "1.0"},
        {{H("Host", "x"), H("Content-Length ", "1")}, 2, 1, "name"},
        {{H("Host", "x"), H("", "1")}, 2, 1, "name"},
        {{H("Host", "x"), H("a:b", "1")}, 2, 1, "name"},
        {{H("Host", "x"), H("a", "1\x01")}, 2, 1, "control"},
        {{H("Host", "x"), H("a", "1\n2")}, 2, 1, "control"},
        {{H("Host", "x"), H("a", "1\0002")}, 2, 1, "control"},
        {{H("Host", "x"), H("Authorization", "a"), H("authorization", "a")}, 3, 1, "twice"},
        {{H("Host", "x"), H("X-Api-Key", ""), H("x-api-key", "")}, 3, 1, "twice"},
        {{H("Content-Type", "a"), H("Host", "x"), H("Content-Type", "b")}, 3, 1, "twice"},
        {{H("Host", "x"), H("Connection", NAMES32 "," NAMES32 ",a")}, 2, 1, "more than 64"},
        {{H("Host", "x"), H("Connection", NAMES32), H("connection", NAMES32 ",a")}, 3, 1, "more than 64"},
        {{H("Host", "x")}, 1, 2, "version"},
        {{H("Host", "x")}, 1, -1, "version"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_framing f = {-7, false};
        const char *why = check(SLICE("POST"), SLICE("/"), rows[i].minor, rows[i].headers, rows[i].n, &f);

        assert_non_null(why);
        assert_non_null(strstr(why, rows[i].why));
        assert_int_equal(f.content_length, -7); /* written only on success */
    }
}

static void test_http__request_line__wants_a_token_and_an_unbroken_target(void **state)
{
    static const struct http_header host = H("Host", "x");
    static const struct slice bad_targets[] = {
        {"", 0},      {"/a b", 4},   {"/a\tb", 4}, {"/a#b", 4},
        {"/a\0b", 4}, {"/a\x7f", 3}, {"/a\r", 3},  {"/\xc3\xa9", 3},
    };
    static const char *const bad_methods[] = {
        "", "GE T", "GET(", "get", "Get", "G3T", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF"};
    struct http_framing f;

    (void)state;
    assert_null(check(SLICE("M-SEARCH"), SLICE("*"), 1, &host, 1, &f));
    assert_null(check(SLICE("GET"), SLICE("http://x/y"), 1, &host, 1, &f));
    assert_null(check(SLICE("VERSION_CONTROL"), SLICE("/%c3%a9?%00"), 1, &host, 1, &f));
    assert_null(check(SLICE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDE"), SLICE("/"), 1, &host, 1, &f));
    for (size_t i = 0; i < MG_ARRAY_LEN(bad_methods); i++)
        assert_non_null(check(slice_str(bad_methods[i]), SLICE("/"), 1, &host, 1, &f));
    for (size_t i = 0; i < MG_ARRAY_LEN(bad_targets); i++)
        assert_non_null(check(SLICE("GET"), bad_targets[i], 1, &host, 1, &f));
}

static void test_http__token__is_exactly_the_tchars(void **state)
{
    static const char tchars[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;

        assert_int_equal(http_is_token(slice_of(&byte, 1)), c != 0 && strchr(tchars, c) != NULL);
        assert_int_equal(http_is_field_value(slice_of(&byte, 1)), c == '\t' || (c >= 0x20 && c != 0x7f));
    }
}

static void test_http__list__is_searched_token_by_token(void **state)
{
    (void)state;
    assert_true(http_list_has(SLICE("close"), SLICE("Close")));
    assert_true(http_list_has(SLICE("a,, b ,\tKeep-Alive"), SLICE("keep-alive")));
    assert_false(http_list_has(SLICE("closed, enclose"), SLICE("close")));
    assert_false(http_list_has(SLICE(""), SLICE("close")));
}

static void test_http__hop_by_hop__is_known_in_any_case(void **state)
{
    (void)state;
    assert_true(http_is_hop_by_hop(SLICE("CONNECTION")));
    assert_true(http_is_hop_by_hop(SLICE("transfer-encoding")));
    assert_true(http_is_hop_by_hop(SLICE("Te")));
    assert_true(http_is_hop_by_hop(SLICE("http2-settings")));
    assert_false(http_is_hop_by_hop(SLICE("content-length")));
    assert_false(http_is_hop_by_hop(SLICE("tea")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http__plain_heads__say_how_the_body_is_delimited),
        cmocka_unit_test(test_http__ambiguous_heads__are_refused_with_a_sentence),
        cmocka_unit_test(test_http__request_line__wants_a_token_and_an_unbroken_target),
        cmocka_unit_test(test_http__token__is_exactly_the_tchars),
        cmocka_unit_test(test_http__list__is_searched_token_by_token),
        cmocka_unit_test(test_http__hop_by_hop__is_known_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
