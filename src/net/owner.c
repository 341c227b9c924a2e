/*
 * owner: what must always be true.
 *
 * - A client has an owner from client_open to client_close; an owner is in both tables exactly while he has a client.
 * - A client is on the list of its place, at its end since placed_us; one that is BUSY, or told to leave, is on none.
 *
 * Whoever opens connections and leaves them so would keep all others out once no more may be open. So who has most of
 * them gives the oldest that does nothing for each that comes. He who has less than an even share never pays for others, and
 * a call that waits for its turn or its answer is never closed: of those queue.max_requests is the limit.
 */
#include "front_inside.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "metergate/base/log.h"

void owners_init(struct owners *os)
{
    map_init(&os->by_key);
    list_init(&os->all);
}

void owners_release(struct owners *os)
{
    MG_ASSERT(list_empty(&os->all));
    map_release(&os->by_key);
}

/* Who has one address of an IPv6 network has most often 2^64 of them. */
static void write_network(const struct sockaddr_in6 *in6, char *to, size_t size)
{
    const unsigned char *b = in6->sin6_addr.s6_addr;

    snprintf(to, size, "%02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]);
}

static void write_key(struct client *c, char *to, size_t size)
{
    const struct net_addr *peer = &c->peer;

    if (client_who(c) == 0) {
        snprintf(to, size, "user %u", (unsigned)c->who.uid);
        return;
    }
    if (peer->len && peer->sa.ss_family == AF_INET6 &&
        !IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&peer->sa)->sin6_addr))
        write_network((const struct sockaddr_in6 *)&peer->sa, to, size);
    else
        snprintf(to, size, "%.60s", net_addr_host(peer).text);
}

static struct owner *owner_new(struct owners *os, const char *key)
{
    struct owner *o = xcalloc(1, sizeof *o);

    snprintf(o->key, sizeof o->key, "%s", key);
    list_init(&o->all);
    list_push_back(&os->all, &o->all);
    for (int i = 0; i < CLIENT_PLACES; i++)
        list_init(&o->places[i]);
    map_set(&os->by_key, slice_str(o->key), o);
    return o;
}

void owner_join(struct client *c)
{
    struct owners *os = &c->front->owners;
    char key[sizeof c->owner->key];
    struct owner *o;

    write_key(c, key, sizeof key);
    o = map_get(&os->by_key, slice_str(key));
    if (!o)
        o = owner_new(os, key);
    o->connections++;
    c->owner = o;
    owner_place(c, CLIENT_IDLE);
}

void owner_leave(struct client *c)
{
    struct owner *o = c->owner;

    list_unlink(&c->of_owner);
    c->owner = NULL;
    if (--o->connections > 0)
        return;
    MG_ASSERT(o->body_bytes == 0);
    map_remove(&c->front->owners.by_key, slice_str(o->key));
    list_unlink(&o->all);
    free(o);
}

void owner_place(struct client *c, enum client_place place)
{
    c->place = place;
    c->placed_us = loop_now_us(c->front->loop);
    if (place == CLIENT_BUSY || c->shut)
        list_unlink(&c->of_owner);
    else
        list_push_back(&c->owner->places[place], &c->of_owner);
}

/* The one there the longest, if that is at least `us`. */
static struct client *longest_at(const struct front *f, const struct owner *o, enum client_place place, int64_t us)
{
    struct list *first = list_first(&o->places[place]);
    struct client *c = first ? LIST_ENTRY(first, struct client, of_owner) : NULL;

    return c && loop_now_us(f->loop) - c->placed_us >= us ? c : NULL;
}

static struct client *least_missed(const struct front *f, const struct owner *o)
{
    struct client *c = longest_at(f, o, CLIENT_IDLE, f->config.room_idle_us);

    if (!c)
        c = longest_at(f, o, CLIENT_ASKING, f->config.room_slow_us);
    return c ? c : longest_at(f, o, CLIENT_ANSWERED, f->config.room_slow_us);
}

bool owners_make_room(struct front *f)
{
    struct client *found = NULL;
    uint64_t owners = map_count(&f->owners.by_key);

    LIST_EACH (&f->owners.all, node, next) {
        const struct owner *o = LIST_ENTRY(node, struct owner, all);
        struct client *c;

        if (o->connections * owners < f->stats.connections || (found && o->connections <= found->owner->connections))
            continue;
        c = least_missed(f, o);
        if (c)
            found = c;
    }
    if (!found)
        return false;
    f->stats.closed[FRONT_CLOSED_ROOM]++;
    found->told_to_leave = true;
    f->leaving++;
    misread_end(found);
    return true;
}

void owners_drop_unread(struct front *f)
{
    struct client *found = NULL;

    LIST_EACH (&f->owners.all, node, next) {
        struct client *c = longest_at(f, LIST_ENTRY(node, struct owner, all), CLIENT_ANSWERED, f->config.room_slow_us);

        if (c && (!found || c->placed_us < found->placed_us))
            found = c;
    }
    if (!found)
        return;
    f->stats.closed[FRONT_CLOSED_UNREAD]++;
    client_shutdown(found);
}
