/*
 * identity: who is asking, and on what terms: the client's name, its priority and how long it will wait. After
 * identity_read has returned NULL, c->client is set and stays.
 */
#include "metergate/proxy/identity.h"

#include <stdio.h>

#include "metergate/proxy/hub.h"

static struct slice peer_name(const struct exchange *x, char *text, size_t cap)
{
    struct net_addr_text addr = net_addr_format(exchange_peer(x));
    struct slice s = slice_str(addr.text);
    uid_t uid;
    int n;

    if (exchange_peer_uid(x, &uid) == 0)
        n = snprintf(text, cap, "uid-%u", (unsigned)uid);
    else if (s.n && s.p[0] == '[')
        n = snprintf(text, cap, "%.*s", (int)slice_find(s, ']') - 1, s.p + 1);
    else
        n = snprintf(text, cap, "%.*s", (int)slice_find(s, ':'), s.p);
    return slice_of(text, n > 0 && (size_t)n < cap ? (size_t)n : 0);
}

const char *identity_read(struct call *c)
{
    struct slice client = exchange_header(c->x, SLICE("Metergate-Client"));
    struct slice priority = exchange_header(c->x, SLICE("Metergate-Priority"));
    struct slice max_wait = exchange_header(c->x, SLICE("Metergate-Max-Wait"));
    char text[65];
    int64_t us;

    if (client.p && !route_client_name_ok(client))
        return "Metergate-Client must be 1 to 64 letters, digits, '.', '_' or '-'.";
    if (priority.p && !route_priority_ok(priority))
        return "Metergate-Priority must be high, normal or low.";
    if (max_wait.p && slice_duration_us(max_wait, &us) < 0)
        return "Metergate-Max-Wait must be seconds or a duration such as 250ms, 30s or 2h.";
    c->max_wait_us = c->proxy->config->queue.max_wait_us;
    if (max_wait.p && us < c->max_wait_us)
        c->max_wait_us = us;
    if (c->route.client.n)
        client = c->route.client;
    if (!client.n)
        client = peer_name(c->x, text, sizeof text);
    c->client = clients_named(&c->proxy->clients, client);
    return NULL;
}
