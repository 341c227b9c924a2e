/* notify: who feeds the watchdog, and how often a status is told. The test is the service manager, and turns the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/daemon/notify.h"

struct world {
    int manager;
    struct loop *loop;
    struct notify notify;
    int held; /* what describe says */
    char heard[512];
};

static void describe(void *ctx, struct buf *status)
{
    const struct world *w = ctx;

    buf_addf(status, "holding %d", w->held);
}

static void open_world(struct world *w, const char *watchdog_usec)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char name[64];

    *w = (struct world){.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), .loop = loop_new()};
    assert_true(w->manager >= 0);
    assert_non_null(w->loop);
    snprintf(name, sizeof name, "@metergate-unit-%d", (int)getpid());
    memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
    assert_int_equal(
        bind(w->manager, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    if (watchdog_usec)
        setenv("WATCHDOG_USEC", watchdog_usec, 1);
    notify_open(&w->notify);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
}

static void close_world(struct world *w)
{
    notify_close(&w->notify);
    loop_free(w->loop);
    close(w->manager);
}

/* The next message, "" when none is there by then. */
static const char *hear(struct world *w, int wait_ms)
{
    struct pollfd p = {.fd = w->manager, .events = POLLIN};
    ssize_t n = poll(&p, 1, wait_ms) == 1 ? recv(w->manager, w->heard, sizeof w->heard - 1, 0) : 0;

    assert_true(n >= 0);
    w->heard[n] = '\0';
    return w->heard;
}

static void test_notify__a_loop_that_does_not_turn__feeds_no_watchdog(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, "20000");
    notify_watch(&w.notify, w.loop);
    assert_string_equal(hear(&w, 100), ""); /* five periods */
    loop_turn(w.loop, CLOCK_NEVER);
    assert_string_equal(hear(&w, 0), "WATCHDOG=1\n");
    assert_string_equal(hear(&w, 100), "");
    close_world(&w);
}

static void test_notify__a_status__is_told_when_it_changes_and_once_a_second(void **state)
{
    struct world w;
    int64_t said_us;

    (void)state;
    open_world(&w, NULL);
    notify_ready(&w.notify, "holding 0");
    assert_string_equal(hear(&w, 0), "READY=1\nSTATUS=holding 0\n");
    notify_watch(&w.notify, w.loop);
    notify_follow(&w.notify, w.loop, describe, &w);
    said_us = loop_now_us(w.loop);
    for (w.held = 1; w.held < 100; w.held++) {
        loop_turn(w.loop, 0);
        notify_changed(&w.notify);
    }
    assert_string_equal(hear(&w, 0), "");
    loop_turn(w.loop, CLOCK_NEVER);
    assert_string_equal(hear(&w, 0), "STATUS=holding 100\n");
    assert_true(loop_now_us(w.loop) - said_us >= NOTIFY_STATUS_US);
    notify_changed(&w.notify); /* which it has not: */
    loop_turn(w.loop, CLOCK_NEVER);
    assert_string_equal(hear(&w, 0), "");
    assert_false(loop_timer_is_set(&w.notify.status_timer)); /* and nobody is woken up again */
    close_world(&w);
}

static void test_notify__a_change_after_a_quiet_second__is_told_at_once(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, NULL);
    notify_follow(&w.notify, w.loop, describe, &w);
    w.notify.said_us -= NOTIFY_STATUS_US;
    w.held = 7;
    notify_changed(&w.notify);
    assert_string_equal(hear(&w, 0), "STATUS=holding 7\n");
    close_world(&w);
}

static void test_notify__a_stop__asks_for_the_time_that_it_may_take(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, NULL);
    notify_stopping(&w.notify, "draining", 3600 * CLOCK_S);
    assert_string_equal(hear(&w, 0), "STOPPING=1\nSTATUS=draining\n");
    assert_string_equal(hear(&w, 0), "EXTEND_TIMEOUT_USEC=3600000000\n");
    close_world(&w);
}

static void test_notify__nobody_listens__nothing_is_said_and_nobody_woken(void **state)
{
    struct world w = {.loop = loop_new()};

    (void)state;
    notify_open(&w.notify);
    notify_ready(&w.notify, "holding 0");
    notify_watch(&w.notify, w.loop);
    notify_follow(&w.notify, w.loop, describe, &w);
    w.held = 1;
    notify_changed(&w.notify);
    assert_false(loop_timer_is_set(&w.notify.status_timer));
    assert_false(loop_timer_is_set(&w.notify.timer));
    notify_stopping(&w.notify, "draining", 0);
    notify_close(&w.notify);
    loop_free(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify__a_loop_that_does_not_turn__feeds_no_watchdog),
        cmocka_unit_test(test_notify__a_status__is_told_when_it_changes_and_once_a_second),
        cmocka_unit_test(test_notify__a_change_after_a_quiet_second__is_told_at_once),
        cmocka_unit_test(test_notify__a_stop__asks_for_the_time_that_it_may_take),
        cmocka_unit_test(test_notify__nobody_listens__nothing_is_said_and_nobody_woken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
