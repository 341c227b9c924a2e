/* What `metergate status` shows of documents that a server gives: money, a pause, a ledger in trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool_fixture.h"

/* Money has its own unit and is never cut to whole dollars; who pays stands beside his tokens. */
static void test_status__money__is_shown_in_dollars_to_the_millionth(void **state)
{
    static const struct fake_answer answers[] = {
        {"/-/status", 200,
         "{\"budgets\":[{\"name\":\"gpt-4o\",\"held\":0,\"in_flight\":1,\"limits\":[{\"metric\":\"usd_per_day\",\"max\":5,"
         "\"window_s\":86400,\"used\":0.02916475,\"reserved\":0.000828,\"usable\":5}]}],\"clients\":[{\"name\":"
         "\"nightly\",\"tokens\":7,\"cost_usd\":1234.018447821,\"limits\":[{\"metric\":\"usd_per_month\",\"max\":0.02,"
         "\"window_s\":2592000,\"used\":0.019,\"reserved\":0.002,\"usable\":0.02}]},{\"name\":\"old\"}]}"},
        {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("status", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    text_has(o.out, "gpt-4o          usd_per_day       1 d  $5.000000  $5.000000  $0.029164  $0.000828  $4.970007     0 ");
    text_has(o.out, "client nightly  usd_per_month    30 d  $0.020000  $0.020000  $0.019000  $0.002000  $0.000000  ");
    text_has(o.out, "CLIENT   HELD  IN FLIGHT  CALLS  TOKENS           COST\n");
    text_has(o.out, "      7  $1,234.018447\n");
    text_has(o.out, "      0              -\n");
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_status__paused__says_that_nothing_goes_before_resume(void **state)
{
    static const struct fake_answer answers[] = {
        {"/-/status", 200,
         "{\"paused\":true,\"held\":1,\"budgets\":[{\"name\":\"gpt-4o\",\"held\":1,\"next_dispatch_ms\":null,"
         "\"limits\":[]},{\"name\":\"idle\",\"held\":0,\"next_dispatch_ms\":null,\"limits\":[]}]}"},
        {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("status", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    text_has(o.out, ", paused\n");
    text_has(o.out, " 1          0  after `metergate resume`\n");
    text_has(o.out, " 0          0  -\n");
    assert_null(strstr(o.out, "when a call ends"));
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_status__ledger_in_trouble__is_said(void **state)
{
    static const struct fake_answer answers[] = {
        {"/-/status", 200,
         "{\"ledger\":{\"ok\":false,\"problem\":\"the disk is full: /x\",\"waiting\":60,\"written\":0,\"lost\":1}}"},
        {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("status", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    text_has(o.out, "\nledger  not written: the disk is full: /x; rows that wait: 60, lost: 1; calls go on\n");
    outcome_release(&o);
    fake_server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_status__money__is_shown_in_dollars_to_the_millionth, tool_environment),
        cmocka_unit_test_setup(test_status__paused__says_that_nothing_goes_before_resume, tool_environment),
        cmocka_unit_test_setup(test_status__ledger_in_trouble__is_said, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
