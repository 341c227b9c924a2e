/*
 * budgets: every model_budget is on `all` and in by_key, and owned by the table. An account lives exactly as long as
 * it has one.
 */
#include "metergate/proxy/budgets.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/config/models.h"
#include "metergate/proxy/clients.h"
#include "metergate/proxy/history.h"
#include "metergate/proxy/learned.h"

void budgets_init(struct budgets *bs, const struct config *config, struct gate *g, struct learned *learned)
{
    *bs = (struct budgets){.config = config, .gate = g, .learned = learned};
    accounts_init(&bs->accounts);
    map_init(&bs->by_key);
    list_init(&bs->all);
}

static void free_budget(struct model_budget *b)
{
    map_release_values(&b->shares);
    for (size_t i = 0; i < b->model_count; i++)
        free(b->models[i]);
    organizations_release(&b->organizations);
    purse_release(&b->purse);
    hour_free(b->hour);
    list_unlink(&b->link);
    free(b->key);
    free(b->name);
    free(b);
}

void budgets_release(struct budgets *bs)
{
    LIST_EACH (&bs->all, node, next)
        free_budget(LIST_ENTRY(node, struct model_budget, link));
    map_release(&bs->by_key);
    accounts_release(&bs->accounts);
}

/* ---- how they are served ---- */

static enum gate_polite polite_of(const struct config_model *entry)
{
    static const enum gate_polite rows[] = {[CONFIG_POLITE_AUTO] = POLITE_AUTO,
                                            [CONFIG_POLITE_ALWAYS] = POLITE_ALWAYS,
                                            [CONFIG_POLITE_NEVER] = POLITE_NEVER};

    return entry ? rows[entry->polite] : POLITE_AUTO;
}

/* The classes of clients that may come: where tokens are required, one without a token cannot. */
static unsigned expected_classes(const struct config *c)
{
    unsigned expected = 0;

    for (size_t i = 0; i < c->clients.n; i++) {
        if (c->clients.v[i]->has_token || !c->clients.require_token)
            expected |= 1u << (unsigned)c->clients.v[i]->priority;
    }
    return expected;
}

/* ---- limits ---- */

static struct given_limits given_of(const struct model_budget *b)
{
    return (struct given_limits){.v = b->given, .n = b->given_count, .learn = b->learn};
}

/* The gate's limits by what is given and known now. */
static void work_out(struct budgets *bs, struct model_budget *b)
{
    const struct given_limits given = given_of(b);
    struct worked_out w;

    limits_work_out(b->limits, &given, &w);
    gate_budget_update(bs->gate, b->budget, (int)bs->config->headroom_permille, w.v, w.n);
    for (size_t i = 0; i < w.n; i++)
        budget_limit_source(b->budget, i, w.learned[i], w.unsure[i]);
}

/* What the entry says (NULL: nothing). A budget that many share learns nothing: they have limits of their own. */
static void give(struct budgets *bs, struct model_budget *b, const struct config_model *entry)
{
    b->given_count = entry ? entry->limit_count : 0;
    if (entry && entry->limit_count > 0)
        memcpy(b->given, entry->limits, entry->limit_count * sizeof *b->given);
    b->learn = entry && entry->learn && !b->is_rest;
    if ((b->given_count > 0 || b->learn) && !b->is_rest)
        b->limits = b->account ? &b->own_limits
                               : learned_limits(bs->learned, slice_str(b->provider->config->name), slice_str(b->name));
    purse_set(&b->purse, entry ? entry->money : NULL, entry ? entry->money_count : 0);
    work_out(bs, b);
}

bool budgets_awaits_limits(const struct model_budget *b)
{
    return b->learn && b->limits && limits_are_awaited(b->limits);
}

static void set_calls(struct budgets *bs, struct model_budget *b)
{
    for (size_t i = 0; i < b->budget->limit_count; i++) {
        if (strcmp(b->budget->limits[i].limit.key, LIMITS_LEARNING) == 0)
            gate_limit_calls(bs->gate, b->budget, i, limits_calls(b->limits));
    }
}

bool budgets_learn(struct budgets *bs, struct model_budget *b, const struct limits_answer *a)
{
    const struct given_limits given = given_of(b);
    unsigned what;

    if (!b->limits)
        return false;
    budget_advance(b->budget, a->now_us);
    what = limits_learn(b->limits, &given, b->budget, a);
    if (what & LIMITS_TO_WORK_OUT)
        work_out(bs, b);
    else if (what & LIMITS_CALLS)
        set_calls(bs, b);
    return (what & LIMITS_TO_KEEP) && !b->account;
}

/* ---- finding ---- */

