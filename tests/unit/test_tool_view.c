/* view: the page of `metergate top` and what keys do to it, without a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "metergate/base/plain.h"
#include "metergate/base/prng.h"
#include "metergate/tool/lists.h"
#include "metergate/tool/view.h"

#define URL "http://127.0.0.1:4283"

#define LIMIT(metric, window, used, reserved, usable)                                                        \
    "{\"metric\":\"" metric "\",\"window_s\":" #window ",\"used\":" #used ",\"reserved\":" #reserved         \
    ",\"usable\":" #usable "}"
#define CALL(id, client, start)                                                                              \
    "{\"id\":\"" id "\",\"client\":\"" client "\",\"priority\":\"low\",\"start_ms\":" #start "}"
#define BUDGET(name, held, next, last, limits, queue)                                                        \
    "{\"name\":\"" name "\",\"upstream\":\"u\",\"held\":" #held ",\"next_dispatch_ms\":" #next               \
    ",\"last_dispatch_ms\":" #last ",\"limits\":[" limits "],\"queue\":[" queue "]}"
#define CLIENT(name, held, tokens, cost)                                                                     \
    "{\"name\":\"" name "\",\"held\":" #held ",\"tokens\":" #tokens ",\"cost_usd\":" #cost                   \
    ",\"hour\":{\"tokens\":" #tokens "}}"
#define DOC(held, more, budgets, clients)                                                                    \
    "{\"version\":\"1\",\"time_ms\":1764343392123,\"uptime_s\":60,\"held\":" #held "," more                  \
    "\"budgets\":[" budgets "],\"clients\":[" clients "]}"

static const char busy[] =
    DOC(6, "",
        BUDGET("a", 4, 1000, 9000, LIMIT("tpm", 60, 50, 25, 100),
               CALL("1", "c1", 1000) "," CALL(
                   "2", "c2",
                   9000)) "," BUDGET("b", 2, 1000, null,
                                     LIMIT("usd_per_day", 86400, 1.5, 0, 3) "," LIMIT("rpd", 86400, 0, 0, 10),
                                     CALL("3", "c3", null)) "," BUDGET("idle", 0, null, null, "", ""),
        CLIENT("c1", 1, 300, 2) "," CLIENT("c2", 3, 100, 3) "," CLIENT("c3", 2, 600, null));

/* The page as text; free it. */
static char *page(struct view *v, const char *doc, const char *problem, int rows, int columns)
{
    struct grid g;
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    grid_init(&g, rows, columns);
    view_draw(v, slice_str(doc), URL, problem, &g);
    grid_text(&g, &b);
    grid_release(&g);
    return buf_take(&b, NULL);
}

static void assert_page(struct view *v, const char *doc, const char *want)
{
    char *got = page(v, doc, NULL, 24, 80);

    assert_string_equal(got, want);
    free(got);
}

/* Each of the parts is in it, one after the other; the list ends with NULL. */
static void assert_order(struct view *v, const char *doc, const char *const *parts)
{
    char *got = page(v, doc, NULL, 24, 80), *at = got;

    for (; *parts; parts++) {
        char *found = strstr(at, *parts);

        if (!found) {
            fail_msg("'%s' is not where it should be in:\n%s", *parts, got);
            break;
        }
        at = found + strlen(*parts);
    }
    free(got);
}
#define ORDER(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_has(struct view *v, const char *doc, const char *part, bool has)
{
    char *got = page(v, doc, NULL, 24, 80);

    if ((strstr(got, part) != NULL) != has)
        fail_msg("'%s' is %s:\n%s", part, has ? "not in" : "in", got);
    free(got);
}

static void keys(struct view *v, const char *s)
{
    for (; *s; s++)
        assert_int_equal(view_key(v, *s), VIEW_NOTHING);
}

