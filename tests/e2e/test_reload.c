/* reload: another configuration for the running daemon: what changes at once, what stays, and nobody who is
 * lost by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/clock.h"

#define CHAT(model, text)                                                                                    \
    "{\"model\":\"" model "\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]" \
    "}"

static struct client_reply reload_with(struct fixture *f, const char *yaml)
{
    fixture_write_config(f, yaml);
    return fixture_call(f, "POST", "/-/reload", "");
}

static void reload(struct fixture *f, const char *yaml)
{
    struct client_reply r = reload_with(f, yaml);

    if (r.status != 200)
        fail_msg("%d: %.*s", r.status, (int)r.body.n, r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

static void assert_status(struct client_reply r, int status)
{
    if (r.status != status)
        fail_msg("%d instead of %d: %.*s", r.status, status, (int)r.body.n,
                 r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

static double status_number(const struct fixture *f, const char *path)
{
    cJSON *status = fixture_status(f);
    double v = json_number(status, path);

    cJSON_Delete(status);
    return v;
}

/* ---- a crowd: many calls at once, each known by the length of its body
 * -------------------------------------------------- */

enum { CROWD = 520 };

struct crowd {
    int fds[CROWD];
    size_t n;
};

static const char crowd_body[] =
    "{\"model\":\"gpt-4o\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";

static void crowd_send(struct crowd *c, const struct fixture *f, size_t until)
{
    char request[2048];

    for (; c->n < until; c->n++) {
        int n = snprintf(
            request, sizeof request,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n"
            "Content-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s%*s",
            sizeof crowd_body - 1 + c->n, crowd_body, (int)c->n, "");

        c->fds[c->n] = raw_connect(f->port);
        raw_send(c->fds[c->n], request, (size_t)n);
    }
}

/* Exactly the calls before `n` have reached the provider. */
static void assert_arrived(const struct fixture *f, size_t n)
{
    cJSON *audit = fixture_audit(f);
    bool seen[CROWD] = {false};
    const cJSON *arrival;
    size_t count = 0;

    cJSON_ArrayForEach(arrival, json_at(audit, "models.gpt-4o.list"))
    {
        int who = (int)json_number(arrival, "bytes") - (int)sizeof crowd_body + 1;

        assert_in_range(who, 0, n - 1);
        assert_false(seen[who]);
        seen[who] = true;
        count++;
    }
    assert_int_equal(count, n);
    cJSON_Delete(audit);
}

/* Everybody is answered 200. */
static void crowd_end(struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct buf answer;

        buf_init(&answer, BUF_UNLIMITED);
        assert_true(raw_read(c->fds[i], &answer, NULL, FIXTURE_TIMEOUT_MS) > 0);
        if (!slice_starts(buf_slice(&answer), SLICE("HTTP/1.1 200 ")))
            fail_msg("call %zu: %.*s", i, (int)answer.n, answer.p);
        buf_release(&answer);
        close(c->fds[i]);
    }
}

#define CONCURRENT(n) FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: " n "}\n"

static void test_reload__with_500_held_and_20_in_flight__loses_nobody_and_keeps_the_order(void **state)
{
    struct crowd crowd = {.n = 0};
    struct fixture f;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\"}]}", CONCURRENT("20"));
    crowd_send(&crowd, &f, 20);
    fixture_sim_wait(&f, "held=20");
    crowd_send(&crowd, &f, 50);
    fixture_wait_status(&f, "held", 30);
    crowd_send(&crowd, &f, 60);
    fixture_wait_status(&f, "held", 40);
    crowd_send(&crowd, &f, CROWD);
    fixture_wait_status(&f, "held", 500);

    reload(&f, CONCURRENT("50")); /* thirty more go, the oldest ones */
    fixture_sim_wait(&f, "held=50");
    assert_arrived(&f, 50);
    reload(&f, CONCURRENT("10")); /* lowered: nobody goes until it fits */
    fixture_sim_post(&f, "/_sim/release?n=40", NULL);
    fixture_wait_status(&f, "in_flight", 10);
    assert_int_equal((int)status_number(&f, "held"), 470);
    fixture_sim_post(&f, "/_sim/release?n=10", NULL);
    fixture_sim_wait(&f, "held=10&completed=50");
    assert_arrived(&f, 60);
    fixture_sim_config(&f, "{\"faults\":[]}");
    reload(&f, FIXTURE_UPSTREAM "models:\n  gpt-4o: {}\n"); /* no limit: all of them */
    fixture_sim_post(&f, "/_sim/release", NULL);
    crowd_end(&crowd);
    fixture_assert_idle(&f);
    assert_int_equal((int)status_number(&f, "totals.completed"), CROWD);
    fixture_stop(&f);
}

