/* `metergate count` as a person and a shell script meet it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/json.h"
#include "metergate/dialect/openai.h"
#include "metergate/tokens/count.h"
#include "fixture.h"
#include "tool_fixture.h"

/* As the body of a chat. */
static int read_chat(struct slice body, struct dialect_request *ret, const char **ret_why)
{
    return dialect_openai.read(&(struct dialect_input){.endpoint = ENDPOINT_CHAT, .body = body}, ret,
                               ret_why);
}

#define PROSE                                                                                                \
    "The gate of a canal both measures and limits.\nDie Schleuse misst 30.000 \xc3\xa4\xc3\xb6\xc3\xbc "     \
    "\xe6\xb0\xb4.\n"

struct files {
    char dir[32], one[64], two[64];
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
}

static void files_make(struct files *f, const char *one, const char *two)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/mg-tool-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->one, sizeof f->one, "%s/one", f->dir);
    snprintf(f->two, sizeof f->two, "%s/two", f->dir);
    write_file(f->one, one);
    write_file(f->two, two);
}

static void files_remove(struct files *f)
{
    unlink(f->one);
    unlink(f->two);
    rmdir(f->dir);
}

static void test_count__files__are_counted_as_the_daemon_counts_text(void **state)
{
    int64_t prose = tokens_count(ENCODING_O200K, PROSE, strlen(PROSE));
    struct files f = {0};
    struct outcome o;
    char want[256];

    (void)state;
    files_make(&f, PROSE, "");
    o = TOOL("count", f.one, f.two, f.one);
    snprintf(want, sizeof want, "%8lld %s\n%8d %s\n%8lld %s\n%8lld total\n", (long long)prose, f.one, 0,
             f.two, (long long)prose, f.one, 2 * (long long)prose);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, want);
    assert_string_equal(o.err, "");
    outcome_release(&o);
    files_remove(&f);
}

static void test_count__standard_input__prints_a_bare_number(void **state)
{
    int64_t o200k = tokens_count(ENCODING_O200K, PROSE, strlen(PROSE));
    int64_t cl100k = tokens_count(ENCODING_CL100K, PROSE, strlen(PROSE));
    struct outcome plain = TOOL_WITH_INPUT(PROSE, "count"),
                   encoding = TOOL_WITH_INPUT(PROSE, "count", "-e", "cl100k_base"),
                   model = TOOL_WITH_INPUT(PROSE, "count", "-m", "gpt-4-0613");

    (void)state;
    assert_int_not_equal(o200k, cl100k);
    assert_int_equal(strtoll(plain.out, NULL, 10), o200k);
    assert_int_equal(strtoll(encoding.out, NULL, 10), cl100k);
    assert_string_equal(encoding.out, model.out);
    assert_string_equal(encoding.err, "");
    outcome_release(&plain);
    outcome_release(&encoding);
    outcome_release(&model);
}

static void test_count__model_without_a_public_vocabulary__is_said_to_be_an_estimate(void **state)
{
    struct outcome text = TOOL_WITH_INPUT("water", "count", "--model", "claude-sonnet-4-5");
    struct outcome json = TOOL_WITH_INPUT("water", "count", "--json", "--model", "claude-sonnet-4-5");

    (void)state;
    assert_int_equal(text.status, 0);
    assert_string_equal(text.out, "1\n");
    text_has(text.err, "estimate");
    assert_string_equal(
        json.out, "{\"encoding\":\"o200k_base\",\"files\":[{\"file\":\"-\",\"tokens\":1,\"exact\":false}],"
                  "\"total\":1,\"exact\":false}\n");
    outcome_release(&text);
    outcome_release(&json);
}

static void test_count__file_that_is_not_there__is_66_and_the_others_are_counted(void **state)
{
    struct files f = {0};
    struct outcome o;

    (void)state;
    files_make(&f, "water", "");
    o = TOOL("count", "/nowhere/at/all", f.one);
    assert_int_equal(o.status, 66);
    text_has(o.out, f.one);
    text_has(o.out, "       1 total\n");
    text_has(o.err, "/nowhere/at/all: No such file or directory");
    outcome_release(&o);
    files_remove(&f);
}

