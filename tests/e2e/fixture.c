/* fixture: the directory exists from the first start to fixture_stop; the two processes are NULL while they do not run. */
#include "fixture.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/clock.h"
#include "metergate/base/slice.h"

/* ---- JSON ---- */

/* The longest name that is there wins, because names of models have points in them. */
static const cJSON *member(const cJSON *json, struct slice path, struct slice *ret_rest)
{
    for (size_t n = path.n; n > 0; n--) {
        const cJSON *child;
        char name[256];

        if (n < path.n && path.p[n] != '.')
            continue;
        snprintf(name, sizeof name, "%.*s", (int)n, path.p);
        child = cJSON_GetObjectItemCaseSensitive(json, name);
        if (child) {
            *ret_rest = slice_skip(path, n + 1);
            return child;
        }
    }
    return NULL;
}

const struct cJSON *json_at(const struct cJSON *json, const char *path)
{
    struct slice rest = slice_str(path);

    while (rest.n && json) {
        int64_t index;

        if (cJSON_IsArray(json)) {
            struct slice key = slice_head(rest, slice_find(rest, '.'));

            rest = slice_skip(rest, key.n + 1);
            json = slice_int64(key, &index) == 0 ? cJSON_GetArrayItem(json, (int)index) : NULL;
        } else {
            json = member(json, rest, &rest);
        }
    }
    return json;
}

static void show(const struct cJSON *json, const char *path)
{
    char *text = cJSON_Print(json);

    print_error("no such value at %s in %s\n", path, text ? text : "nothing");
    free(text);
}

double json_number(const struct cJSON *json, const char *path)
{
    const cJSON *node = json_at(json, path);

    if (!cJSON_IsNumber(node)) {
        show(json, path);
        fail();
    }
    return node ? node->valuedouble : 0;
}

const char *json_text(const struct cJSON *json, const char *path)
{
    const cJSON *node = json_at(json, path);

    if (!cJSON_IsString(node)) {
        show(json, path);
        fail();
    }
    return node ? node->valuestring : "";
}

/* ---- starting and stopping ---- */

void fixture_program(const char *name, char *ret, size_t size)
{
    const char *bin = getenv("MG_BIN");

    snprintf(ret, size, "%s/%s", bin ? bin : "build/release/bin", name);
}

