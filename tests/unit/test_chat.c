/* encoding, chat: names to vocabularies, messages to sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "metergate/tokens/chat.h"
#include "metergate/tokens/count.h"

static void test_encoding_for_model__names__have_their_encoding(void **state)
{
    static const struct {
        const char *model;
        enum encoding want;
        bool exact;
    } rows[] = {
        {"gpt-4o", ENCODING_O200K, true},
        {"gpt-4o-mini-2024-07-18", ENCODING_O200K, true},
        {"chatgpt-4o-latest", ENCODING_O200K, true},
        {"gpt-4.1-nano", ENCODING_O200K, true},
        {"gpt-4.5-preview", ENCODING_O200K, true},
        {"gpt-5", ENCODING_O200K, true},
        {"gpt-5.6-sol", ENCODING_O200K, true},
        {"gpt-6-astra", ENCODING_O200K, true},
        {"gpt-oss-120b", ENCODING_O200K, true},
        {"gpt-unheard-of", ENCODING_O200K, true},
        {"o1", ENCODING_O200K, true},
        {"o3-mini", ENCODING_O200K, true},
        {"o4-mini-2025-04-16", ENCODING_O200K, true},
        {"o17", ENCODING_O200K, true},
        {"gpt-4", ENCODING_CL100K, true},
        {"gpt-4-turbo-2024-04-09", ENCODING_CL100K, true},
        {"gpt-4-32k", ENCODING_CL100K, true},
        {"gpt-3.5-turbo", ENCODING_CL100K, true},
        {"gpt-3.5-turbo-0125", ENCODING_CL100K, true},
        {"gpt-35-turbo-16k", ENCODING_CL100K, true},
        {"text-embedding-3-small", ENCODING_CL100K, true},
        {"text-embedding-ada-002", ENCODING_CL100K, true},
        {"davinci-002", ENCODING_CL100K, true},
        {"ft:gpt-4o-mini-2024-07-18:org:name:id", ENCODING_O200K, true},
        {"ft:gpt-4.1-mini:org::id", ENCODING_O200K, true},
        {"ft:gpt-4-0613:org::id", ENCODING_CL100K, true},
        {"ft:gpt-3.5-turbo:org", ENCODING_CL100K, true},
        {"openai/gpt-4", ENCODING_CL100K, true},
        {"openrouter/openai/gpt-4o-mini", ENCODING_O200K, true},
        {"azure/ft:gpt-4-0613:org::id", ENCODING_CL100K, true},
        {"openai/", ENCODING_O200K, false},
        {"text-davinci-003", ENCODING_O200K, false},
        {"davinci", ENCODING_O200K, false},
        {"gpt-2", ENCODING_O200K, false},
        {"gpt2", ENCODING_O200K, false},
        {"claude-opus-5", ENCODING_O200K, false},
        {"gemini-2.5-pro", ENCODING_O200K, false},
        {"llama3", ENCODING_O200K, false},
        {"o", ENCODING_O200K, false},
        {"o1x", ENCODING_O200K, false},
        {"orca-2", ENCODING_O200K, false},
        {"ft:", ENCODING_O200K, false},
        {"", ENCODING_O200K, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct model_encoding got = encoding_for_model(rows[i].model, strlen(rows[i].model));

        if (got.encoding != rows[i].want || got.exact != rows[i].exact)
            fail_msg("%s: %s, exact %d", rows[i].model, encoding_name(got.encoding), got.exact);
    }
    assert_string_equal(encoding_name(ENCODING_O200K), "o200k_base");
    assert_string_equal(encoding_name(ENCODING_CL100K), "cl100k_base");
}

static struct chat_count begin(const char *model)
{
    struct chat_count c;

    chat_count_init(&c, encoding_for_model(model, strlen(model)), model, strlen(model));
    return c;
}

static void message(struct chat_count *c, const char *role, const char *name, const char *content)
{
    chat_count_message(c);
    chat_count_text(c, tokens_count(c->encoding, role, strlen(role)));
    if (name)
        chat_count_name(c, tokens_count(c->encoding, name, strlen(name)));
    chat_count_text(c, tokens_count(c->encoding, content, strlen(content)));
}

static void test_chat_count__one_hello__is_eight_tokens(void **state)
{
    static const char *const models[] = {"gpt-4o", "gpt-4", "gpt-3.5-turbo", "ft:gpt-4o-mini:org::id"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(models); i++) {
        struct chat_count c = begin(models[i]);

        message(&c, "user", NULL, "hello");
        assert_int_equal(chat_count_total(&c).tokens, 8);
        assert_true(chat_count_total(&c).parts.exact);
    }
}

static void test_chat_count__names_and_messages__add_their_overhead(void **state)
{
    struct chat_count c = begin("gpt-4o");
    int64_t texts = 0;
    static const char *const all[] = {"system", "example_user", "Speak plainly.", "user",
                                      "Push the synergies."};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++)
        texts += tokens_count(ENCODING_O200K, all[i], strlen(all[i]));
    message(&c, "system", "example_user", "Speak plainly.");
    message(&c, "user", NULL, "Push the synergies.");
    assert_int_equal(chat_count_total(&c).tokens, texts + 3 + 3 + 1 + 3);
    assert_true(chat_count_total(&c).parts.exact);

    c = begin("gpt-3.5-turbo-0301");
    message(&c, "user", "x", "hello");
    assert_int_equal(chat_count_total(&c).tokens, 4 + 1 - 1 + 1 + 1 + 3);
}

static void test_chat_count__unpublished_models__are_not_exact(void **state)
{
    static const char *const models[] = {"gpt-5", "o3", "gpt-4.1", "gpt-oss-20b", "llama-4", ""};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(models); i++) {
        struct chat_count c = begin(models[i]);

        message(&c, "user", NULL, "hello");
        assert_int_equal(chat_count_total(&c).tokens, 8);
        assert_false(chat_count_total(&c).parts.exact);
    }
}

static void test_chat_count__models_of_other_vocabularies__are_scaled(void **state)
{
    static const struct {
        const char *model;
        int64_t tokens; /* of a message of 5 and the priming of 3 */
    } rows[] = {
        {"claude-sonnet-4-20250514", 9}, {"claude-3-5-haiku-latest", 9}, {"claude-opus-4-6", 9},
        {"claude-opus-4-7", 11},         {"claude-opus-5", 11},          {"anthropic/claude-fable-5.1", 11}, {"us.anthropic.claude-opus-4-8-v1:0", 11},
        {"gemini-2.5-flash", 9},         {"mistral-large", 8},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct chat_count c = begin(rows[i].model);

        message(&c, "user", NULL, "hello");
        assert_int_equal(chat_count_total(&c).tokens, rows[i].tokens);
        assert_false(chat_count_total(&c).parts.exact);
    }
}

