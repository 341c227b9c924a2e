/* provider: v is never moved after providers_init, so calls may point into it. */
#include "metergate/proxy/provider.h"

#include <stdlib.h>

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

static int init_one(struct provider *p, const struct config_upstream *config, int headroom_permille, struct gate *g,
                    struct errbuf *e)
{
    const struct limit concurrent = {.metric = METRIC_CONCURRENT, .max = config->max_concurrent};

    p->config = config;
    p->dialect = dialect_by_name(slice_str(dialect_name(config->dialect)));
    if (!p->dialect)
        p->dialect = dialect_by_name(SLICE("openai"));
    p->profile = config->counting;
    p->reachable = true;
    p->budget = gate_budget_new(g, config->name, headroom_permille, &concurrent, config->max_concurrent > 0 ? 1 : 0);
    buf_init(&p->authorization, BUF_UNLIMITED);
    if (secret_is_set(&config->api_key)) {
        MG_ASSERT(buf_reserve(&p->authorization, 7 + secret_expose(&config->api_key).n) == 0); /* no copies left behind */
        buf_add_str(&p->authorization, "Bearer ");
        buf_add_slice(&p->authorization, secret_expose(&config->api_key));
    }
    if (config->ca_file[0])
        return trust_new(config->ca_file, &p->trust, e);
    return 0;
}

int providers_init(struct providers *ps, const struct config *config, struct gate *g, struct errbuf *e)
{
    ps->n = 0;
    ps->v = xcalloc(config->upstream_count, sizeof *ps->v);
    for (size_t i = 0; i < config->upstream_count; i++) {
        int rc = init_one(&ps->v[ps->n++], config->upstreams[i], (int)config->headroom_permille, g, e);

        if (rc < 0) {
            providers_release(ps);
            return rc;
        }
    }
    return 0;
}

void providers_release(struct providers *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        trust_free(ps->v[i].trust);
        buf_release_secret(&ps->v[i].authorization);
    }
    free(ps->v);
    ps->v = NULL;
    ps->n = 0;
}

struct provider *providers_find(const struct providers *ps, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < ps->n; i++) {
        if (ps->v[i].config == upstream)
            return &ps->v[i];
    }
    return NULL;
}

void provider_url(const struct provider *p, struct slice path, struct slice query, struct buf *out)
{
    buf_add_str(out, p->config->base_url);
    if (p->config->dialect == CONFIG_OPENAI) {
        if (slice_starts(path, SLICE("/v1")) && (path.n == 3 || path.p[3] == '/'))
            path = slice_skip(path, 3);
    } else if (slice_eq(path, SLICE("/messages"))) {
        buf_add_str(out, "/v1");
    }
    buf_add_slice(out, path);
    if (query.p && query.n) {
        buf_add_char(out, '?');
        buf_add_slice(out, query);
    }
}
