/* refusal_shapes: every reason in Anthropic's and in Google's shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/json.h"
#include "metergate/dialect/refusal.h"

static const struct {
    enum refusal_reason reason;
    int status; /* given; 0: the reason's own */
    const char *anthropic, *google;
    int64_t code;
} rows[] = {
    {REFUSAL_BAD_REQUEST, 0, "invalid_request_error", "INVALID_ARGUMENT", 400},
    {REFUSAL_BAD_REQUEST, 431, "invalid_request_error", "INVALID_ARGUMENT", 431},
    {REFUSAL_TOKEN, 0, "authentication_error", "UNAUTHENTICATED", 401},
    {REFUSAL_ORIGIN, 0, "permission_error", "PERMISSION_DENIED", 403},
    {REFUSAL_USER, 0, "permission_error", "PERMISSION_DENIED", 403},
    {REFUSAL_NO_ROUTE, 0, "not_found_error", "NOT_FOUND", 404},
    {REFUSAL_NOT_A_TUNNEL, 0, "invalid_request_error", "INVALID_ARGUMENT", 405},
    {REFUSAL_TOO_LARGE, 0, "request_too_large", "INVALID_ARGUMENT", 413},
    {REFUSAL_UPGRADE, 0, "invalid_request_error", "INVALID_ARGUMENT", 426},
    {REFUSAL_MAX_WAIT, 0, "rate_limit_error", "RESOURCE_EXHAUSTED", 429},
    {REFUSAL_QUEUE_FULL, 0, "rate_limit_error", "RESOURCE_EXHAUSTED", 429},
    {REFUSAL_BUDGET_USD, 0, "rate_limit_error", "RESOURCE_EXHAUSTED", 429},
    {REFUSAL_UPSTREAM_CONNECT, 0, "api_error", "UNAVAILABLE", 502},
    {REFUSAL_UPSTREAM_PROTOCOL, 0, "api_error", "UNAVAILABLE", 502},
    {REFUSAL_DRAINING, 0, "overloaded_error", "UNAVAILABLE", 503},
    {REFUSAL_UPSTREAM_TIMEOUT, 0, "timeout_error", "DEADLINE_EXCEEDED", 504},
};

static struct json *parse(void (*write)(const struct refusal *, struct buf *), const struct refusal *r)
{
    struct json *doc;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    write(r, &out);
    assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
    buf_release(&out);
    return doc;
}

static void assert_text(const struct json *doc, const char *path, const char *want)
{
    struct slice s;

    assert_int_equal(json_as_str(json_path(doc, path), &s), 0);
    if (want ? !slice_eq(s, slice_str(want)) : s.n < 20)
        fail_msg("%s is \"%.*s\"", path, (int)s.n, s.p);
}

static void test_refusal__every_reason__is_an_error_of_anthropics(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct refusal r = {.reason = rows[i].reason, .status = rows[i].status, .request_id = "mg-1"};
        struct json *doc = parse(refusal_as_anthropic, &r);

        assert_text(doc, "type", "error");
        assert_text(doc, "error.type", rows[i].anthropic);
        assert_text(doc, "error.message", NULL);
        assert_text(doc, "request_id", "mg-1");
        json_free(doc);
    }
}

static void test_refusal__without_an_id__has_no_member_for_it(void **state)
{
    struct json *doc = parse(refusal_as_anthropic, &(struct refusal){.reason = REFUSAL_BAD_REQUEST});

    (void)state;
    assert_null(json_get(doc, "request_id"));
    json_free(doc);
}

static void test_refusal__every_reason__is_an_error_of_googles(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct refusal r = {.reason = rows[i].reason, .status = rows[i].status};
        struct json *doc = parse(refusal_as_gemini, &r);
        int64_t code;

        assert_int_equal(json_as_int64(json_path(doc, "error.code"), &code), 0);
        assert_int_equal(code, rows[i].code);
        assert_int_equal(refusal_status(&r), rows[i].code);
        assert_text(doc, "error.status", rows[i].google);
        assert_text(doc, "error.message", NULL);
        json_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal__every_reason__is_an_error_of_anthropics),
        cmocka_unit_test(test_refusal__without_an_id__has_no_member_for_it),
        cmocka_unit_test(test_refusal__every_reason__is_an_error_of_googles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
