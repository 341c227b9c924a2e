/* limits, organizations: what answers teach of a budget's limits, one answer after the other, and what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/proxy/limits.h"
#include "metergate/proxy/organizations.h"

#define MINUTE (60 * CLOCK_S)
#define TODAY  INT64_C(1795800000)
#define DAY_S  INT64_C(86400)

static const struct limit tpm = {.metric = METRIC_TOKENS, .max = 30000, .span_us = MINUTE, .key = "tpm"};

/* A budget and what is known of its limits. */
struct bench {
    struct limits limits;
    struct given_limits given;
    struct budget *b;
    int64_t now_us;
};

static void work_out(struct bench *t)
{
    struct worked_out w;

    limits_work_out(&t->limits, &t->given, &w);
    budget_update(t->b, 0, w.v, w.n);
}

static void set_up(struct bench *t, const struct limit *given, size_t n, bool learn)
{
    *t = (struct bench){.given = {given, n, learn}, .b = budget_new("b", 0, NULL, 0), .now_us = MINUTE};
    work_out(t);
}

static void tear_down(struct bench *t)
{
    budget_free(t->b);
}

static int64_t max_of(const struct bench *t, const char *key)
{
    for (size_t i = 0; i < t->b->limit_count; i++) {
        if (strcmp(t->b->limits[i].limit.key, key) == 0)
            return t->b->limits[i].limit.max;
    }
    return -1;
}

static unsigned hear(struct bench *t, const struct report_limit *v, size_t n, bool refused)
{
    static const struct cost one_request = {.on_arrival = {[METRIC_REQUESTS] = 1, [METRIC_TOKENS] = 100}};
    struct report r = {.n = n};
    const struct limits_answer a = {.report = &r,
                                    .refused = refused,
                                    .fine = !refused,
                                    .cost = &one_request,
                                    .now_us = t->now_us,
                                    .wall_s = TODAY};
    unsigned what;

    if (n > 0)
        memcpy(r.v, v, n * sizeof *v);
    budget_advance(t->b, t->now_us);
    what = limits_learn(&t->limits, &t->given, t->b, &a);
    work_out(t);
    return what;
}

static struct report_limit told(enum metric m, int64_t span_us, int64_t limit)
{
    return (struct report_limit){
        .metric = m, .span_us = span_us, .limit = limit, .remaining = limit, .reset_us = -1};
}

static unsigned hear_one(struct bench *t, const struct report_limit *l)
{
    return hear(t, l, 1, l->refused);
}

/* Charges the window of that key. */
static void use(struct bench *t, const char *key, int64_t amount)
{
    for (size_t i = 0; i < t->b->limit_count; i++) {
        if (strcmp(t->b->limits[i].limit.key, key) == 0)
            window_stamp(&t->b->limits[i].window, t->now_us, amount);
    }
}

static void test_limits__a_headers_number__is_taken_up_and_down_with_learn(void **state)
{
    struct report_limit l = told(METRIC_TOKENS, 0, 60000);
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, true);
    assert_int_equal(max_of(&t, "tpm"), 30000);
    assert_int_equal(hear_one(&t, &l), LIMITS_TO_KEEP | LIMITS_TO_WORK_OUT);
    assert_int_equal(max_of(&t, "tpm"), 60000);
    assert_int_equal(hear_one(&t, &l), 0); /* no news */
    l.limit = 15000;
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 15000);
    tear_down(&t);
}

static void test_limits__without_learn__a_number_only_lowers(void **state)
{
    struct report_limit l = told(METRIC_TOKENS, 0, 60000), rpm = told(METRIC_REQUESTS, MINUTE, 5);
    struct worked_out w;
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, false);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 30000);
    l.limit = 15000;
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 15000);
    limits_work_out(&t.limits, &t.given, &w);
    assert_true(w.learned[0]);
    l.limit = 40000;
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 30000);
    hear_one(&t, &rpm);
    assert_int_equal(t.b->limit_count, 1); /* none that nobody asked for */
    l = told(METRIC_TOKENS, CLOCK_S, 1000);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 30000); /* of another span */
    assert_false(limits_are_awaited(&t.limits) && max_of(&t, LIMITS_LEARNING) > 0);
    tear_down(&t);
}

