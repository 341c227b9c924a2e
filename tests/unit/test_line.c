/* line: who is served next: by class, by what clients have had, by arrival; and what is remembered of whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/ticket.h"

enum { CALLS = 32 };

static const char ana[] = "ana", bo[] = "bo";

/* A line of a budget of 1,000 tokens a minute. */
struct scene {
    struct budget *b;
    struct ticket t[CALLS];
    int n;
};

static void set_up(struct scene *s)
{
    const struct limit tpm = {.metric = METRIC_TOKENS, .max = 1000, .span_us = 60 * CLOCK_S, .key = "tpm"};

    *s = (struct scene){.b = budget_new("model", 0, &tpm, 1)};
}

static struct ticket *comes(struct scene *s, const void *client, int64_t weight, enum ticket_class class,
                            int64_t tokens)
{
    struct ticket *t = &s->t[s->n++];
    const struct estimate e = {.input = tokens, .choices = 1};
    struct cost c = profile_reserve(PROFILE_OPENAI, &e);

    ticket_init(t, &c, &s->b, 1, 0, CLOCK_NEVER);
    ticket_belongs(t, client, weight, class);
    t->seq = (uint64_t)s->n;
    line_push(&s->b->line, t);
    return t;
}

static void is_served(struct scene *s, struct ticket *t)
{
    assert_ptr_equal(line_head(&s->b->line), t);
    line_serve(&s->b->line, t);
}

static void served(struct scene *s, struct ticket *t)
{
    is_served(s, t);
    line_settle(&s->b->line, t, t->share_tokens);
}

static void tear_down(struct scene *s)
{
    assert_int_equal(s->b->line.n, 0);
    assert_int_equal(s->b->line.flow_count, 0);
    budget_free(s->b);
}

static void test_line__two_clients__take_turns_by_tokens(void **state)
{
    struct scene s;
    struct ticket *a[3], *b[3];

    (void)state;
    set_up(&s);
    for (int i = 0; i < 3; i++)
        a[i] = comes(&s, ana, 1, TICKET_NORMAL, 200);
    for (int i = 0; i < 3; i++)
        b[i] = comes(&s, bo, 1, TICKET_NORMAL, 100);
    served(&s, b[0]); /* 50 in its middle, ana's 100 */
    served(&s, a[0]);
    served(&s, b[1]);
    served(&s, b[2]);
    served(&s, a[1]);
    served(&s, a[2]);
    tear_down(&s);
}

static void test_line__weight__is_a_multiple_of_the_share(void **state)
{
    struct scene s;
    struct ticket *a[4], *b[4];

    (void)state;
    set_up(&s);
    for (int i = 0; i < 4; i++) {
        a[i] = comes(&s, ana, 3, TICKET_NORMAL, 100);
        b[i] = comes(&s, bo, 1, TICKET_NORMAL, 100);
    }
    served(&s, a[0]);
    served(&s, a[1]); /* both stand at 50; hers came first */
    served(&s, b[0]);
    served(&s, a[2]);
    served(&s, a[3]);
    for (int i = 1; i < 4; i++)
        served(&s, b[i]);
    tear_down(&s);
}

static void test_line__newcomer__is_neither_before_nor_behind_those_who_wait(void **state)
{
    struct scene s;
    struct ticket *a[6], *b[2];

    (void)state;
    set_up(&s);
    for (int i = 0; i < 6; i++)
        a[i] = comes(&s, ana, 1, TICKET_NORMAL, 100);
    for (int i = 0; i < 3; i++)
        served(&s, a[i]);
    b[0] = comes(&s, bo, 1, TICKET_NORMAL, 100);
    b[1] = comes(&s, bo, 1, TICKET_NORMAL, 100);
    served(&s, b[0]); /* and not both: what ana had before he came is not his to claim */
    served(&s, a[3]);
    served(&s, b[1]);
    served(&s, a[4]);
    served(&s, a[5]);
    tear_down(&s);
}

