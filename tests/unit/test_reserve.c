/*
 * reserve: what becomes of a lease that nobody settles. What a client sees besides is in tests/e2e/test_leases.c.
 */
#include "proxy_rig.h"

#define TEN_MINUTES (600 * CLOCK_S)

static void assert_answer(struct buf got, const char *begins, const char *has)
{
    if (strncmp(got.p, begins, strlen(begins)) != 0 || !strstr(got.p, has))
        fail_msg("%s", got.p);
    buf_release(&got);
}

static void assert_metric(struct rig *r, const char *line)
{
    struct buf got = ask(r, "GET", "/metrics", "");

    if (!strstr(got.p, line))
        fail_msg("no %s in %s", line, got.p);
    buf_release(&got);
}

/* Turns until so many calls are held. */
static void wait_held(struct rig *r, int64_t held)
{
    for (int i = 0; i < TURNS_MAX && r->proxy->count[CALL_HELD] != held; i++)
        loop_turn(r->loop, TURN_US);
    assert_int_equal(r->proxy->count[CALL_HELD], held);
}

#define CONFIG                                                                                               \
    "headroom: 0%\n"                                                                                         \
    "upstreams:\n  openai: {dialect: openai, base_url: http://127.0.0.1:9/v1, counting: actual}\n"           \
    "models:\n  gpt-4o: {concurrent: 1, tpm: {max: 1000, per: 1h}}\n"
#define RESERVE(tokens) "{\"model\":\"gpt-4o\",\"input_tokens\":" tokens ",\"output_tokens\":100}"
#define OK              "HTTP/1.1 200 OK\r\n"

/* ---- tests ---- */

static void test_lease__not_settled_for_ten_minutes__settles_at_its_estimate_and_makes_room(void **state)
{
    struct rig r;
    int held;

    (void)state;
    rig_start(&r, CONFIG);
    assert_answer(ask(&r, "POST", "/-/reserve", RESERVE("300")), OK, "\"waited_ms\":");
    held = begin(&r, "POST", "/-/reserve", RESERVE("50"));
    wait_held(&r, 1);
    pass(&r, TEN_MINUTES - 10 * CLOCK_S);
    assert_metric(&r, "metergate_leases_open 1\n");
    assert_metric(&r, "metergate_leases_total{end=\"expired\"} 0\n");
    assert_int_equal(r.proxy->count[CALL_HELD], 1);
    pass(&r, 10 * CLOCK_S);
    assert_answer(answer(&r, held), OK, "\"waited_ms\":600");
    assert_metric(&r, "metergate_leases_open 1\n");
    assert_metric(&r, "metergate_leases_total{end=\"expired\"} 1\n");
    assert_metric(&r, "metergate_limit_used{budget=\"gpt-4o\",upstream=\"openai\",limit=\"tpm\"} 400\n");
    assert_metric(&r, "metergate_limit_reserved{budget=\"gpt-4o\",upstream=\"openai\",limit=\"tpm\"} 150\n");
    assert_metric(&r, "metergate_calls_finished_total{outcome=\"failed\"} 1\n");
    rig_stop(&r);
}

/* The charge is as old as the grant, whenever it is settled: half of the hour is over then. */
static void test_lease__its_input__leaves_the_window_one_span_after_the_grant(void **state)
{
    struct rig r;
    int held;

    (void)state;
    rig_start(&r, CONFIG);
    assert_answer(ask(&r, "POST", "/-/reserve", RESERVE("900")), OK, "\"lease\"");
    pass(&r, TEN_MINUTES + CLOCK_S); /* its output counts from here, its input from the grant */
    held = begin(&r, "POST", "/-/reserve", RESERVE("700"));
    wait_held(&r, 1);
    pass(&r, 3600 * CLOCK_S - TEN_MINUTES - 30 * CLOCK_S);
    assert_int_equal(r.proxy->count[CALL_HELD], 1);
    pass(&r, 30 * CLOCK_S);
    assert_answer(answer(&r, held), OK, "\"lease\"");
    rig_stop(&r);
}

static void vanish(void *ctx)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    int fd = *(int *)ctx;

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

/* Nobody can settle what nobody was told of: it ends at once. The client resets its connection at the end of
 * the very turn in which its lease is granted, before the grant; the proxy hears of that when it tells it. */
static void test_lease__whose_client_left_before_it_was_told__ends_without_tokens(void **state)
{
    struct loop_task task = {0};
    struct rig r;
    int held;

    (void)state;
    rig_start(&r, CONFIG);
    assert_answer(ask(&r, "POST", "/-/reserve", RESERVE("300")), OK, "\"lease\"");
    held = begin(&r, "POST", "/-/reserve", RESERVE("50"));
    wait_held(&r, 1);
    loop_task_queue(r.loop, &task, vanish, &held);
    pass(&r, TEN_MINUTES);
    assert_metric(&r, "metergate_dispatched_total 2\n");
    assert_metric(&r, "metergate_leases_open 0\n");
    assert_metric(&r, "metergate_leases_total{end=\"unclaimed\"} 1\n");
    assert_metric(&r, "metergate_limit_used{budget=\"gpt-4o\",upstream=\"openai\",limit=\"tpm\"} 400\n");
    assert_metric(&r, "metergate_limit_reserved{budget=\"gpt-4o\",upstream=\"openai\",limit=\"tpm\"} 0\n");
    assert_metric(&r, "metergate_calls_finished_total{outcome=\"cancelled\"} 1\n");
    assert_int_equal(r.proxy->reservations, 0);
    rig_stop(&r);
}

static void test_leases__as_many_as_there_may_be__further_ones_are_refused(void **state)
{
    struct client *client;
    struct rig r;

    (void)state;
    rig_start(&r, CONFIG);
    r.proxy->reservations = LEASES_MAX;
    assert_answer(ask(&r, "POST", "/@a/-/reserve", RESERVE("1")), "HTTP/1.1 429 ",
                  "Metergate-Refused: queue-full\r\n");
    r.proxy->reservations = LEASES_MAX - 1;
    client = clients_named(&r.proxy->clients, SLICE("a"), false);
    client->reservations = INT64_C(8000);
    assert_answer(ask(&r, "POST", "/@a/-/reserve", RESERVE("1")), "HTTP/1.1 429 ", "Retry-After: 1\r\n");
    assert_answer(ask(&r, "POST", "/@b/-/reserve", RESERVE("1")), OK, "\"lease\"");
    client->reservations = 0;
    assert_int_equal(r.proxy->reservations, LEASES_MAX);
    r.proxy->reservations = 1;
    rig_stop(&r); /* with a lease that is open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease__not_settled_for_ten_minutes__settles_at_its_estimate_and_makes_room),
        cmocka_unit_test(test_lease__its_input__leaves_the_window_one_span_after_the_grant),
        cmocka_unit_test(test_lease__whose_client_left_before_it_was_told__ends_without_tokens),
        cmocka_unit_test(test_leases__as_many_as_there_may_be__further_ones_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