/* ---- limits and their windows
 * ------------------------------------------------------------------------------------------- */

static void test_reload__limits_and_headroom__count_at_once_and_windows_keep_what_they_hold(void **state)
{
    struct fixture f;
    struct client_async *held;
    double used;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {rpm: 10, tpm: 1000}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello [[out=5]]")), 200);
    fixture_wait_status(&f, "budgets.0.limits.0.used", 1);
    used = status_number(&f, "budgets.0.limits.1.used");
    assert_true(used > 5);
    reload(&f, FIXTURE_UPSTREAM "headroom: 50%\nmodels:\n  gpt-4o: {tpm: {max: 5000, per: 2h}, rpm: 2}\n");
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.used"), (int)used);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.max"), 5000);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.usable"), 2500);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.window_s"), 7200);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.1.used"), 1);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.1.usable"), 1);
    held = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=5]]"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    reload(&f, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {tpm: {max: 5000, per: 2h}, rpm: 2}\n");
    assert_status(client_finish(held), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_reload__entry_that_vanishes__keeps_its_calls_and_its_window(void **state)
{
    struct fixture f;
    struct client_async *held;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {rpm: 1}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello [[out=5]]")), 200);
    held = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=5]]"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    reload(&f, FIXTURE_UPSTREAM);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello [[out=5]]")), 200); /* no entry, no limit */
    assert_int_equal((int)status_number(&f, "held"), 1);
    reload(&f, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  gpt-4o: {rpm: 2}\n");
    assert_status(client_finish(held), 200); /* it is back, with its window: one was used, one is free */
    fixture_assert_idle(&f);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.used"), 2);
    fixture_stop(&f);
}

