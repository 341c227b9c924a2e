/* history: charges of one scope are gathered in an array that grows; scopes come one after the other. */
#include "metergate/ledger/history.h"

#include <stdlib.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/ledger/db.h"

/* Scopes of one prefix come in the order of their texts, each with its charges together. */
const char history_sql[] =
    "SELECT text, until_s, requests, tokens, input, output, cost_nano"
    " FROM names JOIN charges ON charges.scope = names.id"
    " WHERE text >= ?1 AND text < ?2 AND until_s > ?3 ORDER BY text, until_s";

/* What was charged to the scope at hand. */
struct history {
    struct buf scope;
    struct ledger_charged *v;
    size_t n, cap;
    ledger_scope_charged *give;
    void *arg;
};

static void give_scope(struct history *h)
{
    if (h->n)
        h->give(h->arg, buf_slice(&h->scope), h->v, h->n);
    h->n = 0;
}

static void add_charged(struct history *h, const struct db_stmt *s)
{
    struct slice scope = db_text(s, 0);

    if (!slice_eq(scope, buf_slice(&h->scope))) {
        give_scope(h);
        buf_reset(&h->scope);
        buf_add_slice(&h->scope, scope);
    }
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->v = xrealloc(h->v, h->cap * sizeof *h->v);
    }
    h->v[h->n++] = (struct ledger_charged){.until_us = db_int(s, 1) * CLOCK_S,
                                           .amount = {[METRIC_REQUESTS] = db_int(s, 2),
                                                      [METRIC_TOKENS] = db_int(s, 3),
                                                      [METRIC_INPUT] = db_int(s, 4),
                                                      [METRIC_OUTPUT] = db_int(s, 5)},
                                           .cost_nano = db_int(s, 6)};
}

/* Texts that begin with the prefix are below this one. */
static void end_of_prefix(struct slice prefix, struct buf *out)
{
    MG_ASSERT(prefix.n > 0);
    buf_add_slice(out, prefix);
    out->p[out->n - 1]++;
}

static int read_rows(struct db *db, struct slice prefix, int64_t from_s, struct history *h)
{
    struct db_stmt *s = NULL;
    struct buf end;
    int rc = db_prepare(db, history_sql, &s);

    if (rc != DB_OK)
        return rc;
    buf_init(&end, BUF_UNLIMITED);
    end_of_prefix(prefix, &end);
    db_bind_text(s, 1, prefix);
    db_bind_text(s, 2, buf_slice(&end));
    db_bind_int(s, 3, from_s);
    for (rc = db_step(s); rc == DB_ROW; rc = db_step(s))
        add_charged(h, s);
    give_scope(h);
    db_finalize(s);
    buf_release(&end);
    return rc;
}

int history_read(const char *path, int busy_ms, struct slice prefix, int64_t from_s, ledger_scope_charged *give,
                 void *arg, struct errbuf *e)
{
    struct history h = {.give = give, .arg = arg};
    struct db *db;
    int rc = db_open_reader(path, busy_ms, &db);

    buf_init(&h.scope, BUF_UNLIMITED);
    if (rc == DB_OK)
        rc = read_rows(db, prefix, from_s, &h);
    if (rc != DB_OK)
        err_set(e, "%s", db_problem(db));
    db_close(db);
    free(h.v);
    buf_release(&h.scope);
    return rc;
}
