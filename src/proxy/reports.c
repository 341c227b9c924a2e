/*
 * reports: a question is on `waiting` until it is the worker's, and `asked` until it comes back; everything
 * in it but `x` is the worker's meanwhile. One that waits has its exchange; when that ends it is freed. The
 * one that is asked has x NULL then, is interrupted, and is freed when it comes back.
 */
#include "metergate/proxy/reports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/report.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/inquiry.h"
#include "metergate/proxy/live.h"
#include "metergate/proxy/report_text.h"

/* There should be none; what a client sends along with a GET is not looked at. */
#define BODY_MAX ((size_t)4096)

/* For what was just answered to be in the database. */
#define FLUSH_MS 1000

struct report_question {
    struct list link; /* on reports.waiting */
    struct worker_job job;
    struct proxy *p;
    struct ledger *ledger;
    struct exchange *x; /* the loop's thread alone */
    struct inquiry what;
    int status;
    struct buf body; /* JSON with 200, else a sentence */
};

/* ---- asking: in the worker's thread ---- */

static void begin(struct json_writer *w, struct report_question *q)
{
    json_init(w, &q->body);
    json_object_begin(w);
}

static void write_span(struct json_writer *w, const struct inquiry *what)
{
    report_text_time(w, "since", what->span.since_us);
    report_text_time(w, "until", what->shown_until_us);
}

static void write_sums(void *arg, struct slice key, const struct report_sums *sums)
{
    report_text_sums(arg, key, sums);
}

static int ask_usage(struct report_question *q, struct report *r, struct errbuf *e)
{
    struct json_writer w;
    int rc;

    begin(&w, q);
    json_member_str(&w, "by", slice_str(report_by_name(q->what.by)));
    write_span(&w, &q->what);
    json_key(&w, "rows");
    json_array_begin(&w);
    rc = report_usage(r, q->what.by, &q->what.span, write_sums, &w, e);
    json_array_end(&w);
    json_object_end(&w);
    return rc;
}

static int ask_compare(struct report_question *q, struct report *r, struct errbuf *e)
{
    const struct inquiry *what = &q->what;
    struct report_model first, other;
    struct json_writer w;
    int rc = report_compare(r, slice_str(what->model[0]), &what->span, &first, e);

    if (rc != 0)
        return rc;
    begin(&w, q);
    write_span(&w, what);
    json_key(&w, "models");
    json_array_begin(&w);
    report_text_model(&w, slice_str(what->model[0]), &first, &first);
    for (int i = 1; i < what->model_count && rc == 0; i++) {
        rc = report_compare(r, slice_str(what->model[i]), &what->span, &other, e);
        report_text_model(&w, slice_str(what->model[i]), &other, &first);
    }
    json_array_end(&w);
    json_object_end(&w);
    return rc;
}

/* There is no call of the id that was asked for. */
static void say_unknown(struct report_question *q, int64_t id)
{
    char text[ROW_ID_SIZE];

    row_id_text(id, text);
    q->status = 404;
    buf_reset(&q->body);
    buf_addf(&q->body, "The ledger has no call %s.", text);
}

static void write_call(void *arg, const struct ledger_row *row)
{
    struct json_writer *w = arg;

    json_object_begin(w);
    report_text_call(w, row, true);
    json_object_end(w);
}

static int ask_calls(struct report_question *q, struct report *r, struct errbuf *e)
{
    const struct inquiry *what = &q->what;
    struct report_filter f = {
        .limit = what->limit,
        .before_us = what->before_us,
        .before_id = what->before_id,
        .client = slice_str(what->client),
        .model = slice_str(what->model[0]),
    };
    struct ledger_row row;
    struct json_writer w;
    bool found = true;
    int rc = 0;

    if (f.before_id) {
        rc = report_call(r, f.before_id, &row, &found, e);
        if (rc != 0 || !found) {
            say_unknown(q, f.before_id);
            return rc;
        }
        f.before_us = row.t_us;
    }
    begin(&w, q);
    json_key(&w, "calls");
    json_array_begin(&w);
    rc = report_calls(r, &f, write_call, &w, e);
    json_array_end(&w);
    json_object_end(&w);
    return rc;
}