static void test_limits__of_no_entry__appear_as_they_are_told(void **state)
{
    const struct report_limit first[] = {told(METRIC_REQUESTS, MINUTE, 50), told(METRIC_INPUT, MINUTE, 30000)},
                              later = told(METRIC_TOKENS, BUDGET_DAY_US, 2000000);
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    assert_int_equal(max_of(&t, "rpm"), LIMITS_UNKNOWN); /* remembers, and holds nobody */
    use(&t, "rpm", 7);
    hear(&t, first, 2, false);
    assert_int_equal(max_of(&t, "rpm"), 50);
    assert_int_equal(max_of(&t, "itpm"), 30000);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), -1);
    for (size_t i = 0; i < t.b->limit_count; i++) {
        if (t.b->limits[i].limit.metric == METRIC_REQUESTS)
            assert_int_equal(t.b->limits[i].window.used, 7);
    }
    assert_int_equal(max_of(&t, "tpd"), -1);
    hear_one(&t, &later);
    assert_int_equal(max_of(&t, "tpd"), 2000000);
    tear_down(&t);
}

static void test_limits__absurd_numbers__teach_nothing(void **state)
{
    static const int64_t absurd[] = {0, -1, INT64_MIN, LIMITS_MAX + 1, INT64_MAX};
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, true);
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        struct report_limit l = told(METRIC_TOKENS, MINUTE, absurd[i]);

        hear_one(&t, &l);
        assert_int_equal(max_of(&t, "tpm"), 30000);
    }
    tear_down(&t);
}

static void test_limits__a_span_that_only_follows__is_believed_the_third_time(void **state)
{
    struct report_limit day = told(METRIC_REQUESTS, BUDGET_DAY_US, 200), second = told(METRIC_TOKENS, CLOCK_S, 9000);
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    day.inferred = second.inferred = true;
    hear_one(&t, &day);
    hear_one(&t, &day);
    assert_int_equal(max_of(&t, "rpd"), -1);
    hear_one(&t, &day);
    assert_int_equal(max_of(&t, "rpd"), 200);
    for (int i = 0; i < 3; i++) {
        hear_one(&t, &second);
        assert_int_equal(max_of(&t, "tpm"), 9000);
        for (size_t j = 0; j < t.b->limit_count; j++) {
            if (t.b->limits[j].limit.metric == METRIC_TOKENS)
                assert_int_equal(t.b->limits[j].limit.span_us, i < 2 ? MINUTE : CLOCK_S);
        }
    }
    tear_down(&t);
}

static void test_limits__nothing_known__few_calls_and_ever_more(void **state)
{
    const struct report_limit l = told(METRIC_TOKENS, 0, 30000);
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, true);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), LIMITS_FIRST_CALLS);
    for (int i = 0; i < 20; i++)
        assert_int_equal(hear(&t, NULL, 0, false), LIMITS_CALLS);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), LIMITS_FIRST_CALLS + 20);
    hear(&t, NULL, 0, true);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), (LIMITS_FIRST_CALLS + 20) / 2);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), -1);
    tear_down(&t);
}

static void test_limits__no_number_ever__calls_are_free_after_a_while(void **state)
{
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    for (int i = LIMITS_FIRST_CALLS; i < LIMITS_LAST_CALLS; i++)
        hear(&t, NULL, 0, false);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), LIMITS_LAST_CALLS);
    assert_true(hear(&t, NULL, 0, false) & LIMITS_TO_WORK_OUT);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), -1);
    tear_down(&t);
}

static void test_limits__refused_without_a_number__what_the_window_held_is_the_guess(void **state)
{
    struct report_limit l = {.metric = METRIC_TOKENS, .remaining = -1, .reset_us = -1, .refused = true};
    struct worked_out w;
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    use(&t, "tpm", 10100);
    use(&t, "rpm", 10);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), LIMITS_UNKNOWN); /* nine requests before it */
    use(&t, "rpm", 1);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 9500);
    assert_int_equal(max_of(&t, "rpm"), LIMITS_UNKNOWN);
    limits_work_out(&t.limits, &t.given, &w);
    assert_true(w.unsure[0]);
    hear_one(&t, &l); /* of the same burst */
    assert_int_equal(max_of(&t, "tpm"), 9500);
    t.now_us += 2 * MINUTE;
    use(&t, "tpm", 4000);
    hear_one(&t, &l); /* hardly for its tokens */
    assert_int_equal(max_of(&t, "tpm"), 9500);
    use(&t, "tpm", 4100);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "tpm"), 7600);
    tear_down(&t);
}