static void test_reload__model_that_moves_to_another_entry__takes_its_held_calls_along(void **state)
{
    struct fixture f;
    struct client_async *held;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "headroom: 0%\nmodels:\n  all: {match: [\"gpt-*\"], rpm: 1}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-3.5-turbo", "hello [[out=5]]")), 200);
    held = fixture_chat_start(&f, CHAT("gpt-4o", "hello [[out=5]]"));
    fixture_wait_status(&f, "budgets.0.held", 1);
    reload(&f, FIXTURE_UPSTREAM
           "headroom: 0%\nmodels:\n  gpt-4o: {rpm: 1}\n  all: {match: [\"gpt-*\"], rpm: 1}\n");
    assert_status(client_finish(held), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* ---- upstreams
 * ------------------------------------------------------------------------------------------------------------
 */

#define TWO                                                                                                  \
    "upstreams:\n"                                                                                           \
    "  openai: {base_url: $SIMULATOR/v1, counting: actual}\n"                                                \
    "  second: {base_url: $SIMULATOR/second/v1, counting: actual, max_concurrent: 1}\n"

static void test_reload__upstream_that_is_new__works_and_one_that_vanishes_ends_its_calls(void **state)
{
    struct fixture f;
    struct client_async *going, *held;
    const char *body = CHAT("gpt-4o", "hello [[out=5]]");
    char url[128];
    struct client_call call = {.url = url, .body = body};

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    snprintf(url, sizeof url, "%s/second/v1/chat/completions", f.url);
    assert_status(client_run(&call), 404);
    reload(&f, TWO);
    assert_status(client_run(&call), 200);
    fixture_sim_config(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}");
    going = client_start(&call);
    fixture_sim_wait(&f, "held=1");
    held = client_start(&call);
    fixture_wait_status(&f, "held", 1);
    reload(&f, FIXTURE_UPSTREAM);
    assert_status(client_run(&call), 404);
    reload(&f, FIXTURE_UPSTREAM); /* what is swept now is not what calls still need */
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_status(client_finish(going), 200);
    assert_status(client_finish(held), 200);
    fixture_assert_idle(&f);
    reload(&f, FIXTURE_UPSTREAM);
    {
        cJSON *status = fixture_status(&f);
        const cJSON *upstream;

        cJSON_ArrayForEach(upstream, json_at(status, "upstreams"))
            assert_string_not_equal(json_text(upstream, "name"), "second");
        cJSON_Delete(status);
    }
    fixture_stop(&f);
}

#define WITH_KEY "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {file: $DIR/key}}\n"

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_reload__key_in_a_file__is_read_again(void **state)
{
    struct fixture f = {0};

    (void)state;
    fixture_start_simulator(&f, "{\"api_keys\":[\"sk-new\"]}", NULL);
    write_file(&f, "key", "sk-old\n");
    fixture_start_daemon(&f, WITH_KEY, NULL);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 401);
    write_file(&f, "key", "sk-new\n");
    reload(&f, WITH_KEY);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_reload__ca_file__counts_at_once_and_kept_connections_do_not_outlive_it(void **state)
{
    char yaml[256], trusting[300], path[128];
    struct process *provider;
    const char *argv[] = {path, "--make-certs", NULL, NULL};
    struct fixture f;
    const char *at;
    char *log;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    fixture_program("metergate-simulator", path, sizeof path);
    argv[2] = f.dir;
    provider = process_start(argv);
    assert_true(process_wait_log(provider, 0, "listening on ", FIXTURE_TIMEOUT_MS));
    log = process_log(provider);
    at = strrchr(log, ':');
    assert_non_null(at);
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  openai: {base_url: \"https://localhost:%ld/v1\", retry: {attempts: 1}",
             strtol(at + 1, NULL, 10));
    free(log);
    snprintf(trusting, sizeof trusting, "%s, ca_file: $DIR/ca.pem}\n", yaml);
    strncat(yaml, "}\n", sizeof yaml - strlen(yaml) - 1);
    reload(&f, yaml);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 502);
    reload(&f, trusting);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    reload(&f, trusting); /* unchanged: nothing is read, the connection is kept */
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    reload(&f, yaml);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 502);
    process_signal(provider, SIGTERM);
    assert_int_equal(process_wait_exit(provider, FIXTURE_TIMEOUT_MS), 0);
    process_free(provider);
    fixture_stop(&f);
}

/* ---- all or nothing
 * ---------------------------------------------------------------------------------------------------------
 */

static void test_reload__bad_file__is_reported_whole_and_changes_nothing(void **state)
{
    static const char *const problems[] = {":3:1: ", ":5:3: ", ":7:25: "};
    struct fixture f;
    struct client_reply r;
    size_t mark;
    cJSON *json;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 1000}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    mark = process_log_mark(f.daemon);
    r = reload_with(&f, "headrom: 10%\nlog:\n  lvel: debug\nmodels:\n  gpt-4o: {tpm: 9, rpm: -1}\n");
    assert_int_equal(r.status, 400);
    json = client_json(&r);
    assert_true(cJSON_IsFalse(json_at(json, "reloaded")));
    for (size_t i = 0; i < 3; i++) {
        char path[32];

        snprintf(path, sizeof path, "problems.%zu", i);
        assert_non_null(strstr(json_text(json, path), problems[i]));
        fixture_wait_log(&f, mark, problems[i]);
    }
    assert_int_equal(cJSON_GetArraySize(json_at(json, "problems")), 3);
    fixture_wait_log(&f, mark, "keeping the running configuration");
    cJSON_Delete(json);
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/metrics", NULL);
    assert_non_null(strstr(r.body.p, "\nmetergate_reloads_total{result=\"refused\"} 1\n"));
    client_reply_release(&r);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.max"), 1000);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The file is good by itself: what it names turns out bad only when it is put to use. */