static int ask_call(struct report_question *q, struct report *r, struct errbuf *e)
{
    struct ledger_row row;
    struct json_writer w;
    bool found = false;
    int rc = report_call(r, q->what.id, &row, &found, e);

    if (rc != 0 || !found) {
        say_unknown(q, q->what.id);
        return rc;
    }
    json_init(&w, &q->body);
    report_text_ended(&w, &row);
    return rc;
}

static int (*const asks[INQUIRIES])(struct report_question *q, struct report *r, struct errbuf *e) = {
    [INQUIRY_USAGE] = ask_usage,
    [INQUIRY_CALLS] = ask_calls,
    [INQUIRY_CALL] = ask_call,
    [INQUIRY_COMPARE] = ask_compare,
};

/* From now on it can be interrupted; false: nobody wants its answer any more. NULL: it is over. */
static bool show(struct reports *rs, struct report *r)
{
    bool go_on;

    pthread_mutex_lock(&rs->lock);
    rs->open = r;
    go_on = !rs->unwanted;
    pthread_mutex_unlock(&rs->lock);
    return go_on;
}

static void ask(struct worker_job *job)
{
    struct report_question *q = MG_CONTAINER(job, struct report_question, job);
    struct reports *rs = &q->p->reports;
    struct errbuf e = {"the daemon is stopping"};
    struct report *r = NULL;
    int rc;

    (void)ledger_flush(q->ledger, FLUSH_MS); /* what is not written in that time is not in the answer */
    q->status = 200;
    rc = report_open(ledger_dir(q->ledger), &r, &e);
    if (rc == 0)
        rc = show(rs, r) ? asks[q->what.kind](q, r, &e) : -1;
    (void)show(rs, NULL);
    report_close(r);
    if (rc == 0)
        return;
    q->status = 503;
    buf_reset(&q->body);
    buf_addf(&q->body, "The ledger cannot be read: %s.", e.text);
}

/* ---- answering ---- */

static void reply(const struct proxy *p, struct exchange *x, int status, struct buf *body)
{
    buf_add_char(body, '\n');
    hub_reply(p, x, status, status == 200 ? "application/json" : "text/plain; charset=utf-8",
              buf_slice(body));
}

static void refuse(const struct proxy *p, struct exchange *x, int status, const char *sentence)
{
    struct buf body;

    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, sentence);
    reply(p, x, status, &body);
    buf_release(&body);
}

static void free_question(struct report_question *q)
{
    q->p->reports.count--;
    list_unlink(&q->link);
    buf_release(&q->body);
    free(q);
}

/* Hands the next one to the worker, unless it has one. */
static void next(struct reports *rs)
{
    if (rs->asked || list_empty(&rs->waiting) || !rs->workers)
        return;
    rs->asked = LIST_ENTRY(rs->waiting.next, struct report_question, link);
    list_unlink(&rs->asked->link);
    pthread_mutex_lock(&rs->lock);
    rs->unwanted = false;
    pthread_mutex_unlock(&rs->lock);
    workers_submit(rs->workers, &rs->asked->job);
}

static void answered(struct worker_job *job)
{
    struct report_question *q = MG_CONTAINER(job, struct report_question, job);
    struct reports *rs = &q->p->reports;

    if (q->x)
        reply(q->p, q->x, q->status, &q->body);
    rs->asked = NULL;
    free_question(q);
    next(rs);
}

/* ---- the way in ---- */

static void submit(struct proxy *p, struct exchange *x, const struct inquiry *what)
{
    struct report_question *q = xcalloc(1, sizeof *q);

    q->p = p;
    q->ledger = p->ledger;
    q->x = x;
    q->what = *what;
    q->job = (struct worker_job){.work = ask, .done = answered};
    buf_init(&q->body, BUF_UNLIMITED);
    list_init(&q->link);
    list_push_back(&p->reports.waiting, &q->link);
    p->reports.count++;
    next(&p->reports);
}

