/* openai_tools: the published examples, and schemas that nobody published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/dialect/openai.h"

static struct request_count count(enum endpoint e, const char *body)
{
    const struct dialect_input in = {.endpoint = e, .body = slice_str(body)};
    struct dialect_request r;
    struct request_count c = {0};
    const char *why = "";

    if (dialect_openai.read(&in, &r, &why) != 0)
        fail_msg("%s: %s", body, why);
    assert_int_equal(dialect_openai.count(in.body, &r, &c), 0);
    return c;
}

/* OpenAI's cookbook, How to count tokens with tiktoken, sections 6 and 7. */
#define COOKBOOK_TOOLS                                                                                       \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_current_weather\",\"description\":"      \
    "\"Get the current "                                                                                     \
    "weather in a given "                                                                                    \
    "location\",\"parameters\":{\"type\":\"object\",\"properties\":{\"location\":{\"type\":\"string\","      \
    "\"description\":\"The city and state, e.g. San Francisco, "                                             \
    "CA\"},\"unit\":{\"type\":\"string\",\"description\":\"The unit "                                        \
    "of temperature to return\",\"enum\":[\"celsius\",\"fahrenheit\"]}},\"required\":[\"location\"]}}}]"
#define COOKBOOK_MESSAGES                                                                                    \
    "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant that can answer to "       \
    "questions about the "                                                                                   \
    "weather.\"},{\"role\":\"user\",\"content\":\"What's the weather like in San Francisco?\"}]"

static void test_count__the_cookbooks_tools__are_as_the_api_answered(void **state)
{
    (void)state;
    assert_int_equal(
        count(ENDPOINT_CHAT, "{\"model\":\"gpt-4o\"," COOKBOOK_MESSAGES "," COOKBOOK_TOOLS "}").input_tokens,
        101);
    assert_int_equal(
        count(ENDPOINT_CHAT, "{\"model\":\"gpt-4o-mini\"," COOKBOOK_TOOLS "," COOKBOOK_MESSAGES "}")
            .input_tokens,
        101);
    assert_int_equal(
        count(ENDPOINT_CHAT, "{\"model\":\"gpt-4\"," COOKBOOK_MESSAGES "," COOKBOOK_TOOLS "}").input_tokens,
        105);
    assert_int_equal(
        count(ENDPOINT_CHAT, "{\"model\":\"gpt-3.5-turbo\"," COOKBOOK_MESSAGES "," COOKBOOK_TOOLS "}")
            .input_tokens,
        105);
}

/* The cookbook's conversation: 129 with cl100k_base, 124 with o200k_base. */
static void test_count__the_cookbooks_messages__are_as_the_api_answered(void **state)
{
    static const char messages[] = "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful, "
                                   "pattern-following assistant that translates "
                                   "corporate jargon into plain English.\"},"
                                   "{\"role\":\"system\",\"name\":\"example_user\",\"content\":\"New "
                                   "synergies will help drive top-line growth.\"},"
                                   "{\"role\":\"system\",\"name\":\"example_assistant\",\"content\":\"Things "
                                   "working well together will increase "
                                   "revenue.\"},"
                                   "{\"role\":\"system\",\"name\":\"example_user\",\"content\":\"Let's "
                                   "circle back when we have more bandwidth to touch "
                                   "base on opportunities for increased leverage.\"},"
                                   "{\"role\":\"system\",\"name\":\"example_assistant\",\"content\":\"Let's "
                                   "talk later when we're less busy about how to "
                                   "do better.\"},"
                                   "{\"role\":\"user\",\"content\":\"This late pivot means we don't have "
                                   "time to boil the ocean for the client "
                                   "deliverable.\"}]}";
    static const struct {
        const char *model;
        int64_t want;
    } rows[] = {
        {"gpt-4o", 124}, {"gpt-4o-mini", 124}, {"gpt-4", 129}, {"gpt-4-0613", 129}, {"gpt-3.5-turbo", 129}};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf body;
        struct request_count c;

        buf_init(&body, BUF_UNLIMITED);
        buf_addf(&body, "{\"model\":\"%s\",%s", rows[i].model, messages);
        c = count(ENDPOINT_CHAT, body.p);
        assert_int_equal(c.input_tokens, rows[i].want);
        assert_true(c.parts.exact);
        buf_release(&body);
    }
}

#define HELLO(more)                                                                                          \
    "{\"model\":\"gpt-3.5-turbo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]" more "}"

