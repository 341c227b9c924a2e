/*
 * `metergate doctor` on what the daemon knows: providers that are down, that nobody can trust, that do not
 * take the key, whose clock differs; limits, state and configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/err.h"
#include "doctor_fixture.h"
#include "net_fixture.h"

#define OTHERS                                                                                               \
    "  anthropic: {base_url: $SIMULATOR}\n"                                                                  \
    "  gemini: {base_url: $SIMULATOR}\n"

static struct outcome ask(const struct fixture *f)
{
    return TOOL("doctor", "--json", "--url", f->url);
}

/* ---- upstreams ---- */

static void test_doctor__key_that_is_not_accepted__is_told_and_not_shown(void **state)
{
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-of-the-test", 1);
    fixture_start(&f, "{\"api_keys\":[\"sk-right\"]}", ALL_UPSTREAMS);
    o = ask(&f);
    doctor_has(&o, "fail", "upstream", "and refuses the key (401)");
    doctor_has(&o, "ok", "upstream", "no key was there to be tried (ANTHROPIC_API_KEY is not set)");
    doctor_has(&o, "ok", "upstream", "no key was there to be tried (GOOGLE_API_KEY is not set)");
    assert_null(strstr(o.out, "sk-"));
    assert_int_equal(o.status, 1);
    outcome_release(&o);
    unsetenv("OPENAI_API_KEY");
    fixture_stop(&f);
}

/* A key belongs to the provider that the base URL chooses. Were it sent to the second one, that would take
 * it. */
static void test_doctor__key__is_sent_to_the_first_upstream_of_its_dialect_alone(void **state)
{
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-mine", 1);
    fixture_start(&f, "{\"api_keys\":[\"sk-mine\"]}",
                  ALL_UPSTREAMS "  second: {dialect: openai, base_url: $SIMULATOR/v1}\n");
    o = ask(&f);
    assert_int_equal(doctor_count(&o, "ok", "upstream", ", and takes the key"), 1);
    doctor_has(&o, "warn", "upstream", "second answers in ");
    doctor_has(&o, "warn", "upstream", ", and wants a key (401)");
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    unsetenv("OPENAI_API_KEY");
    fixture_stop(&f);
}

static void test_doctor__upstream_with_a_key_of_the_daemons__is_asked_with_that(void **state)
{
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("KEY_OF_TEST", "sk-of-the-daemon", 1);
    fixture_start(&f, "{\"api_keys\":[\"sk-of-the-daemon\"]}",
                  "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {env: KEY_OF_TEST}}\n"
                  "  azure: {base_url: $SIMULATOR, api_key: {env: KEY_OF_TEST}}\n"
                  "  ollama: {base_url: $SIMULATOR, api_key: {env: KEY_OF_TEST}}\n" OTHERS);
    unsetenv("KEY_OF_TEST");
    o = ask(&f);
    doctor_has(&o, "ok", "upstream", "openai answers in ");
    doctor_has(&o, "ok", "config", "/metergate.yaml; its keys and files cannot be looked at from here");
    assert_int_equal(doctor_count(&o, "ok", "upstream", "azure answers in "), 1);
    assert_int_equal(doctor_count(&o, "ok", "upstream", "ollama answers in "), 1);
    assert_int_equal(doctor_count(&o, "ok", "upstream", "no key was there"), 2);
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    fixture_stop(&f);
}

static void test_doctor__upstream_that_is_down__is_told_with_the_reason(void **state)
{
    char yaml[256];
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-mine", 1);
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  openai: {base_url: \"%s/v1\"}\n  tls: {dialect: openai, base_url: "
             "\"http://tls.invalid/v1\"}\n" OTHERS,
             unanswered_url());
    fixture_start(&f, NULL, yaml);
    o = ask(&f);
    doctor_has(&o, "fail", "upstream", "openai cannot be reached: Failed to connect to 127.0.0.1 port ");
    doctor_has(&o, "fail", "upstream",
               "tls cannot be reached: Could not resolve host: tls.invalid"); /* a name, no TLS */
    assert_int_equal(o.status, 1);
    outcome_release(&o);
    doctor_says(f.url, 0, "warn", "upstream", "the last connection to openai failed");
    unsetenv("OPENAI_API_KEY");
    fixture_stop(&f);
}

