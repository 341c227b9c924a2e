/*
 * environment: the SDKs do not agree on whether a base URL ends in /v1, so each variable has its own suffix.
 *
 * GOOGLE_VERTEX_BASE_URL is left out: Metergate has no upstream for Vertex, and a path such as
 * /v1/projects/... would carry a Google credential to the upstream of /v1. A program that uses Vertex goes
 * there directly.
 */
#include "metergate/tool/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/user.h"

#define CLIENT_NAME_MAX 64

static const struct base_url base_urls[] = {
    {"OPENAI_BASE_URL", "/v1"},     /* OpenAI's SDKs, the AI SDK, LangChain, LiteLLM, llm */
    {"OPENAI_API_BASE", "/v1"},     /* LangChain, LlamaIndex, LiteLLM, aider */
    {"ANTHROPIC_BASE_URL", ""},     /* Anthropic's SDKs, Claude Code, the AI SDK (which asks for /messages) */
    {"ANTHROPIC_API_URL", ""},      /* LangChain JS */
    {"ANTHROPIC_API_BASE", ""},     /* LiteLLM */
    {"GOOGLE_GEMINI_BASE_URL", ""}, /* Google's Gen AI SDKs */
    {"GEMINI_API_BASE", "/v1beta"}, /* LiteLLM, which asks for /models/MODEL:generateContent */
};

/* Of OpenAI's SDKs for Azure, and of LiteLLM. */
static const struct base_url azure_urls[] = {{"AZURE_OPENAI_ENDPOINT", ""}, {"AZURE_API_BASE", ""}};

/*
 * What else a program does differently once its base URL is not its provider's own, and how that is undone. Nothing here
 * replaces what the user has set.
 */
static const struct {
    const char *name, *value;
} settings[] = {
    /* Claude Code offers the tools of MCP servers all at once, instead of searching for them, when ANTHROPIC_BASE_URL is
     * not Anthropic's: a proxy might not pass on what the search needs. Metergate passes on all. */
    {"ENABLE_TOOL_SEARCH", "true"},
};

const struct base_url *environment_base_url(size_t i)
{
    return i < MG_ARRAY_LEN(base_urls) ? &base_urls[i] : NULL;
}

const struct base_url *environment_azure_url(size_t i)
{
    return i < MG_ARRAY_LEN(azure_urls) ? &azure_urls[i] : NULL;
}

static bool client_name_ok(const char *name)
{
    size_t n = strlen(name);
    const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return n > 0 && n <= CLIENT_NAME_MAX && strspn(name, allowed) == n && strspn(name, ".") < n;
}

static bool priority_ok(const char *priority)
{
    return strcmp(priority, "high") == 0 || strcmp(priority, "normal") == 0 || strcmp(priority, "low") == 0;
}

static void add(struct environment *env, const char *name, char *value)
{
    MG_ASSERT(env->n < ENVIRONMENT_MAX);
    env->v[env->n++] = (struct variable){name, value};
}

/* The daemon's address with /@CLIENT[:PRIORITY]. */
static char *base_of(const struct address *a, const char *client, const char *priority)
{
    struct buf value;

    buf_init(&value, BUF_UNLIMITED);
    buf_add_str(&value, a->text);
    if (client)
        buf_addf(&value, "/@%s", client);
    if (priority)
        buf_addf(&value, ":%s", priority);
    return buf_take(&value, NULL);
}

static void add_base_url(struct environment *env, const char *name, const char *suffix)
{
    struct buf value;

    buf_init(&value, BUF_UNLIMITED);
    buf_addf(&value, "%s%s", env->base, suffix);
    add(env, name, buf_take(&value, NULL));
}

/* ---- NO_PROXY: a program that has HTTP_PROXY set must not send calls for this machine there
 * ---------------------- */

static bool no_proxy_has(struct slice list, struct slice host)
{
    while (list.n) {
        size_t end = slice_find(list, ',');
        struct slice entry = slice_trim(slice_head(list, end));

        if (slice_eq_nocase(entry, host) || slice_eq(entry, SLICE("*")))
            return true;
        list = slice_skip(list, end + 1);
    }
    return false;
}

