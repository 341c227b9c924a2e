/* yaml: the tree, its places, and the bounds that hold whatever the file is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/config/yaml.h"

static void test_yaml__nodes__remember_where_they_stood(void **state)
{
    static const char text[] = "a: 1\n\xc3\xa4\xc3\xb6: {b: [x, 'y z']}\n";
    const struct yaml_node *list;
    struct problems problems;
    struct yaml_doc doc;

    (void)state;
    problems_init(&problems);
    assert_int_equal(yaml_read(&doc, slice_str(text), &problems), 0);
    assert_int_equal(doc.root->kind, YAML_MAP);
    assert_int_equal(doc.root->n, 4);
    assert_null(yaml_get(doc.root, "b"));
    assert_null(yaml_get(yaml_get(doc.root, "a"), "b"));
    list = yaml_get(yaml_get(doc.root, "\xc3\xa4\xc3\xb6"), "b");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->n, 2);
    assert_int_equal(list->children[1]->line, 2);
    assert_int_equal(list->children[1]->column, 13); /* in characters, not bytes */
    assert_true(list->children[0]->plain);
    assert_false(list->children[1]->plain);
    assert_string_equal(list->children[1]->text.p, "y z");
    assert_int_equal(problems.n, 0);
    yaml_release(&doc);
    yaml_release(&doc);
    problems_release(&problems);
}

static void test_yaml__null__is_written_in_four_ways_and_never_in_quotes(void **state)
{
    static const char text[] = "[~, null, Null, , 'null', '', \"~\", none]";
    struct problems problems;
    struct yaml_doc doc;

    (void)state;
    problems_init(&problems);
    assert_int_equal(yaml_read(&doc, SLICE("[~, null, Null, \"null\", '', \"~\", none]"), &problems), 0);
    for (size_t i = 0; i < doc.root->n; i++)
        assert_int_equal(yaml_is_null(doc.root->children[i]), i < 3);
    yaml_release(&doc);
    assert_int_equal(yaml_read(&doc, SLICE("a:\n"), &problems), 0);
    assert_true(yaml_is_null(yaml_get(doc.root, "a")));
    yaml_release(&doc);
    assert_true(yaml_read(&doc, slice_str(text), &problems) < 0); /* a list has no holes */
    yaml_release(&doc);
    problems_release(&problems);
}

static void test_yaml__an_empty_file__has_no_root(void **state)
{
    static const struct slice texts[] = {{NULL, 0}, {"", 0}, {"\n\n", 2}, {"# x", 3}, {"\xef\xbb\xbf", 3}};
    struct problems problems;
    struct yaml_doc doc;

    (void)state;
    problems_init(&problems);
    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++) {
        assert_int_equal(yaml_read(&doc, texts[i], &problems), 0);
        assert_null(doc.root);
        yaml_release(&doc);
    }
    problems_release(&problems);
}

/* Refused with this sentence first; frees the text. */
static void assert_refused(struct buf *text, const char *why)
{
    struct problems problems;
    struct yaml_doc doc;
    struct buf out;

    problems_init(&problems);
    buf_init(&out, BUF_UNLIMITED);
    assert_true(yaml_read(&doc, buf_slice(text), &problems) < 0);
    assert_null(doc.root);
    assert_true(doc.node_count <= YAML_NODES_MAX + 1);
    assert_int_equal(problems.errors, 1);
    problems_print(&problems, 0, &out);
    assert_string_equal(out.p, why);
    yaml_release(&doc);
    problems_release(&problems);
    buf_release(&out);
    buf_release(text);
    buf_init(text, BUF_UNLIMITED);
}

static void add_times(struct buf *text, const char *piece, int times)
{
    for (int i = 0; i < times; i++)
        buf_add_str(text, piece);
}

static void test_yaml__a_bomb_of_aliases__stops_at_the_bound(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (int c = 'b'; c < 'k'; c++)
        buf_addf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1, c - 1,
                 c - 1, c - 1, c - 1, c - 1, c - 1);
    assert_refused(&text, "5:11: more than 20,000 values (an alias counts as what it stands for)");
}

static void test_yaml__depth_values_and_anchors__are_bounded(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    add_times(&text, "[", 10000);
    assert_refused(&text, "1:17: nested too deeply: nothing of a configuration is");
    add_times(&text, "{a: ", YAML_DEPTH_MAX + 1);
    assert_refused(&text, "1:65: nested too deeply: nothing of a configuration is");
    buf_add_str(&text, "- &a [[[[[[[[x]]]]]]]]\n- [[[[[[[[[*a]]]]]]]]]\n");
    assert_refused(&text, "2:12: nested too deeply: nothing of a configuration is");
    add_times(&text, "- x\n", YAML_NODES_MAX + 1);
    assert_refused(&text, "20000:3: more than 20,000 values (an alias counts as what it stands for)");
    for (int i = 0; i <= YAML_ANCHORS_MAX; i++)
        buf_addf(&text, "- &a%d x\n", i);
    assert_refused(&text, "65:3: too many anchors: a file has at most 64");
}

static void test_yaml__bytes_that_no_text_has__are_named_with_their_place(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, "a: \xc3\xa4\n b\xff");
    assert_refused(&text, "2:3: not UTF-8: save the file as UTF-8");
    buf_add_str(&text, "a: \xed\xa0\x80");
    assert_refused(&text, "1:4: not UTF-8: save the file as UTF-8");
    buf_add_str(&text, "\xff\xfe"
                       "a");
    assert_refused(&text, "1:1: not UTF-8: save the file as UTF-8");
    buf_add(&text, "a: b\0c", 6);
    assert_refused(&text, "1:5: a control character: remove it");
    add_times(&text, "#", (int)YAML_BYTES_MAX + 1);
    assert_refused(&text, "is longer than 1 MiB; a configuration is not");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml__nodes__remember_where_they_stood),
        cmocka_unit_test(test_yaml__null__is_written_in_four_ways_and_never_in_quotes),
        cmocka_unit_test(test_yaml__an_empty_file__has_no_root),
        cmocka_unit_test(test_yaml__a_bomb_of_aliases__stops_at_the_bound),
        cmocka_unit_test(test_yaml__depth_values_and_anchors__are_bounded),
        cmocka_unit_test(test_yaml__bytes_that_no_text_has__are_named_with_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
