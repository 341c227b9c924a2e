/*
 * redaction: keys are planted wherever one may stand, with one word in all of them, and everything that the programs write is searched
 * for that word: logs at the level debug in both formats, every document, every file, what they print, and what is left after a crash.
 */
#include <dirent.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "tool_fixture.h"

#define WORD "pLaNtEd7Q" /* no program writes that of itself */
#define KEY  "sk-" WORD

#define CHAT "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"my secret is " WORD "\"}]}"

/* What a provider says that does not know the key: it repeats it. */
#define ECHO "{\"error\":{\"message\":\"Incorrect API key provided: " KEY "-echoed. Please try again in 20ms\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}"

static const struct fake_answer echoes[] = {
    {"/v401/chat/completions", 401, ECHO}, {"/v429/chat/completions", 429, ECHO}, {"/v400/chat/completions", 400, ECHO},
    {"/v500/chat/completions", 500, ECHO}, {"/v503/chat/completions", 503, ECHO}, {NULL, 0, NULL},
};

static struct fake_server *provider;

#define CONFIG                                                                                               \
    "state_dir: $DIR/state\n"                                                                                \
    "log: {level: debug, format: %s}\n"                                                                      \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1}\n"                                                                  \
    "  anthropic: {base_url: $SIMULATOR}\n"                                                                  \
    "  gemini: {base_url: $SIMULATOR}\n"                                                                     \
    "  azure: {base_url: $SIMULATOR}\n"                                                                      \
    "  env: {base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"                                 \
    "  file: {base_url: $SIMULATOR/v1, scope: key, api_key: {file: $DIR/key}}\n"                             \
    "  credential: {base_url: $SIMULATOR/v1, api_key: {credential: key}}\n"                                  \
    "  perkey: {base_url: $SIMULATOR/v1, scope: key}\n"                                                      \
    "  dead: {base_url: \"http://127.0.0.1:1/v1\", retry: {attempts: 1}}\n"                                  \
    "  e401: {base_url: \"%s/v401\", retry: {attempts: 2}}\n"                                                \
    "  e429: {base_url: \"%s/v429\", retry: {attempts: 2}}\n"                                                \
    "  e400: {base_url: \"%s/v400\", retry: {attempts: 2}}\n"                                                \
    "  e500: {base_url: \"%s/v500\", retry: {attempts: 2}}\n"                                                \
    "  e503: {base_url: \"%s/v503\", retry: {attempts: 2}}\n"                                                \
    "clients:\n"                                                                                             \
    "  ana: {token: {file: $DIR/key}}\n"                                                                     \
    "models:\n"                                                                                              \
    "  held: {tpm: 1000}\n"                                                                                  \
    "  \"*\": {learn: true}\n"

static void write_key(const char *path)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(KEY "-of-a-file-0123456789\n", f) > 0);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fclose(f), 0);
}

static void start(struct fixture *f, const char *format)
{
    const char *url;
    char path[128];
    struct buf yaml;

    *f = (struct fixture){0};
    fixture_start_simulator(f, "{\"api_keys\":[\"" KEY "-known\"]}", NULL);
    provider = fake_server_start(echoes);
    url = fake_server_url(provider);
    snprintf(path, sizeof path, "%s/key", f->dir);
    write_key(path);
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    setenv("METERGATE_TEST_KEY", KEY "-known", 1);
    buf_init(&yaml, BUF_UNLIMITED);
    buf_addf(&yaml, CONFIG, format, url, url, url, url, url);
    fixture_start_daemon(f, yaml.p, NULL);
    buf_release(&yaml);
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("METERGATE_TEST_KEY");
}

static void stop(struct fixture *f)
{
    fake_server_stop(provider);
    fixture_stop(f);
}

/* ---- what is searched --------------------------------------------------------------------------------------- */

static void assert_clean(const char *where, const char *p, size_t n)
{
    const char *at = n ? memmem(p, n, WORD, strlen(WORD)) : NULL;
    const char *from = at;

    if (!at)
        return;
    while (from > p && from[-1] != '\n' && at - from < 200)
        from--;
    fail_msg("%s has a key: %.*s...", where, (int)(at - from) + 40 < (int)(p + n - from) ? (int)(at - from) + 40 : (int)(p + n - from), from);
}

static void assert_log_clean(const struct fixture *f)
{
    char *log = process_log(f->daemon);

    assert_non_null(strstr(log, " debug")); /* else it shows less than it may */
    assert_clean("the log", log, strlen(log));
    free(log);
}

static void assert_json_log_clean(const struct fixture *f)
{
    char *log = process_log(f->daemon);

    assert_non_null(strstr(log, "\"level\":\"debug\""));
    assert_clean("the log", log, strlen(log));
    free(log);
}

