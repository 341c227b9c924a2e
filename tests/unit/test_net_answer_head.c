#include "metergate/net/answer_head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Feeds the text line by line, as libcurl does; what the last line gave. */
static int feed(struct answer_head *h, const char *text)
{
    int rc = 0;

    while (*text && rc >= 0) {
        size_t n = strcspn(text, "\n") + 1;

        rc = answer_head_add(h, slice_of(text, n));
        text += n;
    }
    return rc;
}

static void expect_header(const struct answer_head *h, size_t i, const char *name, const char *value)
{
    assert_true(i < h->line_n);
    assert_true(slice_eq(h->headers[i].name, slice_str(name)));
    assert_true(slice_eq(h->headers[i].value, slice_str(value)));
}

static void test_answer_head__final_head__has_names_and_values_as_sent(void **state)
{
    struct answer_head h;

    (void)state;
    answer_head_init(&h, 1000);
    assert_int_equal(feed(&h, "HTTP/1.1 429 Too Many\r\nContent-LENGTH:  12 \r\nX-Empty:\r\nSet-Cookie: a\r\n"
                              "set-cookie: b: c\r\nnonsense\r\n\r\n"),
                     1);
    assert_true(h.done);
    assert_int_equal(h.status, 429);
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.line_n, 4);
    expect_header(&h, 0, "Content-LENGTH", "12");
    expect_header(&h, 1, "X-Empty", "");
    expect_header(&h, 2, "Set-Cookie", "a");
    expect_header(&h, 3, "set-cookie", "b: c");
    assert_int_equal(answer_head_content_length(&h), 12);
    assert_int_equal(answer_head_add(&h, SLICE("Trailer: ignored\r\n")), 0);
    assert_int_equal(h.line_n, 4);
    answer_head_release(&h);
}

static void test_answer_head__interim_heads__leave_no_trace(void **state)
{
    struct answer_head h;

    (void)state;
    answer_head_init(&h, 1000);
    assert_int_equal(feed(&h, "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.0 200\r\nA: b\r\n\r\n"), 1);
    assert_int_equal(h.status, 200);
    assert_int_equal(h.minor, 0);
    assert_int_equal(h.line_n, 1);
    expect_header(&h, 0, "A", "b");
    answer_head_release(&h);
}

static void test_answer_head__folded_value__is_joined_by_a_blank(void **state)
{
    struct answer_head h;

    (void)state;
    answer_head_init(&h, 1000);
    assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n lost\r\nA: b\r\n\t c  \r\n d\r\nE: f\r\n\r\n"), 1);
    assert_int_equal(h.line_n, 2);
    expect_header(&h, 0, "A", "b c d");
    expect_header(&h, 1, "E", "f");
    answer_head_release(&h);
}

static void test_answer_head__too_much__is_refused(void **state)
{
    struct answer_head h;
    int rc = 0;

    (void)state;
    answer_head_init(&h, 100);
    assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n"), 0);
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = answer_head_add(&h, SLICE("A: bbbbbbbbbbbbbbb\r\n"));
    assert_int_equal(rc, -E2BIG);
    answer_head_release(&h);

    answer_head_init(&h, 100000);
    for (rc = 0; rc == 0;)
        rc = feed(&h, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(rc, -E2BIG);
    assert_int_equal(h.interim, ANSWER_HEAD_INTERIM_MAX + 1);
    answer_head_release(&h);
}

static void assert_refused(const char *const *heads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct answer_head h;

        answer_head_init(&h, 1000);
        assert_int_equal(feed(&h, heads[i]), -EPROTO);
        answer_head_release(&h);
    }
}

static void test_answer_head__status_lines__are_read_strictly(void **state)
{
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 abc\r\n",     "HTTP/2 200\r\n",
        "HTTP/1.1\r\n",       "HTTP/1.1 099 No\r\n",  "HTTP/1.12 200 OK\r\n", "A: b\r\n",
        "HTTP/3.0 200 OK\r\n", "HTTP/2.1 200 OK\r\n", "HTTP/110 200 OK\r\n",
    };

    (void)state;
    assert_refused(bad, MG_ARRAY_LEN(bad));
}

