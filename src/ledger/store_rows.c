/*
 * store_rows: one row of each kind. Values are bound in the order of the columns by a cursor, so that a
 * column more is one line.
 */
#include <string.h>

#include "metergate/base/clock.h"
#include "store_inside.h"

#define HOUR_US (3600 * CLOCK_S)

/* The numbers of a row's texts. */
struct ids {
    int64_t client, upstream, budget, account, model, endpoint;
    int64_t reason, price; /* 0: none */
    int64_t hold[ROW_HOLDS_MAX];
};

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
    struct binder b = {.to = s->run[STORE_ADD_CALL]};

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
        struct binder b = {.to = s->run[STORE_ADD_HOLD]};

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

static void add_charge(struct store *s, int64_t scope, int64_t t_us, const int64_t amount[METRICS],
                       int64_t cost_nano)
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

/* What STORE_FIND_CALL has found. */
struct kept {
    int64_t t_us, cost_nano;
    struct sums_hour key;
    int64_t usage[SUMS_REASONING - SUMS_INPUT + 1];
};

static int find_call(struct store *s, int64_t id, struct kept *ret)
{
    struct db_stmt *f = s->run[STORE_FIND_CALL];
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
    struct binder b = {.to = s->run[STORE_CHANGE_CALL]};
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

/*
 * Less than was kept: if it stood in a slot of its own, it would still be taken off when what it corrects has
 * gone.
 */
static int take_cost(struct store *s, int64_t scope, int64_t t_us, int64_t cost_nano)
{
    struct binder b = {.to = s->run[STORE_TAKE_COST]};
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

/* ---- one row ---- */

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

int store_write_row(struct store *s, const struct ledger_row *r)
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
