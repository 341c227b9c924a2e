/* identity: who is let in, under which name, and that tokens go nowhere. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "metergate/base/user.h"
#include "tool_fixture.h"

#define PLANTED "planted-token-" /* every token begins so: what leaks is found by it */
#define ANAS    PLANTED "ana-0123456789"
#define BOS     PLANTED "bo-0123456789"
#define WRONG   PLANTED "wrong-0123456789"
#define KEY     "sk-of-the-configuration"

#define CHAT                                                                                                 \
    "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

/* The first holds a key, the second does not; the provider takes that key and the callers' own. */
#define KEYS "{\"api_keys\":[\"" KEY "\",\"sk-own\"]}"
#define UPSTREAMS                                                                                            \
    "upstreams:\n"                                                                                           \
    "  keyed: {base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"                               \
    "  bare: {base_url: $SIMULATOR/v1}\n"
#define CLIENTS(more)                                                                                        \
    "clients:\n"                                                                                             \
    "  ana: {token: {env: METERGATE_TEST_ANA}}\n"                                                            \
    "  bo: {token: {file: $DIR/bo.token}, max_wait: 1h}\n"                                                   \
    "  hasty: {max_wait: 1s}\n" more

static void write_token(const struct fixture *f)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/bo.token", f->dir);
    umask(077);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(BOS "\n", file) > 0);
    assert_int_equal(fclose(file), 0);
}

static void start_before(struct fixture *f, const char *provider, const char *yaml)
{
    *f = (struct fixture){0};
    fixture_start_simulator(f, provider, NULL);
    write_token(f);
    setenv("METERGATE_TEST_KEY", KEY, 1);
    setenv("METERGATE_TEST_ANA", ANAS, 1);
    fixture_start_daemon(f, yaml, (const char *const[]){"--log-level", "debug", NULL});
}

static void start(struct fixture *f, const char *yaml)
{
    start_before(f, KEYS, yaml);
}

/* A GET, or with a body a POST, with these header lines. */
static struct client_reply ask(const struct fixture *f, const char *path, const char *body, const char *a,
                               const char *b)
{
    const char *const headers[] = {a, b, NULL};
    char url[256];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_run(&(struct client_call){.url = url, .headers = headers, .body = body});
}

/* The status, the reason of a refusal ("" of none) and the client that it says (NULL: any). */
static void expect(struct client_reply r, int status, const char *refused, const char *client)
{
    const char *why = client_header(&r, "Metergate-Refused"), *name;

    if (r.status != status || strcmp(why ? why : "", refused) != 0)
        fail_msg("got %d %s, want %d %s: %.*s", r.status, why, status, refused, (int)r.body.n, r.body.p);
    name = client_header(&r, "Metergate-Client");
    if (client && (!name || strcmp(name, client) != 0))
        fail_msg("the client is %s, want %s", name, client);
    if (r.body.n && strstr(r.body.p, PLANTED))
        fail_msg("a token in the answer: %s", r.body.p);
    client_reply_release(&r);
}

#define KEYED "/v1/chat/completions"
#define BARE  "/bare/v1/chat/completions"

/* ---- tokens required ---- */

static void test_required__without_a_token__nothing_but_health_is_answered(void **state)
{
    static const char *const paths[] = {
        "/",        "/-/status",    "/metrics",           "/-/nothing",      "/v1/models",
        "/nowhere", "/v1/messages", "/v1beta/models/x:y", "/bare/v1/models", "/@a/-/status"};
    struct fixture f;

    (void)state;
    start(&f, UPSTREAMS CLIENTS("  require_token: true\n"));
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expect(ask(&f, paths[i], NULL, NULL, NULL), 401, "token", NULL);
        expect(ask(&f, paths[i], NULL, "Metergate-Token: " WRONG, NULL), 401, "token", NULL);
        expect(ask(&f, paths[i], NULL, "Authorization: Bearer " WRONG, NULL), 401, "token", NULL);
    }
    expect(ask(&f, KEYED, CHAT, NULL, NULL), 401, "token", NULL);
    expect(ask(&f, "/@ana/v1/chat/completions", CHAT, "Metergate-Client: ana", NULL), 401, "token", NULL);
    expect(ask(&f, "/healthz", NULL, NULL, NULL), 200, "", NULL);
    expect(ask(&f, "/readyz", NULL, NULL, NULL), 200, "", NULL);
    expect(ask(&f, "/@a/healthz", NULL, NULL, NULL), 200, "", NULL);
    fixture_stop(&f);
}

