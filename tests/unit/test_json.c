/* json: what is written is JSON, and reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <math.h>
#include <cmocka.h>

#include "metergate/base/json.h"

static void test_json_writer__commas_and_nesting__are_right(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    json_init(&w, &out);
    json_object_begin(&w);
    json_member_int(&w, "held", 3);
    json_key(&w, "empty");
    json_object_begin(&w);
    json_object_end(&w);
    json_key(&w, "list");
    json_array_begin(&w);
    json_null(&w);
    json_array_begin(&w);
    json_array_end(&w);
    json_bool(&w, false);
    json_object_begin(&w);
    json_member_double(&w, "x", 0.5, 2);
    json_member_bool(&w, "y", true);
    json_object_end(&w);
    json_array_end(&w);
    json_key(&w, "raw");
    json_raw(&w, SLICE("[1,2]"));
    json_member_str(&w, "s", SLICE("\"q\""));
    json_object_end(&w);
    assert_string_equal(out.p, "{\"held\":3,\"empty\":{},\"list\":[null,[],false,{\"x\":0.50,\"y\":true}],"
                               "\"raw\":[1,2],\"s\":\"\\\"q\\\"\"}");
    buf_release(&out);
}

static void test_json_writer__numbers(void **state)
{
    struct json_writer w;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    json_init(&w, &out);
    json_array_begin(&w);
    json_int(&w, INT64_MIN);
    json_int(&w, INT64_MAX);
    json_double(&w, 1.0 / 3, 0);
    json_double(&w, -1234.5678, 3);
    json_double(&w, NAN, 1);
    json_double(&w, HUGE_VAL, 1);
    json_array_end(&w);
    assert_string_equal(out.p, "[-9223372036854775808,9223372036854775807,0,-1234.568,null,null]");
    buf_release(&out);
}

static void test_json_writer__any_bytes__become_a_valid_string(void **state)
{
    static const struct {
        const char *text, *json;
        size_t n;
    } rows[] = {
        {"", "\"\"", 0},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\"", 6},
        {"\b\f\n\r\t\x01", "\"\\b\\f\\n\\r\\t\\u0001\"", 6},
        {"\0x", "\"\\u0000x\"", 2},
        {"\x7f", "\"\\u007f\"", 1},
        {"caf\xc3\xa9 \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"", 10},
        {"\xff\xc3", "\"\xef\xbf\xbd\xef\xbf\xbd\"", 2},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", 3},
    };
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct json_writer w;

        buf_reset(&out);
        json_init(&w, &out);
        json_str(&w, slice_of(rows[i].text, rows[i].n));
        assert_string_equal(out.p, rows[i].json);
    }
    buf_release(&out);
}

static void test_json_parse__one_value_alone__is_a_document(void **state)
{
    static const char *const good[] = {"{}", " [1] \n", "null", "-1.5e3", "\"x\"", "{\"a\":{\"a\":[]}}"};
    static const char *const bad[] = {"",    " ",       "{",  "{}x",     "[1,]",     "{a:1}",
                                      "nul", "[1] [2]", "\"", "{\"a\"}", "[\"\\q\"]"};
    struct json *doc;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(good); i++) {
        if (json_parse(slice_str(good[i]), &doc) != 0)
            fail_msg("refused: %s", good[i]);
        json_free(doc);
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        if (json_parse(slice_str(bad[i]), &doc) != -EINVAL)
            fail_msg("not -EINVAL: %s", bad[i]);
    }
    json_free(NULL);
}

static void test_json_parse__size_and_depth__are_bounded(void **state)
{
    char *text = malloc(JSON_TEXT_MAX + 1);
    struct json *doc;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', JSON_TEXT_MAX + 1);
    text[0] = '1';
    assert_int_equal(json_parse(slice_of(text, JSON_TEXT_MAX + 1), &doc), -E2BIG);
    assert_int_equal(json_parse(slice_of(text, JSON_TEXT_MAX), &doc), 0);
    json_free(doc);
    memset(text, '[', 5000);
    memset(text + 5000, ']', 5000);
    assert_int_equal(json_parse(slice_of(text, 10000), &doc), -EINVAL);
    free(text);
}

static void test_json_path__finds_by_names_and_numbers(void **state)
{
    static const char text[] = "{\"error\":{\"message\":\"slow down\",\"Message\":\"other\",\"code\":null},"
                               "\"choices\":[{\"delta\":{\"content\":\"hi\"}},7],\"n\":3,\"n\":4}";
    const struct json *found;
    struct slice s;
    struct json *doc;
    int64_t v;

    (void)state;
    assert_int_equal(json_parse(slice_str(text), &doc), 0);
    assert_int_equal(json_as_str(json_path(doc, "error.message"), &s), 0);
    assert_true(slice_eq(s, SLICE("slow down")));
    assert_int_equal(json_as_str(json_path(doc, "choices.0.delta.content"), &s), 0);
    assert_true(slice_eq(s, SLICE("hi")));
    assert_int_equal(json_as_int64(json_path(doc, "choices.1"), &v), 0);
    assert_int_equal(v, 7);
    assert_int_equal(json_as_int64(json_get(doc, "n"), &v), 0);
    assert_int_equal(v, 3);
    assert_true(json_is_null(json_path(doc, "error.code")));
    assert_null(json_path(doc, "choices.2"));
    assert_null(json_path(doc, "choices.x"));
    assert_null(json_path(doc, "error.message.more"));
    assert_null(json_path(doc, "nothing.at.all"));
    assert_ptr_equal(json_path(doc, ""), doc);
    found = json_first(doc);
    assert_true(slice_eq(json_name(found), SLICE("error")));
    assert_int_equal(json_name(doc).n, 0);
    json_free(doc);
}

static void test_json__each_visits_the_children_in_order(void **state)
{
    struct json *doc;
    int64_t sum = 0;
    int n = 0;

    (void)state;
    assert_int_equal(json_parse(SLICE("{\"a\":1,\"b\":2,\"c\":3}"), &doc), 0);
    JSON_EACH(doc, child)
    {
        int64_t v;

        assert_int_equal(json_as_int64(child, &v), 0);
        assert_int_equal(json_name(child).p[0], 'a' + n);
        sum = sum * 10 + v;
        n++;
    }
    assert_int_equal(sum, 123);
    JSON_EACH(json_get(doc, "a"), child)
    fail(); /* a number has no children */
    json_free(doc);
}

