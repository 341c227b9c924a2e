/* outlook: the sentences about when held calls start; and the widths of pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "metergate/tool/figure.h"
#include "metergate/tool/outlook.h"
#include "metergate/tool/paper.h"

/* 15:23:12 UTC */
#define NOW "\"time_ms\":1764343392123"

static int in_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

static void test_outlook__sentence__says_what_is_known_and_what_is_not(void **state)
{
    static const struct {
        const char *doc, *want;
    } rows[] = {
        {"{}", "No call waits."},
        {"{\"paused\":true}", "No call waits; what comes is held until metergate resume."},
        {"{\"paused\":true,\"held\":53,\"budgets\":[{\"held\":53,\"last_dispatch_ms\":null}]}",
         "53 calls wait until metergate resume."},
        {"{" NOW ",\"held\":53,\"budgets\":[{\"held\":50,\"last_dispatch_ms\":2000},{\"held\":3,\"last_"
                 "dispatch_ms\":252000},"
         "{\"held\":0,\"last_dispatch_ms\":null}]}",
         "53 calls wait; the last of them starts in 4 min 12 s, at 15:27:24."},
        {"{" NOW ",\"held\":1,\"budgets\":[{\"held\":1,\"last_dispatch_ms\":400}]}",
         "1 call waits; it starts in 1 s, at 15:23:13."},
        {"{\"held\":2,\"budgets\":[{\"held\":2,\"last_dispatch_ms\":12499}]}",
         "2 calls wait; the last of them starts in 12 s."},
        {"{" NOW ",\"held\":1234,\"budgets\":[{\"held\":1230,\"last_dispatch_ms\":86400000},{\"held\":4,"
                 "\"last_dispatch_ms\":null}]}",
         "1,234 calls wait; the last of 1,230 starts in 24 h 0 min, at 2025-11-29 15:23:12; when the others "
         "do, what is under "
         "way decides."},
        {"{\"held\":2,\"budgets\":[{\"held\":2}]}",
         "2 calls wait; when they start, what is under way decides."},
        {"{\"held\":1,\"budgets\":[{\"held\":1}]}",
         "1 call waits; when it starts, what is under way decides."},
        /* what no daemon would say is as good as nothing */
        {"{\"held\":2,\"budgets\":[{\"held\":2,\"last_dispatch_ms\":9223372036854775807}]}",
         "2 calls wait; when they start, what is under way decides."},
        {"{\"held\":2,\"budgets\":[{\"held\":2,\"last_dispatch_ms\":-5}]}",
         "2 calls wait; when they start, what is under way decides."},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf b;

        buf_init(&b, BUF_UNLIMITED);
        outlook_sentence(slice_str(rows[i].doc), &b);
        assert_string_equal(b.p, rows[i].want);
        buf_release(&b);
    }
}