static void test_reload__ca_file_without_a_certificate__changes_nothing(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 1000}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    write_file(&f, "ca.pem", "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n");
    r = reload_with(&f, "upstreams:\n  second: {base_url: \"https://localhost/v1\", ca_file: $DIR/ca.pem}\n"
                        "models:\n  gpt-4o: {tpm: 2000}\n");
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body.p, "has no CA certificate"));
    client_reply_release(&r);
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.max"), 1000);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

/* The loop would wait with it, and every call with the loop. */
static void test_reload__a_fifo_in_the_place_of_a_file__is_refused_at_once(void **state)
{
    static const char *const rows[] = {"ca_file: $DIR/fifo", "api_key: {file: $DIR/fifo}"};
    char path[160], yaml[256];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 1000}\n");
    snprintf(path, sizeof path, "%s/fifo", f.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_reply r;

        snprintf(yaml, sizeof yaml, "upstreams:\n  second: {base_url: \"https://localhost/v1\", %s}\n",
                 rows[i]);
        r = reload_with(&f, yaml);
        assert_int_equal(r.status, 400);
        assert_non_null(strstr(r.body.p, "it is a FIFO, not a file"));
        client_reply_release(&r);
    }
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

#define OPEN_TO_ALL                                                                                          \
    "listen: [\"0.0.0.0:0\"]\n" FIXTURE_UPSTREAM "clients:\n  ana: {token: {file: $DIR/key}}\n"

static void test_reload__open_address__keeps_its_tokens(void **state)
{
    const char *const token[] = {"Metergate-Token: 0123456789abcdef0123456789abcdef", NULL};
    struct fixture f = {0};
    char url[128];
    struct client_call call = {.method = "POST", .url = url, .headers = token, .body = "{}"};
    struct client_reply r;

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    write_file(&f, "key", "0123456789abcdef0123456789abcdef\n");
    fixture_start_daemon(&f, OPEN_TO_ALL "  require_token: true\n", NULL);
    snprintf(url, sizeof url, "%s/-/reload", f.url);
    assert_status(fixture_call(&f, "POST", "/-/reload", ""), 401);
    assert_status(client_run(&call), 200);
    fixture_write_config(
        &f, "listen: [\"127.0.0.1:0\"]\n" FIXTURE_UPSTREAM); /* a good file, but for what is open */
    r = client_run(&call);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body.p, "can be reached from other machines"));
    client_reply_release(&r);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 401);
    fixture_stop(&f);
}

static void test_reload__what_needs_a_restart__is_named(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    r = reload_with(&f, FIXTURE_UPSTREAM "listen: [127.0.0.1:1]\nlog: {level: debug}\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "\"warnings\":[\"listen: takes effect after a restart\"]"));
    client_reply_release(&r);
    fixture_wait_log(&f, 0, "warn  reload: listen: takes effect after a restart\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_wait_log(&f, 0, "receiving -> counting"); /* the level counts at once */
    fixture_stop(&f);
}

static void test_reload__allowed_hosts__count_at_once(void **state)
{
    const char *const headers[] = {"Host: proxy.lan", NULL};
    char url[128];
    struct client_call call = {.url = url, .headers = headers};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    snprintf(url, sizeof url, "%s/healthz", f.url);
    assert_status(client_run(&call), 403);
    reload(&f, FIXTURE_UPSTREAM "allow: {hosts: [proxy.lan]}\n");
    assert_status(client_run(&call), 200);
    reload(&f, FIXTURE_UPSTREAM);
    assert_status(client_run(&call), 403);
    fixture_stop(&f);
}