static void test_chat_count__tools__are_an_upper_estimate(void **state)
{
    static const char tool[] = "{\"name\":\"foo\"}";
    struct chat_count c = begin("gpt-4o");

    (void)state;
    message(&c, "user", NULL, "hello");
    chat_count_tool_json(&c, tool, sizeof tool - 1);
    /* 31 is what the API says of hello and a function foo without arguments */
    assert_true(chat_count_total(&c).tokens >= 31);
    assert_true(chat_count_total(&c).tokens <= 45);
    assert_false(chat_count_total(&c).parts.exact);
}

static int64_t tool_tokens(const char *json, size_t n)
{
    struct chat_count c = begin("gpt-4o");

    chat_count_tool_json(&c, json, n);
    return chat_count_total(&c).tokens;
}

static void test_chat_count__white_space_between_json_tokens__costs_nothing(void **state)
{
    static const char tight[] = "{\"name\":\"a b\\\" c\",\"n\":[1,2]}";
    static const char loose[] = "{\n    \"name\" : \"a b\\\" c\" ,\r\n\t\"n\" : [ 1 , 2 ]\n}\n";

    (void)state;
    assert_int_equal(tool_tokens(loose, sizeof loose - 1), tool_tokens(tight, sizeof tight - 1));
}

/* Larger than the chunks that it is counted by, with characters of every size across their borders. */
static void test_chat_count__large_json__is_counted_whole(void **state)
{
    static const char characters[] = {'a',    '\xc3', '\xa9', '\xe4', '\xb8',
                                      '\xad', '\xf0', '\x9f', '\x98', '\x80'};
    static char json[30000];
    size_t n = 0;

    (void)state;
    json[n++] = '"';
    while (n < sizeof json - sizeof characters) {
        memcpy(json + n, characters, sizeof characters);
        n += sizeof characters;
    }
    json[n++] = '"';
    int64_t whole = tokens_count(ENCODING_O200K, json, n);
    int64_t got = tool_tokens(json, n);
    assert_true(got >= whole && got < whole + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding_for_model__names__have_their_encoding),
        cmocka_unit_test(test_chat_count__one_hello__is_eight_tokens),
        cmocka_unit_test(test_chat_count__names_and_messages__add_their_overhead),
        cmocka_unit_test(test_chat_count__unpublished_models__are_not_exact),
        cmocka_unit_test(test_chat_count__models_of_other_vocabularies__are_scaled),
        cmocka_unit_test(test_chat_count__tools__are_an_upper_estimate),
        cmocka_unit_test(test_chat_count__white_space_between_json_tokens__costs_nothing),
        cmocka_unit_test(test_chat_count__large_json__is_counted_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
