/*
 * events: a stream is on es->streams from the answer's begin until its exchange ends or its client has left. One that has
 * ended is told nothing more. One that is `full` is told nothing until it drains, and counts what it misses. Calls are told
 * to all streams at once, so a new one first lets those be told that ended before it came.
 *
 *   seconds     |-----------|-----------|      status, and history where the minute has turned
 *   calls         x x |        x |             told `BATCH_US` after the first, or when half of `lately` is untold
 */
#include "metergate/proxy/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/query.h"
#include "metergate/proxy/report_text.h"
#include "metergate/proxy/route.h"

#define PATH            "/-/events"
#define STATUS_EVERY_US CLOCK_S
#define BATCH_US        (CLOCK_S / 10)
#define PARTING_US      CLOCK_S

struct stream {
    struct list link;
    struct exchange *x;
    bool history; /* the client draws a picture */
    bool full;
    bool ended;
    int64_t left_out; /* events, since it is full */
};

/* ---- what is told ---- */

static void begin_event(struct buf *out, const char *name)
{
    buf_addf(out, "event: %s\ndata: ", name);
}

/* What stands on a data line is JSON of ours, in which a line end is always escaped. */
static void end_event(struct buf *out)
{
    buf_add_str(out, "\n\n");
}

static void add_status(const struct proxy *p, struct buf *out)
{
    begin_event(out, "status");
    status_write(p, out);
    end_event(out);
}

static void add_history(const struct proxy *p, struct buf *out)
{
    begin_event(out, "history");
    status_write_history(p, out);
    end_event(out);
}

static void add_call(const struct ledger_row *row, struct buf *out)
{
    char id[ROW_ID_SIZE];
    struct json_writer w;

    row_id_text(row->id, id);
    buf_addf(out, "id: %s\n", id);
    begin_event(out, "call");
    json_init(&w, out);
    report_text_ended(&w, row);
    end_event(out);
}

static void add_calls_from(const struct lately *r, uint64_t n, struct buf *out)
{
    for (; n < r->count; n++)
        add_call(lately_get(r, n), out);
}

/* The latest first. */
static void add_recent(const struct lately *r, struct buf *out)
{
    struct json_writer w;

    begin_event(out, "recent");
    json_init(&w, out);
    json_object_begin(&w);
    json_key(&w, "calls");
    json_array_begin(&w);
    for (uint64_t n = r->count; n > lately_oldest(r); n--)
        report_text_ended(&w, lately_get(r, n - 1));
    json_array_end(&w);
    json_object_end(&w);
    end_event(out);
}

/* ---- telling it ---- */

static void tell(struct stream *s, struct slice text, int64_t events)
{
    if (s->ended || events == 0)
        return;
    if (s->full)
        s->left_out += events;
    else
        s->full = exchange_write(s->x, text.p, text.n) > EXCHANGE_HIGH_BYTES;
}

/* Ends a telling: es->text goes to all, or to those that draw. */
static void tell_all(struct events *es, int64_t events, bool history_alone)
{
    LIST_EACH (&es->streams, node, next) {
        struct stream *s = LIST_ENTRY(node, struct stream, link);

        if (s->history || !history_alone)
            tell(s, buf_slice(&es->text), events);
    }
    buf_reset(&es->text);
}

/* At the turn of a minute, if anybody draws. */
static void tell_history(struct proxy *p)
{
    struct events *es = &p->events;
    int64_t minute = loop_now_us(p->loop) / HOUR_MINUTE_US;
    bool wanted = false;

    if (minute == es->minute)
        return;
    es->minute = minute;
    LIST_EACH (&es->streams, node, next)
        wanted |= LIST_ENTRY(node, struct stream, link)->history;
    if (!wanted)
        return;
    add_history(p, &es->text);
    tell_all(es, 1, true);
}

static void tell_calls(struct proxy *p)
{
    struct events *es = &p->events;
    int64_t events = (int64_t)(p->lately.count - es->told);

    loop_timer_clear(p->loop, &es->batch);
    if (events == 0)
        return;
    add_calls_from(&p->lately, es->told, &es->text);
    es->told = p->lately.count;
    tell_all(es, events, false);
}

static void on_batch(void *ctx)
{
    tell_calls(ctx);
}

