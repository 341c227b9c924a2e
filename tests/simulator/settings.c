/* settings: a key that is not in a table is an error: a test with a typing mistake must not pass. */
#include "settings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

void settings_init(struct settings *s)
{
    *s = (struct settings){.retry_after = true, .rate_limit_headers = true};
    s->any.window_ms = 60000;
}

enum kind {
    KIND_INT,
    KIND_BOOL,
    KIND_LIMITER,
    KIND_CHARGING
};

struct key {
    const char *name;
    size_t at;
    enum kind kind;
};

#define MODEL_KEY(name, field, kind)                                                                         \
    {                                                                                                        \
        name, offsetof(struct model_config, field), kind                                                     \
    }

static const struct key model_keys[] = {
    MODEL_KEY("rpm", max[METRIC_REQUESTS], KIND_INT),    MODEL_KEY("tpm", max[METRIC_TOKENS], KIND_INT),
    MODEL_KEY("itpm", max[METRIC_INPUT], KIND_INT),      MODEL_KEY("otpm", max[METRIC_OUTPUT], KIND_INT),
    MODEL_KEY("window_ms", window_ms, KIND_INT),         MODEL_KEY("limiter", limiter, KIND_LIMITER),
    MODEL_KEY("charging", charging, KIND_CHARGING),      MODEL_KEY("refund", refund, KIND_BOOL),
    MODEL_KEY("first_byte_ms", first_byte_ms, KIND_INT), MODEL_KEY("event_ms", event_ms, KIND_INT),
    MODEL_KEY("out", out, KIND_INT),                     MODEL_KEY("rpm_slice_ms", rpm_slice_ms, KIND_INT),
    MODEL_KEY("tokenizer_percent", tokenizer_percent, KIND_INT),
    MODEL_KEY("noise_percent", noise_percent, KIND_INT),
};

#define TOP_KEY(name, kind)                                                                                  \
    {                                                                                                        \
        #name, offsetof(struct settings, name), kind                                                         \
    }

static const struct key top_keys[] = {
    TOP_KEY(retry_after, KIND_BOOL),  TOP_KEY(retry_after_ms, KIND_BOOL), TOP_KEY(rate_limit_headers, KIND_BOOL),
    TOP_KEY(obfuscation, KIND_BOOL),  TOP_KEY(keepalive_ms, KIND_INT),    TOP_KEY(max_calls, KIND_INT),
};

#define FAULT_KEY(name)                                                                                      \
    {                                                                                                        \
        #name, offsetof(struct fault, name), KIND_INT                                                        \
    }

static const struct key fault_keys[] = {FAULT_KEY(skip), FAULT_KEY(every), FAULT_KEY(next)};

/* The place of `word` in a list that ends with NULL, or -1. */
static int choose(const cJSON *node, const char *const *words)
{
    for (int i = 0; cJSON_IsString(node) && words[i]; i++)
        if (strcmp(node->valuestring, words[i]) == 0)
            return i;
    return -1;
}

static int read_value(void *field, enum kind kind, const cJSON *node)
{
    static const char *const limiters[] = {"rolling", "bucket", "fixed", NULL};
    static const char *const chargings[] = {"actual", "openai", "azure", "gemini", NULL};
    int i;

    switch (kind) {
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
    case KIND_LIMITER:
        i = choose(node, limiters);
        if (i < 0)
            return -EINVAL;
        *(enum limiter_kind *)field = (enum limiter_kind)i;
        return 0;
    case KIND_CHARGING:
        break;
    }
    i = choose(node, chargings);
    if (i < 0)
        return -EINVAL;
    *(enum charging *)field = (enum charging)i;
    return 0;
}

/* 0 when the key is in the table and its value good; -ENOENT when it is not in the table. */
static int read_key(void *base, const struct key *keys, size_t n, const cJSON *node, struct errbuf *e)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, node->string) != 0)
            continue;
        if (read_value((char *)base + keys[i].at, keys[i].kind, node) == 0)
            return 0;
        err_set(e, "a bad value for \"%s\"", node->string);
        return -EINVAL;
    }
    err_set(e, "no key is called \"%s\"", node->string);
    return -ENOENT;
}

static int read_model(struct model_config *config, const cJSON *json, struct errbuf *e)
{
    const cJSON *node;

    if (!cJSON_IsObject(json)) {
        err_set(e, "a model's entry must be an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(node, json)
        if (read_key(config, model_keys, MG_ARRAY_LEN(model_keys), node, e) < 0)
            return -EINVAL;
    if (config->window_ms <= 0) {
        err_set(e, "window_ms must be positive");
        return -EINVAL;
    }
    return 0;
}

static struct named_model *entry(struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_models; i++)
        if (strcmp(s->models[i].name, name) == 0)
            return &s->models[i];
    if (s->n_models == SETTINGS_MODELS)
        return NULL;
    snprintf(s->models[s->n_models].name, sizeof s->models[0].name, "%s", name);
    s->models[s->n_models].config = (struct model_config){.window_ms = 60000};
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

static int read_top(struct settings *s, const cJSON *node, struct errbuf *e)
{
    if (strcmp(node->string, "models") == 0)
        return read_models(s, node, e);
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