static void test_outlook__budget__says_next_and_last_and_what_it_waits_for(void **state)
{
    static const char waits[] = "\"waits_for\":{\"limit\":\"itpm\",\"of\":\"client\",\"name\":\"n\\u001b\"}}";
    static const struct {
        const char *budget, *want;
    } rows[] = {
        {"{\"name\":\"a\",\"key\":\"k-1\",\"held\":3,\"next_dispatch_ms\":5230,\"last_dispatch_ms\":41230,",
         "a (k-1) holds 3; the next starts in 5 s, the last in 41 s, at 15:23:53"},
        {"{\"name\":\"a\",\"held\":3,\"next_dispatch_ms\":5230,\"last_dispatch_ms\":null,",
         "a holds 3; the next starts in 5 s, at 15:23:17"},
        {"{\"name\":\"a\",\"held\":1,\"next_dispatch_ms\":5230,\"last_dispatch_ms\":5230,",
         "a holds 1; it starts in 5 s, at 15:23:17"},
        {"{\"name\":\"a\",\"held\":1,\"next_dispatch_ms\":null,", "a holds 1"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct buf budget, got, want;

        buf_init(&budget, BUF_UNLIMITED);
        buf_init(&got, BUF_UNLIMITED);
        buf_init(&want, BUF_UNLIMITED);
        buf_addf(&budget, "%s%s", rows[i].budget, waits);
        buf_addf(&want, "%s: no room in the input tokens per minute (itpm) of client n?", rows[i].want);
        outlook_budget(SLICE("{" NOW "}"), buf_slice(&budget), &got);
        assert_string_equal(got.p, want.p);
        buf_release(&budget);
        buf_release(&got);
        buf_release(&want);
    }
}

static void join(const char *sentence, void *ctx)
{
    buf_addf(ctx, "%s\n", sentence);
}

static void test_outlook__troubles__each_has_a_sentence(void **state)
{
    static const char doc[] =
        "{\"upstreams\":[{\"name\":\"well\",\"reachable\":true,\"breaker_open\":false},"
        "{\"name\":\"gone\",\"reachable\":false,\"breaker_open\":true,\"problem\":\"refused\\u001b\"},"
        "{\"name\":\"ill\",\"reachable\":true,\"breaker_open\":true}],"
        "\"budgets\":[{\"name\":\"b\",\"breaker_open\":true,\"paused_until_ms\":0},{\"name\":\"p\",\"paused_"
        "until_ms\":61000}],"
        "\"ledger\":{\"problem\":\"the disk is full\"}}";
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    outlook_troubles(slice_str(doc), join, &b);
    assert_string_equal(
        b.p, "The last connection to upstream gone failed: refused?; one call goes now and then to see\n"
             "Upstream ill was in trouble; one call goes now and then to see\n"
             "The provider has no room for b; one call goes now and then to see\n"
             "p is paused for 1 min 1 s, since the provider refused\n"
             "The ledger is not written: the disk is full\n");
    buf_reset(&b);
    outlook_troubles(SLICE("{}"), join, &b);
    assert_int_equal(b.n, 0);
    buf_release(&b);
}

static void test_figure_span__is_said_in_two_parts_to_the_nearest_second(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {INT64_MIN, "1 s"},
        {0, "1 s"},
        {1499, "1 s"},
        {1500, "2 s"},
        {59499, "59 s"},
        {59500, "1 min 0 s"},
        {252000, "4 min 12 s"},
        {3599500, "1 h 0 min"},
        {172799000, "47 h 59 min"},
        {172800000, "2 d 0 h"},
        {INT64_MAX, "106751991167 d 7 h"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char out[FIGURE_SIZE];

        assert_string_equal(figure_span(rows[i].ms, out), rows[i].want);
    }
}

static void test_figure_part__never_overflows(void **state)
{
    (void)state;
    assert_int_equal(figure_part(0, 10, 48), 0);
    assert_int_equal(figure_part(-1, 10, 48), 0);
    assert_int_equal(figure_part(5, 10, 48), 24);
    assert_int_equal(figure_part(11, 10, 48), 48);
    assert_int_equal(figure_part(1, 0, 48), 48);
    assert_int_equal(figure_part(INT64_MAX / 2, INT64_MAX, 1000), 499);
    assert_in_range(figure_part(INT64_MAX - 1, INT64_MAX, 1000), 999, 1000);
}

static void test_paper__lines_break_at_spaces_and_never_inside_a_character(void **state)
{
    (void)state;
    assert_int_equal(paper_break(SLICE("one two three"), 100), 13);
    assert_int_equal(paper_break(SLICE("one two three"), 7), 7);
    assert_int_equal(paper_break(SLICE("one two three"), 6), 3);
    assert_int_equal(paper_break(SLICE("onetwothree"), 6), 6);
    assert_int_equal(paper_break(SLICE("\u4e2d\u6587"), 3), 3);
    assert_int_equal(paper_break(SLICE("\u4e2d\u6587"), 1), 3);
    assert_int_equal(paper_break(SLICE(""), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outlook__sentence__says_what_is_known_and_what_is_not),
        cmocka_unit_test(test_outlook__budget__says_next_and_last_and_what_it_waits_for),
        cmocka_unit_test(test_outlook__troubles__each_has_a_sentence),
        cmocka_unit_test(test_figure_span__is_said_in_two_parts_to_the_nearest_second),
        cmocka_unit_test(test_figure_part__never_overflows),
        cmocka_unit_test(test_paper__lines_break_at_spaces_and_never_inside_a_character),
    };

    return cmocka_run_group_tests(tests, in_utc, NULL);
}
