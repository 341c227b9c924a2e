/* budgets: every model_budget is on `all` and in by_key, owned by the table, and never freed before it. */
#include "metergate/proxy/budgets.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/config/models.h"
#include "metergate/proxy/clients.h"

void budgets_init(struct budgets *bs, const struct config *config, struct gate *g)
{
    *bs = (struct budgets){.config = config, .gate = g};
    map_init(&bs->by_key);
    list_init(&bs->all);
}

static void free_value(void *arg, struct slice key, void *value)
{
    (void)arg;
    (void)key;
    free(value);
}

static void free_budget(struct model_budget *b)
{
    map_each(&b->shares, free_value, NULL);
    map_release(&b->shares);
    for (size_t i = 0; i < b->model_count; i++)
        free(b->models[i]);
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
}

static struct model_budget *add(struct budgets *bs, struct slice key, struct provider *via, struct slice name,
                                const struct config_model *entry)
{
    struct model_budget *b = xcalloc(1, sizeof *b);

    b->key = xstrndup(key.p, key.n);
    b->name = xstrndup(name.n ? name.p : "", name.n);
    b->provider = via;
    b->of_entry = entry && entry->limit_count > 0;
    b->budget = gate_budget_new(bs->gate, b->name, (int)bs->config->headroom_permille,
                                entry ? entry->limits : NULL, entry ? entry->limit_count : 0);
    map_init(&b->shares);
    list_init(&b->link);
    list_push_back(&bs->all, &b->link);
    map_set(&bs->by_key, key, b);
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

/* `entry` is NULL where nothing of the configuration limits the model. */
static struct model_budget *find(struct budgets *bs, struct provider *via, struct slice model,
                                 const struct config_model *entry)
{
    bool own_limits = entry && entry->limit_count > 0;
    struct slice name = own_limits ? slice_str(entry->name) : model.n ? model : SLICE("*");
    struct model_budget *b;
    struct buf key;

    if (!own_limits && map_count(&bs->by_key) >= BUDGETS_MAX)
        name = SLICE("other");
    buf_init(&key, BUF_UNLIMITED);
    buf_addf(&key, "%s:%d%c", via->config->name, (int)via->config->dialect, own_limits ? '=' : '/');
    buf_add_slice(&key, name);
    b = map_get(&bs->by_key, buf_slice(&key));
    if (!b)
        b = add(bs, buf_slice(&key), via, name, entry);
    b->retired = false;
    buf_release(&key);
    remember_model(b, model);
    return b;
}

struct model_budget *budgets_find(struct budgets *bs, struct provider *via, struct slice model)
{
    return find(bs, via, model, config_model_for(bs->config, model, via->config));
}

struct model_budget *budgets_find_unlimited(struct budgets *bs, struct provider *via, struct slice model)
{
    return find(bs, via, model, NULL);
}

struct model_budget *budgets_find_limited(struct budgets *bs, struct provider *via, struct slice model)
{
    const struct config_model *entry = config_model_for(bs->config, model, via->config);

    return entry && entry->limit_count > 0 ? budgets_find(bs, via, model) : NULL;
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

/* An entry that lost its limits lets its calls go; one that is gone altogether leaves them their limits. */
static void apply_to(struct budgets *bs, struct model_budget *b)
{
    const struct config_model *entry;
    int headroom = (int)bs->config->headroom_permille;

    if (b->provider->retired) {
        b->retired = true;
        return;
    }
    entry = b->of_entry ? entry_named(bs->config, b->name)
                        : config_model_for(bs->config, slice_str(b->name), b->provider->config);
    b->retired = b->of_entry != (entry && entry->limit_count > 0);
    if (b->of_entry && entry)
        gate_budget_update(bs->gate, b->budget, headroom, entry->limits, entry->limit_count);
}

void budgets_apply(struct budgets *bs, const struct config *next)
{
    bs->config = next;
    LIST_EACH (&bs->all, node, node_next)
        apply_to(bs, LIST_ENTRY(node, struct model_budget, link));
}

void budgets_sweep(struct budgets *bs, int64_t now_us)
{
    LIST_EACH (&bs->all, node, next) {
        struct model_budget *b = LIST_ENTRY(node, struct model_budget, link);

        if (!b->retired || b->named || !budget_is_forgettable(b->budget, now_us)) {
            b->provider->named = true;
            continue;
        }
        map_remove(&bs->by_key, slice_str(b->key));
        gate_budget_free(bs->gate, b->budget);
        free_budget(b);
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
        share->client = client;
        map_set(&b->shares, slice_str(client->name), share);
    }
    return share;
}