static void test_required__with_a_token__in_every_place_that_is_one(void **state)
{
    static const char *const places[] = {"Metergate-Token: " ANAS, "Authorization: Bearer " ANAS,
                                         "x-api-key: " ANAS, "X-Goog-Api-Key: " ANAS};
    struct fixture f;

    (void)state;
    start(&f, UPSTREAMS CLIENTS("  require_token: true\n"));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        bool google = i == 3; /* on /v1 that header would choose Gemini */

        expect(ask(&f, google ? "/keyed/v1/chat/completions" : KEYED, CHAT, places[i], NULL), 200, "", "ana");
        expect(ask(&f, "/-/status", NULL, places[i], NULL), 200, "", NULL);
        expect(ask(&f, "/metrics", NULL, places[i], NULL), 200, "", NULL);
        expect(ask(&f, "/", NULL, places[i], NULL), 200, "", NULL);
    }
    expect(ask(&f, BARE, CHAT, "Metergate-Token: " BOS, "Authorization: Bearer sk-own"), 200, "", "bo");
    expect(ask(&f, BARE, CHAT, "Authorization: Bearer sk-own", NULL), 401, "token", NULL);
    fixture_stop(&f);
}

static void test_required__the_refusal__says_what_to_send(void **state)
{
    struct client_reply r;
    struct fixture f;
    cJSON *json;

    (void)state;
    start(&f, UPSTREAMS CLIENTS("  require_token: true\n"));
    r = ask(&f, KEYED, CHAT, NULL, NULL);
    assert_int_equal(r.status, 401);
    assert_string_equal(client_header(&r, "WWW-Authenticate"), "Bearer realm=\"metergate\"");
    assert_null(client_header(&r, "Retry-After"));
    json = client_json(&r);
    assert_non_null(strstr(json_text(json, "error.message"), "Metergate-Token header"));
    assert_non_null(json_text(json, "error.type"));
    cJSON_Delete(json);
    client_reply_release(&r);
    r = ask(&f, "/v1/messages", CHAT, "anthropic-version: 2023-06-01", NULL);
    json = client_json(&r);
    assert_int_equal(r.status, 401);
    assert_string_equal(json_text(json, "type"), "error"); /* the shape of the caller's dialect */
    assert_non_null(strstr(json_text(json, "error.message"), "Metergate-Token header"));
    cJSON_Delete(json);
    client_reply_release(&r);
    fixture_stop(&f);
}

/* ---- names ---- */

