/* probe: a thread a provider, so that one that does not answer does not keep the others waiting. */
#include "metergate/tool/probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/tool/ask.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/url.h"

#define TIMEOUT_MS 30000

struct probe_kind {
    const char *dialect, *path, *header;
    struct {
        const char *variable, *prefix;
    } keys[2]; /* the first that is set */
};

static const struct probe_kind kinds[] = {
    {"openai", "/v1/models", NULL, {{"OPENAI_API_KEY", "Authorization: Bearer "}}},
    {"anthropic",
     "/v1/models?limit=1",
     "anthropic-version: 2023-06-01",
     {{"ANTHROPIC_API_KEY", "x-api-key: "}, {"ANTHROPIC_AUTH_TOKEN", "Authorization: Bearer "}}},
    {"gemini",
     "/v1beta/models?pageSize=1",
     NULL,
     {{"GOOGLE_API_KEY", "x-goog-api-key: "}, {"GEMINI_API_KEY", "x-goog-api-key: "}}},
    {"azure", "/openai/models?api-version=2024-10-21", NULL, {{"AZURE_OPENAI_API_KEY", "api-key: "}}},
    {"ollama", "/api/version", NULL, {{NULL, NULL}}},
};

static const struct probe_kind *kind_of(struct slice upstream)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(kinds); i++) {
        if (doc_is(upstream, "dialect", kinds[i].dialect))
            return &kinds[i];
    }
    return NULL;
}

static bool is_private(const struct client *client)
{
    struct url u;

    return address_unix_path(&client->address) ||
           (url_read(slice_str(client->address.text), &u) == 0 && (u.tls || url_host_is_loopback(u.host)));
}

/* A client token that stands in the place of a key is the daemon's, and no provider's. */
static bool may_send(const struct probe *p, const char *variable)
{
    struct secret key;
    struct errbuf unsaid;
    bool may;

    secret_init(&key);
    may = secret_from_env(&key, variable, &unsaid) == 0 &&
          !(p->client->token && secret_is_set(p->client->token) &&
            secret_equals(&key, secret_expose(p->client->token)));
    secret_release(&key);
    return may;
}

static void choose_key(struct probe *p)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(p->kind->keys) && !p->key; i++) {
        const char *variable = p->kind->keys[i].variable;

        if (variable && may_send(p, variable))
            p->key = variable;
        else if (!p->missing_key)
            p->missing_key = variable;
    }
}

/* The header line with the key. */
static void add_key(const struct probe *p, struct buf *line)
{
    const char *value = getenv(p->key);

    MG_ASSERT(buf_reserve(line, SECRET_MAX + 64) == 0); /* no copies of it are left behind */
    for (size_t i = 0; i < MG_ARRAY_LEN(p->kind->keys); i++) {
        if (p->kind->keys[i].variable && strcmp(p->kind->keys[i].variable, p->key) == 0)
            buf_add_str(line, p->kind->keys[i].prefix);
    }
    buf_add_str(line, value ? value : "");
}

static void *ask_one(void *arg)
{
    struct probe *p = arg;
    const char *headers[3] = {NULL};
    struct client_request r = {.path = p->path.p, .headers = headers, .timeout_ms = TIMEOUT_MS};
    int64_t start_us = clock_now_us();
    struct buf line;
    size_t n = 0;

    buf_init(&line, BUF_UNLIMITED);
    if (p->kind->header)
        headers[n++] = p->kind->header;
    if (p->key) {
        add_key(p, &line);
        headers[n++] = line.p;
    }
    p->rc = client_call(p->client, &r, &p->answer, &p->error);
    p->took_us = clock_now_us() - start_us;
    p->wall_us = clock_wall_us();
    buf_release_secret(&line);
    return NULL;
}

/* One more, with a key only where it is the first of its dialect. */
static void add(struct probes *ps, const struct client *client, struct slice upstream, bool with_key)
{
    struct probe *p = &ps->v[ps->n++];

    *p = (struct probe){.client = client, .kind = kind_of(upstream), .name = doc_plain(upstream, "name")};
    buf_init(&p->path, BUF_UNLIMITED);
    buf_add_char(&p->path, '/');
    ask_add_part(&p->path, p->name);
    buf_add_str(&p->path, p->kind->path);
    if (with_key)
        choose_key(p);
}

static bool has_kind(const struct probes *ps, const struct probe_kind *kind)
{
    for (size_t i = 0; i < ps->n; i++) {
        if (ps->v[i].kind == kind)
            return true;
    }
    return false;
}

void probes_ask(struct probes *ps, const struct client *client, struct slice status)
{
    pthread_t threads[PROBES_MAX];
    bool started[PROBES_MAX];
    struct doc_list list;
    struct slice upstream;

    *ps = (struct probes){.n = 0};
    doc_list_begin(&list, status, "upstreams");
    while (doc_list_next(&list, &upstream)) {
        const struct probe_kind *kind = kind_of(upstream);

        if (ps->n == PROBES_MAX || !kind || doc_is(upstream, "name", ""))
            ps->left_out++;
        else
            add(ps, client, upstream, !has_kind(ps, kind) && is_private(client));
    }
    for (size_t i = 0; i < ps->n; i++) {
        started[i] = pthread_create(&threads[i], NULL, ask_one, &ps->v[i]) == 0;
        if (!started[i])
            (void)ask_one(&ps->v[i]);
    }
    for (size_t i = 0; i < ps->n; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
    }
}

void probes_release(struct probes *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        free(ps->v[i].name);
        buf_release(&ps->v[i].path);
        if (ps->v[i].rc == 0)
            client_answer_release(&ps->v[i].answer);
    }
    ps->n = 0;
}
