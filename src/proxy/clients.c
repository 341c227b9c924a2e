/*
 * clients: every value of by_name is owned by the table and freed only with it; `other` is made on first
 * need. Names of users are a cache: each was read from /etc/passwd once.
 */
#include "metergate/proxy/clients.h"

#include <stdio.h>
#include <stdlib.h>

#include "metergate/base/err.h"
#include "metergate/base/user.h"
#include "metergate/proxy/route.h"

#define USERS_MAX 1000 /* names kept; when one more comes, all are forgotten and looked up again */

void clients_init(struct clients *c)
{
    map_init(&c->by_name);
    map_init(&c->users);
    c->other = NULL;
    c->config = NULL;
}

static void free_client(void *arg, struct slice key, void *value)
{
    struct client *client = value;

    (void)arg;
    (void)key;
    purse_release(&client->purse);
    hour_free(client->hour);
    free(client);
}

void clients_release(struct clients *c)
{
    map_each(&c->by_name, free_client, NULL);
    map_release(&c->by_name);
    map_release_values(&c->users);
    c->other = NULL;
}

static void set_terms(struct client *client, const struct config_client *known)
{
    client->weight = known ? known->weight : 1;
    client->priority = known ? (int)known->priority : CLIENT_CHOOSES;
}

static struct client *add(struct clients *c, struct slice name)
{
    struct client *client = xcalloc(1, sizeof *client);

    name = slice_head(name, sizeof client->name - 1);
    if (name.n)
        memcpy(client->name, name.p, name.n);
    set_terms(client, c->config ? config_client_named(c->config, name) : NULL);
    map_set(&c->by_name, name, client);
    return client;
}

struct client *clients_named(struct clients *c, struct slice name, bool known)
{
    struct client *client = map_get(&c->by_name, slice_head(name, sizeof client->name - 1));

    if (client)
        return client;
    if (known || map_count(&c->by_name) < CLIENTS_MAX)
        return add(c, name);
    if (!c->other)
        c->other = map_get(&c->by_name, SLICE("other"));
    if (!c->other)
        c->other = add(c, SLICE("other"));
    return c->other;
}

struct lift {
    const struct config *config;
    struct gate *gate;
};

/* Its budget stays: calls name it, and the limits may come back. */
static void apply_to(void *arg, struct slice key, void *value)
{
    const struct lift *lift = arg;
    const struct config_client *known = config_client_named(lift->config, key);
    struct client *client = value;

    set_terms(client, known);
    if (client->purse.n > 0 && (!known || known->money_count == 0))
        purse_set(&client->purse, NULL, 0);
    if (client->budget && (!known || known->limit_count == 0))
        gate_budget_update(lift->gate, client->budget, 0, NULL, 0);
}

static void set_limits(struct client *client, const struct config_client *known, struct gate *g)
{
    if (!client->budget)
        client->budget = gate_budget_new(g, client->name, 0, known->limits, known->limit_count);
    else
        gate_budget_update(g, client->budget, 0, known->limits, known->limit_count);
}

void clients_apply(struct clients *c, const struct config *config, struct gate *g)
{
    c->config = config;
    map_each(&c->by_name, apply_to, &(struct lift){config, g});
    for (size_t i = 0; i < config->clients.n; i++) {
        const struct config_client *known = config->clients.v[i];

        struct client *client;

        if (known->limit_count == 0 && known->money_count == 0)
            continue;
        client = clients_named(c, slice_str(known->name), true);
        purse_set(&client->purse, known->money, known->money_count);
        if (known->limit_count > 0)
            set_limits(client, known, g);
    }
}

struct slice clients_user(struct clients *c, uid_t uid)
{
    char number[24], name[USER_NAME_SIZE];
    struct slice key;
    char *known;

    snprintf(number, sizeof number, "uid-%u", (unsigned)uid);
    key = slice_str(number);
    known = map_get(&c->users, key);
    if (known)
        return slice_str(known);
    if (user_name(uid, name) < 0 || !route_client_name_ok(slice_str(name)))
        snprintf(name, sizeof name, "%s", number);
    if (map_count(&c->users) == USERS_MAX) {
        map_release_values(&c->users);
    }
    map_set(&c->users, key, xstrdup(name));
    return slice_str(map_get(&c->users, key));
}
