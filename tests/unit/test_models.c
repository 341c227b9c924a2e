/* models: which entry a model's name belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/config/models.h"
#include "config_text.h"

static const char yaml[] = "upstreams:\n"
                           "  groq: {base_url: \"http://groq\"}\n"
                           "models:\n"
                           "  special: {match: [\"ft:gpt-4o*:acme:*\"], tpm: 1}\n"
                           "  gpt-4o: {tpm: 1}\n"
                           "  gpt-4: {tpm: 1}\n"
                           "  claude-sonnet-4: {tpm: 1}\n"
                           "  embeddings: {match: [\"text-embedding-*\", ada], tpm: 1}\n"
                           "  \"o[13]*\": {tpm: 1}\n"
                           "  here: {match: [\"llama-*\"], upstream: groq, tpm: 1}\n"
                           "  gpt-4o-mini-2024-07-18: {tpm: 1}\n"
                           "  llama-3: {tpm: 1}\n"
                           "  later: {match: [\"gpt-4o-mini*\"], tpm: 1}\n";

static const struct {
    const char *model, *entry;
} rows[] = {
    {"gpt-4o", "gpt-4o"},
    {"gpt-4o-2024-08-06", "gpt-4o"},
    {"gpt-4o-2024-13-06", "*"}, /* no month */
    {"gpt-4o-1999-08-06", "*"},
    {"gpt-4o-2024-08-06-x", "*"},
    {"gpt-4o-audio-preview", "*"},
    {"gpt-4o-mini", "later"},
    {"gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"}, /* the first that matches */
    {"gpt-4o-mini-2025-01-01", "later"},
    {"gpt-4", "gpt-4"},
    {"gpt-4-0613", "gpt-4"},
    {"gpt-4-1106-preview", "gpt-4"},
    {"gpt-4-2048", "*"}, /* a size, not a date */
    {"gpt-4-32k", "*"},
    {"gpt-4-turbo", "*"},
    {"GPT-4", "*"},
    {"claude-sonnet-4-20250514", "claude-sonnet-4"},
    {"claude-sonnet-4-5-20250929", "*"},
    {"ft:gpt-4o-2024-08-06:org::id", "gpt-4o"},
    {"ft:gpt-4o:acme:x:id", "special"},
    {"ft:gpt-4o-mini-2024-07-18:org:suffix:id", "gpt-4o-mini-2024-07-18"},
    {"ft:", "*"},
    {"ft:gpt-4o", "gpt-4o"},
    {"text-embedding-3-large", "embeddings"},
    {"ada", "embeddings"},
    {"ada-2024-08-06", "*"}, /* globs are taken as they are written */
    {"embeddings", "*"},     /* and the key is then only a name */
    {"o1-preview", "o[13]*"},
    {"o2", "*"},
    {"llama-3", "here"},
    {"", "*"},
    {"*", "*"},
    {"gpt-4o\n", "*"},
};

static void test_models__first_match_wins__snapshots_and_fine_tunes_belong_to_their_base(void **state)
{
    struct config *c = config_from_good(yaml);
    bool good = true;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const char *name = config_model_for(c, slice_str(rows[i].model), NULL)->name;

        if (strcmp(name, rows[i].entry) != 0) {
            print_error("%s: got %s, want %s\n", rows[i].model, name, rows[i].entry);
            good = false;
        }
    }
    assert_true(good);
    config_free(c);
}

static void test_models__a_name_of_any_length_and_bytes__has_an_entry(void **state)
{
    struct config *c = config_from_good(yaml);
    char name[5000];

    (void)state;
    memset(name, 'o', sizeof name);
    assert_string_equal(config_model_for(c, slice_of(name, sizeof name), NULL)->name, "*");
    assert_string_equal(config_model_for(c, SLICE("gpt-4o\0"), NULL)->name, "*");
    assert_string_equal(config_model_for(c, slice_of(NULL, 0), NULL)->name, "*");
    config_free(c);
}

/* Entries of the other dialects' upstreams cannot be written in this version, but calls to those are asked
 * for. */
static void test_models__entries_of_another_dialects_upstream__are_passed_over(void **state)
{
    struct config *c =
        config_from_good("models:\n  m: {upstream: openai, tpm: 1}\n  \"*\": {upstream: openai}\n");
    const struct config_upstream *anthropic = config_upstream_of(c, CONFIG_ANTHROPIC);

    (void)state;
    assert_string_equal(config_model_for(c, SLICE("m"), config_upstream_of(c, CONFIG_OPENAI))->name, "m");
    assert_int_equal(config_model_for(c, SLICE("m"), anthropic)->line, 0); /* the built-in one */
    config_free(c);
}

static void test_undated__the_date_at_the_end__is_taken_off(void **state)
{
    static const struct {
        const char *model, *undated;
    } names[] = {
        {"gpt-4o-2024-08-06", "gpt-4o"},
        {"claude-3-5-20241022", "claude-3-5"},
        {"gpt-4-0125-preview", "gpt-4"},
        {"gpt-4-0613", "gpt-4"},
        {"gpt-4-1399", "gpt-4-1399"},
        {"-0613", "-0613"},
        {"gpt-4o", "gpt-4o"},
        {"", ""},
        {"a-2024-08-0x", "a-2024-08-0x"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        if (!slice_eq(models_undated_name(slice_str(names[i].model)), slice_str(names[i].undated)))
            fail_msg("%s", names[i].model);
    }
}

static void test_glob_problem__what_fnmatch_would_take_literally__is_found(void **state)
{
    (void)state;
    assert_null(models_glob_problem("gpt-*"));
    assert_null(models_glob_problem("[]a]"));
    assert_null(models_glob_problem("[!a-c]x\\["));
    assert_non_null(models_glob_problem(""));
    assert_non_null(models_glob_problem("["));
    assert_non_null(models_glob_problem("a[!"));
    assert_non_null(models_glob_problem("[]"));
    assert_non_null(models_glob_problem("a\\"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models__first_match_wins__snapshots_and_fine_tunes_belong_to_their_base),
        cmocka_unit_test(test_models__a_name_of_any_length_and_bytes__has_an_entry),
        cmocka_unit_test(test_models__entries_of_another_dialects_upstream__are_passed_over),
        cmocka_unit_test(test_undated__the_date_at_the_end__is_taken_off),
        cmocka_unit_test(test_glob_problem__what_fnmatch_would_take_literally__is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