static void assert_files_clean(const struct fixture *f)
{
    char pattern[128];
    glob_t files;

    snprintf(pattern, sizeof pattern, "%s/state/*", f->dir);
    assert_int_equal(glob(pattern, GLOB_PERIOD, NULL, &files), 0);
    assert_true(files.gl_pathc > 3);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct stat st;
        char *bytes;
        FILE *file;

        if (stat(files.gl_pathv[i], &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        assert_int_equal(st.st_mode & 0777, 0600); /* and nobody else could read it */
        bytes = xmalloc((size_t)st.st_size + 1);
        file = fopen(files.gl_pathv[i], "re");
        assert_non_null(file);
        assert_clean(files.gl_pathv[i], bytes, fread(bytes, 1, (size_t)st.st_size, file));
        fclose(file);
        free(bytes);
    }
    globfree(&files);
}

static void assert_documents_clean(const struct fixture *f)
{
    static const char *const paths[] = {"/",          "/-/",        "/-/status", "/-/history", "/metrics",    "/-/calls",
                                        "/-/prices",  "/healthz",   "/readyz",   "/-/nothing", "/-/usage?by=client&since=1h",
                                        "/-/usage?by=upstream&since=1h", "/-/usage?by=budget&since=1h"};
    struct client_async *events;
    struct client_reply r;
    char url[128];

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        r = fixture_call(f, "GET", paths[i], NULL);
        assert_true(r.status > 0);
        assert_clean(paths[i], r.body.p, r.body.n);
        assert_clean(paths[i], r.head.p, r.head.n);
        client_reply_release(&r);
    }
    snprintf(url, sizeof url, "%s/-/events", f->url);
    events = client_start(&(struct client_call){.url = url});
    assert_true(client_wait_body(events, "event: status", FIXTURE_TIMEOUT_MS));
    client_leave(events);
    r = client_finish(events);
    assert_true(r.body.n > 0);
    assert_clean("/-/events", r.body.p, r.body.n);
    client_reply_release(&r);
}

static void assert_outcome_clean(const char *what, struct outcome o)
{
    assert_clean(what, o.out, o.out_n);
    assert_clean(what, o.err, strlen(o.err));
    outcome_release(&o);
}

static void assert_tool_clean(const struct fixture *f)
{
    struct client_reply r = fixture_call(f, "GET", "/-/calls?limit=1", NULL);
    cJSON *calls = client_json(&r);
    const char *id = json_text(calls, "calls.0.id");

    setenv("METERGATE_URL", f->url, 1);
    setenv("OPENAI_API_KEY", KEY "-of-the-tool", 1);
    setenv("ANTHROPIC_API_KEY", KEY " with a space", 1);
    setenv("OPENAI_BASE_URL", "https://me:" KEY "@gateway.example/v1?key=" KEY, 1);
    assert_outcome_clean("status", TOOL("status"));
    assert_outcome_clean("status --json", TOOL("status", "--json"));
    assert_outcome_clean("calls", TOOL("calls"));
    assert_outcome_clean("explain", TOOL("explain", id));
    assert_outcome_clean("explain --json", TOOL("explain", "--json", id));
    assert_outcome_clean("usage", TOOL("usage"));
    assert_outcome_clean("doctor", TOOL("doctor"));
    assert_outcome_clean("doctor --json", TOOL("doctor", "--json"));
    assert_outcome_clean("run", TOOL("run", "--", "true"));
    unsetenv("OPENAI_API_KEY");
    unsetenv("ANTHROPIC_API_KEY");
    unsetenv("OPENAI_BASE_URL");
    unsetenv("METERGATE_URL");
    cJSON_Delete(calls);
    client_reply_release(&r);
}

/* ---- what is planted ---------------------------------------------------------------------------------------- */