void events_call_ended(struct proxy *p)
{
    struct events *es = &p->events;

    if (es->count == 0)
        return;
    if (p->lately.count - es->told >= LATELY_MAX / 2)
        tell_calls(p);
    else if (!loop_timer_is_set(&es->batch))
        loop_timer_set(p->loop, &es->batch, loop_now_us(p->loop) + BATCH_US, on_batch, p);
}

static void end_stream(struct stream *s)
{
    if (s->ended)
        return;
    s->ended = true;
    exchange_finish(s->x);
}

/* What a stream may see is what a request could ask for now. */
static void end_strangers(struct proxy *p)
{
    const struct route here = {.kind = ROUTE_OWN, .path = SLICE(PATH)};

    LIST_EACH (&p->events.streams, node, next) {
        struct stream *s = LIST_ENTRY(node, struct stream, link);
        struct refusal why;

        if (!login_admits(p, s->x, &here, &why))
            end_stream(s);
    }
}

static void on_second(void *ctx)
{
    struct proxy *p = ctx;
    struct events *es = &p->events;

    end_strangers(p);
    tell_calls(p);
    add_status(p, &es->text);
    tell_all(es, 1, false);
    tell_history(p);
    loop_timer_set(p->loop, &es->second, loop_now_us(p->loop) + STATUS_EVERY_US, on_second, p);
}

/* ---- a stream ---- */

static struct stream *stream_of(const struct events *es, const struct exchange *x)
{
    LIST_EACH (&es->streams, node, next) {
        struct stream *s = LIST_ENTRY(node, struct stream, link);

        if (s->x == x)
            return s;
    }
    return NULL;
}

void events_drained(struct proxy *p, struct exchange *x)
{
    struct stream *s = stream_of(&p->events, x);
    char line[64];
    int n;

    if (!s || !s->full || s->ended)
        return;
    s->full = false;
    if (s->left_out == 0)
        return;
    n = snprintf(line, sizeof line, ": %" PRId64 " events were left out\n\n", s->left_out);
    s->left_out = 0;
    tell(s, slice_of(line, (size_t)n), 1);
}

void events_gone(struct proxy *p, struct exchange *x)
{
    struct events *es = &p->events;
    struct stream *s = stream_of(es, x);

    if (!s)
        return;
    list_unlink(&s->link);
    free(s);
    if (--es->count > 0)
        return;
    loop_timer_clear(p->loop, &es->second);
    loop_timer_clear(p->loop, &es->batch);
    loop_timer_clear(p->loop, &es->parting);
    buf_release(&es->text);
}

/* The number of the first call that a client which was here before has not seen: those after the one that it names, all
 * that are there when that is none of them. */
static uint64_t first_missed(const struct lately *r, const struct exchange *x)
{
    struct slice last = exchange_header(x, SLICE("Last-Event-ID"));
    uint64_t n;
    int64_t id;

    if (last.n == 0 || row_id_read(last.p, last.n, &id) < 0)
        return r->count;
    return lately_find(r, id, &n) ? n + 1 : lately_oldest(r);
}

static void start_answer(const struct proxy *p, struct exchange *x)
{
    struct headers h;

    headers_init(&h);
    headers_add(&h, SLICE("Content-Type"), SLICE("text/event-stream"));
    headers_add(&h, SLICE("Cache-Control"), SLICE("no-store"));
    cors_add(exchange_head(x), &p->guard, &h);
    exchange_start(x, 200, h.v, h.n, -1);
    headers_release(&h);
}

/* What a new stream is told at once; a browser that loses it comes back after a second. */
static void welcome(struct proxy *p, struct stream *s)
{
    struct events *es = &p->events;

    buf_add_str(&es->text, "retry: 1000\n\n");
    add_calls_from(&p->lately, first_missed(&p->lately, s->x), &es->text);
    add_status(p, &es->text);
    if (s->history) {
        add_history(p, &es->text);
        add_recent(&p->lately, &es->text);
    }
    tell(s, buf_slice(&es->text), 1);
    buf_reset(&es->text);
}

