/*
 * identity: a token is compared by its digest alone, with all tokens there are, and is in no log line and no
 * sentence. After identity_read has returned true, c->client is set and stays.
 */
#include "metergate/proxy/identity.h"

#include <stdio.h>

#include "metergate/proxy/headers.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/query.h"

/* ---- tokens
 * ----------------------------------------------------------------------------------------------------------
 */

#define HOW_TO_SEND                                                                                          \
    "send it as the Metergate-Token header (or as the API key, where Metergate holds the provider's key)"

static struct slice without_scheme(struct slice authorization)
{
    static const char bearer[] = "bearer ";

    if (!slice_eq_nocase(slice_head(authorization, sizeof bearer - 1), slice_str(bearer)))
        return slice_of(NULL, 0);
    return slice_trim(slice_skip(authorization, sizeof bearer - 1));
}

/* What the header says if it is one of those that carry a client's key; else empty. */
static struct slice key_in(const struct http_header *h)
{
    if (slice_eq_nocase(h->name, SLICE("authorization")))
        return without_scheme(h->value);
    if (slice_eq_nocase(h->name, SLICE("x-api-key")) || slice_eq_nocase(h->name, SLICE("x-goog-api-key")))
        return h->value;
    return slice_of(NULL, 0);
}

/* The owner of a token among those keys, or NULL. */
static const struct config_client *owner_of_key(const struct config *config, const struct http_head *head)
{
    const struct config_client *owner = NULL;

    for (size_t i = 0; i < head->header_count && !owner; i++) {
        struct slice key = key_in(&head->headers[i]);

        if (key.n)
            owner = config_client_of_token(config, key);
    }
    return owner;
}

/* By itself, or behind the word of a scheme, whatever that is. */
static bool is_token(const struct config *config, struct slice value)
{
    struct slice behind = slice_trim(slice_skip(value, slice_find(value, ' ')));

    return config_client_of_token(config, value) || (behind.n >= CONFIG_TOKEN_MIN && config_client_of_token(config, behind));
}

static bool query_has_token(const struct config *config, struct slice query)
{
    struct query_pair pair;
    bool found = false;
    int rc = 1;

    query_pair_init(&pair);
    while (!found && rc != 0) {
        rc = query_next(&query, &pair, NULL);
        found = rc == 1 && pair.value.n >= CONFIG_TOKEN_MIN && config_client_of_token(config, buf_slice(&pair.value));
    }
    buf_release_secret(&pair.value);
    query_pair_release(&pair);
    return found;
}

/* Whether a token stands where a provider would get it: in any header that is a credential somewhere, or in the address. */
static bool would_travel(const struct config *config, const struct http_head *head)
{
    if (config->clients.n == 0)
        return false;
    for (size_t i = 0; i < head->header_count; i++) {
        if (headers_is_credential(head->headers[i].name) && is_token(config, head->headers[i].value))
            return true;
    }
    return query_has_token(config, slice_skip(head->target, slice_find(head->target, '?') + 1));
}

struct identity_proof identity_prove(const struct config *config, const struct http_head *head, bool ours)
{
    struct slice token = http_header_get(head->headers, head->header_count, SLICE("metergate-token"));
    struct identity_proof proof = {0};

    if (!ours && would_travel(config, head))
        proof.problem =
            "A Metergate token stands where the provider's key should: Metergate holds no key for this "
            "upstream, so send the token as the Metergate-Token header and your own key beside it.";
    else if (token.p)
        proof.owner = config_client_of_token(config, token);
    else if (ours)
        proof.owner = owner_of_key(config, head);
    if (!proof.problem && !proof.owner && token.p)
        proof.problem =
            "No client of Metergate's configuration has this token: check the Metergate-Token header "
            "against `clients.NAME.token`.";
    else if (!proof.problem && !proof.owner && config->clients.require_token)
        proof.problem = "Metergate wants the token of a client: " HOW_TO_SEND "; tokens are configured as "
                        "`clients.NAME.token`.";
    return proof;
}

/* ---- users
 * -----------------------------------------------------------------------------------------------------------
 */