static void test_reload__what_the_command_line_says__stays(void **state)
{
    const char *const more[] = {"-l", "127.0.0.1:0", "--log-level", "info", NULL};
    struct fixture f = {0};
    struct client_reply r;
    char *log;

    (void)state;
    fixture_start_simulator(&f, NULL, NULL);
    fixture_start_daemon(&f, FIXTURE_UPSTREAM, more);
    r = reload_with(&f, FIXTURE_UPSTREAM "listen: [127.0.0.1:1]\nlog: {level: debug}\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "\"warnings\":[]"));
    client_reply_release(&r);
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_wait_log(&f, 0, " completed ");
    log = process_log(f.daemon);
    assert_null(strstr(log, " debug "));
    free(log);
    fixture_stop(&f);
}

/* ---- signals
 * ------------------------------------------------------------------------------------------------------------------
 */

static void test_sighup__reloads_as_often_as_it_comes(void **state)
{
    struct fixture f;
    size_t mark;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 1000}\n");
    assert_status(fixture_chat(&f, CHAT("gpt-4o", "hello")), 200);
    fixture_write_config(&f, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 2000}\n");
    process_signal(f.daemon, SIGHUP);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_status(&f, "budgets.0.limits.0.max", 2000);
    mark = process_log_mark(f.daemon);
    fixture_write_config(&f, "nonsense");
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, mark, "keeping the running configuration");
    mark = process_log_mark(f.daemon);
    fixture_write_config(&f, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 3000}\n");
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, mark, "reload: done");
    assert_int_equal((int)status_number(&f, "budgets.0.limits.0.max"), 3000);
    fixture_stop(&f);
}

static const char little[] = "listen: [127.0.0.1:0]\nstate_dir: none\n";

/*
 * Starts the daemon with a pipe for a configuration, which it is in the middle of reading. The pipe's other
 * end. The daemon is given the pipe by a link in the configuration's place.
 */
static int start_with_pipe(struct fixture *f)
{
    char path[256], given[32], comment[2 * 4096];
    const char *argv[] = {path, "-c", f->config, NULL};
    int fds[2];

    *f = (struct fixture){0};
    fixture_start_simulator(f, NULL, NULL);
    fixture_program("metergated", path, sizeof path);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
    assert_int_equal(fcntl(fds[0], F_SETFD, 0), 0);
    snprintf(given, sizeof given, "/dev/fd/%d", fds[0]);
    assert_int_equal(symlink(given, f->config), 0);
    f->daemon = process_start(argv);
    close(fds[0]);
    memset(comment, '#', sizeof comment);
    comment[sizeof comment - 1] = '\n';
    /* returns when the daemon has read the first half */
    assert_int_equal(write(fds[1], comment, sizeof comment), sizeof comment);
    return fds[1];
}

static void end_pipe(struct fixture *f, int fd)
{
    assert_int_equal(write(fd, little, sizeof little - 1), sizeof little - 1);
    close(fd);
    fixture_wait_log(f, 0, "ready, listening on ");
}

static void test_sighup__during_the_start__is_a_reload_after_it(void **state)
{
    struct fixture f;
    int fd = start_with_pipe(&f);
    char other[128];

    (void)state;
    snprintf(other, sizeof other, "%s/pipe", f.dir);
    assert_int_equal(rename(f.config, other), 0);
    fixture_write_config(&f, FIXTURE_UPSTREAM);
    process_signal(f.daemon, SIGHUP);
    end_pipe(&f, fd);
    fixture_wait_log(&f, 0, "reload: done");
    fixture_stop(&f);
}

/* Nobody writes to it any more: the daemon must not wait for that. */
static void test_reload__configuration_from_a_pipe__stays(void **state)
{
    struct fixture f;
    int fd = start_with_pipe(&f);

    (void)state;
    end_pipe(&f, fd);
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, 0, "metergate.yaml: is no regular file, and cannot be read again");
    fixture_wait_log(&f, 0, "keeping the running configuration");
    fixture_stop(&f);
}

