/*
 * routes: which provider a request reaches, under which address, and with whose credential. Whatever is
 * asked, the client's own credential reaches at most the provider that its path and headers chose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "heard.h"

enum who { NOBODY = -1, OPENAI, ANTHROPIC, GEMINI, AZURE, OLLAMA, OTHER, WHO };

#define UPSTREAMS                                                                                            \
    "  openai: {base_url: $0/v1%s}\n"                                                                        \
    "  anthropic: {base_url: $1%s}\n"                                                                        \
    "  gemini: {base_url: $2%s}\n"                                                                           \
    "  azure: {base_url: $3%s}\n"                                                                            \
    "  ollama: {base_url: $4%s}\n"                                                                           \
    "  other: {dialect: openai, base_url: $5/some/v7%s}\n"

#define MODELS                                                                                               \
    "models:\n"                                                                                              \
    "  elsewhere: {upstream: other, tpm: 30000}\n"                                                           \
    "  \"*\": {learn: true}\n"

#define CHAT   "{\"model\":\"gpt-4o\",\"messages\":[]}"
#define AWAY   "{\"model\":\"elsewhere\",\"messages\":[]}"
#define CLAUDE "{\"model\":\"claude-opus-5\",\"max_tokens\":9,\"messages\":[]}"
#define ASK    "{\"contents\":[]}"
#define MINE   "sk-the-clients-own-secret"
#define BEARER "Authorization: Bearer " MINE "\r\n"

struct row {
    const char *line, *headers, *body;
    enum who who;
    const char *as; /* the request line that the provider sees, without its version */
};

/* Every row of the table of paths, and what stands in the way between them. */
static const struct row rows[] = {
    {"POST /v1/chat/completions", BEARER, CHAT, OPENAI, "POST /v1/chat/completions"},
    {"POST /@nightly/v1/chat/completions", BEARER, CHAT, OPENAI, "POST /v1/chat/completions"},
    {"POST /@nightly:low/other/v1/chat/completions", BEARER, CHAT, OTHER, "POST /some/v7/chat/completions"},
    {"GET /v1/models?limit=2", BEARER, NULL, OPENAI, "GET /v1/models?limit=2"},
    {"POST /v1/responses", BEARER, "{\"model\":\"gpt-4o\",\"input\":\"x\"}", OPENAI, "POST /v1/responses"},
    {"POST /other/v1/chat/completions?x=1", BEARER, CHAT, OTHER, "POST /some/v7/chat/completions?x=1"},
    {"POST /other/chat/completions", BEARER, CHAT, OTHER, "POST /some/v7/chat/completions"},
    {"POST /openai/v1/chat/completions", BEARER, CHAT, OPENAI, "POST /v1/chat/completions"},
    {"POST /openai/deployments/mine/chat/completions?api-version=2024-10-21", "api-key: " MINE "\r\n", CHAT,
     AZURE, "POST /openai/deployments/mine/chat/completions?api-version=2024-10-21"},
    {"POST /openai/deployments/mine/chat/completions", BEARER, CHAT, AZURE,
     "POST /openai/deployments/mine/chat/completions"},
    {"POST /v1/deployments/mine/chat/completions?api-version=2024-10-21", "api-key: " MINE "\r\n", CHAT, AZURE,
     "POST /openai/deployments/mine/chat/completions?api-version=2024-10-21"},
    {"POST /openai/v1/responses", "api-key: " MINE "\r\n", "{\"model\":\"m\",\"input\":\"x\"}", AZURE,
     "POST /openai/v1/responses"},
    {"POST /openai/v1/chat/completions?api-version=preview", BEARER, CHAT, AZURE,
     "POST /openai/v1/chat/completions?api-version=preview"},
    {"POST /v1/chat/completions", "api-key: " MINE "\r\n", CHAT, AZURE, "POST /v1/chat/completions"},
    {"POST /v1/messages", "x-api-key: " MINE "\r\nanthropic-version: 2023-06-01\r\n", CLAUDE, ANTHROPIC,
     "POST /v1/messages"},
    {"POST /v1/messages?beta=true", BEARER, CLAUDE, ANTHROPIC, "POST /v1/messages?beta=true"},
    {"POST /messages", "x-api-key: " MINE "\r\n", CLAUDE, ANTHROPIC, "POST /v1/messages"},
    {"POST /v1/messages/count_tokens", "x-api-key: " MINE "\r\n", CLAUDE, ANTHROPIC,
     "POST /v1/messages/count_tokens"},
    {"GET /v1/models", "x-api-key: " MINE "\r\nanthropic-version: 2023-06-01\r\n", NULL, ANTHROPIC,
     "GET /v1/models"},
    {"POST /anthropic/v1/messages", "x-api-key: " MINE "\r\n", CLAUDE, ANTHROPIC, "POST /v1/messages"},
    {"POST /v1beta/models/gemini-2.5-flash:generateContent", "x-goog-api-key: " MINE "\r\n", ASK, GEMINI,
     "POST /v1beta/models/gemini-2.5-flash:generateContent"},
    {"POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=" MINE, "", ASK, GEMINI,
     "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=" MINE},
    {"POST /v1alpha/models/g:generateContent", BEARER, ASK, GEMINI, "POST /v1alpha/models/g:generateContent"},
    {"POST /upload/v1beta/files", "x-goog-api-key: " MINE "\r\n", "file", GEMINI,
     "POST /upload/v1beta/files"},
    {"POST /v1beta/openai/chat/completions", BEARER, CHAT, GEMINI, "POST /v1beta/openai/chat/completions"},
    {"GET /v1/models?key=" MINE, "", NULL, GEMINI, "GET /v1/models?key=" MINE},
    {"POST /api/chat", BEARER, CHAT, OLLAMA, "POST /api/chat"},
    {"GET /api/tags", BEARER, NULL, OLLAMA, "GET /api/tags"},
    {"POST /ollama/v1/chat/completions", BEARER, CHAT, OLLAMA, "POST /v1/chat/completions"},
    {"POST /v1/projects/p/locations/l/publishers/google/models/g:generateContent", BEARER, ASK, NOBODY, NULL},
    {"POST /v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions", BEARER, CHAT, NOBODY, NULL},
    {"POST /other/v1/projects/p", BEARER, CHAT, OTHER, "POST /some/v7/projects/p"},
    {"POST /v2/chat/completions", BEARER, CHAT, NOBODY, NULL},
    {"POST /unknown/v1/chat/completions", BEARER, CHAT, NOBODY, NULL},
};