/* What is looked for: a name, and whether it is that of an entry with limits. */
struct wanted {
    struct provider *via;
    struct payer payer;
    struct slice name;
    const struct config_model *entry; /* NULL: nothing of the configuration speaks of the model */
    bool of_entry;
    bool is_rest; /* of those who, or models that, are too many to be kept apart */
};

static bool has_limits(const struct config_model *entry)
{
    return entry && entry->limit_count + entry->money_count > 0;
}

static void write_key(const struct wanted *w, const struct account *a, struct buf *out)
{
    buf_addf(out, "%s:%d:%llu%c", w->via->config->name, (int)w->via->config->dialect,
             a ? (unsigned long long)a->id : 0, w->of_entry ? '=' : '/');
    buf_add_slice(out, w->name);
}

static struct model_budget *look(const struct budgets *bs, const struct wanted *w)
{
    const struct account *a = accounts_look(&bs->accounts, &w->payer);
    struct model_budget *b;
    struct buf key;

    if (!a && w->payer.kind != PAYER_SHARED)
        return NULL;
    buf_init(&key, BUF_UNLIMITED);
    write_key(w, a, &key);
    b = map_get(&bs->by_key, buf_slice(&key));
    buf_release(&key);
    return b;
}

static struct account *account_of(struct budgets *bs, const struct payer *payer)
{
    struct account *a = accounts_look(&bs->accounts, payer);

    if (!a && payer->kind != PAYER_SHARED)
        a = accounts_add(&bs->accounts, payer, bs->gate);
    if (a)
        a->budgets++;
    return a;
}

static struct model_budget *add(struct budgets *bs, const struct wanted *w)
{
    const struct config_model *entry = w->entry;
    struct model_budget *b = xcalloc(1, sizeof *b);
    struct buf key;

    b->account = account_of(bs, &w->payer);
    buf_init(&key, BUF_UNLIMITED);
    write_key(w, b->account, &key);
    b->name = xstrndup(w->name.n ? w->name.p : "", w->name.n);
    b->provider = w->via;
    b->of_entry = w->of_entry;
    b->is_rest = w->is_rest;
    b->budget = gate_budget_new(bs->gate, b->name, (int)bs->config->headroom_permille, NULL, 0);
    give(bs, b, entry);
    gate_budget_polite(bs->gate, b->budget, polite_of(entry), expected_classes(bs->config));
    if (bs->history)
        history_give_budget(bs->history, b);
    map_init(&b->shares);
    list_init(&b->waiting);
    list_init(&b->link);
    list_push_back(&bs->all, &b->link);
    map_set(&bs->by_key, buf_slice(&key), b);
    b->key = buf_take(&key, NULL);
    return b;
}

static void remember_model(struct model_budget *b, struct slice model)
{
    if (model.n == 0 || b->model_count == BUDGET_MODELS_MAX)
        return;
    for (size_t i = 0; i < b->model_count; i++) {
        if (slice_eq(model, slice_str(b->models[i])))
            return;
    }
    b->models[b->model_count++] = xstrndup(model.p, model.n);
}

/* Callers can make any number of such: models that they name, credentials that they invent. */
static bool may_be_invented(const struct wanted *w)
{
    return !w->of_entry || w->payer.kind == PAYER_KEY;
}

/* `entry` is NULL where nothing of the configuration limits the model. */
static struct model_budget *find(struct budgets *bs, struct provider *via, const struct payer *payer,
                                 struct slice model, const struct config_model *entry)
{
    struct wanted w = {.via = via, .payer = *payer, .entry = entry, .of_entry = has_limits(entry)};
    struct model_budget *b;

    w.name = w.of_entry ? slice_str(entry->name) : model.n ? model : SLICE("*");
    b = look(bs, &w);
    if (!b && may_be_invented(&w) && map_count(&bs->by_key) >= BUDGETS_MAX) {
        w.is_rest = true;
        if (w.payer.kind == PAYER_KEY)
            w.payer = accounts_rest(&bs->accounts, via);
        if (!w.of_entry)
            w.name = SLICE("other");
        b = look(bs, &w);
    }
    if (!b)
        b = add(bs, &w);
    b->retired = false;
    remember_model(b, model);
    return b;
}

struct model_budget *budgets_find(struct budgets *bs, struct provider *via, const struct payer *payer,
                                  struct slice model)
{
    return find(bs, via, payer, model, config_model_for(bs->config, model, via->config));
}

struct model_budget *budgets_find_unlimited(struct budgets *bs, struct provider *via, const struct payer *payer,
                                            struct slice model)
{
    return find(bs, via, payer, model, NULL);
}

