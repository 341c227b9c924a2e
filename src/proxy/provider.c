/*
 * provider: each is on `all` from its making to its end, and has a share of the configuration that its
 * settings are in. Calls and budgets point to providers; a provider is freed when none does
 * (providers_sweep), or at the very end.
 */
#include "metergate/proxy/provider.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "metergate/config/models.h"

static const char *dialect_name(enum config_dialect d)
{
    switch (d) {
    case CONFIG_ANTHROPIC:
        return "anthropic";
    case CONFIG_GEMINI:
        return "gemini";
    case CONFIG_AZURE:
        return "azure";
    case CONFIG_OLLAMA:
        return "ollama";
    case CONFIG_OPENAI:
    default:
        return "openai";
    }
}

static enum profile profile_of(enum config_counting counting)
{
    static const enum profile profiles[] = {
        [CONFIG_COUNTING_ACTUAL] = PROFILE_ACTUAL,       [CONFIG_COUNTING_OPENAI] = PROFILE_OPENAI,
        [CONFIG_COUNTING_ANTHROPIC] = PROFILE_ANTHROPIC, [CONFIG_COUNTING_GEMINI] = PROFILE_GEMINI,
        [CONFIG_COUNTING_AZURE] = PROFILE_AZURE,         [CONFIG_COUNTING_GROQ] = PROFILE_GROQ,
    };

    return profiles[counting];
}

/* ---- what can fail
 * ----------------------------------------------------------------------------------------------------- */

static struct file_stamp stamp_of(const char *path)
{
    struct stat st;

    if (!path[0] || stat(path, &st) < 0)
        return (struct file_stamp){0};
    return (struct file_stamp){.device = st.st_dev, .inode = st.st_ino, .changed = st.st_ctim};
}

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Of another dialect it is another provider: nothing that waits for the one could be sent to the other. */
static struct provider *find_named(const struct providers *ps, const struct config_upstream *u)
{
    LIST_EACH (&ps->all, node, next) {
        struct provider *p = LIST_ENTRY(node, struct provider, link);

        if (strcmp(p->config->name, u->name) == 0 && p->config->dialect == u->dialect)
            return p;
    }
    return NULL;
}

/* Reading trust roots takes tens of milliseconds of the loop's time: an unchanged file is not read again. */
static int plan_one(struct provider_need *need, const struct provider *p, const struct config_upstream *u,
                    struct errbuf *e)
{
    need->stamp = stamp_of(u->ca_file);
    need->keep_trust = p && same_stamp(&need->stamp, &p->trust_stamp);
    if (need->keep_trust || !u->ca_file[0])
        return 0;
    return trust_new(u->ca_file, &need->trust, e);
}

int providers_plan(const struct providers *ps, const struct config *next, struct providers_plan *ret,
                   struct errbuf *e)
{
    *ret = (struct providers_plan){.v = xcalloc(next->upstream_count, sizeof *ret->v),
                                   .n = next->upstream_count};
    for (size_t i = 0; i < ret->n; i++) {
        const struct provider *p = find_named(ps, next->upstreams[i]);
        int rc = plan_one(&ret->v[i], p, next->upstreams[i], e);

        if (rc < 0)
            return rc;
        ret->trusts_change |= p && !ret->v[i].keep_trust;
    }
    return 0;
}

void providers_plan_release(struct providers_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++)
        trust_free(plan->v[i].trust);
    free(plan->v);
    *plan = (struct providers_plan){0};
}

/* ---- what cannot
 * ---------------------------------------------------------------------------------------------------------
 */

static struct provider *add(struct providers *ps, const struct config_upstream *u, struct gate *g)
{
    struct provider *p = xcalloc(1, sizeof *p);

    list_init(&p->link);
    list_push_back(&ps->all, &p->link);
    p->dialect = dialect_by_name(slice_str(dialect_name(u->dialect)));
    MG_ASSERT(p->dialect);
    p->budget = gate_budget_new(g, u->name, 0, NULL, 0);
    p->reachable = true;
    return p;
}

/*
 * libcurl's sentences name hosts and ports, but some repeat an address as it was given ("Unsupported proxy syntax in
 * 'http://user:password@host'").
 */
void provider_name_problem(struct provider *p, struct slice why)
{
    if (slice_find(why, '@') < why.n || slice_find(why, '?') < why.n)
        why = SLICE("the connection failed; the log says why");
    why = slice_head(why, sizeof p->problem - 1);
    if (why.n)
        memcpy(p->problem, why.p, why.n);
    p->problem[why.n] = '\0';
}

/* What was learned of the server at one address says nothing of another. */
static void forget_server(struct provider *p, struct gate *g)
{
    p->reachable = true;
    p->problem[0] = '\0';
    p->health = (struct health){0};
    gate_probe_end(g, p->budget);
    p->refuses_usage_option = false;
    p->says_done = false;
}