static struct heard_call ask(struct heard *h, const struct row *row)
{
    char request[1024];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nContent-Type: application/json\r\n%s", row->line,
             row->headers);
    return heard_json(h, request, row->body, "{\"usage\":null}");
}

static void start(struct heard *h, const char *const keys[WHO])
{
    char yaml[1600];
    int n = snprintf(yaml, sizeof yaml, "upstreams:\n" UPSTREAMS MODELS, keys[0], keys[1], keys[2], keys[3],
                     keys[4], keys[5]);

    assert_true(n > 0 && n < (int)sizeof yaml);
    heard_start(h, WHO, yaml);
}

static void assert_line(const struct heard_call *c, const struct row *row)
{
    char line[512];

    if (c->who != (int)row->who)
        fail_msg("%s went to %d: %.*s", row->line, c->who, (int)c->reply.n, c->reply.p);
    if (row->who == NOBODY) {
        assert_int_equal(heard_status(c), 404);
        assert_true(heard_has(&c->reply, "Metergate-Refused: no-route"));
        return;
    }
    snprintf(line, sizeof line, "%s HTTP/1.1\r\n", row->as);
    if (c->request.n < strlen(line) || memcmp(c->request.p, line, strlen(line)) != 0)
        fail_msg("%s arrived as %.*s", row->line, (int)c->request.n, c->request.p);
}

static void test_route__without_keys__the_clients_credential_goes_where_its_path_goes(void **state)
{
    static const char *const none[WHO] = {"", "", "", "", "", ""};
    struct heard h;

    (void)state;
    start(&h, none);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct heard_call c = ask(&h, &rows[i]);

        assert_line(&c, &rows[i]);
        if (rows[i].who != NOBODY) {
            assert_true(heard_has(&c.request, MINE));
            if (rows[i].body)
                assert_true(heard_has(&c.request, rows[i].body));
        }
        heard_release(&c);
    }
    heard_stop(&h);
}