static const char *user_problem(const struct config *config, const struct exchange *x)
{
    const struct config_users *users = &config->clients.users;
    uid_t uid;

    if (users->n == 0)
        return NULL;
    if (exchange_peer_uid(x, &uid) < 0)
        return "Metergate cannot see which local user is behind this connection, and `clients.users` in its "
               "configuration lets listed users alone call.";
    for (size_t i = 0; i < users->n; i++) {
        if (users->v[i].uid == uid)
            return NULL;
    }
    return "This local user may not use Metergate; add the name to `clients.users` in its configuration.";
}

static bool refuse(enum refusal_reason reason, const char *problem, struct refusal *ret_why)
{
    *ret_why = (struct refusal){.reason = reason, .detail = slice_str(problem)};
    return false;
}

/* Whether the request may go on, and the owner of its token. */
static bool admit(const struct config *config, const struct exchange *x, bool ours,
                  const struct config_client **ret_owner, struct refusal *ret_why)
{
    const char *problem = user_problem(config, x);
    struct identity_proof proof;

    if (problem)
        return refuse(REFUSAL_USER, problem, ret_why);
    proof = identity_prove(config, exchange_head(x), ours);
    if (proof.problem)
        return refuse(REFUSAL_TOKEN, proof.problem, ret_why);
    *ret_owner = proof.owner;
    return true;
}

bool identity_admits(const struct proxy *p, const struct exchange *x, struct refusal *ret_why)
{
    const struct config_client *owner;

    return admit(p->config, x, true, &owner, ret_why);
}

/* ---- the call
 * -------------------------------------------------------------------------------------------------------- */

static enum config_priority priority_of(struct slice word)
{
    if (slice_eq(word, SLICE("high")))
        return CONFIG_PRIORITY_HIGH;
    return slice_eq(word, SLICE("low")) ? CONFIG_PRIORITY_LOW : CONFIG_PRIORITY_NORMAL;
}

enum config_priority identity_priority(struct slice path, struct slice header,
                                       const enum config_priority *most)
{
    const struct slice words[] = {path, header};
    enum config_priority lowest = most ? *most : CONFIG_PRIORITY_HIGH;
    bool given = most != NULL;

    for (size_t i = 0; i < MG_ARRAY_LEN(words); i++) {
        if (words[i].n == 0)
            continue;
        given = true;
        if (priority_of(words[i]) > lowest)
            lowest = priority_of(words[i]);
    }
    return given ? lowest : CONFIG_PRIORITY_NORMAL;
}

/* Whether a guess may be that client: one that has a token is claimed by the token alone, and never by chance. */
static bool may_be_guessed(const struct config *config, struct slice name)
{
    const struct config_client *known = config_client_named(config, name);

    return known && !known->has_token;
}

struct slice identity_of_user(const struct config *config, struct slice user, struct slice origin, char room[CLIENT_NAME_SIZE])
{
    struct slice full;

    if (!origin.n)
        return user;
    snprintf(room, CLIENT_NAME_SIZE, "%.*s.%.*s", (int)user.n, user.p, (int)origin.n, origin.p);
    full = slice_str(room);
    if (may_be_guessed(config, full))
        return full;
    if (may_be_guessed(config, origin))
        return origin;
    return config_client_named(config, user) ? user : full;
}

/* The name of a connection without any: its user and what of him it is, else its address. */
static struct slice peer_name(struct proxy *p, const struct exchange *x, struct net_addr_text *room)
{
    struct slice origin;
    uid_t uid;

    if (exchange_peer_uid(x, &uid) < 0) {
        *room = net_addr_host(exchange_peer(x));
        return room->text[0] ? slice_str(room->text) : SLICE("unknown");
    }
    (void)origin_of(&p->origins, x, loop_now_us(p->loop), &origin);
    return identity_of_user(p->config, clients_user(&p->clients, uid), origin, room->text);
}

/* Whom a request says that it is of; empty: it does not say. */
static struct slice claimed_name(const struct exchange *x, const struct config_client *owner, struct slice in_path)
{
    if (owner)
        return slice_str(owner->name);
    return in_path.n ? in_path : exchange_header(x, SLICE("Metergate-Client"));
}

/* The search for what the request is of, where it does not say; NULL: there is nothing to be found. */
static struct origin_search *search_for(struct proxy *p, const struct exchange *x, struct slice claimed)
{
    int64_t now = loop_now_us(p->loop);
    struct slice known;