/* libcurl takes a status for one in the first line alone, and by that one knows whether a body follows. */
static void test_answer_head__a_second_status_line__is_not_believed(void **state)
{
    static const char *const bad[] = {
        "HTTP/1.1 401 No\r\nA: b\r\nHTTP/1.1 200 a:b\r\n",
        "HTTP/1.1 100 Continue\r\nHTTP/1.1 200 a:b\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 None\r\nHTTP/1.1 200 a:b\r\n",
    };

    (void)state;
    assert_refused(bad, MG_ARRAY_LEN(bad));
}

static void test_answer_head__length__is_known_only_without_transfer_encoding(void **state)
{
    static const struct {
        const char *text;
        int64_t length;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 7},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", -1},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct answer_head h;

        answer_head_init(&h, 1000);
        assert_int_equal(feed(&h, rows[i].text), 1);
        assert_int_equal(answer_head_content_length(&h), rows[i].length);
        answer_head_release(&h);
    }
}

static void test_answer_head__framing__must_be_plain_and_agree(void **state)
{
    static const struct {
        const char *fields;
        int rc;
        int64_t length;
    } rows[] = {
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 1, 5},
        {"Content-Length: 5, 5\r\n", 1, 5},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 1, -1},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", -EPROTO, 0},
        {"Content-Length: 6, 5\r\n", -EPROTO, 0},
        {"Content-Length: 5,\r\n", -EPROTO, 0},
        {"Content-Length: -1\r\n", -EPROTO, 0},
        {"Content-Length: five\r\n", -EPROTO, 0},
        {"Content-Length:\r\n", -EPROTO, 0},
        {"Content-Length: 99999999999999999999\r\n", -EPROTO, 0},
        {"Transfer-Encoding: CHUNKED\r\n", 1, -1},
        {"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", -EPROTO, 0},
        {"Transfer-Encoding: xchunked\r\n", -EPROTO, 0},
        {"Transfer-Encoding: gzip, chunked\r\n", -EPROTO, 0},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", -EPROTO, 0},
        {"Transfer-Encoding:\r\n", -EPROTO, 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct answer_head h;
        char text[200];
        int rc;

        answer_head_init(&h, 1000);
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n", rows[i].fields);
        rc = feed(&h, text);
        if (rc != rows[i].rc || (rc == 1 && answer_head_content_length(&h) != rows[i].length))
            fail_msg("%s: %d", rows[i].fields, rc);
        answer_head_release(&h);
    }
}

static void test_answer_head__connection__names_few_headers(void **state)
{
    static const char names32[] = "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n";
    static const struct {
        const char *more;
        int rc;
    } rows[] = {{"", 1}, {"Connection: a\r\n", -EPROTO}, {"connection: ,\r\n", -EPROTO}, {"X: a,a\r\n", 1}};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct answer_head h;

        answer_head_init(&h, 1000);
        assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n"), 0);
        assert_int_equal(feed(&h, names32), 0);
        assert_int_equal(feed(&h, names32), 0);
        assert_int_equal(feed(&h, rows[i].more), 0);
        assert_int_equal(feed(&h, "\r\n"), rows[i].rc);
        answer_head_release(&h);
    }
}

static void test_answer_head__another_protocol__is_none_that_was_asked_for(void **state)
{
    struct answer_head h;

    (void)state;
    answer_head_init(&h, 1000);
    assert_int_equal(feed(&h, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), -EPROTO);
    answer_head_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_head__final_head__has_names_and_values_as_sent),
        cmocka_unit_test(test_answer_head__interim_heads__leave_no_trace),
        cmocka_unit_test(test_answer_head__folded_value__is_joined_by_a_blank),
        cmocka_unit_test(test_answer_head__too_much__is_refused),
        cmocka_unit_test(test_answer_head__status_lines__are_read_strictly),
        cmocka_unit_test(test_answer_head__a_second_status_line__is_not_believed),
        cmocka_unit_test(test_answer_head__length__is_known_only_without_transfer_encoding),
        cmocka_unit_test(test_answer_head__framing__must_be_plain_and_agree),
        cmocka_unit_test(test_answer_head__connection__names_few_headers),
        cmocka_unit_test(test_answer_head__another_protocol__is_none_that_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
