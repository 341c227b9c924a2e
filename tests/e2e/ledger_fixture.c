/* ledger_fixture: a connection to the database lives for one question, so that it never keeps the daemon from
 * anything. */
#include "ledger_fixture.h"

#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/clock.h"
#include "metergate/ledger/db.h"

struct client_async *ledger_post_start(const struct fixture *f, const char *path, const char *header,
                                       const char *body)
{
    const char *const headers[] = {"Authorization: Bearer sk-test", header, NULL};
    char url[512];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(&(struct client_call){.url = url, .headers = headers, .body = body});
}

struct client_reply ledger_post(const struct fixture *f, const char *path, const char *header,
                                const char *body)
{
    return client_finish(ledger_post_start(f, path, header, body));
}

void ledger_chat(const struct fixture *f, const char *model, int64_t out, int status)
{
    struct client_reply r;
    char body[256];

    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"max_tokens\":%" PRId64
             ",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
             model, out);
    r = fixture_chat(f, body);
    if (r.status != status)
        fail_msg("a chat with %s was answered %d: %s", model, r.status, r.body.n ? r.body.p : r.error_text);
    client_reply_release(&r);
}

void ledger_kill(struct fixture *f)
{
    process_signal(f->daemon, SIGKILL);
    assert_int_equal(process_wait_exit(f->daemon, FIXTURE_TIMEOUT_MS), 128 + SIGKILL);
    process_free(f->daemon);
    f->daemon = NULL;
}

/* ---- reports ---- */

struct cJSON *ledger_get(const struct fixture *f, const char *path)
{
    struct client_reply r = fixture_call(f, "GET", path, NULL);
    cJSON *json = client_json(&r);

    if (r.status != 200)
        fail_msg("%s: status %d: %s", path, r.status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
    return json;
}

const struct cJSON *ledger_row(const struct cJSON *usage, const char *key)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, json_at(usage, "rows")) if (strcmp(json_text(row, "key"), key) == 0) return row;
    return NULL;
}

int64_t ledger_int(const struct cJSON *json, const char *path)
{
    return (int64_t)json_number(json, path);
}

/* ---- the database ---- */

const char *ledger_path(const struct fixture *f, const char *name)
{
    static char paths[3][192];
    static unsigned turn;
    char *path = paths[turn++ % 3];

    snprintf(path, sizeof paths[0], "%s/state/%s", f->dir, name);
    return path;
}

int ledger_files(const struct fixture *f, const char *part)
{
    char pattern[64];
    glob_t found;
    int n = 0;

    snprintf(pattern, sizeof pattern, "*%s*", part);
    if (glob(ledger_path(f, pattern), 0, NULL, &found) == 0)
        n = (int)found.gl_pathc;
    globfree(&found);
    return n;
}

/* False when it is not there, or cannot be asked now. */
static bool ask(const struct fixture *f, const char *sql, int64_t *ret)
{
    struct db *db = NULL;
    struct db_stmt *s = NULL;
    bool ok = false;

    if (db_open_reader(ledger_path(f, "ledger.db"), 5000, &db) == DB_OK && db_prepare(db, sql, &s) == DB_OK &&
        db_step(s) == DB_ROW) {
        *ret = db_int(s, 0);
        ok = true;
    }
    if (s)
        db_finalize(s);
    db_close(db);
    return ok;
}

int64_t ledger_ask(const struct fixture *f, const char *sql)
{
    int64_t n = -1;

    if (!ask(f, sql, &n))
        fail_msg("the database does not answer: %s", sql);
    return n;
}

void ledger_wait_calls(const struct fixture *f, int64_t calls)
{
    int64_t end_us = clock_now_us() + FIXTURE_TIMEOUT_MS * CLOCK_MS, n = -1;

    while (!ask(f, "SELECT count(*) FROM calls", &n) || n < calls) {
        if (clock_now_us() > end_us)
            fail_msg("%" PRId64 " calls are in the database, not %" PRId64, n, calls);
        poll(NULL, 0, 5);
    }
    assert_int_equal(n, calls);
}

void ledger_wait_ok(const struct fixture *f, bool ok)
{
    int64_t end_us = clock_now_us() + FIXTURE_TIMEOUT_MS * CLOCK_MS;

    for (;;) {
        cJSON *status = fixture_status(f);
        bool is = cJSON_IsTrue(json_at(status, "ledger.ok"));

        assert_true(cJSON_IsBool(json_at(status, "ledger.ok")));
        cJSON_Delete(status);
        if (is == ok)
            return;
        if (clock_now_us() > end_us)
            fail_msg("the ledger did not become %s; the daemon's log:\n%s", ok ? "well" : "unwell",
                     process_log(f->daemon));
        poll(NULL, 0, 10);
    }
}