static void open_stream(struct proxy *p, struct exchange *x, bool history)
{
    struct events *es = &p->events;
    struct stream *s = xcalloc(1, sizeof *s);

    if (es->count == 0) {
        es->told = p->lately.count;
        es->minute = loop_now_us(p->loop) / HOUR_MINUTE_US;
    } else {
        tell_calls(p);
    }
    s->x = x;
    s->history = history;
    list_init(&s->link);
    list_push_back(&es->streams, &s->link);
    es->count++;
    start_answer(p, x);
    welcome(p, s);
    if (!loop_timer_is_set(&es->second))
        loop_timer_set(p->loop, &es->second, loop_now_us(p->loop) + STATUS_EVERY_US, on_second, p);
}

/* ---- the way in ---- */

static void refuse(const struct proxy *p, struct exchange *x, int status, const char *sentence)
{
    struct buf body;

    buf_init(&body, BUF_UNLIMITED);
    buf_addf(&body, "%s\n", sentence);
    hub_reply(p, x, status, "text/plain; charset=utf-8", buf_slice(&body));
    buf_release(&body);
}

/* -EINVAL with a sentence that names what is wrong. */
static int read_query(struct slice query, bool *ret_history, struct errbuf *e)
{
    struct query_pair pair;
    int rc;

    *ret_history = false;
    query_pair_init(&pair);
    while ((rc = query_next(&query, &pair, e)) == 1) {
        struct slice value = buf_slice(&pair.value);

        if (slice_eq(buf_slice(&pair.name), SLICE("history")) && (slice_eq(value, SLICE("0")) || slice_eq(value, SLICE("1")))) {
            *ret_history = value.p[0] == '1';
            continue;
        }
        err_set(e, "This address takes history=1 and no other parameter");
        rc = -EINVAL;
        break;
    }
    query_pair_release(&pair);
    return rc;
}

/* Who takes nothing of what he is told makes room for one who wants to know. */
static bool has_place(struct events *es)
{
    struct stream *stuck = NULL;
    int open = 0;

    LIST_EACH (&es->streams, node, next) {
        struct stream *s = LIST_ENTRY(node, struct stream, link);

        open += !s->ended;
        if (s->full && !s->ended && !stuck)
            stuck = s;
    }
    if (open < EVENTS_STREAMS_MAX)
        return true;
    if (!stuck)
        return false;
    stuck->ended = true;
    exchange_abort(stuck->x);
    return true;
}

bool events_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct slice method = exchange_head(x)->method;
    struct errbuf e;
    char sentence[sizeof e.text + 2];
    bool history;

    if (!slice_eq(r->path, SLICE(PATH)))
        return false;
    if (!slice_eq(method, SLICE("GET")) && !slice_eq(method, SLICE("HEAD"))) {
        refuse(p, x, 405, "This address answers GET and HEAD only.");
    } else if (read_query(r->query, &history, &e) < 0) {
        snprintf(sentence, sizeof sentence, "%s.", e.text);
        refuse(p, x, 400, sentence);
    } else if (p->draining) {
        refuse(p, x, 503, "The daemon is stopping.");
    } else if (!has_place(&p->events)) {
        refuse(p, x, 503, "Too many event streams are open already; close one of them.");
    } else if (slice_eq(method, SLICE("HEAD"))) {
        start_answer(p, x);
        exchange_finish(x);
    } else {
        open_stream(p, x, history);
    }
    return true;
}

/* ---- start and stop ---- */

static void on_parting(void *ctx)
{
    struct proxy *p = ctx;

    p->events.parted = true;
    LIST_EACH (&p->events.streams, node, next)
        exchange_abort(LIST_ENTRY(node, struct stream, link)->x);
    hub_turn_soon(p);
}

int64_t events_left_behind(const struct events *es)
{
    return es->parted ? es->count : 0;
}

void events_stop(struct proxy *p)
{
    struct events *es = &p->events;

    if (es->count == 0)
        return;
    tell_calls(p);
    loop_timer_clear(p->loop, &es->second);
    LIST_EACH (&es->streams, node, next)
        end_stream(LIST_ENTRY(node, struct stream, link));
    loop_timer_set(p->loop, &es->parting, loop_now_us(p->loop) + PARTING_US, on_parting, p);
}

void events_init(struct events *es)
{
    *es = (struct events){0};
    list_init(&es->streams);
    buf_init(&es->text, BUF_UNLIMITED);
}

void events_release(struct events *es)
{
    MG_ASSERT(list_empty(&es->streams));
    buf_release(&es->text);
}
