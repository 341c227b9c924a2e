/*
 * store: what is prepared belongs to the connection and goes before it. After any failure the transaction is rolled
 * back, and with it go the numbers that names gave and the sums of the batch.
 *
 * Values are bound in the order of the columns by a cursor, so that a column more is one line.
 */
#include "metergate/ledger/store.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/names.h"
#include "metergate/ledger/schema.h"
#include "metergate/ledger/sums.h"
#include "metergate/ledger/tidy.h"

#define HOUR_US (3600 * CLOCK_S)
#define TRIED   INT64_C(-1) /* no call has that id */

enum statement { ADD_CALL, ADD_HOLD, FIND_CALL, CHANGE_CALL, TAKE_COST, FIND_FACT, ADD_FACT, STATEMENTS };

const char *const store_sql[STATEMENTS + 1] = {
    [ADD_CALL] = "INSERT INTO calls(id, t_us, client, upstream, budget, account, model, endpoint, outcome, status,"
                 " reason, attempts, estimated_input, estimated_output, input, cached, cache_write,"
                 " cache_write_1h, output, reasoning, tier, source, cost_nano, price, queued_ms, first_byte_ms,"
                 " total_ms)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
                 " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27) ON CONFLICT(id) DO NOTHING",
    [ADD_HOLD] = "INSERT INTO holds(call, n, what, whose, from_ms, to_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
                 " ON CONFLICT DO NOTHING",
    [FIND_CALL] = "SELECT t_us, client, upstream, budget, account, model, endpoint, input, cached, cache_write,"
                  " cache_write_1h, output, reasoning, cost_nano FROM calls WHERE id = ?1",
    [CHANGE_CALL] = "UPDATE calls SET input = ?2, cached = ?3, cache_write = ?4, cache_write_1h = ?5, output = ?6,"
                    " reasoning = ?7, tier = ?8, source = ?9, cost_nano = ?10, price = ?11 WHERE id = ?1",
    [TAKE_COST] = "UPDATE charges SET cost_nano = max(0, cost_nano - ?3) WHERE scope = ?1 AND until_s ="
                  " (SELECT until_s FROM charges WHERE scope = ?1 AND until_s >= ?2 ORDER BY until_s LIMIT 1)",
    [FIND_FACT] = "SELECT value FROM facts WHERE name = ?1",
    [ADD_FACT] = "INSERT INTO facts(name, value) VALUES(?1, ?2)",
};

struct store {
    struct db *db;
    struct names *names;
    struct sums *sums;
    struct tidy *tidy;
    struct db_stmt *run[STATEMENTS];
};

/* The numbers of a row's texts. */
struct ids {
    int64_t client, upstream, budget, account, model, endpoint;
    int64_t reason, price; /* 0: none */
    int64_t hold[ROW_HOLDS_MAX];
};

/* ---- opening ---- */

