/* settings: a key that is not in a table is an error: a test with a typing mistake must not pass. */
#include "settings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#define NO_LIMITS                                                                                            \
    {                                                                                                        \
        .window_ms = 60000, .day_ms = 86400000                                                               \
    }

void settings_init(struct settings *s)
{
    *s = (struct settings){.retry_after = true, .rate_limit_headers = true, .any.limits = NO_LIMITS};
}

enum kind {
    KIND_INT,
    KIND_BOOL,
    KIND_CHOICE /* an enum, by the words of `words` */
};

struct key {
    const char *name;
    size_t at;
    enum kind kind;
    const char *const *words; /* NULL at the end */
};

static const char *const limiters[] = {"rolling", "bucket", "fixed", NULL};
static const char *const chargings[] = {"actual", "openai", "azure", "gemini", "groq", NULL};
static const char *const families[] = {"auto", "openai", "anthropic", "groq", "azure", "venice", "none", "gemini", NULL};
static const char *const wordings[] = {"own", "plain", "bare", NULL};
static const char *const scopes[] = {"account", "key", NULL};

#define LIMIT_KEY(name, field)                                                                               \
    {                                                                                                        \
        name, offsetof(struct limits_config, field), KIND_INT, NULL                                          \
    }

/* Of a model and of a pool. */
static const struct key limit_keys[] = {
    LIMIT_KEY("rpm", max[METRIC_REQUESTS]),
    LIMIT_KEY("tpm", max[METRIC_TOKENS]),
    LIMIT_KEY("itpm", max[METRIC_INPUT]),
    LIMIT_KEY("otpm", max[METRIC_OUTPUT]),
    LIMIT_KEY("rpd", max[METRIC_DAY_REQUESTS]),
    LIMIT_KEY("tpd", max[METRIC_DAY_TOKENS]),
    LIMIT_KEY("concurrent", concurrent),
    LIMIT_KEY("window_ms", window_ms),
    LIMIT_KEY("day_ms", day_ms),
    LIMIT_KEY("rpm_slice_ms", rpm_slice_ms),
    {"limiter", offsetof(struct limits_config, limiter), KIND_CHOICE, limiters},
};

#define MODEL_KEY(name, kind)                                                                                \
    {                                                                                                        \
        #name, offsetof(struct model_config, name), kind, NULL                                               \
    }
#define MODEL_CHOICE(name, words)                                                                            \
    {                                                                                                        \
        #name, offsetof(struct model_config, name), KIND_CHOICE, words                                       \
    }

#define PRICE_KEY(name, rate)                                                                                \
    {                                                                                                        \
        name, offsetof(struct model_config, tariff.rate), KIND_INT, NULL                                     \
    }

static const struct key model_keys[] = {
    MODEL_CHOICE(charging, chargings),
    MODEL_CHOICE(headers, families),
    MODEL_CHOICE(refusal_style, wordings),
    MODEL_KEY(refund, KIND_BOOL),
    MODEL_KEY(first_byte_ms, KIND_INT),
    MODEL_KEY(event_ms, KIND_INT),
    MODEL_KEY(out, KIND_INT),
    MODEL_KEY(tokenizer_percent, KIND_INT),
    MODEL_KEY(noise_percent, KIND_INT),
    PRICE_KEY("price_input", input),
    PRICE_KEY("price_cached", cached),
    PRICE_KEY("price_written", written),
    PRICE_KEY("price_written_1h", written_1h),
    PRICE_KEY("price_output", output),
};

#define FOREIGN_KEY(name)                                                                                    \
    {                                                                                                        \
        #name, offsetof(struct foreign, name), KIND_INT, NULL                                                \
    }

static const struct key foreign_keys[] = {FOREIGN_KEY(tokens), FOREIGN_KEY(output), FOREIGN_KEY(requests),
                                          FOREIGN_KEY(every_ms), FOREIGN_KEY(times)};

#define TOP_KEY(name, kind)                                                                                  \
    {                                                                                                        \
        #name, offsetof(struct settings, name), kind, NULL                                                   \
    }

static const struct key top_keys[] = {
    TOP_KEY(retry_after, KIND_BOOL),
    TOP_KEY(retry_after_ms, KIND_BOOL),
    TOP_KEY(rate_limit_headers, KIND_BOOL),
    TOP_KEY(obfuscation, KIND_BOOL),
    TOP_KEY(keepalive_ms, KIND_INT),
    TOP_KEY(max_calls, KIND_INT),
    {"scope", offsetof(struct settings, scope), KIND_CHOICE, scopes},
};

#define FAULT_KEY(name)                                                                                      \
    {                                                                                                        \
        #name, offsetof(struct fault, name), KIND_INT, NULL                                                  \
    }

static const struct key fault_keys[] = {FAULT_KEY(skip), FAULT_KEY(every), FAULT_KEY(next)};