static void test_line__client_that_sends_one_after_the_other__has_no_more_than_its_share(void **state)
{
    struct scene s;
    struct ticket *a[4], *b;
    int turns = 0;

    (void)state;
    set_up(&s);
    for (int i = 0; i < 4; i++)
        a[i] = comes(&s, ana, 1, TICKET_NORMAL, 100);
    is_served(&s, a[0]);
    for (int i = 1; i < 4; i++) {
        b = comes(&s, bo, 1, TICKET_NORMAL, 100);
        turns += line_head(&s.b->line) == b;
        if (line_head(&s.b->line) == b)
            served(&s, b);
        served(&s, a[i]);
        if (b->state == TICKET_IDLE && b->flow)
            line_remove(&s.b->line, b);
    }
    assert_in_range(turns, 1, 3);
    line_settle(&s.b->line, a[0], 100);
    tear_down(&s);
}

static void test_line__attempt_that_took_nothing__gives_its_client_its_turn_back(void **state)
{
    struct scene s;
    struct ticket *a, *b;

    (void)state;
    set_up(&s);
    a = comes(&s, ana, 1, TICKET_NORMAL, 100);
    b = comes(&s, bo, 1, TICKET_NORMAL, 100);
    is_served(&s, a);
    line_settle(&s.b->line, a, 0); /* a 429 */
    line_push(&s.b->line, a);
    served(&s, a);
    served(&s, b);
    tear_down(&s);
}

static void test_line__head_that_was_told__is_not_displaced_in_its_class(void **state)
{
    struct scene s;
    struct ticket *a, *b, *high;

    (void)state;
    set_up(&s);
    a = comes(&s, ana, 1, TICKET_NORMAL, 900);
    assert_ptr_equal(line_head(&s.b->line), a);
    b = comes(&s, bo, 1, TICKET_NORMAL, 1);
    assert_ptr_equal(line_head(&s.b->line), a);
    high = comes(&s, bo, 1, TICKET_HIGH, 1);
    served(&s, high); /* but by a higher class it is */
    served(&s, a);
    served(&s, b);
    tear_down(&s);
}

/* 5 % of what is taken before it: the low call of 100 tokens is paid by 2,000. */
static void test_line__lower_class__has_its_turn_by_its_credit(void **state)
{
    struct scene s;
    struct ticket *h[5], *low;

    (void)state;
    set_up(&s);
    low = comes(&s, bo, 1, TICKET_LOW, 100);
    for (int i = 0; i < 5; i++)
        h[i] = comes(&s, ana, 1, TICKET_HIGH, 500);
    for (int i = 0; i < 4; i++)
        served(&s, h[i]);
    served(&s, low);
    served(&s, h[4]);
    tear_down(&s);
}

static bool anybody(void *arg, const struct flow *f)
{
    (void)arg;
    (void)f;
    return true;
}

static bool not_bo(void *arg, const struct flow *f)
{
    (void)arg;
    return f->client != bo;
}

static void test_line__search__goes_by_class_then_client_then_arrival(void **state)
{
    const struct queue_weight most = {{100, 100, 100}};
    struct scene s;
    struct ticket *a[3], *b[2], *found;

    (void)state;
    set_up(&s);
    a[0] = comes(&s, ana, 1, TICKET_NORMAL, 500);
    a[1] = comes(&s, ana, 1, TICKET_NORMAL, 90);
    a[2] = comes(&s, ana, 1, TICKET_NORMAL, 50);
    b[0] = comes(&s, bo, 1, TICKET_NORMAL, 600);
    b[1] = comes(&s, bo, 1, TICKET_NORMAL, 10);
    found = line_find(&s.b->line, TICKET_NORMAL, &most, anybody, NULL, NULL);
    assert_ptr_equal(found, a[1]);
    assert_null(line_find(&s.b->line, TICKET_LOW, &most, anybody, NULL, NULL));
    line_remove(&s.b->line, a[1]);
    line_remove(&s.b->line, a[2]);
    assert_ptr_equal(line_find(&s.b->line, TICKET_NORMAL, &most, anybody, NULL, NULL), b[1]);
    assert_null(line_find(&s.b->line, TICKET_NORMAL, &most, not_bo, NULL, NULL));
    line_remove(&s.b->line, a[0]);
    line_remove(&s.b->line, b[0]);
    line_remove(&s.b->line, b[1]);
    tear_down(&s);
}

