/* answer, tap: usage and text out of plain answers of any size, in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/dialect/answer.h"
#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/profile.h"

static struct answer *plain_answer(const char *type, bool stream)
{
    struct answer_conf conf = {.dialect = &dialect_openai,
                               .model = "gpt-4o",
                               .stream = stream,
                               .hide_usage = stream,
                               .content_type = slice_str(type)};

    return answer_new(&conf);
}

static const struct {
    const char *body;
    int64_t input, cached, output, reasoning; /* output -1: no usage */
    int64_t text_bytes;                       /* of all choices, decoded */
    const char *error;
    bool complete;
} rows[] = {
    {"{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"}}],"
     "\"usage\":"
     "{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_"
     "tokens\":4,"
     "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":3,\"audio_tokens\":0}}}",
     19, 4, 10, 3, 5, NULL, true},
    /* DeepSeek's empty lines while it waits, its own name for cached tokens, reasoning apart from content */
    {"\n\n\r\n "
     "{\"usage\":{\"prompt_tokens\":5,\"prompt_cache_hit_tokens\":2,\"completion_tokens\":1},\"choices\":[{"
     "\"message\":"
     "{\"reasoning_content\":\"hm\",\"content\":\"ok\"}}]}\n",
     5, 2, 1, 0, 4, NULL, true},
    {"{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8},\"data\":[{\"embedding\":[0.1,-2e-3]}]}", 8, 0, 0,
     0, 0, NULL, true},
    {"{\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":87,"
     "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":123}}",
     36, 1, 87, 2, 0, NULL, true},
    /* usage that is none */
    {"{\"usage\":null,\"choices\":[{\"message\":{\"content\":\"four\"}},{\"message\":{\"content\":"
     "\"a\\u00e9\\n\"}}]}",
     0, 0, -1, 0, 8, NULL, true},
    {"{\"usage\":{\"prompt_tokens\":1.5,\"completion_tokens\":\"7\"}}", 0, 0, -1, 0, 0, NULL, true},
    {"{\"usage\":[1,2],\"x\":{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}}", 0, 0, -1, 0, 0,
     NULL, true},
    {"{\"x\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":1}\"}", 0, 0, -1, 0, 0, NULL, true},
    /* the last one wins */
    {"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"usage\":{\"prompt_tokens\":2,\"completion_"
     "tokens\":2}}",
     2, 0, 2, 0, 0, NULL, true},
    /* calls are text too */
    {"{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":"
     "\"get\",\"arguments\":"
     "\"{\\\"a\\\":1}\"}}]}}]}",
     0, 0, -1, 0, 10, NULL, true},
    {"{\"choices\":[{\"text\":\"legacy\"}]}", 0, 0, -1, 0, 6, NULL, true},
    {"{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"boom\"}}", 0, 0, -1, 0, 0, "boom",
     true},
    /* cut off */
    {"{\"choices\":[{\"message\":{\"content\":\"half an ans", 0, 0, -1, 0, 11, NULL, false},
    {"{\"choices\":[{\"message\":{\"content\":\"half \\u00", 0, 0, -1, 0, 5, NULL, false},
    {"{\"choices\":[{\"message\":{\"content\":\"whole\"}}],\"usage\":{\"prompt_tok", 0, 0, -1, 0, 5, NULL,
     false},
    /* not JSON */
    {"}}]],\"\"{{:", 0, 0, -1, 0, 0, NULL, false},
    {"", 0, 0, -1, 0, 0, NULL, false},
};

/* The bytes of text that were seen, by a count that the tokens layer cannot surprise: only 0 is told apart.
 */
