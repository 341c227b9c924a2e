/*
 * secrets: which copies of keys are in the daemon's memory, and when. Each test plants a key that is nowhere else, and looks for it in
 * every page of the process that can be written to.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "remains.h"

#define ENV_KEY        "sk-planted-in-the-environment-4711"
#define FILE_KEY       "sk-planted-in-a-file-4712"
#define CREDENTIAL_KEY "sk-planted-in-a-credential-4713"
#define TOKEN          "token-planted-in-a-file-4714"

#define CHAT "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"
#define STREAM "{\"model\":\"gpt-4o\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello [[out=200]]\"}]}"

static void write_key(const struct fixture *f, const char *name, const char *key, mode_t mode)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, key, strlen(key)), strlen(key));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

#define CONFIGURED                                                                                           \
    "upstreams:\n"                                                                                           \
    "  one: {dialect: openai, base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"                \
    "  two: {dialect: openai, base_url: $SIMULATOR/v1, api_key: {file: $DIR/key}}\n"                         \
    "  three: {dialect: openai, base_url: $SIMULATOR/v1, api_key: {credential: key}}\n"                      \
    "clients:\n"                                                                                             \
    "  ana: {token: {file: $DIR/token}}\n"

static void start_configured(struct fixture *f)
{
    char path[128];

    *f = (struct fixture){0};
    fixture_start_simulator(f, NULL, NULL);
    write_key(f, "key", FILE_KEY, 0600);
    write_key(f, "token", TOKEN, 0600);
    snprintf(path, sizeof path, "%s/credentials", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    write_key(f, "credentials/key", CREDENTIAL_KEY, 0440); /* systemd's own mode */
    setenv("CREDENTIALS_DIRECTORY", path, 1);
    setenv("METERGATE_TEST_KEY", ENV_KEY, 1);
    fixture_start_daemon(f, CONFIGURED, NULL);
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("METERGATE_TEST_KEY");
}

/* Each in locked memory and nowhere else; of a token only the digest. */
static void assert_locked(const struct fixture *f, const char *when)
{
    static const char *const keys[] = {ENV_KEY, FILE_KEY, CREDENTIAL_KEY};
    pid_t pid = process_pid(f->daemon);

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        remains_wait_none(pid, keys[i], when);
        assert_true(remains_of(pid, keys[i], true, false) > 0);
    }
    remains_wait_none(pid, TOKEN, when);
    assert_int_equal(remains_of(pid, TOKEN, true, false), 0);
}

static void test_configured_keys__are_in_locked_memory_alone(void **state)
{
    static const char *const paths[] = {"/one/v1/chat/completions", "/two/v1/chat/completions", "/three/v1/chat/completions"};
    struct fixture f;
    size_t mark;

    (void)state;
    start_configured(&f);
    if (!remains_can_be_seen(process_pid(f.daemon))) {
        fixture_stop(&f);
        skip();
    }
    assert_locked(&f, "after the start");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct client_reply r = fixture_call(&f, "POST", paths[i], i == 1 ? STREAM : CHAT);

        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    assert_locked(&f, "after calls");
    mark = process_log_mark(f.daemon);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, mark, "reload: done");
    assert_locked(&f, "after a reload");
    fixture_stop(&f);
}

static void test_configured_keys__are_not_in_environ(void **state)
{
    char path[64], text[1 << 16];
    struct fixture f;
    ssize_t n;
    int fd;

    (void)state;
    start_configured(&f);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)process_pid(f.daemon));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof text) : 0; /* of an undumpable process root alone can */
    if (fd >= 0)
        close(fd);
    assert_true(fd < 0 || memmem(text, (size_t)n, "METERGATE_TEST_KEY", 18));
    assert_null(memmem(text, n > 0 ? (size_t)n : 0, ENV_KEY, strlen(ENV_KEY)));
    fixture_stop(&f);
}

/* ---- callers' credentials ------------------------------------------------------------------------------- */

