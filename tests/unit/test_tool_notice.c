/* notice: what is said of held calls, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/tool/notice.h"

#define BUDGET(name, client, held, next, last)                                                               \
    "{\"name\":\"" name "\",\"held\":9,\"waits_for\":{\"limit\":\"tpm\",\"of\":\"budget\",\"name\":\"" name  \
    "\"},"                                                                                                   \
    "\"clients\":[{\"name\":\"else\",\"held\":9},{\"name\":\"" client "\",\"held\":" #held                   \
    ",\"next_ms\":" #next ",\"last_ms\":" #last "}]}"
#define STATUS(budgets) "{\"paused\":false,\"budgets\":[" budgets "]}"

#define HELD STATUS(BUDGET("gpt-4o", "me", 3, 12000, 65000))
#define CALM STATUS(BUDGET("gpt-4o", "you", 3, 12000, 65000))

static void assert_said(struct notice *n, const char *doc, int64_t second, const char *want)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    notice_look(n, slice_str(doc), "me", 1000 * CLOCK_S + second * CLOCK_S, &out);
    assert_string_equal(out.n ? out.p : "", want);
    buf_release(&out);
}

static void test_notice__held_calls__are_described_by_what_is_known(void **state)
{
    static const struct {
        const char *doc, *want;
    } rows[] = {
        {HELD, "metergate: holding 3 calls for gpt-4o, next in 12 s, the last in 1 min 5 s\n"},
        {STATUS(BUDGET("gpt-4o", "me", 1, 12000, 12000)),
         "metergate: holding 1 call for gpt-4o, it goes in 12 s\n"},
        {STATUS(BUDGET("gpt-4o", "me", 2, 12000, null)),
         "metergate: holding 2 calls for gpt-4o, next in 12 s\n"},
        {STATUS(BUDGET("gpt-4o", "me", 2, null, null)),
         "metergate: holding 2 calls for gpt-4o: no room in the tokens per minute (tpm) of budget gpt-4o\n"},
        {STATUS(BUDGET("a", "me", 2, 12000, 13000) "," BUDGET("b\\u001b[1m", "me", 1, 5000, 5000)),
         "metergate: holding 2 calls for a, next in 12 s, the last in 13 s\n"
         "metergate: holding 1 call for b?[1m, it goes in 5 s\n"},
        {"{\"paused\":true,\"budgets\":[" BUDGET("gpt-4o", "me", 2, null, null) "]}",
         "metergate: holding 2 calls for gpt-4o: everything is paused, until metergate resume\n"},
        {STATUS(BUDGET("gpt-4o", "me", 2, 100, 1900)), ""},
        {STATUS(BUDGET("gpt-4o", "me", 0, null, null)), ""},
        {CALM, ""},
        {"{}", ""},
        {"{\"budgets\":[{\"name\":\"gpt-4o\",\"clients\":[{\"name\":\"me\",\"held\":2}]}]}",
         "metergate: holding 2 calls for gpt-4o\n"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct notice n = {0};

        assert_said(&n, rows[i].doc, 0, rows[i].want);
    }
}

#define LINE "metergate: holding 3 calls for gpt-4o, next in 12 s, the last in 1 min 5 s\n"
#define OVER "metergate: all calls go on\n"

static void test_notice__long_wait__is_said_at_growing_intervals(void **state)
{
    struct notice n = {0};

    (void)state;
    for (int64_t second = 0; second < 300; second++) {
        bool due = second == 0 || second == 10 || second == 40 || (second >= 100 && (second - 100) % 60 == 0);

        assert_said(&n, HELD, second, due ? LINE : "");
    }
}

static void test_notice__over__is_said_once_and_only_after_lines(void **state)
{
    struct notice n = {0};

    (void)state;
    assert_said(&n, CALM, 0, "");
    assert_said(&n, CALM, 1, "");
    assert_said(&n, HELD, 2, LINE);
    assert_said(&n, CALM, 3, "");
    assert_said(&n, HELD, 4, "");
    assert_said(&n, CALM, 5, "");
    assert_said(&n, CALM, 6, OVER);
    assert_said(&n, CALM, 7, "");
}

/* A loop whose calls are held now and then is not told so each time. */
static void test_notice__held_again_soon__goes_on_with_the_intervals(void **state)
{
    struct notice n = {0};

    (void)state;
    assert_said(&n, HELD, 0, LINE);
    assert_said(&n, CALM, 1, "");
    assert_said(&n, CALM, 2, OVER);
    assert_said(&n, HELD, 3, "");
    assert_said(&n, CALM, 4, "");
    assert_said(&n, CALM, 5, "");
    assert_said(&n, HELD, 10, LINE);
    assert_said(&n, HELD, 39, "");
    assert_said(&n, CALM, 40, "");
    assert_said(&n, CALM, 41, OVER);
    assert_said(&n, CALM, 101, ""); /* long enough: from now on it begins anew */
    assert_said(&n, HELD, 102, LINE);
    assert_said(&n, HELD, 112, LINE);
}