static const struct planted {
    const char *target;     /* with a method */
    const char *a, *b;      /* header lines, or NULL */
    bool answer_is_theirs;  /* the provider's words pass to the client as they are */
} planted[] = {
    {"POST /v1/chat/completions", "Authorization: Bearer " KEY "-wrong", NULL, true},
    {"POST /v1/chat/completions", "Authorization: Bearer " KEY "-known", "Cookie: session=" KEY "; metergate=" KEY, true},
    {"POST /v1/chat/completions", "Metergate-Token: " KEY "-wrong-token", NULL, true},
    {"POST /v1/chat/completions", "Authorization: Basic " KEY, "Proxy-Authorization: Basic " KEY, true},
    {"POST /anthropic/v1/messages", "x-api-key: " KEY, "anthropic-version: 2023-06-01", true},
    {"POST /v1beta/models/gemini-2.5-flash:generateContent", "x-goog-api-key: " KEY, NULL, true},
    {"POST /v1beta/models/gemini-2.5-flash:generateContent?key=" KEY, NULL, NULL, true},
    {"POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=" KEY, NULL, NULL, true},
    {"GET /v1beta/models?key=" KEY, NULL, NULL, true},
    {"POST /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", "api-key: " KEY, NULL, true},
    {"POST /env/v1/chat/completions", "Authorization: Bearer " KEY, NULL, true},
    {"POST /file/v1/chat/completions", "Authorization: Bearer " KEY, NULL, true},
    {"POST /credential/v1/chat/completions", "x-api-key: " KEY, NULL, true},
    {"POST /perkey/v1/chat/completions", "Authorization: Bearer " KEY "-known", NULL, true},
    {"POST /dead/v1/chat/completions?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"POST /e401/v1/chat/completions", "Authorization: Bearer " KEY, NULL, true},
    {"POST /e429/v1/chat/completions", "Authorization: Bearer " KEY, "Metergate-Max-Wait: 0.3", true},
    {"POST /e400/v1/chat/completions", "Authorization: Bearer " KEY, NULL, true},
    {"POST /e500/v1/chat/completions", "Authorization: Bearer " KEY, NULL, true},
    {"POST /e503/v1/chat/completions", "Authorization: Bearer " KEY, "Metergate-Max-Wait: 0.3", true},
    {"GET /-/status?key=" KEY, "Authorization: Bearer " KEY, "Cookie: metergate=" KEY, false},
    {"POST /-/login?key=" KEY, "Metergate-Token: " KEY, NULL, false},
    {"POST /-/estimate?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"POST /-/reserve?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"POST /-/reload?key=" KEY, "Origin: https://elsewhere.example", "Authorization: Bearer " KEY, false},
    {"GET /nowhere?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"CONNECT api.openai.com:443", "Proxy-Authorization: Basic " KEY, NULL, false},
    {"GET http://me:" KEY "@other.example/v1/models?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"GET /v1/models?key=" KEY, "Authorization: Bearer " KEY, "Upgrade: websocket\r\nConnection: upgrade", false},
    {"POST /v1/chat/completions?key=" KEY, "Authorization: Bearer " KEY, "Metergate-Max-Wait: " KEY, false},
    {"POST /v1/chat/completions?key=" KEY, "Authorization: Bearer " KEY, "Metergate-Priority: " KEY, false},
    {"POST /v1/chat/completions?key=" KEY, "Authorization: Bearer " KEY, "Transfer-Encoding: " KEY, false},
    {"GET /v1/models?key=" KEY, "Authorization Bearer " KEY, NULL, false},
    {"GET /v1/models?key=" KEY, "Authorization : Bearer " KEY, NULL, false},
    {"GET /v1/mod\x01" "els?key=" KEY, "Authorization: Bearer " KEY, NULL, false},
    {"GET /v1/models?key=" KEY " x", "Authorization: Bearer " KEY, NULL, false},
    {"get" KEY " /v1/models", "Authorization: Bearer " KEY, NULL, true},
};

/* Whatever comes of it: an answer, or the end of the connection. */
static void plant(const struct fixture *f, const struct planted *p)
{
    bool body = strncmp(p->target, "POST", 4) == 0;
    int fd = raw_connect(f->port);
    struct buf request, answer;

    buf_init(&request, BUF_UNLIMITED);
    buf_init(&answer, BUF_UNLIMITED);
    buf_addf(&request, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", p->target);
    if (p->a)
        buf_addf(&request, "%s\r\n", p->a);
    if (p->b)
        buf_addf(&request, "%s\r\n", p->b);
    if (body)
        buf_addf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(CHAT), CHAT);
    else
        buf_add_str(&request, "\r\n");
    raw_send(fd, request.p, request.n);
    (void)raw_read(fd, &answer, NULL, FIXTURE_TIMEOUT_MS);
    if (!p->answer_is_theirs)
        assert_clean(p->target, answer.p, answer.n);
    close(fd);
    buf_release(&request);
    buf_release(&answer);
}

static void plant_all(const struct fixture *f)
{
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++)
        plant(f, &planted[i]);
}

static void test_planted_keys__are_in_nothing_that_is_written(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "text");
    plant_all(&f);
    assert_documents_clean(&f);
    assert_tool_clean(&f);
    process_signal(f.daemon, SIGHUP); /* the environment is as it was: nothing was read anew */
    fixture_wait_log(&f, 0, "reload: ");
    fixture_stop_daemon(&f); /* now the ledger has everything */
    assert_files_clean(&f);
    stop(&f);
}

static void test_planted_keys__are_not_in_the_log(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, "text");
    plant_all(&f);
    assert_log_clean(&f);
    stop(&f);
    start(&f, "json");
    plant_all(&f);
    assert_json_log_clean(&f);
    stop(&f);
}