static const struct place {
    const char *name;    /* what fails says */
    const char *request; /* whole, or the head of a call with CHAT; %s is the key */
    bool has_body;
} places[] = {
    {"Authorization", "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer %s\r\n", true},
    {"x-api-key", "POST /anthropic/v1/messages HTTP/1.1\r\nanthropic-version: 2023-06-01\r\nx-api-key: %s\r\n", true},
    {"x-goog-api-key", "POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\nx-goog-api-key: %s\r\n", true},
    {"api-key", "POST /openai/deployments/gpt-4o/chat/completions?api-version=1 HTTP/1.1\r\napi-key: %s\r\n", true},
    {"?key=", "POST /v1beta/models/gemini-2.5-flash:generateContent?key=%s HTTP/1.1\r\n", true},
    {"Metergate-Token", "POST /v1/chat/completions HTTP/1.1\r\nMetergate-Token: %s\r\n", true},
    {"a cookie", "GET /-/status HTTP/1.1\r\nCookie: a=b; metergate=%s\r\n", false},
    {"a passed call", "GET /v1/models HTTP/1.1\r\nAuthorization: Bearer %s\r\n", false},
    {"a login", "POST /-/login HTTP/1.1\r\nMetergate-Token: %s\r\n", true},
    {"a bad header", "GET /v1/models HTTP/1.1\r\nAuthorization Bearer %s\r\n", false},
    {"a bad target", "GET /v1/m\x01odels/%s HTTP/1.1\r\n", false},
    {"no upstream", "GET /nowhere/%s HTTP/1.1\r\n", false},
};

/* Sends one of them, reads its answer and closes. */
static void send_from(const struct fixture *f, const struct place *place, const char *key)
{
    int fd = raw_connect(f->port);
    struct buf request, answer;

    buf_init(&request, BUF_UNLIMITED);
    buf_init(&answer, BUF_UNLIMITED);
    for (const char *p = place->request; *p; p++) {
        if (p[0] == '%' && p[1] == 's') {
            buf_add_str(&request, key);
            p++;
        } else {
            buf_add_char(&request, *p);
        }
    }
    buf_add_str(&request, "Host: localhost\r\n");
    if (place->has_body)
        buf_addf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(CHAT), CHAT);
    else
        buf_add_str(&request, "\r\n");
    raw_send(fd, request.p, request.n);
    assert_true(raw_read(fd, &answer, "\r\n\r\n", FIXTURE_TIMEOUT_MS) > 0);
    close(fd);
    buf_release(&request);
    buf_release(&answer);
}

#define ALL_DIALECTS                                                                                         \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1}\n"                                                                  \
    "  anthropic: {base_url: $SIMULATOR}\n"                                                                  \
    "  gemini: {base_url: $SIMULATOR}\n"                                                                     \
    "  azure: {base_url: $SIMULATOR}\n"

