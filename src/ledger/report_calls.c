/*
 * report_calls: rows of `calls`, with the texts of their names. What a statement gives is put into one struct
 * ledger_row, whatever is in the file: enums that have no such value become the nearest to "nothing is
 * known".
 */
#include "report_inside.h"

#include <string.h>

/* ---- a row ---- */

#define ROW_SQL                                                                                              \
    "SELECT c.id, c.t_us, client.text, upstream.text, budget.text, account.text, model.text, "               \
    "endpoint.text, reason.text,"                                                                            \
    " c.outcome, c.status, c.attempts, c.estimated_input, c.estimated_output, c.input, c.cached, "           \
    "c.cache_write,"                                                                                         \
    " c.cache_write_1h, c.output, c.reasoning, c.tier, c.source, c.cost_nano, c.queued_ms, c.total_ms, "     \
    "c.first_byte_ms,"                                                                                       \
    " p.name, p.since, p.input, p.cached, p.cache_write, p.cache_write_1h, p.output FROM calls c"            \
    " LEFT JOIN names client ON client.id = c.client LEFT JOIN names upstream ON upstream.id = c.upstream"   \
    " LEFT JOIN names budget ON budget.id = c.budget LEFT JOIN names account ON account.id = c.account"      \
    " LEFT JOIN names model ON model.id = c.model LEFT JOIN names endpoint ON endpoint.id = c.endpoint"      \
    " LEFT JOIN names reason ON reason.id = c.reason LEFT JOIN prices p ON p.id = c.price"

static void copy(const struct db_stmt *s, int column, char *to, size_t size)
{
    struct slice text = slice_head(db_text(s, column), size - 1);

    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
}

/* 0 <= v < n, or what stands for anything else. */
static int one_of(int64_t v, int n, int otherwise)
{
    return v >= 0 && v < n ? (int)v : otherwise;
}

static void read_price(const struct db_stmt *s, struct row_price *to)
{
    copy(s, 26, to->name, sizeof to->name);
    to->since = (int32_t)db_int(s, 27);
    for (int i = 0; i < RATES; i++)
        to->rates.pico[i] = db_is_null(s, 28 + i) ? PRICE_UNKNOWN : db_int(s, 28 + i);
}

static void read_row(const struct db_stmt *s, struct ledger_row *r)
{
    memset(r, 0, sizeof *r);
    r->id = db_int(s, 0);
    r->t_us = db_int(s, 1);
    copy(s, 2, r->client, sizeof r->client);
    copy(s, 3, r->upstream, sizeof r->upstream);
    copy(s, 4, r->budget, sizeof r->budget);
    copy(s, 5, r->account, sizeof r->account);
    copy(s, 6, r->model, sizeof r->model);
    copy(s, 7, r->endpoint, sizeof r->endpoint);
    copy(s, 8, r->reason, sizeof r->reason);
    r->outcome = (enum row_outcome)one_of(db_int(s, 9), ROW_OUTCOMES, ROW_FAILED);
    r->status = one_of(db_int(s, 10), 1000, 0);
    r->attempts = one_of(db_int(s, 11), INT32_MAX, 0);
    r->estimated_input = db_int(s, 12);
    r->estimated_output = db_int(s, 13);
    r->usage = (struct usage){
        .input = db_int(s, 14),
        .cached = db_int(s, 15),
        .cache_write = db_int(s, 16),
        .cache_write_1h = db_int(s, 17),
        .output = db_int(s, 18),
        .reasoning = db_int(s, 19),
        .tier = (enum usage_tier)one_of(db_int(s, 20), USAGE_TIERS, TIER_STANDARD),
    };
    r->source = (enum row_source)one_of(db_int(s, 21), ROW_SOURCES, ROW_NO_USAGE);
    r->cost_nano = db_is_null(s, 22) ? PRICE_UNKNOWN : db_int(s, 22);
    r->queued_us = report_ms(s, 23) * 1000;
    r->total_us = report_ms(s, 24) * 1000;
    r->first_byte_us = db_is_null(s, 25) ? -1 : report_ms(s, 25) * 1000;
    read_price(s, &r->price);
}

/* ---- many ---- */

