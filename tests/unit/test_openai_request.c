/* openai_request, openai_count: what a body says, and what it costs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/dialect/dialect.h"
#include "metergate/dialect/openai.h"

/* As the body of a chat. */
static int read_chat(struct slice body, struct dialect_request *ret, const char **ret_why)
{
    return dialect_openai.read(&(struct dialect_input){.endpoint = ENDPOINT_CHAT, .body = body}, ret, ret_why);
}

static void test_classify__what_invokes_a_model__is_metered(void **state)
{
    static const struct {
        const char *method, *path;
        enum endpoint endpoint;
    } rows[] = {
        {"POST", "/v1/chat/completions", ENDPOINT_CHAT},
        {"POST", "/chat/completions", ENDPOINT_CHAT},
        {"POST", "/v1/chat/completions/", ENDPOINT_CHAT},
        {"POST", "/openai/v1/chat/completions", ENDPOINT_CHAT},
        {"POST", "/v1/completions", ENDPOINT_COMPLETIONS},
        {"POST", "/openai/deployments/x/embeddings", ENDPOINT_EMBEDDINGS},
        {"POST", "/v1/responses", ENDPOINT_RESPONSES},
        {"POST", "/v1/responses/compact", ENDPOINT_RESPONSES},
        {"POST", "/v1/responses/input_tokens", ENDPOINT_PASSED},
        {"POST", "/v1/responses/resp_1/cancel", ENDPOINT_PASSED},
        {"GET", "/v1/responses/resp_1", ENDPOINT_RETRIEVE},
        {"GET", "/v1/responses", ENDPOINT_PASSED},
        {"GET", "/v1/responses/resp_1/input_items", ENDPOINT_PASSED},
        {"DELETE", "/v1/responses/resp_1", ENDPOINT_PASSED},
        {"POST", "/v1/images/generations", ENDPOINT_INVOKE},
        {"POST", "/v1/audio/transcriptions", ENDPOINT_INVOKE},
        {"POST", "/v1/moderations", ENDPOINT_INVOKE},
        {"GET", "/v1/chat/completions", ENDPOINT_PASSED},
        {"POST", "/v1/chat/completions/chatcmpl-1", ENDPOINT_PASSED},
        {"POST", "/v1/chat/xcompletions", ENDPOINT_PASSED},
        {"POST", "/v1/files", ENDPOINT_PASSED},
        {"GET", "/v1/models", ENDPOINT_PASSED},
        {"POST", "", ENDPOINT_PASSED},
        {"POST", "/", ENDPOINT_PASSED},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        assert_int_equal(dialect_openai.classify(slice_str(rows[i].method), slice_str(rows[i].path)),
                         rows[i].endpoint);
    assert_true(endpoint_metered(ENDPOINT_CHAT));
    assert_false(endpoint_metered(ENDPOINT_PASSED));
    assert_false(endpoint_metered(ENDPOINT_RETRIEVE));
    assert_ptr_equal(dialect_by_name(SLICE("openai")), &dialect_openai);
    assert_null(dialect_by_name(SLICE("openais")));
}

static void test_read__the_fields_that_steer__wherever_they_stand(void **state)
{
    static const struct {
        const char *body, *model;
        int64_t max_tokens, n;
        enum usage_wish wish;
        bool stream;
    } rows[] = {
        {"{\"model\":\"gpt-4o\",\"messages\":[]}", "gpt-4o", 0, 1, USAGE_UNSAID, false},
        {" {\n\"messages\" : [ ] , \"n\" : 3 , \"stream\" : true , \"model\" : \"gpt-4o\" }\n ", "gpt-4o", 0,
         3, USAGE_UNSAID, true},
        {"{\"mod\\u0065l\":\"gpt-\\u0034o\"}", "gpt-4o", 0, 1, USAGE_UNSAID, false},
        /* what a nested object says is not what the body says */
        {"{\"model\":\"m\",\"metadata\":{\"model\":\"x\",\"stream\":true,\"n\":9}}", "m", 0, 1, USAGE_UNSAID,
         false},
        /* the larger of the two limits counts, whichever the provider looks at */
        {"{\"model\":\"m\",\"max_tokens\":1,\"max_completion_tokens\":9000}", "m", 9000, 1, USAGE_UNSAID,
         false},
        {"{\"model\":\"m\",\"max_tokens\":9000,\"max_completion_tokens\":1}", "m", 9000, 1, USAGE_UNSAID,
         false},
        {"{\"model\":\"m\",\"max_tokens\":1e3,\"n\":2.0}", "m", 1000, 2, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"max_tokens\":null,\"n\":null,\"stream\":null}", "m", 0, 1, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"max_tokens\":-5,\"n\":0,\"stream\":\"true\"}", "m", 0, 1, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"max_tokens\":1e300,\"n\":99999999999999999999}", "m", DIALECT_TOKENS_MAX,
         DIALECT_N_MAX, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"max_tokens\":-1e300,\"n\":1.5}", "m", 0, 1, USAGE_UNSAID, false},
        /* twice: the last one */
        {"{\"model\":\"a\",\"n\":5,\"model\":\"b\",\"n\":2}", "b", 0, 2, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"stream\":true,\"stream\":false}", "m", 0, 1, USAGE_AMBIGUOUS, false},
        {"{\"model\":\"m\",\"stream_options\":null}", "m", 0, 1, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"stream_options\":{}}", "m", 0, 1, USAGE_UNSAID, false},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}", "m", 0, 1, USAGE_WANTED, false},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":false}}", "m", 0, 1, USAGE_REFUSED, false},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":null}}", "m", 0, 1, USAGE_REFUSED, false},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}", "m", 0, 1,
         USAGE_AMBIGUOUS, false},
        {"{\"model\":\"m\",\"stream_options\":{},\"stream_options\":{}}", "m", 0, 1, USAGE_AMBIGUOUS, false},
        {"{\"model\":\"m\",\"stream_options\":true}", "m", 0, 1, USAGE_AMBIGUOUS, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct dialect_request r;
        const char *why = NULL;

        if (read_chat(slice_str(rows[i].body), &r, &why) != 0)
            fail_msg("not read: %s: %s", rows[i].body, why);
        assert_string_equal(r.model, rows[i].model);
        if (r.stream != rows[i].stream || r.max_tokens != rows[i].max_tokens || r.n != rows[i].n ||
            r.usage_wish != rows[i].wish)
            fail_msg("read wrongly: %s", rows[i].body);
        assert_int_equal(rows[i].body[r.close_at], '}');
    }
}

