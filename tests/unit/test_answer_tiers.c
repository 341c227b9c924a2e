/* answers: the figures that are billed at a rate of their own, and the kind of call that the provider says it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/profile.h"

#define OPENAI_USAGE "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}"
#define CLAUDE_USAGE "\"input_tokens\":10,\"output_tokens\":5"

static const struct row {
    const struct dialect *d;
    bool stream;
    const char *body;
    struct usage usage;
} rows[] = {
    /* OpenAI: beside the usage, before or behind it */
    {&dialect_openai, false, "{\"service_tier\":\"default\"," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai, false, "{\"service_tier\":null," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai, false, "{\"service_tier\":\"scale\"," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai, false, "{\"service_tier\":\"on_demand\"," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai, false, "{\"service_tier\":7," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai, false, "{\"x\":{\"service_tier\":\"flex\"}," OPENAI_USAGE "}", {.input = 3, .output = 4}},
    {&dialect_openai,
     false,
     "{\"service_tier\":\"flex\"," OPENAI_USAGE "}",
     {.input = 3, .output = 4, .tier = TIER_FLEX}},
    {&dialect_openai,
     false,
     "{" OPENAI_USAGE ",\"service_tier\":\"priority\"}",
     {.input = 3, .output = 4, .tier = TIER_PRIORITY}},
    {&dialect_openai,
     false,
     "{" OPENAI_USAGE ",\"service_tier\":\"fast\"}",
     {.input = 3, .output = 4, .tier = TIER_PRIORITY}},
    {&dialect_openai,
     false,
     "{" OPENAI_USAGE ",\"service_tier\":\"ultrafast\"}",
     {.input = 3, .output = 4, .tier = TIER_OTHER}},
    {&dialect_openai,
     false,
     "{" OPENAI_USAGE ",\"service_tier\":\"flexible-and-of-a-length-that-nobody-would-use-for-it\"}",
     {.input = 3, .output = 4}},
    {&dialect_azure,
     false,
     "{\"service_tier\":\"priority\"," OPENAI_USAGE "}",
     {.input = 3, .output = 4, .tier = TIER_PRIORITY}},
    {&dialect_openai,
     true,
     "data: {\"choices\":[],\"service_tier\":\"flex\",\"usage\":null}\n\n"
     "data: {\"choices\":[]," OPENAI_USAGE "}\n\ndata: [DONE]\n\n",
     {.input = 3, .output = 4, .tier = TIER_FLEX}},
    {&dialect_openai,
     true,
     "data: {\"choices\":[],\"service_tier\":\"flex\"}\n\n"
     "data: {\"choices\":[],\"service_tier\":\"default\"," OPENAI_USAGE "}\n\ndata: [DONE]\n\n",
     {.input = 3, .output = 4}},
    /* what was asked for, then what it was */
    {&dialect_openai,
     true,
     "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"service_tier\":\"auto\","
     "\"usage\":null}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{"
     "\"service_tier\":\"priority\",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":2,"
     "\"cache_write_tokens\":3},\"output_tokens\":4}}}\n\n",
     {.input = 9, .cached = 2, .cache_write = 3, .output = 4, .tier = TIER_PRIORITY}},
    {&dialect_openai,
     false,
     "{\"usage\":{\"prompt_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":2,\"cache_write_tokens\":3},"
     "\"completion_tokens\":4}}",
     {.input = 9, .cached = 2, .cache_write = 3, .output = 4}},

    /* Anthropic: all of it inside usage */
    {&dialect_anthropic,
     false,
     "{\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":30,"
     "\"cache_creation\":{\"ephemeral_5m_input_tokens\":12,\"ephemeral_1h_input_tokens\":8},\"output_tokens\":5,"
     "\"service_tier\":\"standard\",\"speed\":\"standard\",\"inference_geo\":null}}",
     {.input = 60, .cached = 30, .cache_write = 20, .cache_write_1h = 8, .output = 5}},
    {&dialect_anthropic, /* without the sum */
     false,
     "{\"usage\":{" CLAUDE_USAGE ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":1,"
     "\"ephemeral_1h_input_tokens\":2}}}",
     {.input = 13, .cache_write = 3, .cache_write_1h = 2, .output = 5}},
    {&dialect_anthropic,
     false,
     "{\"usage\":{" CLAUDE_USAGE ",\"cache_creation\":null,\"cache_creation_input_tokens\":7}}",
     {.input = 17, .cache_write = 7, .output = 5}},
    {&dialect_anthropic,
     false,
     "{\"usage\":{" CLAUDE_USAGE ",\"cache_creation\":{\"ephemeral_1h_input_tokens\":-4},"
     "\"cache_creation_input_tokens\":7}}",
     {.input = 17, .cache_write = 7, .output = 5}},
    {&dialect_anthropic, false, "{\"usage\":{" CLAUDE_USAGE ",\"service_tier\":\"priority\"}}", {.input = 10, .output = 5}},
    {&dialect_anthropic,
     false,
     "{\"usage\":{" CLAUDE_USAGE ",\"service_tier\":\"batch\"}}",
     {.input = 10, .output = 5, .tier = TIER_BATCH}},
    {&dialect_anthropic,
     false,
     "{\"usage\":{" CLAUDE_USAGE ",\"service_tier\":\"standard\",\"speed\":\"fast\"}}",
     {.input = 10, .output = 5, .tier = TIER_PRIORITY}},
    {&dialect_anthropic, /* what the start says holds until another figure comes */
     true,
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
     "\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":30,\"cache_creation\":{"
     "\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1,"
     "\"service_tier\":\"batch\"}}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     {.input = 60, .cached = 30, .cache_write = 20, .cache_write_1h = 20, .output = 15, .tier = TIER_BATCH}},
    {&dialect_anthropic, /* cumulative, of a tool that ran at the provider */
     true,
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
     "\"cache_creation_input_tokens\":20,\"cache_creation\":{\"ephemeral_5m_input_tokens\":20,"
     "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":1}}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":40,"
     "\"cache_creation_input_tokens\":70,\"cache_read_input_tokens\":20,\"output_tokens\":15}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     {.input = 130, .cached = 20, .cache_write = 70, .output = 15}},

    /* Gemini */
    {&dialect_gemini,
     false,
     "{\"usageMetadata\":{\"promptTokenCount\":9,\"cachedContentTokenCount\":4,\"candidatesTokenCount\":5,"
     "\"thoughtsTokenCount\":6,\"toolUsePromptTokenCount\":1,\"serviceTier\":\"flex\"}}",
     {.input = 10, .cached = 4, .output = 11, .reasoning = 6, .tier = TIER_FLEX}},
    {&dialect_gemini,
     false,
     "{\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":5,\"serviceTier\":\"PRIORITY\"}}",
     {.input = 9, .output = 5, .tier = TIER_PRIORITY}},
    {&dialect_gemini,
     false,
     "{\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":5,\"serviceTier\":\"standard\"}}",
     {.input = 9, .output = 5}},
};