static void test_line__what_is_ahead__is_what_is_served_before(void **state)
{
    struct line_load ahead;
    struct scene s;
    struct ticket *last;

    (void)state;
    set_up(&s);
    comes(&s, ana, 1, TICKET_HIGH, 70);
    for (int i = 0; i < 10; i++)
        comes(&s, ana, 1, TICKET_NORMAL, 100);
    for (int i = 0; i < 3; i++)
        last = comes(&s, bo, 1, TICKET_NORMAL, 100);
    comes(&s, bo, 1, TICKET_LOW, 1000);
    line_ahead(&s.b->line, last, &ahead);
    assert_int_equal(ahead.tokens.of[0], 70 + 200 + 200); /* his two, and as much of hers */
    assert_int_equal(ahead.calls, 1 + 2 + 2);
    line_all(&s.b->line, &ahead);
    assert_int_equal(ahead.calls, s.n);
    while (s.n > 0)
        line_remove(&s.b->line, &s.t[--s.n]);
    tear_down(&s);
}

static void test_line__by_arrival__is_one_line_whoever_asks_and_back_again(void **state)
{
    struct scene s;
    struct ticket *low, *high, *normal;

    (void)state;
    set_up(&s);
    low = comes(&s, ana, 1, TICKET_LOW, 100);
    high = comes(&s, bo, 1, TICKET_HIGH, 100);
    line_set_order(&s.b->line, true);
    normal = comes(&s, bo, 1, TICKET_NORMAL, 100);
    served(&s, low);
    assert_ptr_equal(line_head(&s.b->line), high);
    line_set_order(&s.b->line, false);
    served(&s, high);
    served(&s, normal);
    tear_down(&s);
}

static void test_line__many_clients_that_come_and_go__leave_nothing_behind(void **state)
{
    static char names[5000];
    struct scene s;
    struct ticket *keeps;

    (void)state;
    set_up(&s);
    keeps = comes(&s, ana, 1, TICKET_NORMAL, 1);
    for (size_t i = 0; i < sizeof names; i++) {
        struct ticket *t;

        s.n = 1;
        t = comes(&s, &names[i], 1, TICKET_HIGH, 10);
        line_serve(&s.b->line, t);
        line_settle(&s.b->line, t, 10);
        assert_true(s.b->line.flow_count < 300);
    }
    line_remove(&s.b->line, keeps);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line__two_clients__take_turns_by_tokens),
        cmocka_unit_test(test_line__weight__is_a_multiple_of_the_share),
        cmocka_unit_test(test_line__newcomer__is_neither_before_nor_behind_those_who_wait),
        cmocka_unit_test(test_line__client_that_sends_one_after_the_other__has_no_more_than_its_share),
        cmocka_unit_test(test_line__attempt_that_took_nothing__gives_its_client_its_turn_back),
        cmocka_unit_test(test_line__head_that_was_told__is_not_displaced_in_its_class),
        cmocka_unit_test(test_line__lower_class__has_its_turn_by_its_credit),
        cmocka_unit_test(test_line__search__goes_by_class_then_client_then_arrival),
        cmocka_unit_test(test_line__what_is_ahead__is_what_is_served_before),
        cmocka_unit_test(test_line__by_arrival__is_one_line_whoever_asks_and_back_again),
        cmocka_unit_test(test_line__many_clients_that_come_and_go__leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