static void test_read__bodies_that_it_cannot_read__are_told_with_a_reason(void **state)
{
    static const struct {
        const char *body, *why;
    } rows[] = {
        {"", "the body is not a JSON object"},
        {"[]", "the body is not a JSON object"},
        {"\"model\"", "the body is not a JSON object"},
        {"{\"model\":\"m\"", "the body is not a JSON object"},
        {"{\"model\":\"m\"}}", "the body is not a JSON object"},
        {"{\"model\":\"m\",\"messages\":[{]}", "the body is not a JSON object"},
        {"model=m&stream=true", "the body is not a JSON object"},
        {"{}", "the body names no model"},
        {"{\"model\":\"\"}", "the body names no model"},
        {"{\"model\":7}", "the body names no model"},
        {"{\"model\":\"m\",\"model\":null}", "the body names no model"},
        {"{\"model\":\"m\\u0000x\"}", "the body names no model"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct dialect_request r;
        const char *why = NULL;

        assert_int_equal(read_chat(slice_str(rows[i].body), &r, &why), -EBADMSG);
        assert_string_equal(why, rows[i].why);
    }
}

static void test_read__a_model_name_that_is_too_long__is_no_model(void **state)
{
    struct dialect_request r;
    const char *why;
    struct buf body;

    (void)state;
    for (int n = DIALECT_MODEL_MAX - 1; n <= DIALECT_MODEL_MAX; n++) {
        buf_init(&body, BUF_UNLIMITED);
        buf_addf(&body, "{\"model\":\"%0*d\"}", n, 0);
        assert_int_equal(read_chat(buf_slice(&body), &r, &why),
                         n < DIALECT_MODEL_MAX ? 0 : -EBADMSG);
        buf_release(&body);
    }
}

/* ---- counting
 * ---------------------------------------------------------------------------------------------------- */

static struct request_count count(const char *body)
{
    struct request_count c = {0};
    struct dialect_request r;
    const char *why = "";

    if (read_chat(slice_str(body), &r, &why) != 0)
        fail_msg("not read: %s: %s", body, why);
    if (dialect_openai.count(slice_str(body), &r, &c) != 0)
        fail_msg("not counted: %s", body);
    return c;
}

#define BODY(messages) "{\"model\":\"gpt-4o\",\"messages\":" messages "}"

static void test_count__plain_text__is_exact(void **state)
{
    static const struct {
        const char *body;
        int64_t tokens, characters;
    } rows[] = {
        /* 3 a message, its role, its text, 3 for the answer */
        {BODY("[{\"role\":\"user\",\"content\":\"hello\"}]"), 8, 5},
        {BODY("[{\"content\":\"hello\",\"role\":\"user\"}]"), 8, 5},
        {BODY("[{\"role\":\"user\",\"content\":\"h\\u0065llo\"}]"), 8, 5},
        {BODY("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}]"), 8, 5},
        {BODY("[{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"user\",\"content\":\"hello\"}]"), 13,
         10},
        {BODY("[{\"role\":\"user\",\"name\":\"hello\",\"content\":\"hello\"}]"), 10, 5},
        {BODY("[{\"role\":\"assistant\",\"content\":null,\"refusal\":null}]"), 7, 0},
        {BODY("[]"), 3, 0},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct request_count c = count(rows[i].body);

        if (c.input_tokens != rows[i].tokens || c.characters != rows[i].characters || !c.parts.exact)
            fail_msg("%s: %lld tokens, %lld characters", rows[i].body, (long long)c.input_tokens,
                     (long long)c.characters);
    }
}

static void test_count__characters__are_code_points_of_the_text_that_is_meant(void **state)
{
    struct request_count c =
        count(BODY("[{\"role\":\"user\",\"content\":\"\\u00e9\xC3\xA9\\ud83d\\ude00\\u0000\\n\"}]"));

    (void)state;
    assert_int_equal(c.characters, 5);
    assert_int_equal(c.messages, 1);
}

/* They are counted eight bytes at a time. */
static void test_count__characters__of_any_length_at_any_place__are_told(void **state)
{
    static const char *const each[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\x7F"};
    char body[512], text[128];

    (void)state;
    for (int n = 0; n < 24; n++) {
        for (int first = 0; first < 5; first++) {
            struct request_count c;

            text[0] = '\0';
            for (int i = 0, at = 0; i < n; i++)
                at += snprintf(text + at, sizeof text - (size_t)at, "%s", each[(first + i) % 5]);
            snprintf(body, sizeof body, BODY("[{\"role\":\"user\",\"content\":\"%s\"}]"), text);
            c = count(body);
            assert_int_equal(c.characters, n);
        }
    }
}

/* What no published rule covers makes an estimate, and never less than the same without it. */
static void test_count__what_no_rule_covers__is_an_estimate_that_is_not_below_its_text(void **state)
{
    static const char *const bodies[] = {
        BODY("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"},{\"type\":\"image_"
             "url\",\"image_url\":"
             "{\"url\":\"data:image/png;base64,AAAA\"}}]}]"),
        BODY("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"},{\"type\":\"input_"
             "audio\","
             "\"input_audio\":{}}]}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\",\"content\":\"hello\"}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\",\"tool_call_id\":\"call_1\"}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":"
             "\"f\","
             "\"arguments\":\"{}\"}}]}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\"}],\"tools\":[{\"type\":\"function\",\"function\":{"
             "\"name\":\"f\"}}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\"}],\"functions\":[{\"name\":\"f\"}]"),
        BODY("[{\"role\":\"user\",\"content\":\"hello\"}],\"response_format\":{\"type\":\"json_schema\","
             "\"json_schema\":"
             "{\"name\":\"s\"}}"),
        "{\"model\":\"llama-3\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
        BODY("[{\"role\":\"user\",\"content\":\"hello\"},7]"),
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        struct request_count c = count(bodies[i]);

        if (c.parts.exact || c.input_tokens < 8 || c.characters < 5)
            fail_msg("%s: %lld%s", bodies[i], (long long)c.input_tokens, c.parts.exact ? ", exact" : "");
    }
    assert_true(
        count(BODY("[{\"role\":\"user\",\"content\":\"hello\"}],\"response_format\":{\"type\":\"text\"}"))
            .parts.exact);
}

static void test_count__an_image__does_not_count_its_base64(void **state)
{
    struct buf body;
    struct request_count small, big;

    (void)state;
    small = count(BODY(
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]}]"));
    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body,
                "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
                "\"image_url\":{\"url\":\"data:,");
    for (int i = 0; i < 10000; i++)
        buf_add_str(&body, "QUJDREVGR0hJSktM");
    buf_add_str(&body, "\"}}]}]}");
    big = count(body.p);
    assert_int_equal(small.input_tokens, big.input_tokens);
    buf_release(&body);
}

