#include "metergate/net/loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/clock.h"

/* What happened, one letter each. */
static char events[64];

static void note(const char *what)
{
    size_t n = strlen(events);

    snprintf(events + n, sizeof events - n, "%s", what);
}

static int start(void **state)
{
    events[0] = '\0';
    *state = loop_new();
    return *state ? 0 : -1;
}

static int stop(void **state)
{
    loop_free(*state);
    return 0;
}

static void on_timer_a(void *ctx)
{
    (void)ctx;
    note("a");
}

static void on_timer_b(void *ctx)
{
    (void)ctx;
    note("b");
}

static void on_task(void *ctx)
{
    note(ctx);
}

static char name_x[] = "x", name_y[] = "y", name_z[] = "z"; /* contexts are not const */

static void on_stop(void *ctx)
{
    loop_stop(ctx);
}

static void test_loop__timers__fire_in_order_and_once(void **state)
{
    struct loop *l = *state;
    struct loop_timer a = {.fn = NULL}, b = {.fn = NULL}, end = {.fn = NULL}, never = {.fn = NULL};
    int64_t now = loop_now_us(l);

    loop_timer_set(l, &b, now + 2000, on_timer_b, NULL);
    loop_timer_set(l, &a, now + 90 * CLOCK_S, on_timer_a, NULL);
    loop_timer_set(l, &a, now + 1000, on_timer_a, NULL); /* moved */
    loop_timer_set(l, &never, now + 500, on_timer_b, NULL);
    loop_timer_clear(l, &never);
    loop_timer_set(l, &end, now + 3000, on_stop, l);
    loop_run(l);
    assert_string_equal(events, "ab");
    assert_true(loop_now_us(l) >= now + 3000);
    assert_false(loop_timer_is_set(&a));
}

static void test_loop__timer_in_the_past__fires_in_the_next_turn(void **state)
{
    struct loop *l = *state;
    struct loop_timer a = {.fn = NULL};

    loop_timer_set(l, &a, -5, on_timer_a, NULL);
    loop_turn(l, CLOCK_NEVER);
    assert_string_equal(events, "a");
}

static void test_loop__cleared_timer__costs_no_more_than_one_wakeup(void **state)
{
    struct loop *l = *state;
    struct loop_timer a = {.fn = NULL}, end = {.fn = NULL};
    int64_t now = loop_now_us(l);

    loop_timer_set(l, &a, now + 5000, on_timer_a, NULL);
    loop_turn(l, 0); /* armed */
    loop_timer_clear(l, &a);
    loop_timer_set(l, &end, now + 10000, on_stop, l);
    loop_run(l);
    assert_string_equal(events, "");
    assert_true(loop_wakeups(l) <= 3);
}

struct chain {
    struct loop *l;
    struct loop_task first, second;
};

static void on_second(void *ctx)
{
    (void)ctx;
    note("2");
}

static void on_first(void *ctx)
{
    struct chain *c = ctx;

    note("1");
    loop_task_queue(c->l, &c->second, on_second, c);
}

static void test_loop__tasks__run_in_order_and_those_they_queue_in_the_same_turn(void **state)
{
    struct loop *l = *state;
    struct chain c = {.l = l};
    struct loop_task x = {.fn = NULL}, y = {.fn = NULL}, z = {.fn = NULL};

    loop_task_queue(l, &x, on_task, name_x);
    loop_task_queue(l, &c.first, on_first, &c);
    loop_task_queue(l, &y, on_task, name_y);
    loop_task_queue(l, &z, on_task, name_z);
    loop_task_queue(l, &x, on_task, name_x); /* is queued already */
    loop_task_clear(l, &y);
    loop_turn(l, 0);
    assert_string_equal(events, "x1z2");
    loop_task_queue(l, &z, on_task, name_z);
    loop_task_clear(l, &z); /* the last one */
    loop_task_queue(l, &x, on_task, name_x);
    loop_turn(l, 0);
    assert_string_equal(events, "x1z2x");
}

static void on_again(void *ctx)
{
    struct chain *c = ctx;

    loop_task_queue(c->l, &c->first, on_again, c);
}

static void test_loop__task_that_queues_itself__does_not_stop_the_rest(void **state)
{
    struct loop *l = *state;
    struct chain c = {.l = l};
    struct loop_timer end = {.fn = NULL};

    loop_task_queue(l, &c.first, on_again, &c);
    loop_timer_set(l, &end, loop_now_us(l) + 1000, on_stop, l);
    loop_run(l);
    loop_task_clear(l, &c.first);
}