#define LIST_SQL                                                                                             \
    ROW_SQL                                                                                                  \
        " WHERE c.t_us >= ?1 AND c.t_us <= ?2 AND (c.t_us < ?2 OR c.id < ?3) AND (?4 = 0 OR c.client = ?4)"  \
        " AND (?5 = 0 OR c.model = ?5) ORDER BY c.t_us DESC, c.id DESC LIMIT ?6"

struct listing {
    struct report *r;
    struct db_stmt *s;
    int64_t client, model, before_us, before_id, left;
    report_call_row *give;
    void *arg;
};

/* Of a part, whose end is a moment later than the last that is asked for. */
static int list_part(void *arg, const struct report_span *part, struct errbuf *e)
{
    struct listing *l = arg;
    struct ledger_row row;
    int rc;

    db_bind_int(l->s, 1, part->since_us);
    db_bind_int(l->s, 2, part->until_us - 1);
    db_bind_int(l->s, 3, part->until_us - 1 < l->before_us ? INT64_MAX : l->before_id);
    db_bind_int(l->s, 4, l->client);
    db_bind_int(l->s, 5, l->model);
    db_bind_int(l->s, 6, l->left);
    while ((rc = report_step(l->r, l->s, e)) == DB_ROW) {
        read_row(l->s, &row);
        l->give(l->arg, &row);
        l->left--;
    }
    db_reset(l->s);
    return rc == DB_OK && l->left > 0 ? DB_ROW : rc;
}

static int list(struct listing *l, struct errbuf *e)
{
    const struct report_span span = {0, l->before_us + 1};
    int rc;

    if (l->client == NAME_NONE || l->model == NAME_NONE)
        return DB_OK;
    if (l->client == NAME_ANY && l->model == NAME_ANY)
        rc = list_part(l, &span, e);
    else
        rc = report_hours_back(l->r, l->client, l->model, &span, list_part, l, e);
    return rc == DB_ROW ? DB_OK : rc;
}

int report_calls(struct report *r, const struct report_filter *f, report_call_row *give, void *arg,
                 struct errbuf *e)
{
    struct listing l = {
        .r = r,
        .before_us = f->before_us > 0 && f->before_us < UNTIL_MAX ? f->before_us : UNTIL_MAX - 1,
        .before_id = f->before_id,
        .left = f->limit < REPORT_CALLS_MAX ? f->limit : REPORT_CALLS_MAX,
        .give = give,
        .arg = arg,
    };
    int rc = report_prepare(r, LIST_SQL, &l.s, e);

    if (rc == DB_OK && f->client.n)
        rc = report_name(r, f->client, &l.client, e);
    if (rc == DB_OK && f->model.n)
        rc = report_name(r, f->model, &l.model, e);
    if (rc == DB_OK)
        rc = list(&l, e);
    db_finalize(l.s);
    return rc;
}

/* ---- one ---- */

static int read_holds(struct report *r, struct ledger_row *row, struct errbuf *e)
{
    struct db_stmt *s = NULL;
    int rc = report_prepare(
        r,
        "SELECT names.text, whose, from_ms, to_ms FROM holds LEFT JOIN names ON names.id = what"
        " WHERE call = ?1 ORDER BY n",
        &s, e);

    if (rc == DB_OK)
        db_bind_int(s, 1, row->id);
    while (rc == DB_OK && row->hold_count < ROW_HOLDS_MAX && (rc = report_step(r, s, e)) == DB_ROW) {
        struct row_hold *h = &row->hold[row->hold_count++];

        copy(s, 0, h->what, sizeof h->what);
        h->whose = (enum row_whose)one_of(db_int(s, 1), ROW_WHOSES, ROW_OF_NOBODY);
        h->from_us = report_ms(s, 2) * 1000;
        h->to_us = report_ms(s, 3) * 1000;
        rc = DB_OK;
    }
    db_finalize(s);
    return rc;
}

int report_call(struct report *r, int64_t id, struct ledger_row *ret, bool *ret_found, struct errbuf *e)
{
    struct db_stmt *s = NULL;
    int rc = report_prepare(r, ROW_SQL " WHERE c.id = ?1", &s, e);

    *ret_found = false;
    if (rc == DB_OK) {
        db_bind_int(s, 1, id);
        rc = report_step(r, s, e);
    }
    if (rc == DB_ROW) {
        read_row(s, ret);
        rc = read_holds(r, ret, e);
        *ret_found = rc == DB_OK;
    }
    db_finalize(s);
    return rc;
}
