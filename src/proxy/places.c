/*
 * places: every place is on by_age, in the order of being kept, and on the chain of its print, likewise; the
 * map has each chain's first. Places are kept for the same time, so the first of by_age is the first to go,
 * and it is the first of its chain as well.
 */
#include "metergate/proxy/places.h"

#include <stdlib.h>

#include "metergate/base/buf.h"
#include "metergate/base/secret.h"
#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"

struct place {
    struct list age;
    struct place *next; /* of the same print, kept later */
    struct place *last; /* of the chain; known to its first alone */
    struct secret_fingerprint print;
    int64_t until_us;
    int64_t arrived_us;
    uint64_t place;
};

static struct slice print_slice(const struct secret_fingerprint *print)
{
    return slice_of((const char *)print->bytes, sizeof print->bytes);
}

/* What is compared, each part with its length before it, so that no two calls can be written alike. */
static void add_part(struct buf *out, struct slice part)
{
    buf_addf(out, "%zu:", part.n);
    buf_add_slice(out, part);
}

void places_print_body(struct call *c)
{
    c->body_print = secret_fingerprint_of(c->body);
    c->has_body_print = true;
}

static struct secret_fingerprint print_of(struct call *c)
{
    const struct http_head *head = exchange_head(c->x);
    struct secret_fingerprint print;
    struct buf text;

    if (!c->has_body_print)
        places_print_body(c);
    buf_init(&text, BUF_UNLIMITED);
    add_part(&text, slice_str(c->client->name));
    add_part(&text, head->target);
    add_part(&text, print_slice(&c->body_print));
    for (size_t i = 0; i < head->header_count; i++) {
        if (headers_is_credential(head->headers[i].name))
            add_part(&text, head->headers[i].value);
    }
    print = secret_fingerprint_of(buf_slice(&text));
    buf_release_secret(&text);
    return print;
}

/* The first of its chain leaves. */
static void drop(struct places *ps, struct place *pl)
{
    if (pl->next) {
        pl->next->last = pl->last;
        map_set(&ps->by_print, print_slice(&pl->print), pl->next);
    } else {
        map_remove(&ps->by_print, print_slice(&pl->print));
    }
    list_unlink(&pl->age);
    ps->n--;
    free(pl);
}

static void forget(struct places *ps, int64_t now_us)
{
    while (!list_empty(&ps->by_age)) {
        struct place *oldest = LIST_ENTRY(list_first(&ps->by_age), struct place, age);

        if (ps->n < PLACES_MAX && oldest->until_us > now_us)
            return;
        drop(ps, oldest);
    }
}

void places_keep(struct places *ps, struct call *c)
{
    int64_t now = loop_now_us(c->proxy->loop);
    struct place *pl, *first;

    MG_ASSERT((c->state == CALL_HELD || c->state == CALL_COUNTING) && c->x);
    forget(ps, now);
    pl = xcalloc(1, sizeof *pl);
    *pl = (struct place){
        .print = print_of(c),
        .until_us = now + PLACES_KEPT_US,
        .arrived_us = c->ticket.arrival_us,
        .place = gate_place(&c->ticket),
    };
    list_init(&pl->age);
    list_push_back(&ps->by_age, &pl->age);
    first = map_get(&ps->by_print, print_slice(&pl->print));
    if (!first) {
        first = pl;
        map_set(&ps->by_print, print_slice(&pl->print), pl);
    } else {
        first->last->next = pl;
    }
    first->last = pl;
    ps->n++;
}

bool places_take(struct places *ps, struct call *c, int64_t *ret_arrived_us, uint64_t *ret_place)
{
    struct secret_fingerprint print;
    struct place *pl;

    if (ps->n > 0)
        forget(ps, loop_now_us(c->proxy->loop));
    if (ps->n == 0)
        return false;
    print = print_of(c);
    pl = map_get(&ps->by_print, print_slice(&print));
    if (!pl)
        return false;
    *ret_arrived_us = pl->arrived_us;
    *ret_place = pl->place;
    drop(ps, pl);
    ps->taken++;
    return true;
}

void places_init(struct places *ps)
{
    *ps = (struct places){0};
    map_init(&ps->by_print);
    list_init(&ps->by_age);
}

void places_release(struct places *ps)
{
    while (!list_empty(&ps->by_age))
        drop(ps, LIST_ENTRY(list_first(&ps->by_age), struct place, age));
    map_release(&ps->by_print);
}