static void test_count__a_body_without_messages__cannot_be_counted(void **state)
{
    static const char *const bodies[] = {"{\"model\":\"m\"}", "{\"model\":\"m\",\"messages\":\"hello\"}",
                                         "{\"model\":\"m\",\"messages\":null}",
                                         "{\"model\":\"m\",\"prompt\":{\"id\":\"p\"}}"};
    struct dialect_request r;
    struct request_count c;
    const char *why;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_chat(slice_str(bodies[i]), &r, &why), 0);
        assert_int_equal(dialect_openai.count(slice_str(bodies[i]), &r, &c), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify__what_invokes_a_model__is_metered),
        cmocka_unit_test(test_read__the_fields_that_steer__wherever_they_stand),
        cmocka_unit_test(test_read__bodies_that_it_cannot_read__are_told_with_a_reason),
        cmocka_unit_test(test_read__a_model_name_that_is_too_long__is_no_model),
        cmocka_unit_test(test_count__plain_text__is_exact),
        cmocka_unit_test(test_count__characters__are_code_points_of_the_text_that_is_meant),
        cmocka_unit_test(test_count__characters__of_any_length_at_any_place__are_told),
        cmocka_unit_test(test_count__what_no_rule_covers__is_an_estimate_that_is_not_below_its_text),
        cmocka_unit_test(test_count__an_image__does_not_count_its_base64),
        cmocka_unit_test(test_count__a_body_without_messages__cannot_be_counted),
    };

    return cmocka_run_group_tests_name("openai_request", tests, NULL, NULL);
}