/* ---- many
 * -----------------------------------------------------------------------------------------------------------------------
 */

/* A sanitizer keeps what was freed for a while; what was lost it tells by itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROWTH_KIB (512L * 1024)
#else
#define GROWTH_KIB 2048
#endif

static long resident_kib(const struct fixture *f)
{
    char path[64], line[256];
    long kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(f->daemon));
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return kib;
}

/* Each has an upstream and an entry that the one before did not have. */
static void test_reload__a_thousand_times__leaves_nothing_behind(void **state)
{
    struct client_async *held;
    struct fixture f;
    char yaml[512];
    long before = 0;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", CONCURRENT("1"));
    held = fixture_chat_start(&f, CHAT("gpt-4o", "hello"));
    fixture_sim_wait(&f, "held=1");
    for (int i = 0; i < 1000; i++) {
        char path[64];

        snprintf(yaml, sizeof yaml,
                 "upstreams:\n  openai: {base_url: $SIMULATOR/v1, counting: actual}\n  u%d: {base_url: "
                 "$SIMULATOR/v1}\n"
                 "models:\n  gpt-4o: {concurrent: 1}\n  m%d: {match: [\"other-*\"], concurrent: 3}\n",
                 i, i);
        reload(&f, yaml);
        if (i % 10 == 0) {
            snprintf(path, sizeof path, "/u%d/v1/chat/completions", i);
            assert_status(fixture_call(&f, "POST", path, CHAT("other-1", "hello")), 200);
        }
        if (i == 200)
            before = resident_kib(&f);
    }
    if (resident_kib(&f) > before + GROWTH_KIB)
        fail_msg("%ld KiB, and %ld KiB after 800 reloads", before, resident_kib(&f));
    fixture_sim_post(&f, "/_sim/release", NULL);
    assert_status(client_finish(held), 200);
    fixture_assert_idle(&f);
    reload(&f, FIXTURE_UPSTREAM);
    {
        cJSON *status = fixture_status(&f);

        assert_int_equal(cJSON_GetArraySize(json_at(status, "upstreams")),
                         3); /* openai, and the built-in ones */
        cJSON_Delete(status);
    }
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload__limits_and_headroom__count_at_once_and_windows_keep_what_they_hold),
        cmocka_unit_test(test_reload__with_500_held_and_20_in_flight__loses_nobody_and_keeps_the_order),
        cmocka_unit_test(test_reload__entry_that_vanishes__keeps_its_calls_and_its_window),
        cmocka_unit_test(test_reload__model_that_moves_to_another_entry__takes_its_held_calls_along),
        cmocka_unit_test(test_reload__upstream_that_is_new__works_and_one_that_vanishes_ends_its_calls),
        cmocka_unit_test(test_reload__key_in_a_file__is_read_again),
        cmocka_unit_test(test_reload__ca_file__counts_at_once_and_kept_connections_do_not_outlive_it),
        cmocka_unit_test(test_reload__bad_file__is_reported_whole_and_changes_nothing),
        cmocka_unit_test(test_reload__ca_file_without_a_certificate__changes_nothing),
        cmocka_unit_test(test_reload__a_fifo_in_the_place_of_a_file__is_refused_at_once),
        cmocka_unit_test(test_reload__open_address__keeps_its_tokens),
        cmocka_unit_test(test_reload__what_needs_a_restart__is_named),
        cmocka_unit_test(test_reload__allowed_hosts__count_at_once),
        cmocka_unit_test(test_reload__what_the_command_line_says__stays),
        cmocka_unit_test(test_sighup__reloads_as_often_as_it_comes),
        cmocka_unit_test(test_sighup__during_the_start__is_a_reload_after_it),
        cmocka_unit_test(test_reload__configuration_from_a_pipe__stays),
        cmocka_unit_test(test_reload__a_thousand_times__leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