/* False: it is no question, and was refused. */
static bool understand(struct proxy *p, struct exchange *x, const struct route *r, struct inquiry *ret)
{
    struct slice method = exchange_head(x)->method;
    struct errbuf e;
    size_t n;

    if (!slice_eq(method, SLICE("GET")) && !slice_eq(method, SLICE("HEAD"))) {
        refuse(p, x, 405, "This address answers GET and HEAD only.");
        return false;
    }
    if (inquiry_read(r->path, r->query, clock_wall_us(), ret, &e) == 0)
        return true;
    n = strlen(e.text);
    snprintf(e.text + n, sizeof e.text - n, ".");
    refuse(p, x, 400, e.text);
    return false;
}

/* What the loop's thread knows by itself is told at once; the rest is for the worker, if it can be asked. */
static void admit(struct proxy *p, struct exchange *x, const struct inquiry *what)
{
    if (what->kind == INQUIRY_CALL && live_reply(p, x, what->id))
        return;
    if (what->kind == INQUIRY_NOW)
        live_reply_all(p, x, what);
    else if (!p->ledger)
        refuse(
            p, x, 404,
            "No call is kept: the daemon has no state_dir (`state_dir: none`, or it could not be made), so "
            "there is no ledger that could be asked.");
    else if (p->reports.count >= REPORTS_WAITING_MAX)
        refuse(p, x, 503, "Too many questions to the ledger are waiting already; ask again in a moment.");
    else
        submit(p, x, what);
}

static bool is_ours(const struct route *r)
{
    struct inquiry what;

    return inquiry_read(r->path, r->query, 0, &what, NULL) != -ENOENT;
}

bool reports_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct inquiry what;

    if (!is_ours(r))
        return false;
    if (understand(p, x, r, &what))
        exchange_buffer_body(x, BODY_MAX);
    return true;
}

bool reports_body(struct proxy *p, struct exchange *x, int rc)
{
    const struct route r = hub_route(p, x);
    struct inquiry what;

    if (!is_ours(&r))
        return false;
    if (rc < 0)
        refuse(p, x, 413, "This address takes no body.");
    else if (understand(p, x, &r, &what))
        admit(p, x, &what);
    return true;
}

/* What the worker asks is of no use to anybody. */
static void interrupt(struct reports *rs)
{
    pthread_mutex_lock(&rs->lock);
    rs->unwanted = true;
    if (rs->open)
        report_interrupt(rs->open);
    pthread_mutex_unlock(&rs->lock);
}

void reports_gone(struct proxy *p, struct exchange *x)
{
    struct reports *rs = &p->reports;

    if (rs->asked && rs->asked->x == x) {
        rs->asked->x = NULL;
        interrupt(rs);
    }
    LIST_EACH (&rs->waiting, node, after) {
        struct report_question *q = LIST_ENTRY(node, struct report_question, link);

        if (q->x == x)
            free_question(q);
    }
}

/* ---- start and stop ---- */

void reports_init(struct reports *rs)
{
    list_init(&rs->waiting);
    pthread_mutex_init(&rs->lock, NULL);
}

int reports_start(struct reports *rs, struct loop *l)
{
    rs->workers = workers_new(l, 1);
    return rs->workers ? 0 : -EAGAIN;
}

void reports_stop(struct reports *rs)
{
    interrupt(rs);
    workers_free(rs->workers);
    rs->workers = NULL;
}

void reports_release(struct reports *rs)
{
    LIST_EACH (&rs->waiting, node, after)
        free_question(LIST_ENTRY(node, struct report_question, link));
    if (rs->asked)
        free_question(rs->asked);
    pthread_mutex_destroy(&rs->lock);
}