/* Every enum that can be chosen is as wide as an int. */
static int read_choice(void *field, const char *const *words, const cJSON *node)
{
    for (int i = 0; cJSON_IsString(node) && words[i]; i++)
        if (strcmp(node->valuestring, words[i]) == 0) {
            memcpy(field, &i, sizeof i);
            return 0;
        }
    return -EINVAL;
}

static int read_value(void *field, const struct key *key, const cJSON *node)
{
    switch (key->kind) {
    case KIND_INT:
        if (!cJSON_IsNumber(node) || node->valuedouble < 0 || node->valuedouble > 1e12 ||
            floor(node->valuedouble) < node->valuedouble)
            return -EINVAL;
        *(int64_t *)field = (int64_t)node->valuedouble;
        return 0;
    case KIND_BOOL:
        if (!cJSON_IsBool(node))
            return -EINVAL;
        *(bool *)field = cJSON_IsTrue(node);
        return 0;
    case KIND_CHOICE:
        break;
    }
    return read_choice(field, key->words, node);
}

/* 0 when the key is in the table and its value good; -ENOENT when it is not in the table. */
static int read_key(void *base, const struct key *keys, size_t n, const cJSON *node, struct errbuf *e)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, node->string) != 0)
            continue;
        if (read_value((char *)base + keys[i].at, &keys[i], node) == 0)
            return 0;
        err_set(e, "a bad value for \"%s\"", node->string);
        return -EINVAL;
    }
    err_set(e, "no key is called \"%s\"", node->string);
    return -ENOENT;
}

static int check_limits(const struct limits_config *l, struct errbuf *e)
{
    if (l->window_ms > 0 && l->day_ms > 0)
        return 0;
    err_set(e, "window_ms and day_ms must be positive");
    return -EINVAL;
}