/* ---- a crash ------------------------------------------------------------------------------------------------ */

static size_t cores(void)
{
    glob_t files;
    size_t n;

    n = glob("core*", 0, NULL, &files) == 0 ? files.gl_pathc : 0;
    globfree(&files);
    return n;
}

/* With calls held and in flight, whose keys and prompts are in memory. */
static void test_abort__leaves_neither_a_core_nor_a_key(void **state)
{
    static const char *const headers[] = {"Authorization: Bearer " KEY "-known", NULL};
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct client_async *held[3];
    struct fixture f;
    size_t before = cores();
    char url[128], *log;

    (void)state;
    (void)!setrlimit(RLIMIT_CORE, &all); /* where it may not be raised, no core can come either */
    start(&f, "text");
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    for (size_t i = 0; i < 3; i++) /* of the model's 1,000 tokens a minute each takes most */
        held[i] = client_start(&(struct client_call){
            .url = url,
            .headers = headers,
            .body = "{\"model\":\"held\",\"max_tokens\":700,\"messages\":[{\"role\":\"user\",\"content\":\"[[out=600]] " WORD "\"}]}"});
    fixture_wait_status(&f, "held", 2);
    process_signal(f.daemon, SIGABRT);
    assert_int_equal(process_wait_exit(f.daemon, FIXTURE_TIMEOUT_MS), 128 + SIGABRT);
    for (size_t i = 0; i < 3; i++) {
        struct client_reply r = client_finish(held[i]);

        client_reply_release(&r);
    }
    log = process_log(f.daemon);
    assert_clean("the log", log, strlen(log));
    free(log);
    process_free(f.daemon);
    f.daemon = NULL;
    assert_int_equal(cores(), before);
    assert_files_clean(&f);
    stop(&f);
}

/* ---- a file with keys in it --------------------------------------------------------------------------------- */

static void test_keys_in_the_configuration_itself__are_refused_and_not_repeated(void **state)
{
    static const char *const yamls[] = {
        "upstreams:\n  a: {base_url: \"http://x\", api_key: " KEY "}\n",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: {env: " KEY "}}\n",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: {file: " KEY "}}\n",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: {credential: /" KEY "}}\n",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: {credential: " KEY "}}\n",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: [" KEY "]}\n",
        "upstreams:\n  a: {base_url: \"http://me:" KEY "@x\"}\n",
        "upstreams:\n  a: {base_url: \"http://x/?key=" KEY "\"}\n",
        "upstreams:\n  a: {base_url: \"" KEY "\"}\n",
        "upstreams:\n  a: {base_url: \"http://x\", proxy: \"http://me:" KEY "@proxy:1\"}\n",
        "clients:\n  a: {token: " KEY "}\n",
        "clients:\n  a: {token: {env: \"" KEY "\"}}\n",
    };
    static const char *const options[] = {"-t", "-p"};
    struct fixture f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof yamls / sizeof yamls[0]; i++) {
        fixture_write_config(&f, yamls[i]);
        for (size_t o = 0; o < 2; o++) {
            struct outcome got = tool_run_program((const char *const[]){program_path("metergated"), options[o], "-c", f.config, NULL}, NULL);

            if (got.status != 78)
                fail_msg("%s: %d\n%s", yamls[i], got.status, got.err);
            assert_outcome_clean(yamls[i], got);
        }
    }
    fixture_stop(&f);
}

static void test_print_config__names_where_keys_come_from(void **state)
{
    struct fixture f = {0};
    struct outcome o;

    (void)state;
    setenv("METERGATE_TEST_KEY", KEY, 1);
    fixture_write_config(&f, "upstreams:\n  a: {base_url: \"http://x\", api_key: {env: METERGATE_TEST_KEY}}\n");
    o = tool_run_program((const char *const[]){program_path("metergated"), "-p", "-c", f.config, NULL}, NULL);
    unsetenv("METERGATE_TEST_KEY");
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out, "env: METERGATE_TEST_KEY"));
    assert_outcome_clean("-p", o);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_in_the_configuration_itself__are_refused_and_not_repeated),
        cmocka_unit_test(test_print_config__names_where_keys_come_from),
        cmocka_unit_test(test_planted_keys__are_in_nothing_that_is_written),
        cmocka_unit_test(test_planted_keys__are_not_in_the_log),
        cmocka_unit_test(test_abort__leaves_neither_a_core_nor_a_key),
    };

    return cmocka_run_group_tests(tests, tool_environment, NULL);
}