static void test_view__page__is_as_drawn(void **state)
{
    struct view v;

    (void)state;
    view_init(&v);
    assert_page(&v, busy,
                "Metergate 1  running  up 60 s  http://127.0.0.1:4283                    15:23:12\n"
                "6 held  0 in flight  429s 0  refused 0\n"
                "6 calls wait; the last of 4 starts in 9 s, at 15:23:21; when the others do, what\n"
                "is under way decides.\n"
                "\n"
                "  BUDGETS                 HELD  FLIGHT     NEXT    LASTv  LAST AT WAITS FOR\n"
                "> b                          2       0      1 s        ?        ? -\n"
                "    usd_per_day        [########.........] $1.500000 + $0.000000 of $3.000000\n"
                "    rpd                [.................] 0 + 0 of 10\n"
                "  a                          4       0      1 s      9 s 15:23:21 -\n"
                "    tpm                [########====.....] 50 + 25 of 100\n"
                "  idle                       0       0        -        -        - -\n"
                "\n"
                "  QUEUE 1/2 of b        PRIO   MODEL          TOKENS   WAITED STARTS IN       AT\n"
                "> c3                    low    -                   0     0 ms         ?        ?\n"
                "\n"
                "  CLIENTS                HELDv  FLIGHT    CALLS      TOKENS         COST    HOUR\n"
                "> c2                         3       0        0         100    $3.000000  10.0 %\n"
                "  c3                         2       0        0         600            -  60.0 %\n"
                "  c1                         1       0        0         300    $2.000000  30.0 %\n"
                "\n\n\n"
                "? help  q quit  p pause  Tab pane  Enter queue  s sort  r reverse\n");
    view_release(&v);
}

static void test_view__sort_keys__choose_column_and_order_of_the_pane(void **state)
{
    struct view v;

    (void)state;
    view_init(&v);
    assert_order(&v, busy, ORDER("BUDGETS", "> b ", "  a ", "  idle ", "CLIENTS", "c2", "c3", "c1"));
    keys(&v, "r");
    assert_order(&v, busy, ORDER("LAST^", "> idle ", "  a ", "  b ", "CLIENTS", "c2", "c3", "c1"));
    keys(&v, "<<<"); /* HELD */
    assert_order(&v, busy, ORDER("HELD^", "> idle ", "  b ", "  a "));
    keys(&v, "r<"); /* the name */
    assert_order(&v, busy, ORDER("BUDGETS^", "> a ", "  b ", "  idle "));
    keys(&v, "\t\tsss"); /* of clients: TOKENS */
    assert_order(&v, busy, ORDER("BUDGETS^", "TOKENSv", "> c3 ", "  c1 ", "  c2 "));
    keys(&v, "s"); /* COST: unknown is the least */
    assert_order(&v, busy, ORDER("COSTv", "c2 ", "c1 ", "c3 "));
    view_release(&v);
}

/* The row that was chosen stays chosen when others come before it, and when it goes the place is kept. */
static void test_view__chosen_row__stays_the_same_in_other_documents(void **state)
{
    static const char other[] =
        DOC(9, "",
            BUDGET("new", 4, 1000, 99000, "", CALL("9", "c9", 1)) "," BUDGET(
                "a", 4, 1000, 8000, "",
                CALL("1", "c1", 1000) "," CALL("2", "c2", 8000)) "," BUDGET("idle", 0, null, null, "", ""),
            "");
    static const char without[] = DOC(0, "", BUDGET("new", 1, 1, 1, "", ""), "");
    struct view v;

    (void)state;
    view_init(&v);
    assert_has(&v, busy, "> b ", true);
    assert_has(&v, other, "> new ", true); /* nobody has chosen: the first */
    assert_has(&v, busy, "> b ", true);
    view_key(&v, VIEW_KEY_DOWN);
    assert_order(&v, busy, ORDER("> a ", "QUEUE 2/4 of a ", "> c1 "));
    assert_order(&v, other, ORDER("  new ", "> a ", "QUEUE 2/4 of a ", "> c1 "));
    assert_order(&v, without, ORDER("> new ", "QUEUE 0/1 of new ", "nobody waits"));
    assert_has(&v, "{}", "no budget yet", true);
    view_key(&v, VIEW_KEY_DOWN);
    view_key(&v, VIEW_KEY_END);
    assert_order(&v, busy, ORDER("> a "));
    view_release(&v);
}

static void test_view__enter__shows_the_queue_alone_and_back(void **state)
{
    struct view v;

    (void)state;
    view_init(&v);
    assert_has(&v, busy, "QUEUE", true);
    view_key(&v, VIEW_KEY_DOWN);
    keys(&v, "\r");
    assert_has(&v, busy, "QUEUE 2/4 of a ", true);
    assert_has(&v, busy, "BUDGETS", false);
    keys(&v, "\x1b");
    assert_has(&v, busy, "BUDGETS", true);
    keys(&v, "\t\r"); /* of another pane: that one alone */
    assert_has(&v, busy, "BUDGETS", false);
    assert_has(&v, busy, "CLIENTS", true);
    view_release(&v);
}