static int prepare(struct store *s, struct errbuf *e)
{
    int rc = schema_prepare(s->db, e);

    if (rc != DB_OK)
        return rc;
    for (int i = 0; i < STATEMENTS && rc == DB_OK; i++)
        rc = db_prepare(s->db, store_sql[i], &s->run[i]);
    if (rc == DB_OK)
        rc = names_new(s->db, &s->names);
    if (rc == DB_OK)
        rc = sums_new(s->db, &s->sums);
    if (rc == DB_OK)
        rc = tidy_new(s->db, &s->tidy);
    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

int store_open(const char *path, int busy_ms, struct store **ret, struct errbuf *e)
{
    struct store *s = xcalloc(1, sizeof *s);
    int rc = db_open(path, busy_ms, &s->db);

    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    else
        rc = prepare(s, e);
    if (rc == DB_OK)
        *ret = s;
    else
        store_close(s);
    return rc;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        db_finalize(s->run[i]);
    names_free(s->names);
    sums_free(s->sums);
    tidy_free(s->tidy);
    db_close(s->db);
    free(s);
}

/* ---- transactions ---- */

/* Ends the one that is open: keeps it when rc is DB_OK. */
static int end(struct store *s, int rc, struct errbuf *e)
{
    if (rc == DB_OK)
        rc = db_exec(s->db, "COMMIT");
    if (rc == DB_OK)
        return DB_OK;
    err_set(e, "%s", db_problem(s->db));
    names_forget(s->names);
    sums_reset(s->sums);
    (void)!db_exec(s->db, "ROLLBACK"); /* SQLite may have done it: its own code is of no interest */
    return rc;
}

static int begin(struct store *s, struct errbuf *e)
{
    int rc = db_exec(s->db, "BEGIN IMMEDIATE");

    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

/* ---- names ---- */

static int id_of(struct store *s, const char *text, size_t size, int64_t *ret)
{
    return names_id(s->names, slice_of(text, strnlen(text, size)), ret);
}

#define ID_OF(s, field, ret) id_of(s, field, sizeof(field), ret)

static int name_holds(struct store *s, const struct ledger_row *r, struct ids *ids)
{
    int rc = DB_OK;

    for (int i = 0; i < r->hold_count && i < ROW_HOLDS_MAX && rc == DB_OK; i++)
        rc = ID_OF(s, r->hold[i].what, &ids->hold[i]);
    return rc;
}

static int name_price(struct store *s, const struct ledger_row *r, int64_t *ret)
{
    return r->price.name[0] ? names_price(s->names, &r->price, ret) : DB_OK;
}

static int name_row(struct store *s, const struct ledger_row *r, struct ids *ids)
{
    int rc = ID_OF(s, r->client, &ids->client);

    if (rc == DB_OK)
        rc = ID_OF(s, r->upstream, &ids->upstream);
    if (rc == DB_OK)
        rc = ID_OF(s, r->budget, &ids->budget);
    if (rc == DB_OK)
        rc = ID_OF(s, r->account, &ids->account);
    if (rc == DB_OK)
        rc = ID_OF(s, r->model, &ids->model);
    if (rc == DB_OK)
        rc = ID_OF(s, r->endpoint, &ids->endpoint);
    if (rc == DB_OK && r->reason[0])
        rc = ID_OF(s, r->reason, &ids->reason);
    if (rc == DB_OK)
        rc = name_price(s, r, &ids->price);
    return rc == DB_OK ? name_holds(s, r, ids) : rc;
}

/* ---- calls ---- */

/* Binds one parameter after the other. */
struct binder {
    struct db_stmt *to;
    int at;
};

static void put(struct binder *b, int64_t v)
{
    db_bind_int(b->to, ++b->at, v);
}

static void put_unless(struct binder *b, int64_t v, int64_t none)
{
    if (v == none)
        db_bind_null(b->to, ++b->at);
    else
        put(b, v);
}

static void put_usage(struct binder *b, const struct usage *u)
{
    put(b, u->input);
    put(b, u->cached);
    put(b, u->cache_write);
    put(b, u->cache_write_1h);
    put(b, u->output);
    put(b, u->reasoning);
    put(b, u->tier);
}

static int64_t first_byte_ms(const struct ledger_row *r)
{
    return r->first_byte_us < 0 ? -1 : r->first_byte_us / CLOCK_MS;
}

static int add_call(struct store *s, const struct ledger_row *r, const struct ids *ids)
{
    struct binder b = {.to = s->run[ADD_CALL]};

    put(&b, r->id);
    put(&b, r->t_us);
    put(&b, ids->client);
    put(&b, ids->upstream);
    put(&b, ids->budget);
    put(&b, ids->account);
    put(&b, ids->model);
    put(&b, ids->endpoint);
    put(&b, r->outcome);
    put(&b, r->status);
    put_unless(&b, ids->reason, 0);
    put(&b, r->attempts);
    put(&b, r->estimated_input);
    put(&b, r->estimated_output);
    put_usage(&b, &r->usage);
    put(&b, r->source);
    put_unless(&b, r->cost_nano, PRICE_UNKNOWN);
    put_unless(&b, ids->price, 0);
    put(&b, r->queued_us / CLOCK_MS);
    put_unless(&b, first_byte_ms(r), -1);
    put(&b, r->total_us / CLOCK_MS);
    return db_run(b.to);
}

static int add_holds(struct store *s, const struct ledger_row *r, const struct ids *ids)
{
    int rc = DB_OK;

    for (int i = 0; i < r->hold_count && i < ROW_HOLDS_MAX && rc == DB_OK; i++) {
        struct binder b = {.to = s->run[ADD_HOLD]};

        put(&b, r->id);
        put(&b, i);
        put(&b, ids->hold[i]);
        put(&b, r->hold[i].whose);
        put(&b, r->hold[i].from_us / CLOCK_MS);
        put(&b, r->hold[i].to_us / CLOCK_MS);
        rc = db_run(b.to);
    }
    return rc;
}

static void usage_columns(const struct usage *u, int64_t v[SUMS_COLUMNS])
{
    v[SUMS_INPUT] = u->input;
    v[SUMS_CACHED] = u->cached;
    v[SUMS_CACHE_WRITE] = u->cache_write;
    v[SUMS_CACHE_WRITE_1H] = u->cache_write_1h;
    v[SUMS_OUTPUT] = u->output;
    v[SUMS_REASONING] = u->reasoning;
}

static int64_t cost_or_0(int64_t cost_nano)
{
    return cost_nano == PRICE_UNKNOWN ? 0 : cost_nano;
}

static void add_hour(struct store *s, const struct ledger_row *r, const struct ids *ids)
{
    struct sums_hour key = {.hour = r->t_us / HOUR_US,
                            .client = ids->client,
                            .upstream = ids->upstream,
                            .budget = ids->budget,
                            .account = ids->account,
                            .model = ids->model,
                            .endpoint = ids->endpoint};
    int64_t v[SUMS_COLUMNS] = {[SUMS_CALLS] = 1, [SUMS_ATTEMPTS] = r->attempts}, first = first_byte_ms(r);

    MG_ASSERT(r->outcome < ROW_OUTCOMES);
    v[SUMS_COMPLETED + (int)r->outcome] = 1;
    usage_columns(&r->usage, v);
    v[SUMS_COST] = cost_or_0(r->cost_nano);
    v[SUMS_UNPRICED] = r->cost_nano == PRICE_UNKNOWN;
    v[SUMS_QUEUED_MS] = r->queued_us / CLOCK_MS;
    v[SUMS_FIRST_BYTES] = first >= 0;
    v[SUMS_FIRST_BYTE_MS] = first >= 0 ? first : 0;
    v[SUMS_TOTAL_MS] = r->total_us / CLOCK_MS;
    sums_add_hour(s->sums, &key, v);
}

/* ---- charges ---- */

/* The end of its second. */
static int64_t slot_of(int64_t t_us)
{
    return t_us / CLOCK_S + (t_us % CLOCK_S > 0);
}

static void add_charge(struct store *s, int64_t scope, int64_t t_us, const int64_t amount[METRICS], int64_t cost_nano)
{
    struct sums_charge c = {.scope = scope, .until_s = slot_of(t_us), .cost_nano = cost_nano};

    if (amount)
        memcpy(c.amount, amount, sizeof c.amount);
    sums_add_charge(s->sums, &c);
    tidy_note(s->tidy, c.until_s);
}

typedef void row_scope(const struct ledger_row *r, struct buf *out);
static row_scope *const scopes[] = {row_budget_scope, row_client_scope};

/* *ret 0: the row has no such scope. */
static int scope_of(struct store *s, const struct ledger_row *r, row_scope *text, int64_t *ret)
{
    struct buf b;
    int rc = DB_OK;

    buf_init(&b, BUF_UNLIMITED);
    text(r, &b);
    *ret = 0;
    if (b.n)
        rc = names_id(s->names, buf_slice(&b), ret);
    buf_release(&b);
    return rc;
}

static bool charges_nothing(const struct ledger_row *r, int64_t cost_nano)
{
    int64_t any = cost_nano;

    for (int m = 0; m < METRIC_CONCURRENT; m++)
        any |= r->charge.on_arrival[m] | r->charge.at_end[m];
    return any == 0;
}

static int add_charges(struct store *s, const struct ledger_row *r, int64_t cost_nano)
{
    int64_t sent_us = r->charge.sent_us ? r->charge.sent_us : r->t_us, scope;

    if (charges_nothing(r, cost_nano))
        return DB_OK;
    for (size_t i = 0; i < MG_ARRAY_LEN(scopes); i++) {
        int rc = scope_of(s, r, scopes[i], &scope);

        if (rc != DB_OK)
            return rc;
        if (!scope)
            continue;
        add_charge(s, scope, sent_us, r->charge.on_arrival, 0);
        add_charge(s, scope, r->t_us, r->charge.at_end, cost_nano);
    }
    return DB_OK;
}

/* ---- corrections ---- */

/* What FIND_CALL has found. */
struct kept {
    int64_t t_us, cost_nano;
    struct sums_hour key;
    int64_t usage[SUMS_REASONING - SUMS_INPUT + 1];
};

static int find_call(struct store *s, int64_t id, struct kept *ret)
{
    struct db_stmt *f = s->run[FIND_CALL];
    int rc, at = 0;

    db_bind_int(f, 1, id);
    rc = db_step(f);
    if (rc == DB_ROW) {
        ret->t_us = db_int(f, at++);
        ret->key.hour = ret->t_us / HOUR_US;
        ret->key.client = db_int(f, at++);
        ret->key.upstream = db_int(f, at++);
        ret->key.budget = db_int(f, at++);
        ret->key.account = db_int(f, at++);
        ret->key.model = db_int(f, at++);
        ret->key.endpoint = db_int(f, at++);
        for (size_t i = 0; i < MG_ARRAY_LEN(ret->usage); i++)
            ret->usage[i] = db_int(f, at++);
        ret->cost_nano = db_is_null(f, at) ? PRICE_UNKNOWN : db_int(f, at);
    }
    db_reset(f);
    return rc;
}

static int change_call(struct store *s, const struct ledger_row *r)
{
    struct binder b = {.to = s->run[CHANGE_CALL]};
    int64_t price = 0;
    int rc = name_price(s, r, &price);

    if (rc != DB_OK)
        return rc;
    put(&b, r->id);
    put_usage(&b, &r->usage);
    put(&b, r->source);
    put_unless(&b, r->cost_nano, PRICE_UNKNOWN);
    put_unless(&b, price, 0);
    return db_run(b.to);
}

static void correct_hour(struct store *s, const struct ledger_row *r, const struct kept *k)
{
    int64_t v[SUMS_COLUMNS] = {0};

    usage_columns(&r->usage, v);
    for (size_t i = 0; i < MG_ARRAY_LEN(k->usage); i++)
        v[SUMS_INPUT + (int)i] -= k->usage[i];
    v[SUMS_COST] = cost_or_0(r->cost_nano) - cost_or_0(k->cost_nano);
    v[SUMS_UNPRICED] = (r->cost_nano == PRICE_UNKNOWN) - (k->cost_nano == PRICE_UNKNOWN);
    sums_add_hour(s->sums, &k->key, v);
}

/* Less than was kept: if it stood in a slot of its own, it would still be taken off when what it corrects has gone. */
static int take_cost(struct store *s, int64_t scope, int64_t t_us, int64_t cost_nano)
{
    struct binder b = {.to = s->run[TAKE_COST]};
    int rc = sums_write(s->sums); /* the cost may be of this very batch */

    if (rc != DB_OK)
        return rc;
    put(&b, scope);
    put(&b, slot_of(t_us));
    put(&b, cost_nano);
    return db_run(b.to);
}

static int correct_charges(struct store *s, const struct ledger_row *r, const struct kept *k)
{
    int64_t more = cost_or_0(r->cost_nano) - cost_or_0(k->cost_nano), scope;
    int rc = DB_OK;

    for (size_t i = 0; i < MG_ARRAY_LEN(scopes) && more != 0 && rc == DB_OK; i++) {
        rc = scope_of(s, r, scopes[i], &scope);
        if (rc != DB_OK || !scope)
            continue;
        if (more > 0)
            add_charge(s, scope, r->t_us, NULL, more);
        else
            rc = take_cost(s, scope, k->t_us, -more);
    }
    return rc;
}

static int write_correction(struct store *s, const struct ledger_row *r)
{
    struct kept k;
    int rc = find_call(s, r->id, &k);

    if (rc != DB_ROW)
        return rc;
    rc = change_call(s, r);
    if (rc != DB_OK)
        return rc;
    correct_hour(s, r, &k);
    return correct_charges(s, r, &k);
}

/* ---- batches ---- */

static int write_call(struct store *s, const struct ledger_row *r)
{
    struct ids ids = {0};
    int rc = name_row(s, r, &ids);

    if (rc == DB_OK)
        rc = add_call(s, r, &ids);
    if (rc != DB_OK || db_changes(s->db) == 0)
        return rc;
    rc = add_holds(s, r, &ids);
    if (rc != DB_OK)
        return rc;
    add_hour(s, r, &ids);
    return add_charges(s, r, cost_or_0(r->cost_nano));
}

static int write_row(struct store *s, const struct ledger_row *r)
{
    switch (r->kind) {
    case ROW_CALL:
        return write_call(s, r);
    case ROW_ATTEMPT:
        return add_charges(s, r, 0);
    case ROW_CORRECTION:
        return write_correction(s, r);
    default:
        return DB_OK; /* none that this program makes */
    }
}

int store_write(struct store *s, const struct ledger_row *const *rows, size_t n, struct errbuf *e)
{
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    for (size_t i = 0; i < n && rc == DB_OK; i++)
        rc = write_row(s, rows[i]);
    if (rc == DB_OK)
        rc = sums_write(s->sums);
    return end(s, rc, e);
}

int store_try(struct store *s, struct errbuf *e)
{
    const struct ledger_row r = {
        .id = TRIED, .t_us = clock_wall_us(), .client = "try", .charge.on_arrival[METRIC_REQUESTS] = 1};
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    rc = write_row(s, &r);
    if (rc == DB_OK)
        rc = sums_write(s->sums);
    if (rc != DB_OK)
        return end(s, rc, e);
    names_forget(s->names);
    rc = db_exec(s->db, "ROLLBACK");
    if (rc != DB_OK)
        err_set(e, "%s", db_problem(s->db));
    return rc;
}

int store_tidy(struct store *s, int64_t now_us, int64_t retention_us, bool *ret_more, struct errbuf *e)
{
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    rc = end(s, tidy_step(s->tidy, now_us, retention_us, ret_more), e);
    if (rc != DB_OK)
        tidy_reset(s->tidy);
    return rc;
}

/* ---- facts ---- */

int store_fact(struct store *s, const char *name, struct slice value, struct buf *out, struct errbuf *e)
{
    struct db_stmt *f = s->run[FIND_FACT];
    int rc = begin(s, e);

    if (rc != DB_OK)
        return rc;
    db_bind_text(f, 1, slice_str(name));
    rc = db_step(f);
    if (rc == DB_ROW)
        value = db_text(f, 0);
    else if (rc == DB_OK) {
        db_bind_text(s->run[ADD_FACT], 1, slice_str(name));
        db_bind_text(s->run[ADD_FACT], 2, value);
        rc = db_run(s->run[ADD_FACT]);
    }
    if (rc == DB_ROW || rc == DB_OK)
        buf_add_slice(out, value);
    db_reset(f);
    return end(s, rc == DB_ROW ? DB_OK : rc, e);
}