static void test_json__values_of_another_type__are_refused(void **state)
{
    static const char text[] =
        "{\"s\":\"x\",\"b\":true,\"f\":1.5,\"big\":9007199254740994,\"max\":9007199254740992,"
        "\"huge\":1e999,\"neg\":-3,\"cut\":\"a\\u0000b\"}";
    struct slice s;
    struct json *doc;
    int64_t v;
    double d;
    bool b;

    (void)state;
    assert_int_equal(json_parse(slice_str(text), &doc), 0);
    assert_int_equal(json_as_int64(json_get(doc, "s"), &v), -EINVAL);
    assert_int_equal(json_as_int64(json_get(doc, "f"), &v), -ERANGE);
    assert_int_equal(json_as_int64(json_get(doc, "big"), &v), -ERANGE);
    assert_int_equal(json_as_int64(json_get(doc, "huge"), &v), -EINVAL);
    assert_int_equal(json_as_int64(json_get(doc, "none"), &v), -ENOENT);
    assert_int_equal(json_as_int64(json_get(doc, "max"), &v), 0);
    assert_true(v == INT64_C(1) << 53);
    assert_int_equal(json_as_int64(json_get(doc, "neg"), &v), 0);
    assert_int_equal(v, -3);
    assert_int_equal(json_as_double(json_get(doc, "f"), &d), 0);
    assert_true(d > 1.49 && d < 1.51);
    assert_int_equal(json_as_bool(json_get(doc, "b"), &b), 0);
    assert_true(b);
    assert_int_equal(json_as_bool(json_get(doc, "s"), &b), -EINVAL);
    assert_int_equal(json_as_bool(NULL, &b), -ENOENT);
    assert_int_equal(json_as_str(json_get(doc, "b"), &s), -EINVAL);
    assert_int_equal(json_as_str(NULL, &s), -ENOENT);
    assert_null(json_get(json_get(doc, "s"), "x"));
    assert_null(json_first(NULL));
    assert_null(json_next(NULL));
    assert_false(json_is_object(NULL) || json_is_array(NULL) || json_is_null(NULL));
    json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_writer__commas_and_nesting__are_right),
        cmocka_unit_test(test_json_writer__numbers),
        cmocka_unit_test(test_json_writer__any_bytes__become_a_valid_string),
        cmocka_unit_test(test_json_parse__one_value_alone__is_a_document),
        cmocka_unit_test(test_json_parse__size_and_depth__are_bounded),
        cmocka_unit_test(test_json_path__finds_by_names_and_numbers),
        cmocka_unit_test(test_json__each_visits_the_children_in_order),
        cmocka_unit_test(test_json__values_of_another_type__are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