static void test_callers_keys__are_gone_when_the_connection_is(void **state)
{
    struct fixture f;
    char key[64];

    (void)state;
    fixture_start(&f, NULL, ALL_DIALECTS);
    if (!remains_can_be_seen(process_pid(f.daemon))) {
        fixture_stop(&f);
        skip();
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(key, sizeof key, "sk-planted-by-a-caller-%zu", 1000 + i);
        send_from(&f, &places[i], key);
        remains_wait_none(process_pid(f.daemon), key, places[i].name);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* A held call keeps one: in the head that will be sent. */
static void test_callers_key__of_a_held_call__is_there_once_and_goes_with_it(void **state)
{
    static const char key[] = "sk-planted-by-a-held-call";
    struct client_async *call;
    struct client_reply r;
    struct fixture f;
    char url[128], header[64];
    const char *const headers[] = {header, NULL};
    int copies;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {rpm: 1}\n");
    if (!remains_can_be_seen(process_pid(f.daemon))) {
        fixture_stop(&f);
        skip();
    }
    r = fixture_chat(&f, CHAT); /* takes the minute's only one */
    client_reply_release(&r);
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    snprintf(header, sizeof header, "Authorization: Bearer %s", key);
    call = client_start(&(struct client_call){.url = url, .headers = headers, .body = CHAT});
    fixture_wait_status(&f, "held", 1);
    copies = remains_of(process_pid(f.daemon), key, false, false);
    if (copies != 1)
        fail_msg("%d copies while it is held", remains_of(process_pid(f.daemon), key, false, true));
    client_leave(call);
    r = client_finish(call);
    client_reply_release(&r);
    fixture_wait_status(&f, "held", 0);
    remains_wait_none(process_pid(f.daemon), key, "a held call whose client left");
    fixture_stop(&f);
}

/* OpenSSL has buffers of its own, and the connection is kept. */
static void test_keys__over_tls__are_gone_as_well(void **state)
{
    static const char *const files[] = {"ca.pem", "cert.pem", "key.pem"};
    char certs[] = "/tmp/metergate-certs-XXXXXX", yaml[400];
    const char *const more[] = {"--make-certs", certs, NULL};
    struct process *provider;
    struct fixture f = {0};
    bool seen;

    (void)state;
    assert_non_null(mkdtemp(certs));
    fixture_start_simulator(&f, "{}", more);
    provider = f.simulator; /* it speaks HTTPS only: the fixture has nothing to ask it */
    f.simulator = NULL;
    setenv("METERGATE_TEST_KEY", ENV_KEY, 1);
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {base_url: \"https://localhost:%d/v1\", ca_file: %s/ca.pem}\n"
             "  keyed: {base_url: \"https://localhost:%d/v1\", ca_file: %s/ca.pem, api_key: {env: METERGATE_TEST_KEY}}\n",
             f.simulator_port, certs, f.simulator_port, certs);
    fixture_start_daemon(&f, yaml, NULL);
    unsetenv("METERGATE_TEST_KEY");
    seen = remains_can_be_seen(process_pid(f.daemon));
    for (int i = 0; seen && i < 2; i++) { /* over a new connection and over the kept one */
        struct client_reply r = fixture_call(&f, "POST", "/keyed/v1/chat/completions", CHAT);

        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        remains_wait_none(process_pid(f.daemon), ENV_KEY, "a configured key over TLS");
        send_from(&f, &places[0], "sk-planted-by-a-caller-over-tls");
        remains_wait_none(process_pid(f.daemon), "sk-planted-by-a-caller-over-tls", "a caller's key over TLS");
    }
    fixture_stop_daemon(&f);
    process_signal(provider, SIGTERM);
    assert_int_equal(process_wait_exit(provider, FIXTURE_TIMEOUT_MS), 0);
    process_free(provider);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(yaml, sizeof yaml, "%s/%s", certs, files[i]);
        unlink(yaml);
    }
    rmdir(certs);
    fixture_stop(&f);
    if (!seen)
        skip();
}

/* A body is as private as a key. */
static void test_prompts_and_answers__are_gone_when_the_connection_is(void **state)
{
    static const char text[] = "a prompt that nobody else should ever read";
    struct fixture f;
    struct client_reply r;
    char body[200000];

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    if (!remains_can_be_seen(process_pid(f.daemon))) {
        fixture_stop(&f);
        skip();
    }
    for (int padding = 0; padding < 180000; padding = 20 * padding + 100) { /* in one block, and in one that is mapped */
        int n = snprintf(body, sizeof body, "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"%s", text);

        memset(body + n, 'a', (size_t)padding);
        snprintf(body + n + padding, sizeof body - (size_t)(n + padding), "\"}]}");
        r = fixture_chat(&f, body);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        remains_wait_none(process_pid(f.daemon), text, "a prompt");
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured_keys__are_in_locked_memory_alone),
        cmocka_unit_test(test_configured_keys__are_not_in_environ),
        cmocka_unit_test(test_callers_keys__are_gone_when_the_connection_is),
        cmocka_unit_test(test_callers_key__of_a_held_call__is_there_once_and_goes_with_it),
        cmocka_unit_test(test_keys__over_tls__are_gone_as_well),
        cmocka_unit_test(test_prompts_and_answers__are_gone_when_the_connection_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