static struct answer *read_answer(const struct row *row, size_t step)
{
    const struct answer_conf conf = {.dialect = row->d,
                                     .model = "m",
                                     .stream = row->stream,
                                     .content_type = row->stream ? SLICE("text/event-stream") : SLICE("application/json")};
    struct answer *a = answer_new(&conf);

    for (struct slice in = slice_str(row->body); in.n; in = slice_skip(in, step))
        assert_int_equal(answer_feed(a, slice_head(in, step), NULL), 0);
    assert_int_equal(answer_finish(a, NULL), 0);
    return a;
}

static void test_answers__what_is_billed_apart__is_read_in_any_pieces(void **state)
{
    static const size_t steps[] = {1, 7, 100000};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct usage *want = &rows[i].usage;

        for (size_t k = 0; k < MG_ARRAY_LEN(steps); k++) {
            struct answer *a = read_answer(&rows[i], steps[k]);
            struct usage u = {.input = -1};

            if (!answer_usage(a, &u) || u.input != want->input || u.cached != want->cached ||
                u.cache_write != want->cache_write || u.cache_write_1h != want->cache_write_1h ||
                u.output != want->output || u.reasoning != want->reasoning || u.tier != want->tier)
                fail_msg("%s: input %d cached %d written %d for an hour %d output %d reasoning %d tier %d", rows[i].body,
                         (int)u.input, (int)u.cached, (int)u.cache_write, (int)u.cache_write_1h, (int)u.output,
                         (int)u.reasoning, (int)u.tier);
            assert_int_equal(answer_tier(a), want->tier);
            answer_free(a);
        }
    }
}

static void test_answers__of_a_stream_that_broke_off__tell_their_tier_without_usage(void **state)
{
    const struct row row = {&dialect_openai, true, "data: {\"choices\":[],\"service_tier\":\"flex\"}\n\n", {0}};
    struct answer *a = read_answer(&row, 100);
    struct usage u;

    (void)state;
    assert_false(answer_usage(a, &u));
    assert_int_equal(answer_tier(a), TIER_FLEX);
    answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers__what_is_billed_apart__is_read_in_any_pieces),
        cmocka_unit_test(test_answers__of_a_stream_that_broke_off__tell_their_tier_without_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
