/*
 * audit: an arrival is in the ring or evicted; it is freed when it is out of the ring and closed, exactly once. in_flight
 * counts those without an end, evicted ones too.
 */
#include "audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

void audit_quote(struct buf *out, struct slice text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c == '\n')
            buf_add_str(out, "\\n");
        else if (c < ' ' || c == 0x7f)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
}

struct arrival *arrival_new(void)
{
    return xcalloc(1, sizeof(struct arrival));
}

void arrival_free(struct arrival *arrival)
{
    if (!arrival)
        return;
    free(arrival->method);
    free(arrival->target);
    free(arrival->headers);
    free(arrival);
}

void arrivals_init(struct arrivals *a)
{
    *a = (struct arrivals){0};
}

static void evict(struct arrival *arrival)
{
    if (arrival->open)
        arrival->evicted = true;
    else
        arrival_free(arrival);
}

void arrivals_reset(struct arrivals *a)
{
    for (size_t i = 0; i < a->n; i++)
        evict(a->ring[(a->head + i) % AUDIT_ARRIVALS]);
    a->n = a->head = 0;
    a->count = a->n429 = a->aborted = a->completed = 0;
    a->first_us = a->last_us = a->last_end_us = 0;
    a->peak_in_flight = a->in_flight;
}

void arrivals_release(struct arrivals *a)
{
    arrivals_reset(a);
    free(a->ring);
    a->ring = NULL;
}

void arrivals_add(struct arrivals *a, struct arrival *arrival)
{
    if (!a->ring)
        a->ring = xcalloc(AUDIT_ARRIVALS, sizeof(struct arrival *));
    if (a->n == AUDIT_ARRIVALS) {
        evict(a->ring[a->head]);
        a->head = (a->head + 1) % AUDIT_ARRIVALS;
        a->n--;
    }
    /* they come nearly in order */
    if (a->count == 0 || arrival->t_us < a->first_us)
        a->first_us = arrival->t_us;
    if (arrival->t_us > a->last_us)
        a->last_us = arrival->t_us;
    arrival->open = true;
    a->ring[(a->head + a->n++) % AUDIT_ARRIVALS] = arrival;
    a->count++;
    if (++a->in_flight > a->peak_in_flight)
        a->peak_in_flight = a->in_flight;
}

void arrivals_end(struct arrivals *a, struct arrival *arrival)
{
    MG_ASSERT(arrival->end_us != 0);
    a->in_flight--;
    a->n429 += arrival->status == 429;
    a->completed++;
    if (arrival->end_us > a->last_end_us)
        a->last_end_us = arrival->end_us;
}

void arrivals_close(struct arrivals *a, struct arrival *arrival, bool aborted)
{
    MG_ASSERT(arrival->open && arrival->end_us != 0);
    arrival->open = false;
    arrival->aborted = aborted;
    if (aborted) {
        a->completed--;
        a->aborted++;
    }
    if (arrival->evicted)
        arrival_free(arrival);
}

static void print_arrival(struct buf *out, const struct arrival *r, int64_t start_us)
{
    buf_addf(out, "{\"t_us\":%" PRId64 ",\"end_us\":%" PRId64 ",\"status\":%d,\"input\":%" PRId64 ",\"output\":%" PRId64,
             r->t_us - start_us, r->end_us ? r->end_us - start_us : 0, r->status, r->input, r->output);
    buf_addf(out, ",\"charged\":%" PRId64 ",\"bytes\":%" PRId64 ",\"sha256\":\"%s\",\"connection\":%" PRId64, r->charged,
             r->body_bytes, r->sha256, r->connection);
    buf_addf(out, ",\"aborted\":%s,\"fault\":", r->aborted ? "true" : "false");
    audit_quote(out, slice_str(r->fault));
    buf_add_str(out, ",\"method\":");
    audit_quote(out, slice_str(r->method));
    buf_add_str(out, ",\"target\":");
    audit_quote(out, slice_str(r->target));
    buf_addf(out, ",\"headers\":%s}", r->headers);
}

void arrivals_print(const struct arrivals *a, struct buf *out, int64_t limit, int64_t start_us)
{
    size_t from = limit >= 0 && (uint64_t)limit < a->n ? a->n - (size_t)limit : 0;

    buf_addf(out, "\"arrivals\":%" PRId64 ",\"completed\":%" PRId64 ",\"aborted\":%" PRId64 ",\"n429\":%" PRId64, a->count,
             a->completed, a->aborted, a->n429);
    buf_addf(out, ",\"in_flight\":%" PRId64 ",\"peak_in_flight\":%" PRId64, a->in_flight, a->peak_in_flight);
    buf_addf(out,
             ",\"first_us\":%" PRId64 ",\"last_us\":%" PRId64 ",\"last_end_us\":%" PRId64 ",\"makespan_us\":%" PRId64
             ",\"list\":[",
             a->first_us ? a->first_us - start_us : 0, a->last_us ? a->last_us - start_us : 0,
             a->last_end_us ? a->last_end_us - start_us : 0,
             a->count && a->last_end_us > a->first_us ? a->last_end_us - a->first_us : 0);
    for (size_t i = from; i < a->n; i++) {
        if (i > from)
            buf_add_char(out, ',');
        print_arrival(out, a->ring[(a->head + i) % AUDIT_ARRIVALS], start_us);
    }
    buf_add_char(out, ']');
}

void violations_release(struct violations *v)
{
    for (int64_t i = 0; i < v->count && i < AUDIT_VIOLATIONS; i++)
        free(v->texts[i]);
    *v = (struct violations){0};
}

void violations_add(struct violations *v, const char *text)
{
    if (v->count < AUDIT_VIOLATIONS)
        v->texts[v->count] = xstrdup(text);
    v->count++;
}

void violations_print(const struct violations *v, struct buf *out)
{
    buf_add_char(out, '[');
    for (int64_t i = 0; i < v->count && i < AUDIT_VIOLATIONS; i++) {
        if (i)
            buf_add_char(out, ',');
        audit_quote(out, slice_str(v->texts[i]));
    }
    buf_add_char(out, ']');
}
