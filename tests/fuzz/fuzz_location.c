/*
 * fuzz_location: wherever a provider sends its client, libcurl, which reads addresses as clients do, is led by what we make of it
 * either to the path here by which that provider is reached, or to the host that the provider meant, and never to another path
 * here. The first byte picks the configuration; the rest is a Location.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "metergate/proxy/location.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define HERE      "http://127.0.0.1:4283/claude/v1/models/x"
#define HERE_PORT "4283"

/* One configuration: base_url, the address that was called, the upstream, /@CLIENT:PRIORITY and the Host. */
static const struct {
    const char *base_url, *url, *upstream, *client, *priority, *here;
    bool takes_v1;
    const char *prefix; /* of each path here that it may be led to */
    const char *host;   /* of the provider */
} rows[] = {
    {"https://api.corp.example/llm/v7", "https://api.corp.example/llm/v7/models/x?q", "corp", "", "", "127.0.0.1:4283", true,
     "/corp/v1", "api.corp.example"},
    {"http://127.0.0.1:9/", "http://127.0.0.1:9/v1/messages", "claude", "nightly", "low", "proxy.lan", false,
     "/@nightly:low/claude/", "127.0.0.1"},
    {"https://api.openai.com/v1", "https://api.openai.com/v1/files", "openai", "a", "", "localhost:4283", true, "/@a/openai/v1",
     "api.openai.com"},
};

static struct location_context context_of(size_t row)
{
    return (struct location_context){.base_url = slice_str(rows[row].base_url),
                                     .url = slice_str(rows[row].url),
                                     .upstream = slice_str(rows[row].upstream),
                                     .takes_v1 = rows[row].takes_v1,
                                     .client = slice_str(rows[row].client),
                                     .priority = slice_str(rows[row].priority),
                                     .host = slice_str(rows[row].here),
                                     .port = 4283};
}

/* Where libcurl is from `base` by `reference`; all owned. */
struct place {
    char *host, *port, *path;
};

static void release(struct place *p)
{
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->path);
}

static bool go(const char *base, const char *reference, struct place *ret)
{
    CURLU *u = curl_url();
    bool ok;

    MG_ASSERT(u);
    *ret = (struct place){0};
    ok = curl_url_set(u, CURLUPART_URL, base, CURLU_PATH_AS_IS) == CURLUE_OK &&
         curl_url_set(u, CURLUPART_URL, reference, CURLU_PATH_AS_IS) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_HOST, &ret->host, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_PATH, &ret->path, 0) == CURLUE_OK;
    curl_url_cleanup(u);
    return ok;
}

static void check_text(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        MG_ASSERT(s.p[i] > 0x20 && s.p[i] < 0x7f && s.p[i] != '\\');
}

static void check(size_t row, const char *value)
{
    const struct location_context c = context_of(row);
    struct place client, provider;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    if (!location_for_client(slice_str(value), &c, &out)) {
        MG_ASSERT(out.n == 0);
        return;
    }
    check_text(buf_slice(&out));
    if (go(HERE, out.p, &client)) {
        bool is_here = out.p[0] == '/';

        MG_ASSERT(is_here == (strcmp(client.port, HERE_PORT) == 0));
        MG_ASSERT(!is_here || (strcmp(client.host, "127.0.0.1") == 0 &&
                               strncmp(client.path, rows[row].prefix, strlen(rows[row].prefix)) == 0));
        MG_ASSERT(!strstr(client.path, "/../") && !strstr(client.path, "/./"));
        if (go(rows[row].url, value, &provider))
            MG_ASSERT(strcasecmp(provider.host, is_here ? rows[row].host : client.host) == 0);
        release(&provider);
    }
    release(&client);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data + (n > 0), n - (n > 0));
    char *value;

    if (n < 2)
        return 0;
    text = slice_trim(slice_head(text, slice_find(text, '\0'))); /* as a header's value is */
    value = strndup(text.p, text.n);
    MG_ASSERT(value);
    check(data[0] % MG_ARRAY_LEN(rows), value);
    free(value);
    return 0;
}
