/*
 * entries: a problem stands at the value that it is about where the file has one, else at the entry's key.
 * Values of options that were refused are unset or have their defaults here, and are not complained of again.
 */
#include "metergate/config/entries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/file.h"
#include "metergate/config/check.h"
#include "metergate/config/credential.h"
#include "metergate/config/models.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"

#define OPENAI_BASE_URL    "https://api.openai.com/v1"
#define ANTHROPIC_BASE_URL "https://api.anthropic.com"
#define GEMINI_BASE_URL    "https://generativelanguage.googleapis.com"
#define OLLAMA_BASE_URL    "http://127.0.0.1:11434"

#define CA_FILE_MAX ((size_t)16 << 20)

#define ERROR_AT(problems, node, ...) problems_error(problems, (node)->line, (node)->column, __VA_ARGS__)

/* ---- upstreams ---- */

/* An upstream that is named like a dialect speaks it, unless the file says otherwise. */
static enum config_dialect dialect_of_name(const char *name)
{
    int index = check_word(table_find(SLICE("upstreams.*.dialect"))->choices, slice_str(name));

    return index < 0 ? CONFIG_OPENAI : (enum config_dialect)index;
}

/* How the provider that the dialect is named after charges. */
static enum config_counting usual_counting(enum config_dialect dialect)
{
    static const enum config_counting rows[] = {
        [CONFIG_OPENAI] = CONFIG_COUNTING_OPENAI, [CONFIG_ANTHROPIC] = CONFIG_COUNTING_ANTHROPIC,
        [CONFIG_GEMINI] = CONFIG_COUNTING_GEMINI, [CONFIG_AZURE] = CONFIG_COUNTING_AZURE,
        [CONFIG_OLLAMA] = CONFIG_COUNTING_ACTUAL,
    };

    return rows[dialect];
}

struct config_upstream *entries_new_upstream(struct config *c, struct slice name, int line)
{
    struct config_upstream *u = xcalloc(1, sizeof *u);

    u->name = xstrndup(name.p, name.n);
    u->line = line;
    secret_init(&u->api_key);
    value_set_defaults(TABLE_IN_UPSTREAM, u);
    u->dialect = dialect_of_name(u->name);
    c->upstreams = xrealloc((void *)c->upstreams, (c->upstream_count + 1) * sizeof(struct config_upstream *));
    c->upstreams[c->upstream_count++] = u;
    return u;
}

/* What programs of all three can be pointed at without a file. */
void entries_add_upstreams(struct config *c)
{
    static const struct {
        const char *name, *base_url;
    } built_in[] = {
        {"openai", OPENAI_BASE_URL}, {"anthropic", ANTHROPIC_BASE_URL}, {"gemini", GEMINI_BASE_URL}};

    for (size_t i = 0; i < MG_ARRAY_LEN(built_in); i++) {
        struct config_upstream *u;

        if (config_upstream_named(c, slice_str(built_in[i].name)))
            continue;
        u = entries_new_upstream(c, slice_str(built_in[i].name), 0);
        u->base_url = xstrdup(built_in[i].base_url);
        u->counting = usual_counting(u->dialect);
    }
}

static void load_key(struct config_upstream *u, const struct yaml_node *api_key, struct problems *problems)
{
    const struct credential_source from = {u->api_key_env, u->api_key_file, u->api_key_credential};
    char path[96];

    snprintf(path, sizeof path, "upstreams.%s.api_key", u->name);
    (void)!credential_load(&u->api_key, &from, path, api_key, problems); /* what is wrong is among the problems */
}

/* As far as one can tell without parsing certificates; the daemon parses them when it puts the file to use.
 */
static void check_ca_file(const struct config_upstream *u, const struct yaml_node *node,
                          struct problems *problems)
{
    static const char *const marks[] = {"-----BEGIN CERTIFICATE-----", "-----BEGIN X509 CERTIFICATE-----",
                                        "-----BEGIN TRUSTED CERTIFICATE-----"};
    bool found = false;
    struct errbuf e;
    struct buf pem;

    buf_init(&pem, CA_FILE_MAX);
    if (file_read(u->ca_file, &pem, &e) < 0) {
        ERROR_AT(problems, node, "upstreams.%s.ca_file: cannot be read: %s", u->name, e.text);
        found = true;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(marks) && pem.n; i++)
        found = found || memmem(pem.p, pem.n, marks[i], strlen(marks[i]));
    if (!found)
        ERROR_AT(problems, node,
                 "upstreams.%s.ca_file: has no CA certificate in PEM form (-----BEGIN CERTIFICATE-----)",
                 u->name);
    buf_release(&pem);
}