static void test_names__the_owner_of_a_token__wins_over_path_and_header(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, UPSTREAMS CLIENTS(""));
    expect(ask(&f, "/@bo/v1/chat/completions", CHAT, "Metergate-Token: " ANAS, "Metergate-Client: hasty"),
           200, "", "ana");
    expect(ask(&f, "/@somebody:low/v1/chat/completions", CHAT, "Authorization: Bearer " BOS, NULL), 200, "",
           "bo");
    expect(ask(&f, "/@bad!/v1/chat/completions", CHAT, "Metergate-Token: " ANAS, NULL), 400, "bad-request",
           NULL);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_names__with_a_token__cannot_be_claimed_without_it(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, UPSTREAMS CLIENTS(""));
    expect(ask(&f, "/@ana/v1/chat/completions", CHAT, NULL, NULL), 401, "token", NULL);
    expect(ask(&f, "/@ana/v1/chat/completions", CHAT, "Authorization: Bearer sk-own", NULL), 401, "token",
           NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Client: bo", NULL), 401, "token", NULL);
    expect(ask(&f, "/@ana/v1/chat/completions", CHAT, "Metergate-Client: hasty", NULL), 401, "token", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " WRONG, NULL), 401, "token", NULL);
    expect(ask(&f, "/-/status", NULL, "Metergate-Token: " WRONG, NULL), 401, "token", NULL);
    expect(ask(&f, "/@hasty/v1/chat/completions", CHAT, NULL, NULL), 200, "", "hasty");
    expect(ask(&f, "/@Ana/v1/chat/completions", CHAT, NULL, NULL), 200, "", "Ana");
    expect(ask(&f, KEYED, CHAT, "Authorization: Bearer sk-anything", "Metergate-Client: script"), 200, "",
           "script");
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* test_origin.c says which: USER alone, or a unit or program of his. */
static void test_names__without_any__the_connection_belongs_to_its_user(void **state)
{
    char name[USER_NAME_SIZE];
    const char *client;
    struct client_reply r;
    struct fixture f;

    (void)state;
    if (user_name(geteuid(), name) < 0)
        snprintf(name, sizeof name, "uid-%u", (unsigned)geteuid());
    start(&f, UPSTREAMS);
    r = ask(&f, KEYED, CHAT, NULL, NULL);
    assert_int_equal(r.status, 200);
    client = client_header(&r, "Metergate-Client");
    assert_non_null(client);
    assert_int_equal(strncmp(client, name, strlen(name)), 0);
    assert_true(client[strlen(name)] == '\0' || client[strlen(name)] == '.');
    client_reply_release(&r);
    expect(ask(&f, "/@nightly/v1/chat/completions", CHAT, NULL, NULL), 200, "", "nightly");
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The user's own name may be a client with a token: then even the kernel's word does not do. */
static void test_names__a_user_of_a_clients_name__needs_its_token(void **state)
{
    char name[USER_NAME_SIZE], yaml[256];
    struct fixture f;

    (void)state;
    if (user_name(geteuid(), name) < 0)
        skip();
    snprintf(yaml, sizeof yaml, UPSTREAMS "clients:\n  %s: {token: {env: METERGATE_TEST_ANA}}\n", name);
    start(&f, yaml);
    expect(ask(&f, KEYED, CHAT, NULL, NULL), 401, "token", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, NULL), 200, "", name);
    expect(ask(&f, "/-/status", NULL, NULL, NULL), 200, "", NULL);
    fixture_stop(&f);
}

/* One call a minute: the next has to wait longer than that client may. */
static void test_max_wait__of_a_client__holds_for_its_calls_alone(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;
    char url[128];

    (void)state;
    start(&f, UPSTREAMS "headroom: 0%\nqueue: {max_wait: 5s}\nmodels:\n  gpt-4o: {rpm: 1}\n" CLIENTS(""));
    expect(ask(&f, "/@hasty/v1/chat/completions", CHAT, NULL, NULL), 200, "", "hasty");
    expect(ask(&f, "/@hasty/v1/chat/completions", CHAT, NULL, NULL), 429, "max-wait", NULL);
    expect(ask(&f, "/@hasty/v1/chat/completions", CHAT, "Metergate-Max-Wait: 1h", NULL), 429, "max-wait",
           NULL);
    expect(ask(&f, "/@nobody/v1/chat/completions", CHAT, NULL, NULL), 429, "max-wait", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " BOS, "Metergate-Max-Wait: 1s"), 429, "max-wait", NULL);
    snprintf(url, sizeof url, "%s" KEYED, f.url);
    held = client_start(&(struct client_call){
        .url = url, .headers = (const char *const[]){"Metergate-Token: " BOS, NULL}, .body = CHAT});
    fixture_wait_status(&f, "held", 1); /* his hour is longer than the queue's 5 s */
    client_leave(held);
    r = client_finish(held);
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    start(&f, UPSTREAMS "models:\n  gpt-4o: {rpm: 1}\nclients:\n  never: {max_wait: 0s}\n");
    expect(ask(&f, "/@never/v1/chat/completions", CHAT, NULL, NULL), 200, "", "never");
    expect(ask(&f, "/@never/v1/chat/completions", CHAT, NULL, NULL), 429, "max-wait", NULL);
    fixture_stop(&f);
}

/* ---- where tokens go ---- */

static void test_tokens__never_travel_to_a_provider(void **state)
{
    struct fixture f;
    cJSON *audit;
    char *seen;

    (void)state;
    start(&f, UPSTREAMS CLIENTS(""));
    expect(ask(&f, KEYED, CHAT, "Authorization: Bearer " ANAS, "x-api-key: " BOS), 200, "", "ana");
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, "Authorization: Bearer " BOS), 200, "", "ana");
    expect(ask(&f, "/v1/models", NULL, "Authorization: Bearer " ANAS, NULL), 200, "", "ana");
    expect(ask(&f, BARE, CHAT, "Metergate-Token: " ANAS, "Authorization: Bearer sk-own"), 200, "", "ana");
    expect(ask(&f, BARE, CHAT, "Authorization: Bearer " ANAS, NULL), 401, "token", NULL);
    expect(ask(&f, BARE, CHAT, "Metergate-Token: " ANAS, "x-api-key: " ANAS), 401, "token", NULL);
    expect(ask(&f, "/bare/v1/models", NULL, "Authorization: Bearer " BOS, NULL), 401, "token", NULL);
    expect(ask(&f, "/bare/v1/models", NULL, "Authorization: " BOS, NULL), 401, "token", NULL);
    expect(ask(&f, BARE, CHAT, "api-key: " ANAS, NULL), 401, "token", NULL);
    expect(ask(&f, BARE "?key=" ANAS, CHAT, "Authorization: Bearer sk-own", NULL), 401, "token", NULL);
    audit = fixture_audit(&f);
    seen = cJSON_Print(audit);
    assert_non_null(strstr(seen, KEY)); /* it does show what it saw */
    assert_null(strstr(seen, PLANTED));
    assert_int_equal((int)json_number(audit, "models.gpt-4o.arrivals"), 3);
    free(seen);
    cJSON_Delete(audit);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The call was let in while the upstream had a key, and goes when it has none any more. */
static void test_tokens__of_a_call_that_a_reload_overtakes__do_not_travel(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct fixture f;
    cJSON *audit;
    char url[128], *seen;

    (void)state;
    start_before(&f, NULL,
                 UPSTREAMS "headroom: 0%\nmodels:\n  gpt-4o: {rpm: 1}\n" CLIENTS("")); /* it takes any key */
    expect(ask(&f, KEYED, CHAT, NULL, NULL), 200, "", NULL);
    snprintf(url, sizeof url, "%s" KEYED, f.url);
    held = client_start(&(struct client_call){
        .url = url, .headers = (const char *const[]){"Authorization: Bearer " ANAS, NULL}, .body = CHAT});
    fixture_wait_status(&f, "held", 1);
    fixture_write_config(&f,
                         "upstreams:\n  keyed: {base_url: $SIMULATOR/v1}\nmodels:\n  gpt-4o: {rpm: 100}\n");
    process_signal(f.daemon, SIGHUP);
    r = client_finish(held);
    expect(r, 200, "", "ana");
    audit = fixture_audit(&f);
    seen = cJSON_Print(audit);
    assert_int_equal((int)json_number(audit, "models.gpt-4o.arrivals"), 2);
    assert_null(strstr(seen, PLANTED));
    free(seen);
    cJSON_Delete(audit);
    fixture_stop(&f);
}

static void assert_not_in_answer(const struct fixture *f, const char *path)
{
    struct client_reply r = ask(f, path, NULL, "Metergate-Token: " ANAS, NULL);

    assert_int_equal(r.status, 200);
    assert_true(r.body.n > 0);
    assert_null(strstr(r.body.p, PLANTED));
    assert_null(strstr(r.body.p, KEY));
    client_reply_release(&r);
}

static void test_tokens__are_in_no_log_and_no_answer(void **state)
{
    struct fixture f;
    struct outcome o;
    char *log;

    (void)state;
    start(&f, UPSTREAMS CLIENTS("  require_token: true\n"));
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, NULL), 200, "", "ana");
    expect(ask(&f, KEYED, CHAT, "Authorization: Bearer " BOS, NULL), 200, "", "bo");
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " WRONG, NULL), 401, "token", NULL);
    expect(ask(&f, BARE, CHAT, "Authorization: Bearer " ANAS, NULL), 401, "token", NULL);
    expect(ask(&f, "/-/status", NULL, "Metergate-Token: " WRONG, NULL), 401, "token", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, "Host: evil.example"), 403, "origin", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, "Metergate-Max-Wait: soon"), 400, "bad-request",
           NULL);
    assert_not_in_answer(&f, "/-/status");
    assert_not_in_answer(&f, "/metrics");
    o = tool_run_program((const char *const[]){program_path("metergated"), "-p", "-c", f.config, NULL}, NULL);
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out, "bo.token"));
    assert_null(strstr(o.out, PLANTED));
    assert_null(strstr(o.err, PLANTED));
    outcome_release(&o);
    log = process_log(f.daemon);
    assert_non_null(strstr(log, "client=ana"));
    assert_null(strstr(log, PLANTED));
    assert_null(strstr(log, KEY));
    free(log);
    fixture_stop(&f);
}