/* Replaces it as a whole. */
static int read_foreign(struct foreign *f, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    *f = (struct foreign){0};
    if (!cJSON_IsObject(json)) {
        err_set(e, "\"foreign\" must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
        if (read_key(f, foreign_keys, MG_ARRAY_LEN(foreign_keys), node, e) < 0)
            return -EINVAL;
    if (f->output <= f->tokens && (f->every_ms > 0 || f->tokens == 0))
        return 0;
    err_set(e, "foreign use wants an every_ms, and no more output than tokens");
    return -EINVAL;
}

static int read_model(struct model_config *config, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "a model's entry must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
    {
        int rc;

        if (strcmp(node->string, "foreign") == 0)
            rc = read_foreign(&config->foreign, node, e);
        else
            rc = read_key(&config->limits, limit_keys, MG_ARRAY_LEN(limit_keys), node, e);
        if (rc == -ENOENT)
            rc = read_key(config, model_keys, MG_ARRAY_LEN(model_keys), node, e);
        if (rc < 0)
            return -EINVAL;
    }
    return check_limits(&config->limits, e);
}

static struct named_model *entry(struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_models; i++)
        if (strcmp(s->models[i].name, name) == 0)
            return &s->models[i];
    if (s->n_models == SETTINGS_MODELS)
        return NULL;
    snprintf(s->models[s->n_models].name, sizeof s->models[0].name, "%s", name);
    s->models[s->n_models].config = (struct model_config){.limits = NO_LIMITS};
    return &s->models[s->n_models++];
}

static int read_models(struct settings *s, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "\"models\" must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
    {
        struct named_model *m;

        if (strcmp(node->string, "*") == 0) {
            if (read_model(&s->any, node, e) < 0)
                return -EINVAL;
            continue;
        }
        m = entry(s, node->string);
        if (!m) {
            err_set(e, "too many models");
            return -EINVAL;
        }
        if (read_model(&m->config, node, e) < 0)
            return -EINVAL;
    }
    return 0;
}

/* Copies a string into an array that has room for it. */
static int read_text(char *field, size_t size, const cJSON *node, struct errbuf *e)
{
    if (!cJSON_IsString(node) || strlen(node->valuestring) >= size) {
        err_set(e, "a bad text%s%s", node->string ? " for " : "", node->string ? node->string : "");
        return -EINVAL;
    }
    snprintf(field, size, "%s", node->valuestring);
    return 0;
}

static int read_fault(struct fault *f, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;
    struct plan plan;
    int rc = 0;

    *f = (struct fault){.every = 1, .next = -1};
    if (!cJSON_IsObject(json)) {
        err_set(e, "a fault must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
    {
        if (strcmp(node->string, "fault") == 0)
            rc = read_text(f->text, sizeof f->text, node, e);
        else if (strcmp(node->string, "model") == 0)
            rc = read_text(f->model, sizeof f->model, node, e);
        else if (strcmp(node->string, "path") == 0)
            rc = read_text(f->path, sizeof f->path, node, e);
        else
            rc = read_key(f, fault_keys, MG_ARRAY_LEN(fault_keys), node, e);
        if (rc < 0)
            return -EINVAL;
    }
    if (f->every < 1 || !f->text[0]) {
        err_set(e, "a fault wants \"fault\" and an \"every\" of at least 1");
        return -EINVAL;
    }
    plan_init(&plan);
    return plan_add(&plan, slice_str(f->text), e);
}

static int read_faults(struct settings *s, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    s->n_faults = 0;
    cJSON_ArrayForEach(node, json)
    {
        if (s->n_faults == SETTINGS_FAULTS) {
            err_set(e, "too many faults");
            return -EINVAL;
        }
        if (read_fault(&s->faults[s->n_faults], node, e) < 0)
            return -EINVAL;
        s->n_faults++;
    }
    return 0;
}

static int read_api_keys(struct settings *s, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    s->n_api_keys = 0;
    cJSON_ArrayForEach(node, json)
    {
        if (s->n_api_keys == SETTINGS_KEYS) {
            err_set(e, "too many api_keys");
            return -EINVAL;
        }
        if (read_text(s->api_keys[s->n_api_keys], sizeof s->api_keys[0], node, e) < 0)
            return -EINVAL;
        s->n_api_keys++;
    }
    return 0;
}

/* ---- pools ---- */

static int read_share(struct named_pool *p, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    p->n_models = 0;
    if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) > SETTINGS_SHARE) {
        err_set(e, "a pool's \"models\" must be a list of at most %d", SETTINGS_SHARE);
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
        if (read_text(p->models[p->n_models++], sizeof p->models[0], node, e) < 0)
            return -EINVAL;
    return 0;
}

static int read_pool(struct named_pool *p, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "a pool's entry must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
    {
        int rc = strcmp(node->string, "models") == 0
                     ? read_share(p, node, e)
                     : read_key(&p->limits, limit_keys, MG_ARRAY_LEN(limit_keys), node, e);

        if (rc < 0)
            return -EINVAL;
    }
    return check_limits(&p->limits, e);
}

static struct named_pool *pool_entry(struct settings *s, const char *name)
{
    struct named_pool *p = s->pools;

    while (p < s->pools + s->n_pools && strcmp(p->name, name) != 0)
        p++;
    if (p == s->pools + s->n_pools) {
        if (s->n_pools == SETTINGS_POOLS)
            return NULL;
        s->n_pools++;
        *p = (struct named_pool){.limits = NO_LIMITS};
        snprintf(p->name, sizeof p->name, "%s", name);
    }
    return p;
}

static int read_pools(struct settings *s, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "\"pools\" must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
    {
        struct named_pool *p = pool_entry(s, node->string);

        if (!p) {
            err_set(e, "too many pools");
            return -EINVAL;
        }
        if (read_pool(p, node, e) < 0)
            return -EINVAL;
    }
    return 0;
}

/* ---- all together ---- */

static int read_top(struct settings *s, const cJSON *node, struct errbuf *e)
{
    if (strcmp(node->string, "models") == 0)
        return read_models(s, node, e);
    if (strcmp(node->string, "pools") == 0)
        return read_pools(s, node, e);
    if (strcmp(node->string, "faults") == 0)
        return read_faults(s, node, e);
    if (strcmp(node->string, "api_keys") == 0)
        return read_api_keys(s, node, e);
    return read_key(s, top_keys, MG_ARRAY_LEN(top_keys), node, e) < 0 ? -EINVAL : 0;
}

int settings_merge(struct settings *s, const struct cJSON *json, struct errbuf *e)
{
    struct settings next = *s;
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "the configuration is not a JSON object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
        if (read_top(&next, node, e) < 0)
            return -EINVAL;
    *s = next;
    return 0;
}

static const struct named_model *match(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_models; i++)
        if (strcmp(name, s->models[i].name) == 0)
            return &s->models[i];
    for (size_t i = 0; i < s->n_models; i++) {
        size_t n = strlen(s->models[i].name);

        if (strncmp(name, s->models[i].name, n) == 0 && name[n] == '-' && name[n + 1] == '2')
            return &s->models[i];
    }
    return NULL;
}

const struct model_config *settings_model(const struct settings *s, const char *name)
{
    const struct named_model *m = match(s, name);

    return m ? &m->config : &s->any;
}

const char *settings_account(const struct settings *s, const char *name)
{
    const struct named_model *m = match(s, name);

    return m ? m->name : name;
}

const struct named_pool *settings_pool(const struct settings *s, const char *account)
{
    for (size_t i = 0; i < s->n_pools; i++)
        for (size_t k = 0; k < s->pools[i].n_models; k++)
            if (slice_glob(slice_str(account), s->pools[i].models[k]))
                return &s->pools[i];
    return NULL;
}
