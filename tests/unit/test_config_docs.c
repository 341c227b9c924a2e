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
#include "metergate/config/table.h"
#include "metergate/config/yaml.h"
#include "config_text.h"

#define SAMPLE "conf/metergate.yaml"
#define MANUAL "docs/configuration.md"

static void read_all(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;

    if (!f)
        fail_msg("%s cannot be opened; run from the top of the tree", path);
    buf_init(out, BUF_UNLIMITED);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(out, piece, n);
    fclose(f);
}

/* "#key: ..." at the left margin, and the lines of its mapping: "#  key: ...". */
static bool is_option(struct slice line)
{
    return line.n > 2 && line.p[0] == '#' && (line.p[1] != ' ' || line.p[2] == ' ');
}

static bool is_model(struct slice line)
{
    return slice_starts(line, SLICE("  #")) && line.n > 3 && line.p[3] != ' ';
}

/*
 * The sample with every option uncommented, and of the models those of one group (groups end at an empty
 * line; counted from 0). False when there is no such group.
 */
static bool uncommented(int group, struct buf *out)
{
    struct slice rest;
    struct buf sample;
    int at = -1, models = 0;
    bool in_group = false;

    read_all(SAMPLE, &sample);
    buf_init(out, BUF_UNLIMITED);
    for (rest = buf_slice(&sample); rest.n;) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));

        rest = slice_skip(rest, line.n + 1);
        if (is_model(line) && !in_group)
            at++;
        in_group = is_model(line);
        if (in_group && at == group) {
            models++;
            buf_addf(out, "  %.*s\n", (int)line.n - 3, line.p + 3);
        } else if (is_option(line)) {
            buf_addf(out, "%.*s\n", (int)line.n - 1, line.p + 1);
        } else {
            buf_addf(out, "%.*s\n", (int)line.n, line.p);
        }
    }
    buf_release(&sample);
    return models > 0;
}

static void test_sample__as_it_is__is_the_built_in_configuration(void **state)
{
    struct config *c, *built_in = config_from_good("");
    struct buf sample, a, b;

    (void)state;
    read_all(SAMPLE, &sample);
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

static void test_sample__each_group_of_models__loads_uncommented(void **state)
{
    static const int64_t gpt_4o_tpm[] = {30000, 450000, 2000000};
    struct buf text;
    int group = 0;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-test", 1);
    for (; uncommented(group, &text); group++) {
        struct config *c = config_from_good(text.p);

        if (group < 3)
            assert_int_equal(limit_of(c, "gpt-4o-2024-08-06", "tpm")->max, gpt_4o_tpm[group]);
        if (group == 0) {
            assert_int_equal(limit_of(c, "gpt-4o", "rpm")->max, 500);
            assert_int_equal(limit_of(c, "gpt-3.5-turbo", "tpm")->max, 200000);
        }
        config_free(c);
        buf_release(&text);
    }
    buf_release(&text);
    unsetenv("OPENAI_API_KEY");
    assert_int_equal(group, 4);
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
    setenv("OPENAI_API_KEY", "sk-test", 1);
    assert_true(uncommented(0, &text));
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
    unsetenv("OPENAI_API_KEY");
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

    for (int group = 0; !found && uncommented(group, &text); group++) {
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
    read_all(SAMPLE, &sample);
    for (size_t i = 0; i < n; i++) {
        /* what is refused, or one of several ways to say the same, or would keep somebody out, is named in a
         * comment */
        bool named = rows[i].status == TABLE_REFUSED || strstr(rows[i].path, ".api_key.") ||
                     strstr(rows[i].path, ".token.") || rows[i].type == TABLE_USERS;

        if (!(named && has_word(&sample, strrchr(rows[i].path, '.') + 1)) && !in_some_group(&rows[i]))
            fail_msg("%s does not have %s", SAMPLE, rows[i].path);
    }
    buf_release(&sample);
}

/* The manual is written by hand but for its table: when this fails, put the text that it prints in the
 * table's place. */
static void test_manual__holds_the_table_as_it_is(void **state)
{
    struct buf manual, reference;

    (void)state;
    buf_init(&reference, BUF_UNLIMITED);
    read_all(MANUAL, &manual);
    print_reference(&reference);
    if (!strstr(manual.p, reference.p))
        fail_msg("%s does not hold the table as it is now. Replace its table by:\n%s", MANUAL, reference.p);
    buf_release(&manual);
    buf_release(&reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample__as_it_is__is_the_built_in_configuration),
        cmocka_unit_test(test_sample__each_group_of_models__loads_uncommented),
        cmocka_unit_test(test_sample__options__stand_with_their_defaults),
        cmocka_unit_test(test_sample__holds_every_option),
        cmocka_unit_test(test_manual__holds_the_table_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