static void test_count__chat_request__is_counted_as_the_daemon_would(void **state)
{
    static const char body[] = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\""
                               "caf\\u00e9 "
                               "\"}]}";
    struct dialect_request r;
    struct request_count count;
    const char *why;
    struct outcome o = TOOL_WITH_INPUT(body, "count", "--chat"),
                   wrong = TOOL_WITH_INPUT("[1,", "count", "--chat"),
                   json = TOOL_WITH_INPUT(body, "count", "--chat", "--json");

    (void)state;
    assert_int_equal(read_chat(slice_str(body), &r, &why), 0);
    assert_int_equal(dialect_openai.count(slice_str(body), &r, &count), 0);
    assert_int_equal(strtoll(o.out, NULL, 10), count.input_tokens);
    assert_string_equal(o.err, "");
    assert_int_equal(wrong.status, 65);
    assert_int_equal(text_lines(wrong.err), 1);
    text_has(json.out, "\"model\":\"gpt-4o\"");
    outcome_release(&o);
    outcome_release(&wrong);
    outcome_release(&json);
}

/* Whose a body is, its members tell; a model that is named beside it takes the place of its own. */
static void test_count__request_of_any_provider__is_counted(void **state)
{
    static const struct {
        const char *body, *model, *out;
    } rows[] = {
        {"{\"model\":\"claude-sonnet-4-5\",\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}]}", NULL, "10\n"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}],\"system\":\"x\"}", "claude-sonnet-4-5", "15\n"},
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hello world\"}]}]}", "gemini-2.5-flash", "10\n"},
        {"{\"model\":\"text-embedding-3-small\",\"input\":[\"hello\",\"world\"]}", NULL, "2\n"},
        {"{\"model\":\"gpt-4o\",\"input\":\"hello\"}", NULL, "7\n"},
        {"{\"model\":\"davinci-002\",\"prompt\":\"hello\"}", NULL, "1\n"},
        {"{\"model\":\"gpt-4o\",\"prompt\":\"hello\"}", "gpt-4", "1\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct outcome o = rows[i].model ? TOOL_WITH_INPUT(rows[i].body, "count", "--chat", "-m", rows[i].model)
                                         : TOOL_WITH_INPUT(rows[i].body, "count", "--chat");

        if (o.status != 0 || strcmp(o.out, rows[i].out) != 0)
            fail_msg("%s: %d %s%s", rows[i].body, o.status, o.out, o.err);
        outcome_release(&o);
    }
}

/* A text is counted as it comes: cut anywhere, ill-formed, or one word without an end. */
static void test_count__long_input__is_counted_in_parts(void **state)
{
    struct outcome o = tool_shell("{ yes 'a b\xff' | head -c 3000000; head -c 1000000 /dev/zero | tr '\\0' a; } | \"$0\" count");
    struct outcome once = tool_shell("head -c 1000000 /dev/zero | tr '\\0' a | \"$0\" count");

    (void)state;
    assert_int_equal(o.status, 0);
    assert_true(strtoll(o.out, NULL, 10) > 1000000);
    assert_string_equal(once.out, "125000\n");
    outcome_release(&o);
    outcome_release(&once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_count__files__are_counted_as_the_daemon_counts_text, tool_environment),
        cmocka_unit_test_setup(test_count__standard_input__prints_a_bare_number, tool_environment),
        cmocka_unit_test_setup(test_count__model_without_a_public_vocabulary__is_said_to_be_an_estimate,
                               tool_environment),
        cmocka_unit_test_setup(test_count__file_that_is_not_there__is_66_and_the_others_are_counted,
                               tool_environment),
        cmocka_unit_test_setup(test_count__chat_request__is_counted_as_the_daemon_would, tool_environment),
        cmocka_unit_test_setup(test_count__request_of_any_provider__is_counted, tool_environment),
        cmocka_unit_test_setup(test_count__long_input__is_counted_in_parts, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
