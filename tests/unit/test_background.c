/*
 * background: what becomes of a response that is made in the background and that nobody asks for again. Its provider is
 * a socket of the test. What a poll does is in tests/e2e/test_endpoints.c.
 */
#include "proxy_rig.h"

#define RESPONSE                                                                                             \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 33\r\nConnection: close\r\n\r\n"       \
    "{\"id\":\"resp_1\",\"status\":\"queued\"}"
#define BODY "{\"model\":\"gpt-4o\",\"input\":\"x\",\"background\":true,\"max_output_tokens\":400}"
#define COST INT64_C(4000000) /* and its input */

/* The provider answers the one call that it gets. */
static void play_provider(struct rig *r, const struct listener *ln)
{
    char piece[4096];
    int fd = -1;

    for (int i = 0; i < TURNS_MAX && fd < 0; i++) {
        loop_turn(r->loop, CLOCK_MS);
        fd = accept4(ln->fd, NULL, NULL, SOCK_CLOEXEC);
    }
    assert_true(fd >= 0);
    for (int i = 0; i < TURNS_MAX && recv(fd, piece, sizeof piece, MSG_DONTWAIT) <= 0; i++)
        loop_turn(r->loop, CLOCK_MS);
    assert_int_equal(send(fd, RESPONSE, sizeof RESPONSE - 1, 0), sizeof RESPONSE - 1);
    close(fd);
}

static void make_response(struct rig *r, const struct listener *provider)
{
    int fd = begin(r, "POST", "/v1/responses", BODY);
    struct buf got;

    play_provider(r, provider);
    got = answer(r, fd);
    if (!strstr(got.p, "resp_1"))
        fail_msg("%s", got.p);
    buf_release(&got);
}

static struct purse *purse_of(const struct rig *r)
{
    struct purse *p = &LIST_ENTRY(list_first(&r->proxy->budgets.all), struct model_budget, link)->purse;

    purse_advance(p, clock_now_us());
    return p;
}

/* It was charged when it was made, and nobody will tell what it used: its money is spent, and some day there again. */
static void test_background__nobody_asks_for_it__its_money_is_spent_after_an_hour_and_free_after_its_span(void **state)
{
    struct listener provider = {0};
    struct buf yaml;
    struct errbuf e;
    struct rig r;

    (void)state;
    assert_int_equal(listener_open(&provider, "127.0.0.1:0", 0, &e), 0);
    buf_init(&yaml, BUF_UNLIMITED);
    buf_addf(&yaml,
             "upstreams:\n  openai: {dialect: openai, base_url: http://127.0.0.1:%d/v1, counting: actual}\n"
             "models:\n  gpt-4o: {usd_per_hour: 1}\n",
             net_addr_port(&provider.addr));
    rig_start(&r, yaml.p);
    make_response(&r, &provider);
    assert_true(purse_of(&r)->reserved > COST);
    pass(&r, MEMORY_BACKGROUND_US - 60 * CLOCK_S);
    assert_true(purse_of(&r)->reserved > COST);
    pass(&r, 60 * CLOCK_S);
    assert_int_equal(purse_of(&r)->reserved, 0);
    assert_true(purse_of(&r)->window[0].used > COST);
    pass(&r, 3601 * CLOCK_S);
    assert_int_equal(purse_of(&r)->window[0].used, 0);
    rig_stop(&r);
    listener_release(&provider);
    buf_release(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_background__nobody_asks_for_it__its_money_is_spent_after_an_hour_and_free_after_its_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