static void check_row(size_t i, struct answer *a)
{
    struct usage u = {.output = -1};

    (void)answer_usage(a, &u);
    if (u.input != rows[i].input || u.cached != rows[i].cached || u.output != rows[i].output ||
        u.reasoning != rows[i].reasoning || answer_complete(a) != rows[i].complete)
        fail_msg("row %zu: input %lld cached %lld output %lld reasoning %lld complete %d", i,
                 (long long)u.input, (long long)u.cached, (long long)u.output, (long long)u.reasoning,
                 answer_complete(a));
    assert_int_equal(answer_counted_output(a) > 0, rows[i].text_bytes > 0);
    assert_true(answer_counted_output(a) <= rows[i].text_bytes);
    if (rows[i].error)
        assert_string_equal(answer_error(a), rows[i].error);
    else
        assert_null(answer_error(a));
}

static void test_answer__plain_json__is_read_whatever_its_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice in = slice_str(rows[i].body);

        for (size_t piece = 1; piece <= 1 + in.n; piece += piece < 8 ? 1 : piece) {
            struct answer *a = plain_answer("application/json", false);
            struct buf out;

            buf_init(&out, BUF_UNLIMITED);
            for (size_t at = 0; at < in.n; at += piece)
                assert_int_equal(answer_feed(a, slice_head(slice_skip(in, at), piece), &out), 0);
            assert_int_equal(answer_finish(a, &out), 0);
            assert_true(slice_eq(buf_slice(&out), in));
            check_row(i, a);
            buf_release(&out);
            answer_free(a);
        }
    }
}

static void test_answer__without_a_content_type__is_told_by_its_first_byte(void **state)
{
    static const struct {
        const char *body;
        bool stream;
        int64_t output; /* -1: none */
        const char *out;
    } bodies[] = {
        {" \n{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", false, 2, NULL},
        {" \n{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", true, 2, NULL},
        {"\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: "
         "[DONE]\n\n",
         true, 2, "\n\ndata: [DONE]\n\n"},
        {"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n", false, -1,
         NULL},
        {"plain text", false, -1, NULL},
        {"   ", true, -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bodies); i++) {
        struct slice in = slice_str(bodies[i].body);

        for (size_t at = 0; at <= in.n; at++) {
            struct answer *a = plain_answer("", bodies[i].stream);
            struct usage u = {.output = -1};
            struct buf out;

            buf_init(&out, BUF_UNLIMITED);
            assert_int_equal(answer_feed(a, slice_head(in, at), &out), 0);
            assert_int_equal(answer_feed(a, slice_skip(in, at), &out), 0);
            assert_int_equal(answer_finish(a, &out), 0);
            (void)answer_usage(a, &u);
            assert_int_equal(u.output, bodies[i].output);
            assert_string_equal(out.p, bodies[i].out ? bodies[i].out : bodies[i].body);
            buf_release(&out);
            answer_free(a);
        }
    }
}

static void test_answer__compressed__passes_unread(void **state)
{
    struct answer_conf conf = {.dialect = &dialect_openai,
                               .model = "gpt-4o",
                               .stream = true,
                               .hide_usage = true,
                               .content_type = SLICE("text/event-stream"),
                               .content_encoding = SLICE("gzip")};
    struct answer *a = answer_new(&conf);
    struct usage u;

    (void)state;
    assert_false(answer_rewrites(a));
    assert_int_equal(answer_feed(a,
                                 SLICE("\x1f\x8b\x08"
                                       "data: {\"usage\":null}\n\n"),
                                 NULL),
                     0);
    assert_int_equal(answer_finish(a, NULL), 0);
    assert_false(answer_usage(a, &u));
    answer_free(a);
    answer_free(NULL);
}

