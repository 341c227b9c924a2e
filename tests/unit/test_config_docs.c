/* The sample and the manual: complete, true, and as ready to use as they say. Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/config/format.h"
#include "metergate/config/models.h"
#include "metergate/config/print.h"
#include "metergate/config/reference.h"
#include "metergate/config/table.h"
#include "metergate/config/yaml.h"
#include "config_text.h"

#define SAMPLE   "conf/metergate.yaml"
#define MANUAL   "docs/configuration.md"
#define MAN_PAGE "man/metergate.yaml.5"

/* "#key: ..." at the left margin, and the lines of its mapping: "#  key: ...". */
static bool is_option(struct slice line)
{
    return line.n > 2 && line.p[0] == '#' && (line.p[1] != ' ' || line.p[2] == ' ');
}

/* "  #NAME: ..." of an upstream or a model, and the lines of its mapping: "  #  key: ...". "  # " is a
 * remark. */
static bool is_entry(struct slice line)
{
    return slice_starts(line, SLICE("  #")) && line.n > 4 && (line.p[3] != ' ' || line.p[4] == ' ');
}

/* Of `upstreams` or `models`: groups of entries that end at an empty line or a remark, counted from 0. */
enum { ALL = -1, NONE = -2 };

static const int uncommented_upstreams = 6; /* groups of them */

/*
 * The sample with every option uncommented, and of the upstreams and of the models those of one group. How
 * many groups that are.
 */
static int uncommented(int upstreams, int models, struct buf *out)
{
    int want[2] = {upstreams, models}, at = -1, found = 0, section = 0;
    bool in_group = false;
    struct slice rest;
    struct buf sample;

    text_of_file(SAMPLE, &sample);
    buf_init(out, BUF_UNLIMITED);
    for (rest = buf_slice(&sample); rest.n;) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        bool begins = is_entry(line) && !in_group;

        rest = slice_skip(rest, line.n + 1);
        if (slice_eq(line, SLICE("models:"))) {
            section = 1;
            at = -1;
        }
        in_group = is_entry(line);
        at += begins;
        if (in_group && (want[section] == ALL || want[section] == at)) {
            found += begins;
            buf_addf(out, "  %.*s\n", (int)line.n - 3, line.p + 3);
        } else if (is_option(line)) {
            buf_addf(out, "%.*s\n", (int)line.n - 1, line.p + 1);
        } else {
            buf_addf(out, "%.*s\n", (int)line.n, line.p);
        }
    }
    buf_release(&sample);
    return found;
}

static void test_sample__as_it_is__is_the_built_in_configuration(void **state)
{
    struct config *c, *built_in = config_from_good("");
    struct buf sample, a, b;

    (void)state;
    text_of_file(SAMPLE, &sample);
    c = config_from_good(sample.p);
    buf_init(&a, BUF_UNLIMITED);
    buf_init(&b, BUF_UNLIMITED);
    config_print(c, &a);
    config_print(built_in, &b);
    assert_string_equal(a.p, b.p);
    buf_release(&a);
    buf_release(&b);
    buf_release(&sample);
    config_free(c);
    config_free(built_in);
}

static const struct limit *limit_of(const struct config *c, const char *model, const char *key)
{
    const struct config_model *m = config_model_for(c, slice_str(model), NULL);

    for (size_t i = 0; i < m->limit_count; i++) {
        if (strcmp(m->limits[i].key, key) == 0)
            return &m->limits[i];
    }
    fail_msg("%s has no %s in the sample", model, key);
    return NULL;
}