static void set_config(struct provider *p, struct config *next, const struct config_upstream *u,
                       struct gate *g)
{
    const struct limit concurrent = {
        .metric = METRIC_CONCURRENT, .max = u->max_concurrent, .key = "max_concurrent"};
    struct config *last = p->whole;

    if (p->config && strcmp(p->config->base_url, u->base_url) != 0)
        forget_server(p, g);
    p->whole = config_keep(next);
    p->config = u;
    config_free(last);
    p->retired = false;
    p->profile = profile_of(u->counting);
    gate_budget_update(g, p->budget, (int)next->headroom_permille, &concurrent,
                       u->max_concurrent > 0 ? 1 : 0);
}

void providers_init(struct providers *ps)
{
    list_init(&ps->all);
}

void providers_apply(struct providers *ps, struct config *next, struct providers_plan *plan, struct gate *g,
                     void (*drop)(void *ctx, struct trust *t), void *ctx)
{
    MG_ASSERT(plan->n == next->upstream_count);
    LIST_EACH (&ps->all, node, node_next)
        LIST_ENTRY(node, struct provider, link)->retired = true;
    for (size_t i = 0; i < plan->n; i++) {
        const struct config_upstream *u = next->upstreams[i];
        struct provider *p = find_named(ps, u);

        if (!p)
            p = add(ps, u, g);
        set_config(p, next, u, g);
        list_push_back(&ps->all, &p->link);
        if (plan->v[i].keep_trust)
            continue;
        if (p->trust)
            drop(ctx, p->trust);
        p->trust = plan->v[i].trust;
        p->trust_stamp = plan->v[i].stamp;
        plan->v[i].trust = NULL;
    }
}

static void free_provider(struct provider *p)
{
    list_unlink(&p->link);
    trust_free(p->trust);
    config_free(p->whole);
    free(p);
}

void providers_sweep(struct providers *ps, struct gate *g, int64_t now_us)
{
    LIST_EACH (&ps->all, node, next) {
        struct provider *p = LIST_ENTRY(node, struct provider, link);

        if (!p->retired || p->named || !budget_is_forgettable(p->budget, now_us))
            continue;
        gate_budget_free(g, p->budget);
        free_provider(p);
    }
}

void providers_release(struct providers *ps)
{
    LIST_EACH (&ps->all, node, next)
        free_provider(LIST_ENTRY(node, struct provider, link));
}

struct provider *providers_find(const struct providers *ps, const struct config_upstream *upstream)
{
    LIST_EACH (&ps->all, node, next) {
        struct provider *p = LIST_ENTRY(node, struct provider, link);

        if (p->config == upstream)
            return p;
    }
    return NULL;
}

struct provider *providers_of_model(const struct providers *ps, const struct config *config,
                                    struct slice model, const struct dialect *d)
{
    const struct config_model *entry = config_model_for(config, model, NULL);

    if (entry && entry->upstream)
        return providers_find(ps, entry->upstream);
    for (size_t i = 0; i < config->upstream_count; i++) {
        struct provider *via = providers_find(ps, config->upstreams[i]);

        if (via->dialect == d)
            return via;
    }
    return NULL;
}

bool provider_has_key(const struct provider *p)
{
    return secret_is_set(&p->config->api_key);
}

struct http_header provider_key(const struct provider *p, const struct dialect *spoken)
{
    const struct secret *key = &p->config->api_key;

    return (struct http_header){slice_str(spoken->key_header),
                                spoken->key_prefix[0] ? secret_bearer(key) : secret_expose(key)};
}

/* All parameters but `key`, Google's way to carry a credential in the address. */
static void add_without_key(struct slice query, struct buf *out)
{
    char before = '?';

    while (query.n) {
        size_t end = slice_find(query, '&');
        struct slice pair = slice_head(query, end);

        query = slice_skip(query, end + 1);
        if (slice_eq(slice_head(pair, slice_find(pair, '=')), SLICE("key")))
            continue;
        buf_add_char(out, before);
        buf_add_slice(out, pair);
        before = '&';
    }
}

void provider_url(const struct provider *p, struct slice path, struct slice query, bool without_key,
                  struct buf *out)
{
    buf_add_str(out, p->config->base_url);
    if (p->config->dialect == CONFIG_OPENAI) {
        if (slice_starts(path, SLICE("/v1")) && (path.n == 3 || path.p[3] == '/'))
            path = slice_skip(path, 3);
    } else if (slice_eq(path, SLICE("/messages"))) {
        buf_add_str(out, "/v1");
    } else if (p->config->dialect == CONFIG_AZURE && slice_starts(path, SLICE("/v1/deployments/"))) {
        buf_add_str(out, "/openai");
        path = slice_skip(path, 3);
    }
    buf_add_slice(out, path);
    if (without_key && p->config->dialect == CONFIG_GEMINI) {
        add_without_key(query, out);
    } else if (query.p) {
        buf_add_char(out, '?');
        buf_add_slice(out, query);
    }
}