    return claimed.n || origin_of(&p->origins, x, now, &known) ? NULL : origin_search_new(&p->origins, x, now);
}

/* What is wrong with the Metergate-* headers, or NULL. */
static const char *header_problem(struct slice client, struct slice priority, struct slice max_wait)
{
    int64_t us;

    if (client.p && !route_client_name_ok(client))
        return "Metergate-Client must be 1 to 64 letters, digits, '.', '_' or '-'.";
    if (priority.p && !route_priority_ok(priority))
        return "Metergate-Priority must be high, normal or low.";
    if (max_wait.p && slice_duration_us(max_wait, &us) < 0)
        return "Metergate-Max-Wait must be seconds or a duration such as 250ms, 30s or 2h.";
    return NULL;
}

static void set_terms(struct call *c, const struct config_client *known)
{
    struct slice priority = exchange_header(c->x, SLICE("Metergate-Priority"));
    struct slice max_wait = exchange_header(c->x, SLICE("Metergate-Max-Wait"));
    int64_t us;

    c->priority = identity_priority(c->route.priority, priority, known ? &known->priority : NULL);
    c->weight = known ? known->weight : 1;
    c->max_wait_us =
        known && known->max_wait_us >= 0 ? known->max_wait_us : c->proxy->config->queue.max_wait_us;
    if (max_wait.p && slice_duration_us(max_wait, &us) == 0 && us < c->max_wait_us)
        c->max_wait_us = us;
}

/* It is that client's, unless that one has a token, which was not shown. */
static bool belong_to(struct call *c, struct slice name, const struct config_client *owner, struct refusal *ret_why)
{
    const struct config_client *known = owner ? owner : config_client_named(c->proxy->config, name);

    if (known && known->has_token && !owner)
        return refuse(
            REFUSAL_TOKEN,
            "The client of this call has a token of its own, in Metergate's configuration: " HOW_TO_SEND
            ", or name another client.",
            ret_why);
    set_terms(c, known);
    c->client = clients_named(&c->proxy->clients, name, known != NULL);
    return true;
}

bool identity_read(struct call *c, struct refusal *ret_why)
{
    const char *problem = header_problem(exchange_header(c->x, SLICE("Metergate-Client")),
                                         exchange_header(c->x, SLICE("Metergate-Priority")),
                                         exchange_header(c->x, SLICE("Metergate-Max-Wait")));
    const struct config *config = c->proxy->config;
    bool ours = !c->provider || secret_is_set(&c->provider->config->api_key);
    const struct config_client *owner;
    struct net_addr_text room;
    struct slice name;

    if (!admit(config, c->x, ours, &owner, ret_why))
        return false;
    if (problem)
        return refuse(REFUSAL_BAD_REQUEST, problem, ret_why);
    c->credentials_stay = ours;
    name = claimed_name(c->x, owner, c->route.client);
    c->search = search_for(c->proxy, c->x, name);
    if (c->search)
        return true;
    return belong_to(c, name.n ? name : peer_name(c->proxy, c->x, &room), owner, ret_why);
}

bool identity_settle(struct call *c, struct refusal *ret_why)
{
    struct net_addr_text room;

    return c->client || belong_to(c, peer_name(c->proxy, c->x, &room), NULL, ret_why);
}

void identity_found(struct call *c)
{
    origin_learn(&c->proxy->origins, c->x, c->search, loop_now_us(c->proxy->loop));
    origin_search_free(c->search);
    c->search = NULL;
}

struct origin_search *identity_search(struct proxy *p, const struct exchange *x, struct slice in_path)
{
    const struct config_client *owner = NULL;
    struct refusal why;

    if (!admit(p->config, x, true, &owner, &why))
        owner = NULL;
    return search_for(p, x, claimed_name(x, owner, in_path));
}

struct slice identity_name(struct proxy *p, const struct exchange *x, struct slice in_path, struct net_addr_text *room)
{
    const struct config_client *owner = NULL;
    struct refusal why;
    struct slice name;

    if (!admit(p->config, x, true, &owner, &why))
        owner = NULL;
    name = claimed_name(x, owner, in_path);
    return name.n ? name : peer_name(p, x, room);
}