/* The built-in upstreams are there for everybody: it must be possible to do without one. */
static void test_doctor__upstream_that_is_down_and_nobody_uses__is_a_warning(void **state)
{
    char yaml[256];
    struct fixture f;
    struct outcome o;

    (void)state;
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  gemini: {base_url: \"%s\"}\n"
             "  openai: {base_url: $SIMULATOR/v1}\n  anthropic: {base_url: $SIMULATOR}\n",
             unanswered_url());
    fixture_start(&f, NULL, yaml);
    o = ask(&f);
    doctor_has(&o, "warn", "upstream", "gemini cannot be reached: Failed to connect to 127.0.0.1 port ");
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    fixture_stop(&f);
}

static void test_doctor__certificate_of_an_unknown_authority__is_named_as_tls(void **state)
{
    char yaml[256], path[256];
    const char *argv[] = {path, "--make-certs", NULL, NULL};
    struct process *provider;
    struct fixture f;
    struct outcome o;
    const char *at;
    char *log;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-mine", 1);
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    fixture_program("metergate-simulator", path, sizeof path);
    argv[2] = f.dir;
    provider = process_start(argv);
    assert_true(process_wait_log(provider, 0, "listening on ", FIXTURE_TIMEOUT_MS));
    log = process_log(provider);
    at = strrchr(log, ':');
    assert_non_null(at);
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {base_url: \"https://localhost:%ld/v1\"}\n" OTHERS,
             strtol(at + 1, NULL, 10));
    free(log);
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, yaml, NULL);
    o = ask(&f);
    doctor_has(&o, "fail", "upstream", "openai is there, but TLS fails: SSL");
    text_has(o.out, "in `upstreams: openai: ca_file`");
    outcome_release(&o);
    process_signal(provider, SIGTERM);
    assert_int_equal(process_wait_exit(provider, FIXTURE_TIMEOUT_MS), 0);
    process_free(provider);
    unsetenv("OPENAI_API_KEY");
    fixture_stop(&f);
}

static void test_doctor__provider_that_answers_otherwise__is_no_verdict_on_the_key(void **state)
{
    struct fixture f;
    struct outcome o;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:500\",\"next\":100}]}", ALL_UPSTREAMS);
    o = ask(&f);
    doctor_has(&o, "warn", "upstream", "with status 500: whether it takes the key is not known");
    assert_int_equal(o.status, 0);
    outcome_release(&o);
    fixture_stop(&f);
}

static void test_doctor__offline__asks_no_provider(void **state)
{
    struct fixture f;
    struct outcome o;
    cJSON *status;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    o = TOOL("doctor", "--json", "--offline", "--url", f.url);
    assert_int_equal(doctor_count(&o, "ok", "upstream", ""), 0);
    outcome_release(&o);
    status = fixture_status(&f);
    assert_int_equal((int)json_number(status, "totals.calls"), 0);
    cJSON_Delete(status);
    fixture_stop(&f);
}

/* ---- the clock ---- */

struct late {
    int fd;
    int64_t behind_s;
};