static void need_dir(struct fixture *f)
{
    if (f->dir[0])
        return;
    snprintf(f->dir, sizeof f->dir, "/tmp/metergate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->config, sizeof f->config, "%s/metergate.yaml", f->dir);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Fails the test, with what the program said. */
static void give_up(struct process *p, const char *what)
{
    char *log = p ? process_log(p) : NULL;

    print_error("%s; the program's log:\n%s\n", what, log ? log : "(it does not run)");
    free(log);
    fail();
}

/* The port after `text` in a program's log, once it is there. */
static int wait_port(struct process *p, const char *text)
{
    char *log;
    const char *at;
    long port;

    if (!process_wait_log(p, 0, text, FIXTURE_TIMEOUT_MS))
        give_up(p, "it did not start");
    /* the rest of the line may still be on its way */
    for (size_t mark = 0;; mark = process_log_mark(p)) {
        char *end;

        log = process_log(p);
        at = strstr(log, text) + strlen(text);
        end = strpbrk(at, ", \n");
        if (end) {
            *end = '\0';
            break;
        }
        free(log);
        if (!process_wait_log(p, mark, "\n", FIXTURE_TIMEOUT_MS))
            give_up(p, "it did not say where it listens");
    }
    at = strrchr(at, ':');
    assert_non_null(at);
    port = strtol(at + 1, NULL, 10);
    free(log);
    return (int)port;
}

/* NAME and its arguments, then `more`. */
static struct process *start_program(const char *name, const char *option, const char *value, const char *const *more)
{
    char path[256];
    const char *argv[16] = {path};
    size_t n = 1;

    fixture_program(name, path, sizeof path);
    if (value) {
        argv[n++] = option;
        argv[n++] = value;
    }
    for (; more && *more; more++) {
        assert_true(n + 1 < 16);
        argv[n++] = *more;
    }
    return process_start(argv);
}

void fixture_start_simulator(struct fixture *f, const char *settings, const char *const *more)
{
    const char *all[12] = {"--control", "127.0.0.1:0"};
    size_t n = 2;

    for (; more && *more; more++) {
        assert_true(n + 1 < sizeof all / sizeof all[0]);
        all[n++] = *more;
    }
    need_dir(f);
    f->simulator = start_program("metergate-simulator", "--config", settings, all);
    f->simulator_port = wait_port(f->simulator, "listening on ");
    snprintf(f->simulator_url, sizeof f->simulator_url, "http://127.0.0.1:%d", f->simulator_port);
    snprintf(f->control_url, sizeof f->control_url, "http://127.0.0.1:%d", wait_port(f->simulator, "control on "));
}

static void add_replaced(struct buf *out, const char *text, const struct fixture *f)
{
    while (*text) {
        if (strncmp(text, "$SIMULATOR", 10) == 0) {
            buf_add_str(out, f->simulator_url);
            text += 10;
        } else if (strncmp(text, "$DIR", 4) == 0) {
            buf_add_str(out, f->dir);
            text += 4;
        } else {
            buf_add_char(out, *text++);
        }
    }
}

static bool has_key(const char *yaml, const char *key)
{
    const char *at = strstr(yaml, key);

    return at && (at == yaml || at[-1] == '\n');
}

void fixture_write_config(struct fixture *f, const char *yaml)
{
    struct buf text;
    FILE *file;

    need_dir(f);
    buf_init(&text, BUF_UNLIMITED);
    if (!has_key(yaml, "listen:"))
        buf_add_str(&text, "listen: [127.0.0.1:0]\n");
    if (!has_key(yaml, "state_dir:"))
        buf_add_str(&text, "state_dir: none\n");
    add_replaced(&text, yaml, f);
    if (!has_key(yaml, "models:")) /* at the end: tests know the lines of theirs */
        buf_add_str(&text, "\nmodels: {\"*\": {learn: false}}\n");
    file = fopen(f->config, "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0644), 0); /* whatever the test's umask: one that all may write to is refused */
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
    buf_release(&text);
}

void fixture_start_daemon(struct fixture *f, const char *yaml, const char *const *more)
{
    fixture_write_config(f, yaml);
    f->daemon = start_program("metergated", "-c", f->config, more);
    f->port = wait_port(f->daemon, "ready, listening on ");
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", f->port);
}

void fixture_start(struct fixture *f, const char *settings, const char *yaml)
{
    *f = (struct fixture){0};
    fixture_start_simulator(f, settings, NULL);
    fixture_start_daemon(f, yaml, NULL);
}

/* SIGTERM, and an end with 0: sanitizers that found something end with another. */
static void stop_program(struct process **p, const char *name)
{
    struct errbuf what;
    int rc;

    if (!*p)
        return;
    process_signal(*p, SIGTERM);
    rc = process_wait_exit(*p, FIXTURE_TIMEOUT_MS);
    if (rc != 0) {
        err_set(&what, "%s ended with %d", name, rc);
        give_up(*p, what.text);
    }
    process_free(*p);
    *p = NULL;
}

void fixture_stop_daemon(struct fixture *f)
{
    stop_program(&f->daemon, "metergated");
}

static void assert_no_violations(const struct fixture *f)
{
    cJSON *audit = fixture_audit(f);
    char *text = cJSON_Print(json_at(audit, "violations"));

    if (json_number(audit, "n_violations") > 0)
        fail_msg("the provider was sent what it must not be: %s", text);
    free(text);
    cJSON_Delete(audit);
}

void fixture_stop(struct fixture *f)
{
    fixture_stop_daemon(f);
    if (f->simulator)
        assert_no_violations(f);
    stop_program(&f->simulator, "metergate-simulator");
    if (f->dir[0])
        nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    *f = (struct fixture){0};
}

/* ---- calls through the daemon ---- */

static const char *const key[] = {"Authorization: Bearer sk-test", NULL};

struct client_reply fixture_call(const struct fixture *f, const char *method, const char *path, const char *body)
{
    char url[1024];
    struct client_call call = {.method = method, .url = url, .headers = key, .body = body};

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_run(&call);
}

struct client_async *fixture_chat_start(const struct fixture *f, const char *body)
{
    char url[128];
    struct client_call call = {.url = url, .headers = key, .body = body};

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    return client_start(&call);
}

struct client_reply fixture_chat(const struct fixture *f, const char *body)
{
    return client_finish(fixture_chat_start(f, body));
}

/* ---- the daemon ---- */

static cJSON *get_json(const char *base, const char *path)
{
    char url[1024];
    struct client_call call = {.url = url};
    struct client_reply reply;
    cJSON *json;

    snprintf(url, sizeof url, "%s%s", base, path);
    reply = client_run(&call);
    if (reply.error)
        fail_msg("%s: %s", url, reply.error_text);
    json = client_json(&reply);
    if (reply.status != 200)
        fail_msg("%s: status %d: %.*s", path, reply.status, (int)reply.body.n, reply.body.p);
    client_reply_release(&reply);
    return json;
}

struct cJSON *fixture_status(const struct fixture *f)
{
    return get_json(f->url, "/-/status");
}

/* The status has no event to wait for: it is asked again, a few milliseconds later, until the time is up. */
static bool wait_until(const struct fixture *f, bool (*holds)(const cJSON *status, const void *arg), const void *arg)
{
    int64_t end_us = clock_now_us() + FIXTURE_TIMEOUT_MS * CLOCK_MS;

    for (;;) {
        cJSON *status = fixture_status(f);
        bool ok = holds(status, arg);

        if (!ok && clock_now_us() > end_us)
            show(status, "the status that was waited for");
        cJSON_Delete(status);
        if (ok || clock_now_us() > end_us)
            return ok;
        poll(NULL, 0, 3);
    }
}

struct expected {
    const char *path;
    double value;
};

static bool has_value(const cJSON *status, const void *arg)
{
    const struct expected *e = arg;
    const cJSON *node = json_at(status, e->path);

    return cJSON_IsNumber(node) && node->valuedouble <= e->value && node->valuedouble >= e->value;
}

void fixture_wait_status(const struct fixture *f, const char *path, double value)
{
    struct expected e = {path, value};

    if (!wait_until(f, has_value, &e))
        give_up(f->daemon, "the status did not become what it should");
}

void fixture_wait_log(struct fixture *f, size_t mark, const char *text)
{
    struct errbuf what;

    if (process_wait_log(f->daemon, mark, text, FIXTURE_TIMEOUT_MS))
        return;
    err_set(&what, "the log does not say \"%s\"", text);
    give_up(f->daemon, what.text);
}

static bool is_zero(const cJSON *json, const char *path)
{
    struct expected e = {path, 0};

    return has_value(json, &e);
}

static bool is_idle(const cJSON *status, const void *arg)
{
    const cJSON *budget, *limit;

    (void)arg;
    if (!is_zero(status, "held") || !is_zero(status, "held_bytes") || !is_zero(status, "in_flight"))
        return false;
    cJSON_ArrayForEach(budget, json_at(status, "budgets"))
    {
        if (!is_zero(budget, "held") || !is_zero(budget, "in_flight"))
            return false;
        cJSON_ArrayForEach(limit, json_at(budget, "limits"))
            if (!is_zero(limit, "reserved"))
                return false;
    }
    return true;
}

void fixture_assert_idle(const struct fixture *f)
{
    if (!wait_until(f, is_idle, NULL))
        give_up(f->daemon, "something is still held, in flight or reserved");
    fixture_sim_wait(f, "in_flight=0");
}

/* ---- the simulator ---- */

void fixture_sim_post(const struct fixture *f, const char *path, const char *body)
{
    char url[1024];
    struct client_call call = {.method = "POST", .url = url, .body = body ? body : "{}"};
    struct client_reply reply;

    snprintf(url, sizeof url, "%s%s", f->control_url, path);
    reply = client_run(&call);
    if (reply.status != 200)
        fail_msg("%s: status %d: %.*s", path, reply.status, (int)reply.body.n, reply.body.n ? reply.body.p : "");
    client_reply_release(&reply);
}

void fixture_sim_config(const struct fixture *f, const char *settings)
{
    fixture_sim_post(f, "/_sim/config", settings);
}

void fixture_sim_wait(const struct fixture *f, const char *conditions)
{
    char path[512];

    snprintf(path, sizeof path, "/_sim/wait?%s&timeout_ms=%d", conditions, FIXTURE_TIMEOUT_MS - 5000);
    cJSON_Delete(get_json(f->control_url, path));
}

struct cJSON *fixture_audit(const struct fixture *f)
{
    return get_json(f->control_url, "/_sim/audit");
}