/* The base URL of an upstream that has the name of its dialect; NULL: there is none that all use. */
static const char *usual_base_url(const struct config_upstream *u)
{
    static const struct {
        const char *name, *base_url;
    } rows[] = {
        [CONFIG_OPENAI] = {"openai", OPENAI_BASE_URL}, [CONFIG_ANTHROPIC] = {"anthropic", ANTHROPIC_BASE_URL},
        [CONFIG_GEMINI] = {"gemini", GEMINI_BASE_URL}, [CONFIG_AZURE] = {"azure", NULL},
        [CONFIG_OLLAMA] = {"ollama", OLLAMA_BASE_URL},
    };

    return strcmp(u->name, rows[u->dialect].name) == 0 ? rows[u->dialect].base_url : NULL;
}

/* Without this, a base URL as another SDK would be given would send every call to a path that is not there.
 */
static void check_base_url(struct config_upstream *u, const struct yaml_node *key,
                           const struct yaml_node *map, struct problems *problems)
{
    static const struct {
        const char *example;   /* of an upstream of that dialect */
        const char *begins[2]; /* what the caller's path brings along, and the base URL must not end in */
    } rows[] = {
        [CONFIG_OPENAI] = {"https://api.example.com/v1", {NULL, NULL}},
        [CONFIG_ANTHROPIC] = {ANTHROPIC_BASE_URL, {"/v1", NULL}},
        [CONFIG_GEMINI] = {GEMINI_BASE_URL, {"/v1beta", "/v1"}},
        [CONFIG_AZURE] = {"https://RESOURCE.openai.azure.com", {"/openai", "/openai/v1"}},
        [CONFIG_OLLAMA] = {OLLAMA_BASE_URL, {"/api", "/v1"}},
    };
    const char *usual = usual_base_url(u);

    if (!u->base_url && !yaml_get(map, "base_url") && usual)
        u->base_url = xstrdup(usual);
    else if (!u->base_url && !yaml_get(map, "base_url"))
        ERROR_AT(problems, key,
                 "upstreams.%s wants a base_url: what the provider's own SDK would be given, such as %s",
                 u->name, rows[u->dialect].example);
    for (size_t i = 0; u->base_url && i < MG_ARRAY_LEN(rows[0].begins); i++) {
        const char *end = rows[u->dialect].begins[i];

        if (end && slice_ends(slice_str(u->base_url), slice_str(end)))
            ERROR_AT(problems, yaml_get(map, "base_url"),
                     "upstreams.%s.base_url: ends in %s, which the caller's path brings along: write the "
                     "address without it, such as %s",
                     u->name, end, rows[u->dialect].example);
    }
}

void entries_check_upstream(struct config_upstream *u, const struct yaml_node *key,
                            const struct yaml_node *map, struct problems *problems)
{
    if (map->kind != YAML_MAP && !yaml_is_null(map))
        return; /* one sentence about it is enough */
    if (!yaml_get(map, "counting"))
        u->counting = usual_counting(u->dialect);
    check_base_url(u, key, map, problems);
    if (u->ca_file[0])
        check_ca_file(u, yaml_get(map, "ca_file"), problems);
    load_key(u, yaml_get(map, "api_key"), problems);
}

/* ---- models ---- */

struct config_model *entries_new_model(struct config *c, struct slice name, int line)
{
    struct config_model *m = xcalloc(1, sizeof *m);

    m->name = xstrndup(name.p, name.n);
    m->line = line;
    value_set_defaults(TABLE_IN_MODEL, m);
    c->models = xrealloc((void *)c->models, (c->model_count + 1) * sizeof(struct config_model *));
    c->models[c->model_count++] = m;
    return m;
}

static const char *nearest_upstream(const struct config *c, const char *name)
{
    const char *best = NULL;
    unsigned best_distance = 3;

    for (size_t i = 0; i < c->upstream_count; i++) {
        unsigned distance = table_distance(slice_str(name), slice_str(c->upstreams[i]->name), 2);

        if (distance < best_distance) {
            best = c->upstreams[i]->name;
            best_distance = distance;
        }
    }
    return best;
}

static void check_model_upstream(struct config *c, struct config_model *m, const struct yaml_node *node,
                                 struct problems *problems)
{
    const char *nearest;
    struct buf known;