struct pipe_end {
    struct loop *l;
    struct loop_watch watch, *other;
    int fd;
};

static void on_readable(void *ctx, uint32_t what)
{
    struct pipe_end *p = ctx;
    char c[2] = "";

    assert_true(what & EPOLLIN);
    assert_int_equal(read(p->fd, c, 1), 1);
    note(c);
    if (p->other) /* it is in the same batch: its event must not come any more */
        loop_watch_clear(p->l, p->other);
}

static void test_loop__watch_cleared_by_a_callback_of_its_batch__stays_silent(void **state)
{
    struct loop *l = *state;
    int one[2], two[2];
    struct pipe_end a = {.l = l}, b = {.l = l};

    assert_int_equal(pipe(one), 0);
    assert_int_equal(pipe(two), 0);
    a.fd = one[0];
    b.fd = two[0];
    a.other = &b.watch;
    b.other = &a.watch;
    assert_int_equal(loop_watch_set(l, &a.watch, a.fd, EPOLLIN, on_readable, &a), 0);
    assert_int_equal(loop_watch_set(l, &b.watch, b.fd, EPOLLIN, on_readable, &b), 0);
    assert_int_equal(write(one[1], "1", 1), 1);
    assert_int_equal(write(two[1], "1", 1), 1);
    loop_turn(l, CLOCK_NEVER);
    assert_string_equal(events, "1");
    loop_watch_clear(l, &a.watch);
    loop_watch_clear(l, &b.watch);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}

static void bury_note(void *p)
{
    note("g");
    free(p);
}

static void test_loop__buried__is_freed_after_the_tasks_of_the_turn(void **state)
{
    struct loop *l = *state;
    struct loop_task x = {.fn = NULL};

    loop_bury(l, malloc(1), bury_note);
    loop_task_queue(l, &x, on_task, name_x);
    loop_turn(l, 0);
    assert_string_equal(events, "xg");
}

#define POSTS 2000

struct counted_post {
    struct loop_post post;
    struct loop *l;
    unsigned *seen;
};

static void on_post(struct loop_post *post)
{
    struct counted_post *c = MG_CONTAINER(post, struct counted_post, post);

    if (++*c->seen == 2 * POSTS)
        loop_stop(c->l);
    free(c);
}

struct poster {
    struct loop *l;
    unsigned *seen;
};

static void *post_many(void *arg)
{
    const struct poster *p = arg;

    for (int i = 0; i < POSTS; i++) {
        struct counted_post *c = xcalloc(1, sizeof *c);

        c->post.fn = on_post;
        c->l = p->l;
        c->seen = p->seen;
        loop_post(p->l, &c->post);
    }
    return NULL;
}

static void test_loop__posts_from_two_threads__all_arrive(void **state)
{
    unsigned seen = 0;
    struct poster p = {*state, &seen};
    pthread_t one, two;

    assert_int_equal(pthread_create(&one, NULL, post_many, &p), 0);
    assert_int_equal(pthread_create(&two, NULL, post_many, &p), 0);
    loop_run(*state);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    assert_int_equal(seen, 2 * POSTS);
}

static void on_signal(void *ctx, int signo)
{
    note(signo == SIGUSR1 ? "u" : "?");
    loop_stop(ctx);
}

static void test_loop__signal__arrives_in_the_loop(void **state)
{
    struct loop *l = *state;

    assert_int_equal(loop_signal(l, SIGUSR1, on_signal, l), 0);
    assert_int_equal(loop_signal(l, SIGUSR2, on_signal, l), 0);
    kill(getpid(), SIGUSR1);
    loop_run(l);
    assert_string_equal(events, "u");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_loop__timers__fire_in_order_and_once),
        TEST(test_loop__timer_in_the_past__fires_in_the_next_turn),
        TEST(test_loop__cleared_timer__costs_no_more_than_one_wakeup),
        TEST(test_loop__tasks__run_in_order_and_those_they_queue_in_the_same_turn),
        TEST(test_loop__task_that_queues_itself__does_not_stop_the_rest),
        TEST(test_loop__watch_cleared_by_a_callback_of_its_batch__stays_silent),
        TEST(test_loop__buried__is_freed_after_the_tasks_of_the_turn),
        TEST(test_loop__posts_from_two_threads__all_arrive),
        TEST(test_loop__signal__arrives_in_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