/* 50 MB of numbers and of text: found at the end, in little memory and time. */
static void test_answer__of_fifty_megabytes__gives_its_usage(void **state)
{
    struct answer *a = plain_answer("application/json; charset=utf-8", false);
    char numbers[4096], text[4096];
    struct usage u;

    (void)state;
    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = "-0.0123,"[i % 8];
    memset(text, 'x', sizeof text);
    assert_int_equal(answer_feed(a, SLICE("{\"data\":[{\"embedding\":["), NULL), 0);
    for (int i = 0; i < 6400; i++)
        assert_int_equal(answer_feed(a, slice_of(numbers, sizeof numbers), NULL), 0);
    assert_int_equal(answer_feed(a, SLICE("0]}],\"choices\":[{\"message\":{\"content\":\""), NULL), 0);
    for (int i = 0; i < 6400; i++)
        assert_int_equal(answer_feed(a, slice_of(text, sizeof text), NULL), 0);
    assert_int_equal(
        answer_feed(a, SLICE("\"}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}"), NULL), 0);
    assert_int_equal(answer_finish(a, NULL), 0);
    assert_true(answer_usage(a, &u));
    assert_int_equal(u.output, 9);
    assert_true(answer_complete(a));
    /* the kept text is counted, the rest at a quarter of its bytes */
    assert_true(answer_counted_output(a) >= (int64_t)(6400 * sizeof text - ANSWER_TEXT_MAX) / 4);
    answer_free(a);
}

static void test_answer__nested_without_end__does_no_harm(void **state)
{
    struct answer *a = plain_answer("application/json", false);
    char deep[4096];

    (void)state;
    memset(deep, '[', sizeof deep);
    for (int i = 0; i < 10; i++)
        assert_int_equal(answer_feed(a, slice_of(deep, sizeof deep), NULL), 0);
    memset(deep, '}', sizeof deep);
    for (int i = 0; i < 20; i++)
        assert_int_equal(answer_feed(a, slice_of(deep, sizeof deep), NULL), 0);
    assert_int_equal(answer_finish(a, NULL), 0);
    assert_false(answer_complete(a));
    answer_free(a);
}

/* Anthropic's first event tells of one token of output; Gemini tells with each event; OpenAI at the end. */
static void test_answer__that_tells_its_usage_before_its_text__is_behind_until_its_end(void **state)
{
    static const struct {
        const struct dialect *dialect;
        const char *events[4];
        bool behind[4]; /* after each */
    } streams[] = {
        {&dialect_anthropic,
         {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,"
          "\"output_tokens\":1}}}\n\n",
          "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
          "\"text_delta\",\"text\":\"The water flows\"}}\n\n",
          "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":3}}\n\n",
          "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
         {false, true, false, false}},
        {&dialect_gemini,
         {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"The\"}]}}],\"usageMetadata\":{"
          "\"promptTokenCount\":9,\"candidatesTokenCount\":1}}\r\n\r\n",
          "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" water\"}]}}],\"usageMetadata\":{"
          "\"promptTokenCount\":9,\"candidatesTokenCount\":2}}\r\n\r\n"},
         {false, false}},
        {&dialect_openai,
         {"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The\"}}]}\n\n",
          "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n", "data: [DONE]\n\n"},
         {false, false, false}},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(streams); i++) {
        struct answer_conf conf = {.dialect = streams[i].dialect,
                                   .model = "m",
                                   .stream = true,
                                   .content_type = SLICE("text/event-stream")};
        struct answer *a = answer_new(&conf);

        for (size_t k = 0; k < MG_ARRAY_LEN(streams[i].events) && streams[i].events[k]; k++) {
            assert_int_equal(answer_feed(a, slice_str(streams[i].events[k]), NULL), 0);
            assert_int_equal(answer_usage_is_behind(a), streams[i].behind[k]);
        }
        answer_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer__plain_json__is_read_whatever_its_pieces),
        cmocka_unit_test(test_answer__without_a_content_type__is_told_by_its_first_byte),
        cmocka_unit_test(test_answer__compressed__passes_unread),
        cmocka_unit_test(test_answer__of_fifty_megabytes__gives_its_usage),
        cmocka_unit_test(test_answer__nested_without_end__does_no_harm),
        cmocka_unit_test(test_answer__that_tells_its_usage_before_its_text__is_behind_until_its_end),
    };

    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