    if (!m->upstream_name)
        return;
    m->upstream = config_upstream_named(c, slice_str(m->upstream_name));
    if (m->upstream && m->upstream->dialect == CONFIG_OLLAMA && m->limit_count + m->money_count > 0)
        ERROR_AT(problems, node,
                 "models.%s.upstream: calls of dialect ollama are limited by the max_concurrent of \"%s\" "
                 "alone, and this limit would not be enforced; for limits on its models give it dialect: "
                 "openai and a base_url that ends in /v1",
                 SHOW(slice_str(m->name)), m->upstream_name);
    if (m->upstream)
        return;
    nearest = nearest_upstream(c, m->upstream_name);
    buf_init(&known, BUF_UNLIMITED);
    for (size_t i = 0; i < c->upstream_count; i++)
        buf_addf(&known, "%s%s", i ? ", " : "", c->upstreams[i]->name);
    ERROR_AT(problems, node, "models.%s.upstream: there is no upstream \"%s\"; %s%s%s",
             SHOW(slice_str(m->name)), SHOW(slice_str(m->upstream_name)),
             nearest ? "did you mean \"" : "there are ", nearest ? nearest : known.p, nearest ? "\"?" : "");
    buf_release(&known);
}

/* What the entry matches by: its globs, or the key alone. */
static size_t pattern_count(const struct config_model *m)
{
    return m->match.n ? m->match.n : 1;
}

static const char *pattern_at(const struct config_model *m, size_t i)
{
    return m->match.n ? m->match.v[i] : m->name;
}

static bool has_pattern(const struct config_model *m, const char *pattern, size_t before)
{
    for (size_t i = 0; i < pattern_count(m) && i < before; i++) {
        if (strcmp(pattern_at(m, i), pattern) == 0)
            return true;
    }
    return false;
}

/* Whether every call that could reach `m` is offered to `before` first. */
static bool hides(const struct config_model *before, const struct config_model *m)
{
    return !before->upstream || (m->upstream && m->upstream->dialect == before->upstream->dialect);
}

/* A pattern that stands in an entry before, or twice in this one. */
static bool report_twins(const struct config *c, const struct config_model *m, const struct yaml_node *key,
                         const struct yaml_node *match, struct problems *problems)
{
    bool found = false;

    for (size_t i = 0; i < pattern_count(m); i++) {
        const struct yaml_node *node =
            match && match->kind == YAML_LIST && match->n == m->match.n ? match->children[i] : key;
        const char *pattern = pattern_at(m, i);

        for (size_t j = 0; j < c->model_count; j++) {
            const struct config_model *before = c->models[j];

            if ((before != m && !hides(before, m)) ||
                !has_pattern(before, pattern, before == m ? i : (size_t)-1))
                continue;
            found = true;
            if (before != m && strcmp(before->name, m->name) == 0)
                break; /* reported where keys are compared */
            ERROR_AT(problems, node, "models.%s: \"%s\" is matched by models.%s already, line %d",
                     SHOW(slice_str(m->name)), SHOW(slice_str(pattern)), SHOW(slice_str(before->name)),
                     before->line);
            break;
        }
    }
    return found;
}

/* The entry before `m` that takes all names of the pattern, as far as one can tell from the patterns; or
 * NULL. */
static const struct config_model *taker(const struct config *c, const struct config_model *m,
                                        const char *pattern)
{
    for (size_t i = 0; i < c->model_count && c->models[i] != m; i++) {
        const struct config_model *before = c->models[i];

        if (!hides(before, m))
            continue;
        if (has_pattern(before, "*", (size_t)-1))
            return before;
        if (!models_is_glob(pattern) && models_matches(before, slice_str(pattern)))
            return before;
    }
    return NULL;
}

static void warn_if_never_reached(const struct config *c, const struct config_model *m,
                                  const struct yaml_node *key, struct problems *problems)
{
    const struct config_model *before = taker(c, m, pattern_at(m, 0));

    for (size_t i = 1; before && i < pattern_count(m); i++)
        before = taker(c, m, pattern_at(m, i));
    if (!before)
        return;
    problems_warn(problems, key->line, key->column,
                  "models.%s: never reached; models.%s in line %d matches its names first",
                  SHOW(slice_str(m->name)), SHOW(slice_str(before->name)), before->line);
}

void entries_check_model(struct config *c, const struct yaml_node *key, const struct yaml_node *map,
                         struct problems *problems)
{
    struct config_model *m = c->models[c->model_count - 1];
    struct errbuf e;