static void test_limits__refused_without_a_word__requests_and_tokens_are_guessed(void **state)
{
    const struct report_limit header = told(METRIC_TOKENS, MINUTE, 50000);
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    use(&t, "tpm", 10100);
    use(&t, "rpm", 41);
    hear(&t, NULL, 0, true);
    assert_int_equal(max_of(&t, "tpm"), 9500);
    assert_int_equal(max_of(&t, "rpm"), 38);
    hear_one(&t, &header); /* a number takes its place, */
    assert_int_equal(max_of(&t, "tpm"), 50000);
    t.now_us += 2 * MINUTE;
    use(&t, "tpm", 49000);
    use(&t, "rpm", 37);
    hear(&t, NULL, 0, true); /* and is not guessed at */
    assert_int_equal(max_of(&t, "tpm"), 50000);
    assert_int_equal(max_of(&t, "rpm"), 38);
    tear_down(&t);
}

static void test_limits__a_sentences_number__is_tried_after_five_full_windows(void **state)
{
    struct report_limit l = {
        .metric = METRIC_REQUESTS, .span_us = MINUTE, .limit = 40, .remaining = -1, .reset_us = -1, .refused = true};
    struct bench t;

    (void)state;
    set_up(&t, NULL, 0, true);
    hear_one(&t, &l);
    for (int i = 0; i < 50; i++) {
        t.now_us += MINUTE / 10;
        use(&t, "rpm", 4);
        hear(&t, NULL, 0, false);
        assert_int_equal(max_of(&t, "rpm"), 40);
    }
    for (int i = 0; i < 10; i++) {
        t.now_us += MINUTE / 10;
        use(&t, "rpm", 4);
        hear(&t, NULL, 0, false);
    }
    assert_int_equal(max_of(&t, "rpm"), 45);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, "rpm"), 40);
    for (int i = 0; i < 100; i++) { /* not full */
        t.now_us += MINUTE / 10;
        use(&t, "rpm", 3);
        hear(&t, NULL, 0, false);
    }
    assert_int_equal(max_of(&t, "rpm"), 40);
    tear_down(&t);
}

/* ---- kept ---- */

static void again(struct bench *t, int64_t wall_s)
{
    struct json_writer w;
    struct json *doc;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    json_init(&w, &text);
    limits_write(&t->limits, &w);
    assert_int_equal(json_parse(buf_slice(&text), &doc), 0);
    t->limits = (struct limits){0};
    limits_read(&t->limits, doc, wall_s);
    json_free(doc);
    buf_release(&text);
    work_out(t);
}

static void test_limits__kept_and_read__are_the_same(void **state)
{
    const struct report_limit v[] = {told(METRIC_TOKENS, 0, 60000), told(METRIC_REQUESTS, BUDGET_DAY_US, 200),
                                     told(METRIC_OUTPUT, MINUTE, 8000)};
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, true);
    hear(&t, v, 3, false);
    again(&t, TODAY + 29 * DAY_S);
    assert_int_equal(max_of(&t, "tpm"), 60000);
    assert_int_equal(max_of(&t, "rpd"), 200);
    assert_int_equal(max_of(&t, "otpm"), 8000);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), -1);
    assert_int_equal(t.limits.known[METRIC_TOKENS][0].said_s, TODAY);
    tear_down(&t);
}

static void test_limits__kept_for_long__begin_again_with_care(void **state)
{
    struct report_limit l = told(METRIC_TOKENS, 0, 20000);
    struct bench t;

    (void)state;
    set_up(&t, &tpm, 1, true);
    hear_one(&t, &l);
    again(&t, TODAY + 31 * DAY_S);
    assert_int_equal(max_of(&t, "tpm"), 20000);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), LIMITS_FIRST_CALLS);
    hear_one(&t, &l);
    assert_int_equal(max_of(&t, LIMITS_LEARNING), -1);
    t.given.learn = false; /* an old one lowers nothing that the operator wrote */
    again(&t, TODAY + 31 * DAY_S);
    assert_int_equal(max_of(&t, "tpm"), 30000);
    tear_down(&t);
}

