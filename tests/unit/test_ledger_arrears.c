/* arrears: joined with what the database knows, in order, each scope once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/ledger/arrears.h"

static struct ledger_row row_of(const char *model_budget, const char *client, int64_t t_s)
{
    struct ledger_row r = {.kind = ROW_CALL, .t_us = t_s * CLOCK_S, .cost_nano = 7};

    snprintf(r.client, sizeof r.client, "%s", client);
    snprintf(r.upstream, sizeof r.upstream, "openai");
    snprintf(r.budget, sizeof r.budget, "%s", model_budget);
    snprintf(r.budget_scope, sizeof r.budget_scope, "entry");
    r.charge.sent_us = (t_s - 2) * CLOCK_S;
    r.charge.on_arrival[METRIC_REQUESTS] = 1;
    r.charge.on_arrival[METRIC_TOKENS] = 30;
    r.charge.at_end[METRIC_TOKENS] = 5;
    return r;
}

/* "SCOPE=SECOND:REQUESTS/TOKENS/COST ..." */
static void write_down(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    struct buf *out = arg;

    buf_addf(out, "%.*s=", (int)scope.n, scope.p);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%d:%d/%d/%d ", (int)(v[i].until_us / CLOCK_S), (int)v[i].amount[METRIC_REQUESTS],
                 (int)v[i].amount[METRIC_TOKENS], (int)v[i].cost_nano);
    buf_add_char(out, '\n');
}

static void test_arrears__of_a_scope__are_among_the_databases_by_time(void **state)
{
    const struct ledger_charged known[] = {{.until_us = 99 * CLOCK_S, .amount = {1, 10, 0, 0}},
                                           {.until_us = 101 * CLOCK_S, .amount = {1, 20, 0, 0}}};
    struct ledger_row r = row_of("gpt-4o", "ana", 102);
    struct arrears a = {0};
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    arrears_add(&a, &r);
    arrears_join(&a, SLICE("client:ana"), known, 2, 0, write_down, &out);
    arrears_join(&a, SLICE("client:bo"), known, 1, 0, write_down, &out);
    arrears_give(&a, SLICE("client:"), 0, write_down, &out);
    assert_string_equal(out.p, "client:ana=99:1/10/0 100:1/30/0 101:1/20/0 102:0/5/7 \n"
                               "client:bo=99:1/10/0 \n");
    buf_release(&out);
    arrears_release(&a);
}

static void test_arrears__that_the_database_knows_nothing_of__are_given_once_and_if_late_enough(void **state)
{
    struct ledger_row rows[] = {row_of("gpt-4o", "ana", 50), row_of("gpt-4o", "bo", 60),
                                row_of("", "ana", 70)};
    struct arrears a = {0};
    struct buf out;

    (void)state;
    rows[1].charge.sent_us = 0; /* it counts when it ended */
    rows[1].cost_nano = PRICE_UNKNOWN;
    rows[1].charge.at_end[METRIC_TOKENS] = 0;
    rows[2].kind = ROW_CORRECTION;
    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        arrears_add(&a, &rows[i]);
    arrears_give(&a, SLICE("budget:"), 49 * CLOCK_S, write_down, &out);
    arrears_give(&a, SLICE("client:"), 0, write_down, &out);
    arrears_give(&a, SLICE("client:"), 0, write_down, &out);
    assert_string_equal(out.p, "budget:openai//entry/gpt-4o=50:0/5/7 60:1/30/0 \n"
                               "client:ana=48:1/30/0 50:0/5/7 \n"
                               "client:bo=60:1/30/0 \n");
    buf_release(&out);
    arrears_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrears__of_a_scope__are_among_the_databases_by_time),
        cmocka_unit_test(test_arrears__that_the_database_knows_nothing_of__are_given_once_and_if_late_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