    if (m->match.n == 0 && models_is_glob(m->name) && check_glob(slice_str(m->name), &e) < 0)
        ERROR_AT(problems, key, "models.%s: %s", SHOW(slice_str(m->name)), e.text);
    check_model_upstream(c, m, yaml_get(map, "upstream"), problems);
    for (size_t i = 0; i < m->limit_count; i++) /* 200 a day are not one each seven minutes */
        m->limits[i].smooth = m->smooth && strcmp(m->limits[i].key, "rpm") == 0;
    if (!report_twins(c, m, key, yaml_get(map, "match"), problems))
        warn_if_never_reached(c, m, key, problems);
}

/* Without one of them, a name that no entry matches would have no budget to be counted in. */
void entries_add_models(struct config *c)
{
    for (size_t i = 0; i < c->model_count; i++) {
        if (!c->models[i]->upstream_name && has_pattern(c->models[i], "*", (size_t)-1))
            return;
    }
    entries_new_model(c, SLICE("*"), 0)->learn = true;
}

/* ---- prices ---- */

struct config_price *entries_new_price(struct config *c, struct slice name, int line)
{
    struct config_price *p;

    c->prices = xrealloc(c->prices, (c->price_count + 1) * sizeof *c->prices);
    p = &c->prices[c->price_count++];
    *p = (struct config_price){.name = xstrndup(name.p, name.n), .long_above = -1, .line = line};
    for (size_t i = 0; i < RATES; i++)
        p->rates.pico[i] = p->long_rates.pico[i] = PRICE_UNKNOWN;
    return p;
}

void entries_check_price(struct config *c, const struct yaml_node *key, const struct yaml_node *map,
                         struct problems *problems)
{
    const struct config_price *p = &c->prices[c->price_count - 1];
    const struct yaml_node *step = yaml_get(map, "long");
    struct errbuf e;

    if (models_is_glob(p->name) && check_glob(slice_str(p->name), &e) < 0)
        ERROR_AT(problems, key, "prices.%s: %s", SHOW(slice_str(p->name)), e.text);
    if (step && step->kind == YAML_MAP && !yaml_get(step, "above"))
        ERROR_AT(problems, step, "prices.%s.long wants above: the input tokens beyond which these prices hold",
                 SHOW(slice_str(p->name)));
    for (size_t i = 0; i + 1 < c->price_count; i++) {
        const struct config_price *before = &c->prices[i];

        if (strcmp(before->name, "*") != 0 &&
            (models_is_glob(p->name) || !models_key_matches(before->name, slice_str(p->name))))
            continue;
        problems_warn(problems, key->line, key->column,
                      "prices.%s: never used; prices.%s in line %d matches its names first",
                      SHOW(slice_str(p->name)), SHOW(slice_str(before->name)), before->line);
        break;
    }
}

/* ---- clients ---- */

struct config_client *entries_new_client(struct config *c, struct slice name, int line)
{
    struct config_client *client = xcalloc(1, sizeof *client);

    client->name = xstrndup(name.p, name.n);
    client->line = line;
    client->max_wait_us = -1;
    value_set_defaults(TABLE_IN_CLIENT, client);
    c->clients.v = xrealloc((void *)c->clients.v, (c->clients.n + 1) * sizeof(struct config_client *));
    c->clients.v[c->clients.n++] = client;
    return client;
}

static int check_token(const struct config *c, struct slice token, struct errbuf *e)
{
    const struct config_client *twin = config_client_of_token(c, token);

    if (token.n < CONFIG_TOKEN_MIN) {
        err_set(e,
                "the token is shorter than %d characters and could be guessed; make one with: openssl rand "
                "-hex 24",
                CONFIG_TOKEN_MIN);
        return -EINVAL;
    }
    if (twin) {
        err_set(e, "clients.%s in line %d has the same token", twin->name, twin->line);
        return -EEXIST;
    }
    return 0;
}

void entries_check_client(struct config *c, const struct yaml_node *map, struct problems *problems)
{
    struct config_client *client = c->clients.v[c->clients.n - 1];
    const struct credential_source from = {client->token_env, client->token_file, client->token_credential};
    const struct yaml_node *node = yaml_get(map, "token");
    struct secret token;
    struct errbuf e;
    char path[96];

    secret_init(&token);
    snprintf(path, sizeof path, "clients.%s.token", client->name);
    if (credential_load(&token, &from, path, node, problems) == 0 && secret_is_set(&token)) {
        if (check_token(c, secret_expose(&token), &e) < 0)
            ERROR_AT(problems, credential_node(&from, node), "%s: %s", path, e.text);
        client->token = secret_fingerprint_of(secret_expose(&token));
        client->has_token = true;
    }
    secret_release(&token);
}