static void test_limits__what_cannot_be_read__is_left_out(void **state)
{
    static const char text[] =
        "[1,{\"limit\":\"tpm\"},{\"limit\":\"xpm\",\"max\":5,\"from\":\"header\",\"date\":1},"
        "{\"limit\":\"tpm\",\"max\":-5,\"from\":\"header\",\"date\":1},"
        "{\"limit\":\"tpm\",\"max\":1e13,\"from\":\"header\",\"date\":1},"
        "{\"limit\":\"tpm\",\"max\":5,\"from\":\"nobody\",\"date\":1},"
        "{\"limit\":\"tpm\",\"max\":5,\"from\":\"\",\"date\":1},"
        "{\"limit\":\"tpm\",\"max\":5,\"span_ms\":86400000,\"from\":\"header\",\"date\":1},"
        "{\"limit\":\"rpm\",\"max\":6,\"from\":\"header\",\"date\":99999999999}]";
    struct limits l = {0};
    struct json *doc;

    (void)state;
    assert_int_equal(json_parse(slice_str(text), &doc), 0);
    limits_read(&l, doc, TODAY);
    assert_int_equal(l.known[METRIC_TOKENS][0].max, 0);
    assert_int_equal(l.known[METRIC_REQUESTS][0].max, 6);
    assert_true(l.known[METRIC_REQUESTS][0].is_old); /* of the future */
    limits_read(&l, json_first(doc), TODAY);
    limits_read(&l, NULL, TODAY);
    json_free(doc);
}

/* ---- organizations ---- */

static void test_organizations__the_first_one__is_whom_corrections_follow(void **state)
{
    static const char header[] = "openai-organization", sentence[] = "sentence";
    struct organizations p = {0};

    (void)state;
    assert_true(organizations_see(&p, SLICE(""), NULL, 1));
    assert_true(organizations_see(&p, SLICE("org-a"), header, 2));
    assert_true(organizations_see(&p, SLICE(""), NULL, 3));
    assert_true(organizations_see(&p, SLICE("org-a2"), sentence, 4)); /* the same one may be called so there */
    assert_int_equal(p.n, 1);
    assert_false(organizations_see(&p, SLICE("org-b"), header, 5));
    assert_int_equal(p.n, 2);
    assert_true(organizations_see(&p, SLICE("org-a"), header, 6));
    assert_false(organizations_see(&p, SLICE("org-b"), header, 5 + ORGANIZATIONS_GONE_US));
    assert_true(organizations_see(&p, SLICE("org-b"), header, 6 + ORGANIZATIONS_GONE_US)); /* the first has gone */
    assert_false(organizations_see(&p, SLICE("org-a"), header, 7 + ORGANIZATIONS_GONE_US));
    organizations_release(&p);
}

static void test_organizations__too_many_to_tell_apart__are_strangers(void **state)
{
    struct organizations p = {0};
    char name[] = "org-a";

    (void)state;
    for (int i = 0; i < 2 * ORGANIZATIONS_MAX; i++) {
        name[4] = (char)('a' + i);
        assert_int_equal(organizations_see(&p, slice_str(name), "openai-organization", i), i == 0);
    }
    assert_int_equal(p.n, ORGANIZATIONS_MAX);
    organizations_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__a_headers_number__is_taken_up_and_down_with_learn),
        cmocka_unit_test(test_limits__without_learn__a_number_only_lowers),
        cmocka_unit_test(test_limits__of_no_entry__appear_as_they_are_told),
        cmocka_unit_test(test_limits__absurd_numbers__teach_nothing),
        cmocka_unit_test(test_limits__a_span_that_only_follows__is_believed_the_third_time),
        cmocka_unit_test(test_limits__nothing_known__few_calls_and_ever_more),
        cmocka_unit_test(test_limits__no_number_ever__calls_are_free_after_a_while),
        cmocka_unit_test(test_limits__refused_without_a_number__what_the_window_held_is_the_guess),
        cmocka_unit_test(test_limits__refused_without_a_word__requests_and_tokens_are_guessed),
        cmocka_unit_test(test_limits__a_sentences_number__is_tried_after_five_full_windows),
        cmocka_unit_test(test_limits__kept_and_read__are_the_same),
        cmocka_unit_test(test_limits__kept_for_long__begin_again_with_care),
        cmocka_unit_test(test_limits__what_cannot_be_read__is_left_out),
        cmocka_unit_test(test_organizations__the_first_one__is_whom_corrections_follow),
        cmocka_unit_test(test_organizations__too_many_to_tell_apart__are_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