struct model_budget *budgets_find_limited(struct budgets *bs, struct provider *via, const struct payer *payer,
                                          struct slice model)
{
    const struct config_model *entry = config_model_for(bs->config, model, via->config);

    return has_limits(entry) ? find(bs, via, payer, model, entry) : NULL;
}

/* 401 and 403 say that it is none, and so do some answers of 400. */
void budgets_saw_answer(struct model_budget *b, int status)
{
    if (b->account && (status < 400 || status == 429))
        b->account->proven = true;
}

const char *budgets_kind(const struct model_budget *b)
{
    return b->of_entry ? "entry" : b->is_rest ? "rest" : "model";
}

struct budget *budgets_of_account(const struct model_budget *b)
{
    return b->account ? b->account->budget : b->provider->budget;
}

/* ---- reloads ---- */

static const struct config_model *entry_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->model_count; i++) {
        if (strcmp(c->models[i]->name, name) == 0)
            return c->models[i];
    }
    return NULL;
}

/* Whether calls to that provider have windows of their own credential now, as this budget says. */
static bool has_its_scope(const struct model_budget *b)
{
    const struct provider *via = b->provider;

    return (b->account != NULL) == (via->config->scope == CONFIG_SCOPE_KEY && !provider_has_key(via));
}

/* An entry that lost its limits lets its calls go; one that is gone altogether leaves them their limits. */
static void apply_to(struct budgets *bs, struct model_budget *b)
{
    const struct config_model *entry;

    if (b->provider->retired) {
        b->retired = true;
        return;
    }
    entry = b->of_entry ? entry_named(bs->config, b->name)
                        : config_model_for(bs->config, slice_str(b->name), b->provider->config);
    b->retired = b->of_entry != has_limits(entry) || !has_its_scope(b);
    if (entry && b->of_entry == has_limits(entry))
        give(bs, b, entry);
    gate_budget_polite(bs->gate, b->budget, polite_of(entry), expected_classes(bs->config));
}

void budgets_apply(struct budgets *bs, const struct config *next)
{
    bs->config = next;
    LIST_EACH (&bs->all, node, node_next)
        apply_to(bs, LIST_ENTRY(node, struct model_budget, link));
}

bool budgets_wants_sweep(const struct budgets *bs, int64_t now_us)
{
    return map_count(&bs->by_key) >= BUDGETS_MAX && now_us >= bs->swept_us + CLOCK_S;
}

static bool is_idle(const struct model_budget *b)
{
    return b->budget->line.n == 0 && b->budget->in_flight == 0;
}

/* Forgetting it loses nothing. What a credential holds that no provider has taken was never charged there. */
static bool remembers_nothing(struct model_budget *b, int64_t now_us)
{
    if (b->account && !b->account->proven)
        return is_idle(b);
    return budget_is_forgettable(b->budget, now_us) && purse_is_forgettable(&b->purse, now_us) &&
           (!b->account || budget_is_forgettable(b->account->budget, now_us));
}

static bool may_go(struct model_budget *b, bool full, int64_t now_us)
{
    bool made_by_callers = b->account || !b->of_entry;

    return !b->named && (b->retired || (full && made_by_callers)) && remembers_nothing(b, now_us);
}

static void forget(struct budgets *bs, struct model_budget *b)
{
    struct account *a = b->account;

    map_remove(&bs->by_key, slice_str(b->key));
    gate_budget_free(bs->gate, b->budget);
    free_budget(b);
    if (a && --a->budgets == 0)
        accounts_free(&bs->accounts, a, bs->gate);
}

void budgets_sweep(struct budgets *bs, int64_t now_us)
{
    bool full = map_count(&bs->by_key) >= BUDGETS_MAX;

    bs->swept_us = now_us;
    LIST_EACH (&bs->all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (may_go(b, full, now_us))
            forget(bs, b);
        else
            b->provider->named = true;
    }
}

bool budgets_is_past(const struct model_budget *b)
{
    return b->retired && b->budget->line.n == 0 && b->budget->in_flight == 0;
}

struct share *budgets_share(struct model_budget *b, const struct client *client)
{
    struct share *share = map_get(&b->shares, slice_str(client->name));

    if (!share) {
        share = xcalloc(1, sizeof *share);
        list_init(&share->link);
        share->budget = b;
        share->client = client;
        map_set(&b->shares, slice_str(client->name), share);
    }
    return share;
}

void budgets_count_held(struct share *share, enum ticket_class class, int sign)
{
    if (share->held == 0)
        list_push_back(&share->budget->waiting, &share->link);
    share->held += sign;
    if (share->held == 0)
        list_unlink(&share->link);
    share->held_of[class] += sign;
}
