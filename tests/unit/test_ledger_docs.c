/*
 * docs/ledger.md: its SQL is what people copy, so it runs here, one block after the other, on one connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ledger_rows.h"
#include "metergate/base/file.h"
#include "metergate/ledger/store.h"

static struct slice find_text(struct slice in, const char *what)
{
    const char *at = memmem(in.p, in.n, what, strlen(what));

    return at ? slice_skip(in, (size_t)(at - in.p)) : slice_of(NULL, 0);
}

/* The next block of SQL; *rest goes on behind it. Empty: there is none. */
static struct slice next_block(struct slice *rest)
{
    struct slice from = find_text(*rest, "```sql\n"), to;

    if (!from.p)
        return from;
    from = slice_skip(from, strlen("```sql\n"));
    to = find_text(from, "```");
    *rest = slice_skip(to, 3);
    return slice_head(from, from.n - to.n);
}

static void fill(const char *path)
{
    struct prng p = {5};
    struct store *s;
    struct errbuf e;

    assert_int_equal(store_open(path, 50, &s, &e), DB_OK);
    for (int i = 0; i < 100; i++) {
        struct ledger_row r;
        const struct ledger_row *one = &r;

        random_row(&p, i + 1, clock_wall_us(), &r);
        assert_int_equal(store_write(s, &one, 1, &e), DB_OK);
    }
    store_close(s);
}

static void test_ledger_docs__its_sql__runs_and_gives_rows(void **state)
{
    struct ledger_place at = {"", ""};
    struct slice rest, block;
    struct buf text, sql;
    struct errbuf e;
    struct db *db;
    int blocks = 0;

    (void)state;
    place_make(&at);
    fill(at.db);
    buf_init(&text, BUF_UNLIMITED);
    buf_init(&sql, BUF_UNLIMITED);
    assert_int_equal(file_read("docs/ledger.md", &text, &e), 0);
    assert_int_equal(db_open(at.db, 50, &db), DB_OK);
    rest = buf_slice(&text);
    for (block = next_block(&rest); block.n; block = next_block(&rest), blocks++) {
        bool asks = slice_starts(block, SLICE("SELECT")), of_november = find_text(block, "2026-11").p != NULL;
        struct db_stmt *s;

        buf_reset(&sql);
        buf_add_slice(&sql, block);
        if (db_prepare(db, sql.p, &s) != DB_OK)
            fail_msg("%s: %s", db_problem(db), sql.p);
        if (db_step(s) != (asks && !of_november ? DB_ROW : DB_OK) && !of_november)
            fail_msg("%s: %s", db_problem(db), sql.p);
        db_finalize(s);
    }
    assert_true(blocks >= 6);
    db_close(db);
    buf_release(&text);
    buf_release(&sql);
    place_remove(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ledger_docs__its_sql__runs_and_gives_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