static void add_no_proxy(struct environment *env, const char *name, const char *now, struct slice host)
{
    /* ::1 only when it is the daemon's address: older httpx does not start with an IPv6 address in the list
     */
    const struct slice hosts[] = {SLICE("127.0.0.1"), SLICE("localhost"), host};
    struct buf value;

    buf_init(&value, BUF_UNLIMITED);
    buf_add_str(&value, now ? now : "");
    for (size_t i = 0; i < MG_ARRAY_LEN(hosts); i++) {
        if (no_proxy_has(buf_slice(&value), hosts[i]))
            continue;
        if (value.n)
            buf_add_char(&value, ',');
        buf_add_slice(&value, hosts[i]);
    }
    add(env, name, buf_take(&value, NULL));
    buf_release(&value);
}

/* ---- the whole
 * --------------------------------------------------------------------------------------------------- */

static int check(const struct address *a, const char *client, const char *priority, struct errbuf *e)
{
    if (address_unix_path(a))
        err_set(e, "SDKs cannot call a Unix socket: give the daemon a TCP address, and name that");
    else if (client && !client_name_ok(client))
        err_set(e, "a client's name is 1 to 64 letters, digits, '.', '_' or '-'");
    else if (priority && !priority_ok(priority))
        err_set(e, "a priority is high, normal or low");
    else
        return 0;
    return -EINVAL;
}

/* As the daemon calls a connection without a name. */
static void local_user(char *name, size_t size)
{
    char known[USER_NAME_SIZE];

    if (user_name(geteuid(), known) == 0 && client_name_ok(known))
        snprintf(name, size, "%s", known);
    else
        snprintf(name, size, "uid-%u", (unsigned)geteuid());
}

/* ANTHROPIC_API_KEY and GEMINI_API_KEY stay unset: a key in the environment makes some programs forget the
 * account that they are logged in with. */
static void add_token(struct environment *env, struct slice token)
{
    const char *now = getenv("METERGATE_TOKEN"), *key = getenv("OPENAI_API_KEY");

    if (token.n == 0)
        return;
    if (!now || !slice_eq(token, slice_str(now)))
        add(env, "METERGATE_TOKEN", xstrndup(token.p, token.n));
    if (!key || !*key)
        add(env, "OPENAI_API_KEY", xstrndup(token.p, token.n));
}

int environment_init(struct environment *env, const struct address *a, const char *client,
                     const char *priority, const struct secret *token, struct errbuf *e)
{
    const char *upper = getenv("NO_PROXY"), *lower = getenv("no_proxy");
    int rc = check(a, client, priority, e);

    if (rc < 0)
        return rc;
    if (client)
        snprintf(env->client, sizeof env->client, "%s", client);
    else
        local_user(env->client, sizeof env->client);
    if (priority)
        client = env->client;
    env->n = 0;
    env->base = base_of(a, client, priority);
    for (size_t i = 0; i < MG_ARRAY_LEN(base_urls); i++)
        add_base_url(env, base_urls[i].name, base_urls[i].suffix);
    add(env, "METERGATE_URL", xstrdup(a->text));
    for (size_t i = 0; i < MG_ARRAY_LEN(settings); i++) {
        if (!getenv(settings[i].name))
            add(env, settings[i].name, xstrdup(settings[i].value));
    }
    add_token(env, secret_expose(token));
    /* programs read one or the other: where one is missing, it must not hide what the other says */
    add_no_proxy(env, "NO_PROXY", upper ? upper : lower, address_host(a));
    add_no_proxy(env, "no_proxy", lower ? lower : upper, address_host(a));
    return 0;
}

void environment_add_azure(struct environment *env)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(azure_urls); i++)
        add_base_url(env, azure_urls[i].name, azure_urls[i].suffix);
}

void environment_release(struct environment *env)
{
    for (size_t i = 0; i < env->n; i++)
        free(env->v[i].value);
    free(env->base);
    env->base = NULL;
    env->n = 0;
}