/* What an account has after it was uncommented, by the group that has it. */
static const struct {
    int group;
    const char *model, *key;
    int64_t max;
} sample_limits[] = {
    {0, "gpt-4o-2024-08-06", "tpm", 30000},
    {0, "gpt-4o", "rpm", 500},
    {0, "gpt-3.5-turbo", "tpm", 200000},
    {1, "gpt-4o", "tpm", 450000},
    {2, "gpt-4o", "tpm", 2000000},
    {3, "gpt-6-sol", "tpm", 40000000},
    {4, "claude-opus-4-8-20260301", "itpm", 2000000},
    {4, "claude-fable-5-1", "otpm", 100000},
    {4, "claude-3-5-haiku-20241022", "itpm", 100000},
    {5, "claude-sonnet-4-6", "rpm", 5000},
    {6, "claude-opus-5-5", "itpm", 10000000},
    {6, "claude-opus-5", "otpm", 2000000},
    {7, "gemini-2.5-pro", "tpm", 2000000},
    {8, "my-gpt-4o", "rpm", 720},
    {9, "meta-llama/llama-4:free", "rpd", 50},
    {10, "text-embedding-3-small", "itpm", 1000000},
};

static void check_limits(const struct config *c, int group)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(sample_limits); i++) {
        if (sample_limits[i].group == group)
            assert_int_equal(limit_of(c, sample_limits[i].model, sample_limits[i].key)->max,
                             sample_limits[i].max);
    }
    if (group >= 4 && group <= 6) /* one pool, whichever of them is called */
        assert_ptr_equal(config_model_for(c, SLICE("claude-sonnet-4-5"), NULL),
                         config_model_for(c, SLICE("claude-sonnet-4-6"), NULL));
}

static void test_sample__each_group_of_models__loads_uncommented(void **state)
{
    struct buf text;
    int group = 0;

    (void)state;
    for (; uncommented(ALL, group, &text) > uncommented_upstreams; group++) {
        struct config *c = config_from_good(text.p);

        check_limits(c, group);
        config_free(c);
        buf_release(&text);
    }
    buf_release(&text);
    assert_int_equal(group, 11);
}

static void test_sample__each_group_of_upstreams__loads_uncommented(void **state)
{
    struct buf text;
    int group = 0;

    (void)state;
    for (; uncommented(group, NONE, &text) == 1; group++) {
        struct config *c = config_from_good(text.p);

        assert_true(c->upstreams[0]->line > 0);
        config_free(c);
        buf_release(&text);
    }
    buf_release(&text);
    assert_int_equal(group, uncommented_upstreams);
}

/* That the value is the default; of what this version does nothing with, also the one that asks for nothing.
 */
static void assert_default(const struct table_row *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    struct buf text;

    if (format_is(row, field, row->fallback) ||
        (row->status == TABLE_LATER && format_is(row, field, row->idle)))
        return;
    buf_init(&text, BUF_UNLIMITED);
    format_value(row, field, &text);
    fail_msg("%s is %s in the sample, and %s by default", row->path, text.p,
             row->fallback ? row->fallback : "unset");
}

static void test_sample__options__stand_with_their_defaults(void **state)
{
    const struct config_upstream *u;
    struct config *c;
    struct buf text;
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    assert_int_equal(uncommented(0, NONE, &text), 1);
    c = config_from_good(text.p);
    u = config_upstream_named(c, SLICE("openai"));
    assert_string_equal(u->base_url, "https://api.openai.com/v1");
    for (size_t i = 0; i < n; i++) {
        if (rows[i].home == TABLE_IN_CONFIG)
            assert_default(&rows[i], c);
        else if (rows[i].home == TABLE_IN_UPSTREAM && rows[i].fallback)
            assert_default(&rows[i], u);
    }
    config_free(c);
    buf_release(&text);
}

/* Whether the row's path leads anywhere in the tree. */
static bool has_path(const struct yaml_node *node, struct slice path)
{
    struct slice part = slice_head(path, slice_find(path, '.'));
    bool found = false;

    if (path.n == 0)
        return true;
    for (size_t i = 0; node->kind == YAML_MAP && i < node->n && !found; i += 2) {
        if (slice_eq(part, SLICE("*")) || slice_eq(part, node->children[i]->text))
            found = has_path(node->children[i + 1], slice_skip(path, part.n + 1));
    }
    return found;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

static bool has_word(const struct buf *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = text->p; (p = strstr(p, word)) != NULL; p += n) {
        if ((p == text->p || !is_word_char(p[-1])) && !is_word_char(p[n]))
            return true;
    }
    return false;
}