static void test_notice__very_many_budgets__are_some_lines(void **state)
{
    struct notice n = {0};
    struct buf doc, out;
    int lines = 0;

    (void)state;
    buf_init(&doc, BUF_UNLIMITED);
    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&doc, "{\"budgets\":[");
    for (int i = 0; i < 100; i++)
        buf_addf(&doc, "%s{\"name\":\"m%d\",\"clients\":[{\"name\":\"me\",\"held\":1}]}", i ? "," : "", i);
    buf_add_str(&doc, "]}");
    notice_look(&n, buf_slice(&doc), "me", CLOCK_S, &out);
    for (size_t i = 0; i < out.n; i++)
        lines += out.p[i] == '\n';
    assert_int_equal(lines, 9);
    assert_non_null(strstr(out.p, "\nmetergate: and for 92 more\n"));
    buf_release(&doc);
    buf_release(&out);
}

/* A pipe that has room for anything has it for a page (pipe(7)). */
static void test_notice__long_names__fit_into_a_page_and_break_no_character(void **state)
{
    struct notice n = {0};
    struct buf doc, name, out;

    (void)state;
    buf_init(&doc, BUF_UNLIMITED);
    buf_init(&name, BUF_UNLIMITED);
    buf_init(&out, BUF_UNLIMITED);
    for (int i = 0; i < 1000; i++)
        buf_add_str(&name, "\xe6\xb0\xb4");
    buf_add_str(&doc, "{\"budgets\":[");
    for (int i = 0; i < 20; i++)
        buf_addf(&doc, "%s{\"name\":\"%.*s%s\",\"clients\":[{\"name\":\"me\",\"held\":2,\"last_ms\":9000}]}", i ? "," : "", i,
                 "aaaaaaaaaaaaaaaaaaaa", name.p);
    buf_add_str(&doc, "]}");
    notice_look(&n, buf_slice(&doc), "me", 1000 * CLOCK_S, &out);
    assert_in_range(out.n, 3000, 4096);
    assert_non_null(strstr(out.p, "\xe6\xb0\xb4...\nmetergate: and for 12 more\n"));
    for (struct slice left = buf_slice(&out); left.n; left = slice_skip(left, slice_utf8(left)))
        assert_int_not_equal(slice_utf8(left), 0);
    buf_release(&doc);
    buf_release(&name);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notice__held_calls__are_described_by_what_is_known),
        cmocka_unit_test(test_notice__long_wait__is_said_at_growing_intervals),
        cmocka_unit_test(test_notice__over__is_said_once_and_only_after_lines),
        cmocka_unit_test(test_notice__held_again_soon__goes_on_with_the_intervals),
        cmocka_unit_test(test_notice__very_many_budgets__are_some_lines),
        cmocka_unit_test(test_notice__long_names__fit_into_a_page_and_break_no_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