/* One answer, dated so long ago. */
static void *answer_late(void *arg)
{
    const struct late *late = arg;
    time_t then = time(NULL) - late->behind_s;
    char request[4096], date[64], answer[256];
    struct tm tm;
    int fd = accept(late->fd, NULL, NULL);

    sock_read_until(fd, request, sizeof request, "\r\n\r\n");
    gmtime_r(&then, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", date);
    sock_send_str(fd, answer);
    close(fd);
    return NULL;
}

static void assert_clock(int64_t behind_s, const char *result, const char *part)
{
    struct late late = {.behind_s = behind_s};
    struct fixture f = {0};
    pthread_t thread;
    struct outcome o;
    char yaml[160];
    int port;

    late.fd = sock_listen(&port);
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai: {base_url: \"http://127.0.0.1:%d/v1\"}\n" OTHERS,
             port);
    fixture_start(&f, NULL, yaml);
    assert_int_equal(pthread_create(&thread, NULL, answer_late, &late), 0);
    o = ask(&f);
    pthread_join(thread, NULL);
    close(late.fd);
    doctor_has(&o, result, "clock", part);
    outcome_release(&o);
    fixture_stop(&f);
}

static void test_doctor__clock__is_compared_with_the_providers(void **state)
{
    (void)state;
    assert_clock(7200, "warn", "this machine's clock is 2h 0m ahead of that of openai");
    assert_clock(-600, "warn", " behind that of openai");
    assert_clock(30, "ok", "agrees with that of openai");
}

/* ---- limits, state, configuration ---- */

static void test_doctor__limits__are_configured_learned_or_missing(void **state)
{
    static const char json[] =
        "{\"budgets\":[{\"name\":\"a\",\"headroom\":0.2,\"limits\":[{\"metric\":\"tpm\",\"learned\":false}]},"
        "{\"name\":\"b\",\"headroom\":0.05,\"limits\":[{\"metric\":\"rpm\",\"learned\":false},{\"metric\":"
        "\"tpm\",\"learned\":true}]},"
        "{\"name\":\"c\",\"headroom\":0.2,\"limits\":[{\"metric\":\"learning\",\"learned\":false}]},"
        "{\"name\":\"d\\u001b]0;x\\u0007\",\"headroom\":0.2,\"limits\":[]}]}";

    (void)state;
    doctor_says_of(json, 0, "ok", "limits", "configured for a");
    doctor_says_of(json, 0, "ok", "limits", "learned from the provider for b");
    doctor_says_of(json, 0, "ok", "limits", "being learned for c: few calls at a time");
    doctor_says_of(json, 0, "warn", "limits",
                   "none known for d?]0;x?: such calls are counted, and never held");
    doctor_says_of(json, 0, "ok", "headroom", "5 to 20 % of the limits");
    doctor_says_of("{\"budgets\":[]}", 0, "ok", "limits", "no model has been called yet");
}

static void test_doctor__queue__says_what_is_held_and_until_when(void **state)
{
    static const char json[] = "{\"held\":3,\"budgets\":[{\"name\":\"a\",\"held\":3,\"last_dispatch_ms\":"
                               "41230,\"waits_for\":{\"limit\":\"tpm\",\"of\":"
                               "\"budget\",\"name\":\"a\"}},{\"name\":\"b\",\"held\":0,\"paused_until_ms\":"
                               "1500},{\"name\":\"c\",\"breaker_open\":true}],"
                               "\"upstreams\":[{\"name\":\"u\",\"dialect\":\"newer\",\"breaker_open\":true,"
                               "\"problem\":\"it\\u001b[2J is gone\"}]}";

    (void)state;
    doctor_says_of(json, 1, "ok", "queue", "3 held; the last of them goes in 41.2 s");
    doctor_says_of(json, 1, "ok", "queue", "a holds 3: no room in the tokens per minute (tpm) of budget a");
    doctor_says_of(json, 1, "warn", "queue", "b waits 1.5 s more, since its provider refused");
    doctor_says_of("{\"held\":1,\"budgets\":[{\"name\":\"a\",\"held\":1,\"waits_for\":{\"limit\":\"pause\",\"of\":\"upstream\",\"name\":"
                   "\"u\"}}]}",
                   0, "ok", "queue", "a holds 1: a pause after a refusal or a failed connection of upstream u");
    doctor_says_of(json, 1, "warn", "queue", "c is overloaded");
    doctor_says_of(json, 1, "fail", "upstream",
                   "u is down: calls are held, and one goes now and then to see: it?[2J is gone");
    doctor_says_of("{\"draining\":true}", 1, "fail", "draining", "shutting down");
}

static void test_doctor__everything_is_paused__says_that_and_of_no_budget_why(void **state)
{
    static const char json[] = "{\"paused\":true,\"held\":1,\"budgets\":[{\"name\":\"a\",\"held\":1,\"last_dispatch_ms\":null,"
                               "\"waits_for\":{\"limit\":\"stop\",\"of\":\"\",\"name\":\"\",\"until_ms\":null}}]}";
    const struct fake_answer answers[] = {{"/healthz", 200, "ok\n"}, {"/", 200, "Metergate\n"}, {"/-/status", 200, json}, {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o;

    (void)state;
    o = TOOL("doctor", "--json", "--offline", "--url", fake_server_url(s));
    doctor_has(&o, "fail", "paused", "calls are held, and none is sent");
    assert_int_equal(doctor_count(&o, "ok", "queue", "1 held"), 1);
    assert_int_equal(doctor_count(&o, "ok", "queue", "a holds 1"), 0);
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_doctor__descriptors__are_compared_with_what_may_come(void **state)
{
    (void)state;
    doctor_says_of("{\"process\":{\"descriptors\":83,\"descriptors_max\":524288,\"connections\":12,"
                   "\"connections_max\":16384,"
                   "\"held_max\":10000}}",
                   0, "ok", "descriptors", "83 of 524288 open; room for 16384 clients");
    doctor_says_of("{\"process\":{\"descriptors\":83,\"descriptors_max\":1024,\"connections\":12,"
                   "\"connections_max\":672,"
                   "\"held_max\":10000}}",
                   0, "warn", "descriptors", "room for 672 clients, and queue.max_requests is 10000");
    doctor_says_of("{\"process\":{\"descriptors\":830,\"descriptors_max\":1024,\"connections\":12,"
                   "\"connections_max\":672}}",
                   0, "warn", "descriptors", "830 of 1024 open");
}

static void test_doctor__state__that_cannot_be_kept_is_told(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, "state_dir: /dev/null/state\n" ALL_UPSTREAMS);
    doctor_says(f.url, 0, "warn", "state", "nothing is kept");
    fixture_stop(&f);
    doctor_says_of(
        "{\"ledger\":{\"ok\":false,\"problem\":\"the disk is full: /x\",\"waiting\":60,\"lost\":1}}", 1,
        "fail", "ledger", "not written: the disk is full: /x (60 rows wait, 1 are lost)");
    doctor_says_of("{\"ledger\":{\"ok\":true,\"problem\":null,\"written\":9,\"lost\":2}}", 0, "warn",
                   "ledger", "2 rows were lost");
    doctor_says_of("{\"process\":{\"state_dir\":\"/proc\"},\"ledger\":{\"ok\":true}}", 0, "warn", "state",
                   "where 0 MiB are free");
    doctor_says_of("{\"process\":{\"state_dir\":\"/nowhere/at/all\"},\"ledger\":{\"ok\":true}}", 0, "ok",
                   "state", "kept in /nowhere");
}

static void test_doctor__configuration__is_the_one_that_is_read_and_right(void **state)
{
    char other[128], ours[512];
    const char *ignoring[] = {"env",       "--ignore-signal=CHLD", tool_path(), "doctor", "--json",
                              "--offline", "--url",                NULL,        NULL};
    struct outcome same;
    struct fixture f;
    FILE *file;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    ignoring[7] = f.url;
    doctor_says(f.url, 0, "ok", "config", "/metergate.yaml is right");
    snprintf(other, sizeof other, "%s/other.yaml", f.dir);
    file = fopen(other, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    setenv("METERGATE_CONFIG", other, 1);
    snprintf(ours, sizeof ours, "the daemon reads %s, and not %s, which is there as well", f.config, other);
    doctor_says(f.url, 0, "warn", "config", ours);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(symlink(f.config, other), 0); /* the same by another name */
    same = TOOL("doctor", "--json", "--offline", "--url", f.url);
    assert_int_equal(doctor_count(&same, "ok", "config", "/metergate.yaml is right"), 1);
    assert_int_equal(doctor_count(&same, "warn", "config", ""), 0);
    outcome_release(&same);
    assert_int_equal(unlink(other), 0);
    unsetenv("METERGATE_CONFIG");
    fixture_write_config(&f, "headrom: 10%\n" ALL_UPSTREAMS);
    doctor_says(f.url, 1, "fail", "config", "unknown key \"headrom\"; did you mean \"headroom\"?");
    same = tool_run_program(ignoring, NULL);
    doctor_has(&same, "fail", "config", "unknown key \"headrom\"");
    outcome_release(&same);
    fixture_stop_daemon(&f);
    setenv("METERGATE_CONFIG", f.config, 1); /* and the daemon does not start */
    doctor_says(unanswered_url(), 69, "fail", "config", "unknown key \"headrom\"");
    unsetenv("METERGATE_CONFIG");
    fixture_stop(&f);
    doctor_says_of("{\"process\":{\"config\":null,\"state_dir\":null}}", 0, "ok", "config",
                   "the daemon runs with what is built in");
    doctor_says_of("{\"process\":{\"config\":\"/nowhere/m.yaml\"}}", 0, "ok", "config",
                   "/nowhere/m.yaml; its keys and files cannot be looked at");
}

static void test_doctor__a_key_that_others_can_read__is_told_with_the_mode(void **state)
{
    char path[128];
    struct fixture f;
    FILE *file;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    snprintf(path, sizeof path, "%s/key", f.dir);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("sk-secret\n", file) > 0);
    assert_int_equal(fchmod(fileno(file), 0644), 0);
    assert_int_equal(fclose(file), 0);
    fixture_write_config(&f, "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {file: $DIR/key}}\n");
    doctor_says(f.url, 1, "fail", "config", "/key: others may read or write it (its mode is 0644): chmod 600");
    fixture_stop(&f);
}

/* However much somebody says, and whatever: what comes out is one JSON array of bounded size, and safe to
 * show. */
static void test_doctor__documents_without_end_or_sense__are_bounded(void **state)
{
    size_t n = (size_t)1 << 20;
    struct buf json;

    (void)state;
    buf_init(&json, BUF_UNLIMITED);
    buf_add_str(&json, "{\"version\":7,\"budgets\":[");
    while (json.n < n)
        buf_add_str(&json,
                    "{\"name\":\"\\u001b[31m\",\"limits\":[],\"paused_until_ms\":9e99},{\"limits\":{}},3,");
    buf_add_str(&json, "null],\"upstreams\":{},\"process\":[],\"ledger\":\"x\"}");
    {
        const struct fake_answer answers[] = {
            {"/healthz", 200, "ok\n"}, {"/", 200, "M"}, {"/-/status", 200, json.p}, {0}};
        struct fake_server *s = fake_server_start(answers);
        struct outcome o = TOOL("doctor", "--json", "--url", fake_server_url(s));

        assert_in_range(o.out_n, 1000, 100000);
        assert_null(strchr(o.out, '\x1b'));
        assert_null(strstr(o.out, "\\u001b"));
        doctor_has(&o, "warn", "limits", " and ");
        outcome_release(&o);
        fake_server_stop(s);
    }
    buf_release(&json);
    doctor_says_of("{}", 0, "ok", "daemon", "answers at");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_doctor__key_that_is_not_accepted__is_told_and_not_shown,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__key__is_sent_to_the_first_upstream_of_its_dialect_alone,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__upstream_with_a_key_of_the_daemons__is_asked_with_that,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__upstream_that_is_down__is_told_with_the_reason,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__upstream_that_is_down_and_nobody_uses__is_a_warning,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__certificate_of_an_unknown_authority__is_named_as_tls,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__provider_that_answers_otherwise__is_no_verdict_on_the_key,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__offline__asks_no_provider, doctor_environment),
        cmocka_unit_test_setup(test_doctor__clock__is_compared_with_the_providers, doctor_environment),
        cmocka_unit_test_setup(test_doctor__limits__are_configured_learned_or_missing, doctor_environment),
        cmocka_unit_test_setup(test_doctor__queue__says_what_is_held_and_until_when, doctor_environment),
        cmocka_unit_test_setup(test_doctor__everything_is_paused__says_that_and_of_no_budget_why, doctor_environment),
        cmocka_unit_test_setup(test_doctor__descriptors__are_compared_with_what_may_come, doctor_environment),
        cmocka_unit_test_setup(test_doctor__state__that_cannot_be_kept_is_told, doctor_environment),
        cmocka_unit_test_setup(test_doctor__configuration__is_the_one_that_is_read_and_right,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__a_key_that_others_can_read__is_told_with_the_mode,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__documents_without_end_or_sense__are_bounded, doctor_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