static void test_route__with_keys__the_clients_credential_goes_nowhere(void **state)
{
    static const char *const keys[WHO] = {", api_key: {env: KEY_OF_0}", ", api_key: {env: KEY_OF_1}",
                                          ", api_key: {env: KEY_OF_2}", ", api_key: {env: KEY_OF_3}",
                                          ", api_key: {env: KEY_OF_4}", ", api_key: {env: KEY_OF_5}"};
    static const char *const headers[WHO] = {
        "\r\nAuthorization: Bearer configured-key-0\r\n", "\r\nx-api-key: configured-key-1\r\n",
        "\r\nx-goog-api-key: configured-key-2\r\n",       "\r\napi-key: configured-key-3\r\n",
        "\r\nAuthorization: Bearer configured-key-4\r\n", "\r\nAuthorization: Bearer configured-key-5\r\n"};
    struct heard h;

    (void)state;
    for (int i = 0; i < WHO; i++) {
        char name[16], value[32];

        snprintf(name, sizeof name, "KEY_OF_%d", i);
        snprintf(value, sizeof value, "configured-key-%d", i);
        setenv(name, value, 1);
    }
    start(&h, keys);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        bool openai_at_gemini = strstr(rows[i].line, "/v1beta/openai/") != NULL;
        struct row row = rows[i];
        struct heard_call c;
        char as[512];
        char *key;

        snprintf(as, sizeof as, "%s", row.as ? row.as : "");
        key = strstr(as, "key=" MINE); /* of the query it is taken away, with its separator */
        if (key)
            key[-1] = '\0';
        row.as = as;
        c = ask(&h, &rows[i]);
        assert_line(&c, &row);
        assert_false(heard_has(&c.request, MINE));
        if (openai_at_gemini)
            assert_true(heard_has(&c.request, "\r\nAuthorization: Bearer configured-key-2\r\n"));
        else if (rows[i].who != NOBODY && !heard_has(&c.request, headers[rows[i].who]))
            fail_msg("%s arrived as %.*s", rows[i].line, (int)c.request.n, c.request.p);
        assert_false(heard_has(&c.reply, "configured-key"));
        heard_release(&c);
    }
    heard_stop(&h);
    for (int i = 0; i < WHO; i++) {
        char name[16];

        snprintf(name, sizeof name, "KEY_OF_%d", i);
        unsetenv(name);
    }
}

/* An entry that names another upstream moves a call only with that upstream's own key. */
static void test_route__an_entry_of_another_upstream__never_takes_the_clients_credential_along(void **state)
{
    static const char *const none[WHO] = {"", "", "", "", "", ""};
    static const char *const other[WHO] = {"", "", "", "", "", ", api_key: {env: KEY_OF_5}"};
    static const struct row away = {"POST /v1/chat/completions", BEARER, AWAY, OTHER,
                                    "POST /some/v7/chat/completions"};
    struct heard_call c;
    struct heard h;

    (void)state;
    start(&h, none);
    c = ask(&h, &away);
    assert_int_equal(c.who, NOBODY);
    assert_int_equal(heard_status(&c), 404);
    heard_release(&c);
    heard_stop(&h);
    setenv("KEY_OF_5", "configured-key-5", 1);
    start(&h, other);
    c = ask(&h, &away);
    assert_line(&c, &away);
    assert_false(heard_has(&c.request, MINE));
    assert_true(heard_has(&c.request, "Authorization: Bearer configured-key-5\r\n"));
    heard_release(&c);
    heard_stop(&h);
    unsetenv("KEY_OF_5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__without_keys__the_clients_credential_goes_where_its_path_goes),
        cmocka_unit_test(test_route__with_keys__the_clients_credential_goes_nowhere),
        cmocka_unit_test(test_route__an_entry_of_another_upstream__never_takes_the_clients_credential_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
