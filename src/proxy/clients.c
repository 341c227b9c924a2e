/* clients: every value of by_name is owned by the table and freed only with it; `other` is made on first need. */
#include "metergate/proxy/clients.h"

#include <stdlib.h>

#include "metergate/base/err.h"

void clients_init(struct clients *c)
{
    map_init(&c->by_name);
    c->other = NULL;
}

static void free_client(void *arg, struct slice key, void *value)
{
    (void)arg;
    (void)key;
    free(value);
}

void clients_release(struct clients *c)
{
    map_each(&c->by_name, free_client, NULL);
    map_release(&c->by_name);
    c->other = NULL;
}

static struct client *add(struct clients *c, struct slice name)
{
    struct client *client = xcalloc(1, sizeof *client);

    name = slice_head(name, sizeof client->name - 1);
    if (name.n)
        memcpy(client->name, name.p, name.n);
    map_set(&c->by_name, name, client);
    return client;
}

struct client *clients_named(struct clients *c, struct slice name)
{
    struct client *known = map_get(&c->by_name, slice_head(name, sizeof known->name - 1));

    if (known)
        return known;
    if (map_count(&c->by_name) < CLIENTS_MAX)
        return add(c, name);
    if (!c->other)
        c->other = map_get(&c->by_name, SLICE("other"));
    if (!c->other)
        c->other = add(c, SLICE("other"));
    return c->other;
}