static void test_view__pause__wants_a_yes(void **state)
{
    static const char paused[] = DOC(2, "\"paused\":true,", BUDGET("a", 2, null, null, "", ""), "");
    struct view v;

    (void)state;
    view_init(&v);
    assert_has(&v, busy, "? help", true);
    keys(&v, "p");
    assert_has(&v, busy, "Hold all calls until resume? y/n", true);
    assert_int_equal(view_key(&v, 'q'), VIEW_NOTHING); /* that was no yes, and no wish to leave */
    assert_int_equal(view_key(&v, 'y'), VIEW_NOTHING);
    keys(&v, "p");
    assert_int_equal(view_key(&v, 'y'), VIEW_PAUSE);
    assert_order(&v, paused,
                 ORDER("PAUSED", "2 calls wait until metergate resume.", "> a ", "resume", "p resume"));
    keys(&v, "p");
    assert_has(&v, paused, "Let calls go again? y/n", true);
    assert_int_equal(view_key(&v, 'Y'), VIEW_RESUME);
    view_say(&v, "not done: \x1b[2J");
    assert_has(&v, busy, "\nnot done: ?[2J\n", true);
    view_key(&v, 'j');
    assert_has(&v, busy, "not done", false);
    assert_int_equal(view_key(&v, 'q'), VIEW_LEAVE);
    view_release(&v);
}

static void test_view__no_answer__is_said_beside_what_was_last_known(void **state)
{
    struct view v;
    char *got;

    (void)state;
    view_init(&v);
    got = page(&v, "", NULL, 24, 80);
    assert_non_null(strstr(got, "Metergate  asking  " URL "\n"));
    free(got);
    got = page(&v, "", "no daemon answers", 24, 80);
    assert_non_null(strstr(got, "NO ANSWER"));
    assert_non_null(strstr(got, "\nno daemon answers\nAsking again.\n"));
    free(got);
    got = page(&v, busy, "no daemon answers", 24, 80);
    assert_non_null(strstr(got, "\nno daemon answers\nAsking again. This is how it was at 15:23:12\n"));
    assert_non_null(strstr(got, "> b "));
    assert_null(strstr(got, "6 calls wait"));
    free(got);
    view_release(&v);
}

/* The chosen row is seen wherever it is, with its gauges. */
static void test_view__many_rows__the_chosen_one_is_seen(void **state)
{
    struct view v;
    struct buf doc;

    (void)state;
    buf_init(&doc, BUF_UNLIMITED);
    buf_add_str(&doc, "{\"budgets\":[");
    for (int i = 0; i < 100; i++)
        buf_addf(&doc, "%s{\"name\":\"m%03d\",\"limits\":[" LIMIT("tpm", 60, 1, 1, 10) "]}", i ? "," : "", i);
    buf_add_str(&doc, "]}");
    view_init(&v);
    assert_has(&v, doc.p, "> m000", true);
    for (int i = 1; i < 100; i++) {
        char want[16];

        view_key(&v, VIEW_KEY_DOWN);
        snprintf(want, sizeof want, "> m%03d ", i);
        assert_has(&v, doc.p, want, true);
    }
    view_key(&v, VIEW_KEY_HOME);
    assert_order(&v, doc.p, ORDER("> m000 ", "    tpm ", "  m001 "));
    view_release(&v);
    buf_release(&doc);
}

/* Every line has its width, and nothing in it does anything. */
static void assert_whole(const struct grid *g)
{
    for (int row = 0; row < g->rows; row++) {
        size_t places = 0;

        for (int column = 0; column < g->columns; column++) {
            places += plain_width(slice_str(grid_cell(g, row, column)->text));
            assert_null(strchr(grid_cell(g, row, column)->text, '\x1b'));
        }
        assert_int_equal(places, g->columns);
    }
}

/* Any key at any time on a page of any size, of any document: the page has that size and every line its
 * width. */