/* Fixtures that were measured at the API: openai-chat-tokens, gpt-tokenizer. */
static void test_count__functions__are_as_the_api_answered(void **state)
{
    (void)state;
    assert_int_equal(count(ENDPOINT_CHAT, HELLO("")).input_tokens, 8);
    assert_int_equal(
        count(
            ENDPOINT_CHAT,
            HELLO(
                ",\"functions\":[{\"name\":\"foo\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}]"))
            .input_tokens,
        31);
    assert_int_equal(
        count(ENDPOINT_CHAT,
              HELLO(",\"functions\":[{\"name\":\"foo\",\"description\":\"Do a foo\",\"parameters\":{"
                    "\"type\":\"object\",\"properties\":{}}}]"))
            .input_tokens,
        36);
    assert_int_equal(
        count(ENDPOINT_CHAT,
              HELLO(",\"functions\":[{\"name\":\"bing_bong\",\"description\":\"Do a bing bong\","
                    "\"parameters\":{\"type\":\"object\",\"properties\":{\"foo\":{\"type\":\"string\"}}}}]"))
            .input_tokens,
        49);
}

static void test_count__function_call__and_system_message__change_the_sum(void **state)
{
    static const char functions[] = "\"functions\":[{\"name\":\"foo\",\"parameters\":{}}]";
    int64_t plain =
        count(ENDPOINT_CHAT, HELLO(",\"functions\":[{\"name\":\"foo\",\"parameters\":{}}]")).input_tokens;
    struct buf body;

    (void)state;
    assert_int_equal(
        count(ENDPOINT_CHAT,
              HELLO(",\"functions\":[{\"name\":\"foo\",\"parameters\":{}}],\"function_call\":\"none\""))
            .input_tokens,
        plain + 1);
    assert_int_equal(
        count(
            ENDPOINT_CHAT,
            HELLO(
                ",\"functions\":[{\"name\":\"foo\",\"parameters\":{}}],\"function_call\":{\"name\":\"foo\"}"))
            .input_tokens,
        plain + 4 + 1);
    assert_int_equal(
        count(ENDPOINT_CHAT,
              HELLO(",\"functions\":[{\"name\":\"foo\",\"parameters\":{}}],\"function_call\":\"auto\""))
            .input_tokens,
        plain);
    /* a system message of one word: 3 + 1 + 1, its line break 1, less 4 */
    buf_init(&body, BUF_UNLIMITED);
    buf_addf(&body,
             "{\"model\":\"gpt-3.5-turbo\",\"messages\":[{\"content\":\"hello\",\"role\":\"system\"},{"
             "\"role\":\"user\","
             "\"content\":\"hello\"}],%s}",
             functions);
    assert_int_equal(count(ENDPOINT_CHAT, body.p).input_tokens, plain + 5 + 1 - 4);
    buf_release(&body);
}

/* What no rule tells is counted, as more than nothing and no more than its JSON and a little. */
static void test_count__schemas_of_every_shape__cost_something_sensible(void **state)
{
    static const char *const tools[] = {
        "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
        "{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"object\","
        "\"properties\":{"
        "\"b\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"c\":{\"type\":"
        "\"integer\"}}}}}}}}}",
        "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{"
        "\"anyOf\":[{\"type\":"
        "\"string\"},{\"type\":\"null\"}]},\"b\":{\"$ref\":\"#/"
        "x\"},\"c\":{\"type\":[\"string\",\"null\"]},\"d\":true}}}}",
        "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":"
        "\"string\","
        "\"enum\":[\"x\",1,null]}}}}}",
        "{\"type\":\"custom\",\"custom\":{\"name\":\"f\",\"description\":\"d\"}}",
        "{\"type\":\"function\",\"function\":null}",
        "\"no object\"",
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(tools); i++) {
        struct request_count c;
        struct buf body;

        buf_init(&body, BUF_UNLIMITED);
        buf_addf(
            &body,
            "{\"model\":\"gpt-5\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"tools\":[%s]}",
            tools[i]);
        c = count(ENDPOINT_CHAT, body.p);
        assert_false(c.parts.exact || c.parts.hidden);
        if (c.parts.tools < 12 || c.parts.tools > (int64_t)strlen(tools[i]) + 40)
            fail_msg("%s: %d", tools[i], (int)c.parts.tools);
        buf_release(&body);
    }
    assert_true(count(ENDPOINT_RESPONSES,
                      "{\"model\":\"gpt-5\",\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}")
                    .parts.hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count__the_cookbooks_messages__are_as_the_api_answered),
        cmocka_unit_test(test_count__the_cookbooks_tools__are_as_the_api_answered),
        cmocka_unit_test(test_count__functions__are_as_the_api_answered),
        cmocka_unit_test(test_count__function_call__and_system_message__change_the_sum),
        cmocka_unit_test(test_count__schemas_of_every_shape__cost_something_sensible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