static bool in_some_group(const struct table_row *row)
{
    bool found = false;
    struct buf text;

    for (int group = 0; !found && uncommented(ALL, group, &text) > uncommented_upstreams; group++) {
        struct problems problems;
        struct yaml_doc doc;

        problems_init(&problems);
        assert_int_equal(yaml_read(&doc, buf_slice(&text), &problems), 0);
        found = has_path(doc.root, slice_str(row->path));
        yaml_release(&doc);
        problems_release(&problems);
        buf_release(&text);
    }
    buf_release(&text);
    return found;
}

static void test_sample__holds_every_option(void **state)
{
    struct buf sample;
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    text_of_file(SAMPLE, &sample);
    for (size_t i = 0; i < n; i++) {
        /* one of several ways to say the same, or what would keep somebody out, is named in a comment */
        bool named = strstr(rows[i].path, ".api_key.") || strstr(rows[i].path, ".token.") ||
                     rows[i].type == TABLE_USERS;

        if (!(named && has_word(&sample, strrchr(rows[i].path, '.') + 1)) && !in_some_group(&rows[i]))
            fail_msg("%s does not have %s", SAMPLE, rows[i].path);
    }
    buf_release(&sample);
}

/* The manuals are written by hand but for this part: when this fails, put the text that it prints in its
 * place. */
static void assert_holds(const char *path, void (*reference)(struct buf *out))
{
    struct buf manual, want;

    buf_init(&want, BUF_UNLIMITED);
    text_of_file(path, &manual);
    reference(&want);
    if (!strstr(manual.p, want.p)) {
        fputs(want.p, stderr); /* cmocka would cut it */
        fail_msg("%s does not hold every option as it is now; its part has to be what stands above", path);
    }
    buf_release(&manual);
    buf_release(&want);
}

static void test_manual__holds_the_table_as_it_is(void **state)
{
    (void)state;
    assert_holds(MANUAL, reference_markdown);
}

static void test_man_page__holds_the_table_as_it_is(void **state)
{
    (void)state;
    assert_holds(MAN_PAGE, reference_roff);
}

/* Without roff's escape of a '-', the only one in them. */
static void add_unescaped(struct slice line, struct buf *out)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] != '\\')
            buf_add_char(out, line.p[i]);
    }
    buf_add_char(out, '\n');
}

static void test_man_page__its_examples__load(void **state)
{
    bool inside = false;
    struct buf page, example;
    int examples = 0;

    (void)state;
    text_of_file(MAN_PAGE, &page);
    buf_init(&example, BUF_UNLIMITED);
    for (struct slice rest = buf_slice(&page); rest.n;) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));

        rest = slice_skip(rest, line.n + 1);
        if (slice_eq(line, SLICE(".EE"))) {
            config_free(config_from_good(example.p));
            buf_reset(&example);
            examples++;
        } else if (inside) {
            add_unescaped(line, &example);
        }
        inside = slice_eq(line, SLICE(".EX")) || (inside && !slice_eq(line, SLICE(".EE")));
    }
    assert_int_equal(examples, 3);
    buf_release(&example);
    buf_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample__as_it_is__is_the_built_in_configuration),
        cmocka_unit_test(test_sample__each_group_of_models__loads_uncommented),
        cmocka_unit_test(test_sample__each_group_of_upstreams__loads_uncommented),
        cmocka_unit_test(test_sample__options__stand_with_their_defaults),
        cmocka_unit_test(test_sample__holds_every_option),
        cmocka_unit_test(test_manual__holds_the_table_as_it_is),
        cmocka_unit_test(test_man_page__holds_the_table_as_it_is),
        cmocka_unit_test(test_man_page__its_examples__load),
    };

    setenv("OPENAI_API_KEY", "sk-test", 1);
    setenv("ANTHROPIC_API_KEY", "sk-test", 1);
    setenv("GEMINI_API_KEY", "sk-test", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