static void test_view__random_keys_and_sizes__every_page_is_whole(void **state)
{
    static const char *const docs[] = {
        busy,
        "{}",
        "",
        "{\"budgets\":[1,null,{}],\"clients\":[[]]}",
        DOC(9223372036854775807, "\"hour\":{\"calls\":-1,\"cost_usd\":99999999999},",
            BUDGET("\\u4e2d\\u6587\\ud83d\\ude00 wide, and a name that goes on for longer than any line",
                   9223372036854775807, 9223372036854775807, 1,
                   LIMIT("\\u001b[2J", -1, 9223372036854775807, 9223372036854775807, -5),
                   CALL("", "\\u0007", 1e9)),
            CLIENT("\\u4e2d", -9223372036854775808, 9223372036854775807, -1)),
    };
    static const int all[] = {'\t',
                              '\r',
                              '\x1b',
                              'p',
                              'y',
                              'n',
                              's',
                              '<',
                              '>',
                              'r',
                              'h',
                              'j',
                              'k',
                              'G',
                              'g',
                              0,
                              0x7f,
                              VIEW_KEY_UP,
                              VIEW_KEY_DOWN,
                              VIEW_KEY_LEFT,
                              VIEW_KEY_RIGHT,
                              VIEW_KEY_PAGE_UP,
                              VIEW_KEY_PAGE_DOWN,
                              VIEW_KEY_HOME,
                              VIEW_KEY_END,
                              VIEW_KEY_BACK_TAB};
    struct prng r = {.state = 11};
    struct view v;

    (void)state;
    view_init(&v);
    for (int i = 0; i < 1500; i++) {
        const char *doc = docs[prng_below(&r, MG_ARRAY_LEN(docs))];
        int rows = 1 + (int)prng_below(&r, 30), columns = 1 + (int)prng_below(&r, 130);
        struct grid g;

        assert_int_not_equal(view_key(&v, all[prng_below(&r, MG_ARRAY_LEN(all))]), VIEW_LEAVE);
        grid_init(&g, rows, columns);
        view_draw(&v, slice_str(doc), URL, prng_below(&r, 5) ? NULL : "a problem\x1b", &g);
        assert_whole(&g);
        grid_release(&g);
    }
    view_release(&v);
}

static int in_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

static void add_many(struct buf *doc, const char *name, int n)
{
    buf_addf(doc, ",\"%s\":[{}", name);
    while (--n > 0)
        buf_add_str(doc, ",{}");
    buf_add_char(doc, ']');
}

static void test_lists__documents_without_end__have_bounded_rows_and_gauges(void **state)
{
    struct pane budgets, queue, clients;
    struct buf doc;

    (void)state;
    buf_init(&doc, BUF_UNLIMITED);
    buf_add_str(&doc, "{\"budgets\":[{\"name\":\"a\"");
    add_many(&doc, "queue", 30000);
    add_many(&doc, "limits", 30000);
    for (int i = 0; i < 30000; i++)
        buf_add_str(&doc, i ? ",{}" : "}");
    buf_add_char(&doc, ']');
    add_many(&doc, "clients", 30000);
    buf_add_char(&doc, '}');
    lists_budgets(buf_slice(&doc), &budgets);
    lists_queue(buf_slice(&doc), lists_budget(buf_slice(&doc), "a\n\n"), "QUEUE", &queue);
    lists_clients(buf_slice(&doc), &clients);
    assert_in_range(budgets.n, 1000, 10000);
    assert_in_range(budgets.rows[0].gauge_count, 10, 100);
    assert_in_range(queue.n, 1000, 10000);
    assert_in_range(clients.n, 1000, 10000);
    pane_release(&budgets);
    pane_release(&queue);
    pane_release(&clients);
    buf_release(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view__page__is_as_drawn),
        cmocka_unit_test(test_view__sort_keys__choose_column_and_order_of_the_pane),
        cmocka_unit_test(test_view__chosen_row__stays_the_same_in_other_documents),
        cmocka_unit_test(test_view__enter__shows_the_queue_alone_and_back),
        cmocka_unit_test(test_view__pause__wants_a_yes),
        cmocka_unit_test(test_view__no_answer__is_said_beside_what_was_last_known),
        cmocka_unit_test(test_view__many_rows__the_chosen_one_is_seen),
        cmocka_unit_test(test_view__random_keys_and_sizes__every_page_is_whole),
        cmocka_unit_test(test_lists__documents_without_end__have_bounded_rows_and_gauges),
    };

    return cmocka_run_group_tests(tests, in_utc, NULL);
}