/* ---- users ---- */

#define SOMEBODY 12345

/* What another user gets for a GET of that path. */
static int status_for(uid_t uid, int port, const char *path)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        char request[128];
        struct buf answer;
        int fd;

        if (setuid(uid) < 0)
            _exit(1);
        fd = raw_connect(port);
        buf_init(&answer, BUF_UNLIMITED);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                 path);
        raw_send_text(fd, request);
        if (raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS) < 0)
            _exit(1);
        _exit(strstr(answer.p, "HTTP/1.1 200") ? 200 : strstr(answer.p, "HTTP/1.1 403") ? 203 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_users__those_not_listed__are_refused(void **state)
{
    char yaml[512];
    struct fixture f;

    (void)state;
    start(&f, UPSTREAMS CLIENTS("  users: [4242]\n"));
    expect(ask(&f, KEYED, CHAT, NULL, NULL), 403, "user", NULL);
    expect(ask(&f, KEYED, CHAT, "Metergate-Token: " ANAS, NULL), 403, "user", NULL);
    expect(ask(&f, "/-/status", NULL, NULL, NULL), 403, "user", NULL);
    expect(ask(&f, "/healthz", NULL, NULL, NULL), 200, "", NULL);
    fixture_stop(&f);

    snprintf(yaml, sizeof yaml, UPSTREAMS CLIENTS("  users: [4242, %u]\n"), (unsigned)geteuid());
    start(&f, yaml);
    expect(ask(&f, KEYED, CHAT, NULL, NULL), 200, "", NULL);
    expect(ask(&f, "/@hasty/v1/chat/completions", CHAT, NULL, NULL), 200, "", "hasty");
    expect(ask(&f, "/-/status", NULL, NULL, NULL), 200, "", NULL);
    if (geteuid() == 0) {
        assert_int_equal(status_for(SOMEBODY, f.port, "/-/status"), 203);
        assert_int_equal(status_for(SOMEBODY, f.port, "/healthz"), 200);
        assert_int_equal(status_for(4242, f.port, "/-/status"), 200);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- the tool ---- */

/* The exit status and what it must say; the token itself is said nowhere. */
static void expect_tool(struct outcome o, int status, const char *out, const char *err)
{
    if (o.status != status || !strstr(o.out, out) || !strstr(o.err, err))
        fail_msg("got %d\n%s%s\nwant %d, %s and %s", o.status, o.out, o.err, status, out, err);
    assert_null(strstr(o.err, PLANTED));
    outcome_release(&o);
}

static void test_tool__shows_its_token_and_says_when_it_is_not_taken(void **state)
{
    char path[128];
    struct fixture f;

    (void)state;
    unsetenv("OPENAI_API_KEY");
    start(&f, UPSTREAMS CLIENTS("  require_token: true\n"));
    snprintf(path, sizeof path, "%s/bo.token", f.dir);
    expect_tool(TOOL("--url", f.url, "status"), 77, "", "wants a client token");
    expect_tool(TOOL("--url", f.url, "run", "true"), 77, "", "wants a client token");
    expect_tool(TOOL("--url", f.url, "--token-file", path, "status"), 0, "Metergate " METERGATE_VERSION, "");
    expect_tool(TOOL("status", "--url", f.url, "--token-file", path, "--json"), 0, "\"clients\"", "");
    expect_tool(TOOL("--url", f.url, "run", "--token-file", path, "sh", "-c",
                     "echo $METERGATE_TOKEN $OPENAI_API_KEY"),
                0, BOS " " BOS "\n", "");
    expect_tool(TOOL("--url", f.url, "run", "--token-file", path, tool_path(), "status"), 0, "so far", "");
    setenv("METERGATE_TOKEN", ANAS, 1);
    expect_tool(TOOL("--url", f.url, "status"), 0, "so far", "");
    setenv("METERGATE_TOKEN", WRONG, 1);
    expect_tool(TOOL("--url", f.url, "status"), 77, "", "does not know this token");
    unsetenv("METERGATE_TOKEN");
    fixture_stop(&f);
    start(&f, UPSTREAMS CLIENTS("  users: [4242]\n"));
    expect_tool(TOOL("--url", f.url, "status"), 77, "", "does not serve this user");
    expect_tool(TOOL("--url", f.url, "run", "true"), 77, "", "does not serve this user");
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_required__without_a_token__nothing_but_health_is_answered),
        cmocka_unit_test(test_required__with_a_token__in_every_place_that_is_one),
        cmocka_unit_test(test_required__the_refusal__says_what_to_send),
        cmocka_unit_test(test_names__the_owner_of_a_token__wins_over_path_and_header),
        cmocka_unit_test(test_names__with_a_token__cannot_be_claimed_without_it),
        cmocka_unit_test(test_names__without_any__the_connection_belongs_to_its_user),
        cmocka_unit_test(test_names__a_user_of_a_clients_name__needs_its_token),
        cmocka_unit_test(test_max_wait__of_a_client__holds_for_its_calls_alone),
        cmocka_unit_test(test_tokens__never_travel_to_a_provider),
        cmocka_unit_test(test_tokens__of_a_call_that_a_reload_overtakes__do_not_travel),
        cmocka_unit_test(test_tokens__are_in_no_log_and_no_answer),
        cmocka_unit_test(test_users__those_not_listed__are_refused),
        cmocka_unit_test(test_tool__shows_its_token_and_says_when_it_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
