/* history: what a start is told of what was charged before it, and the salt that it knows its credentials by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "ledger_rig.h"
#include "metergate/ledger/history.h"
#include "metergate/ledger/schema.h"

struct given {
    int scopes;
    size_t charges;
    int64_t tokens, cost_nano, last_us;
    char first[64];
};

static void note_scope(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    struct given *g = arg;

    if (g->scopes++ == 0)
        snprintf(g->first, sizeof g->first, "%.*s", (int)scope.n, scope.p);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || v[i].until_us >= v[i - 1].until_us);
        g->tokens += v[i].amount[METRIC_TOKENS];
        g->cost_nano += v[i].cost_nano;
        g->last_us = v[i].until_us;
    }
    g->charges += n;
}

static void charge(struct ledger *l, int64_t id, const char *client, int64_t age_us)
{
    struct ledger_row *r = ledger_take(l);

    assert_non_null(r);
    r->id = id;
    r->t_us = clock_wall_us() - age_us;
    r->first_byte_us = -1;
    snprintf(r->client, sizeof r->client, "%s", client);
    snprintf(r->model, sizeof r->model, "client:model");
    r->charge.at_end[METRIC_TOKENS] = 10;
    r->cost_nano = 3;
    ledger_end(l, r);
}

static void test_ledger__history__is_what_scopes_of_a_prefix_were_charged_lately(void **state)
{
    struct ledger *l = opened();
    struct given clients = {0}, lately = {0}, budgets = {0};

    (void)state;
    charge(l, 1, "zoe", 7200 * CLOCK_S);
    charge(l, 2, "ana", 7200 * CLOCK_S);
    charge(l, 3, "ana", 10 * CLOCK_S);
    charge(l, 4, "ana", -100 * CLOCK_S); /* by a clock that was ahead */
    assert_true(ledger_flush(l, LONG_MS));
    ledger_close(l);
    l = opened();
    ledger_history(l, SLICE("client:"), 10800 * CLOCK_S, note_scope, &clients);
    assert_int_equal(clients.scopes, 2);
    assert_string_equal(clients.first, "client:ana");
    assert_int_equal(clients.charges, 4);
    assert_int_equal(clients.tokens, 40);
    assert_int_equal(clients.cost_nano, 12);
    ledger_history(l, SLICE("client:"), 60 * CLOCK_S, note_scope, &lately);
    assert_int_equal(lately.scopes, 1);
    assert_int_equal(lately.charges, 2);
    assert_true(lately.last_us > clock_wall_us());
    ledger_history(l, SLICE("budget:"), 3600 * CLOCK_S, note_scope, &budgets);
    assert_int_equal(budgets.scopes, 0);
    ledger_close(l);
}

/* A daemon that is started anew while the database is locked: what it had not written counts all the same, once. */
static void test_ledger__history__has_what_the_journal_holds_when_it_cannot_be_written(void **state)
{
    struct given clients = {0}, again = {0}, lately = {0}, written = {0};
    struct ledger *l = opened();
    struct db *other;

    (void)state;
    charge(l, 1, "ana", 100 * CLOCK_S);
    charge(l, 2, "bo", 100 * CLOCK_S);
    expect_works(l, 2);
    assert_int_equal(db_open(at.db, 50, &other), DB_OK);
    assert_int_equal(db_exec(other, "BEGIN IMMEDIATE"), DB_OK);
    charge(l, 3, "zoe", 7200 * CLOCK_S);
    charge(l, 4, "ana", 10 * CLOCK_S);
    charge(l, 5, "ana", 200 * CLOCK_S);
    for (int64_t id = 10; id < 1010; id++)
        charge(l, id, "eve", 5 * CLOCK_S);
    ledger_close(l);
    l = opened();
    assert_int_equal(health_of(l).recovered, 0);
    ledger_history(l, SLICE("client:"), 10800 * CLOCK_S, note_scope, &clients);
    ledger_history(l, SLICE("client:"), 10800 * CLOCK_S, note_scope, &again);
    assert_int_equal(clients.scopes, 4);
    assert_int_equal(clients.tokens, 10050);
    assert_int_equal(clients.cost_nano, 3015);
    assert_int_equal(again.tokens, clients.tokens);
    ledger_history(l, SLICE("client:"), 150 * CLOCK_S, note_scope, &lately);
    assert_int_equal(lately.scopes, 3);
    assert_int_equal(lately.tokens, 10030);
    assert_int_equal(db_exec(other, "COMMIT"), DB_OK);
    db_close(other);
    expect_recovered(l, 1003);
    expect_works(l, 1005);
    ledger_close(l);
    l = opened();
    ledger_history(l, SLICE("client:"), 10800 * CLOCK_S, note_scope, &written);
    assert_int_equal(written.tokens, clients.tokens);
    ledger_close(l);
}

static void test_ledger__history__searches_and_never_reads_a_whole_table(void **state)
{
    char explain[512];
    struct db_stmt *plan;
    struct db *db;

    (void)state;
    ledger_close(opened());
    snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", history_sql);
    assert_int_equal(db_open_reader(at.db, 50, &db), DB_OK);
    assert_int_equal(db_prepare(db, explain, &plan), DB_OK);
    while (db_step(plan) == DB_ROW)
        assert_true(slice_starts(db_text(plan, 3), SLICE("SEARCH")));
    db_finalize(plan);
    db_close(db);
}

static void test_ledger__salt__is_kept_and_of_one_run_where_it_cannot_be(void **state)
{
    unsigned char first[32], again[32], third[32];
    struct ledger *l = opened();

    (void)state;
    assert_true(ledger_salt(l, first));
    ledger_close(l);
    l = opened();
    assert_true(ledger_salt(l, again));
    ledger_close(l);
    assert_memory_equal(first, again, sizeof first);
    unlink(at.db);
    assert_int_equal(mkdir(at.db, 0700), 0);
    l = opened();
    assert_false(ledger_salt(l, third));
    assert_memory_not_equal(first, third, sizeof first);
    ledger_close(l);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_ledger__history__is_what_scopes_of_a_prefix_were_charged_lately),
        IN_PLACE(test_ledger__history__has_what_the_journal_holds_when_it_cannot_be_written),
        IN_PLACE(test_ledger__history__searches_and_never_reads_a_whole_table),
        IN_PLACE(test_ledger__salt__is_kept_and_of_one_run_where_it_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
