/* world: what /proc tells of another user's process, or of one that forbids it, cannot be read: then those checks are left out. */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fault.h"
#include "metergate/base/clock.h"
#include "player.h"
#include "../e2e/ledger_fixture.h"
#include "../shim/steer.h"
#include "socket.h"

int64_t world_patience_us(void)
{
    const char *slow = getenv("CHAOS_SLOW");

    return CLOCK_S * (slow ? strtol(slow, NULL, 10) : 1);
}

/* ---- start and stop ---- */

static char *configuration(const struct world *w, int which)
{
    struct buf yaml;
    size_t n;

    if (w->yaml[0])
        return xstrdup(w->yaml);
    buf_init(&yaml, BUF_UNLIMITED);
    buf_addf(&yaml,
             "state_dir: $DIR/state\n"
             "retention: 36500d\n" /* rows of 20 years ago are kept, and counted */
             "headroom: 0%%\n"
             "queue: {keepalive: 20ms, keepalive_agents: [\"*\"]}\n"
             "upstreams:\n"
             "  openai: {dialect: openai, base_url: %s/v1, counting: actual, timeout: {first_byte: 2s, idle: 2s}}\n"
             "  raw: {dialect: openai, base_url: http://127.0.0.1:%d/v1, counting: actual, timeout: {first_byte: 200ms, idle: 150ms}}\n"
             "  dead: {dialect: openai, base_url: http://127.0.0.1:%d/v1}\n"
             "  named: {dialect: openai, base_url: http://" WORLD_NAME ":%d/v1, counting: actual, timeout: {first_byte: 2s, idle: 2s}}\n"
             "models:\n"
             "  %s: {match: [gpt-4o], concurrent: %d%s}\n"
             "  gpt-4o-mini: {tpm: {max: 2000, per: 100ms}, rpm: {max: 20, per: 100ms}, concurrent: 6}\n"
             "  gpt-raw: {concurrent: 4, tpm: {max: %d, per: 1s}}\n"
             "  \"*\": {tpm: 100M, usd_per_hour: 100000}\n"
             "prices: {\"*\": {input: %d, output: 8}}\n"
             "clients:\n"
             "  odd: {weight: 2%s}\n",
             w->sim.simulator_url, w->raw.port, w->dead_port, w->sim.simulator_port, which == 2 ? "four" : "gpt-4o", 2 + which,
             which == 1 ? "" : ", usd_per_day: 100000", 60000 + which, 2 + which,
             which == 0 ? ", usd_per_hour: 100000, usd_per_month: 200000" : which == 1 ? ", usd_per_day: 100000" : "");
    return buf_take(&yaml, &n);
}

static void start_daemon(struct world *w, struct subject *s)
{
    char *yaml = configuration(w, 0);

    if (w->steer)
        steer_on(w->steer);
    fixture_start_daemon(&s->f, yaml, NULL);
    steer_off();
    free(yaml);
    s->at_rest = subject_open_files(s);
}

void subject_start(struct world *w, struct subject *s)
{
    *s = (struct subject){0};
    start_daemon(w, s);
}

void subject_change(struct world *w, struct subject *s, int which)
{
    char *yaml = configuration(w, which);

    fixture_write_config(&s->f, yaml);
    free(yaml);
}

bool world_may_mount(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool world_init(struct world *w, const struct fault *fault)
{
    static const char *const everywhere[] = {"--listen", "0.0.0.0:0", NULL};

    *w = (struct world){.may_mount = w->may_mount, .scale = w->scale, .slowest_abort_us = w->slowest_abort_us, .settle_us = 2 * world_patience_us()};
    if (fault->steers && !steer_can())
        return false;
    if (fault->steers)
        w->steer = steer_new(w->scale ? w->scale : 1);
    if (fault->prepare && !fault->prepare(w))
        return false;
    provider_open(&w->raw);
    w->dead_fd = socket_listen(false, &w->dead_port);
    if (w->scale)
        steer_on(w->steer);
    fixture_start_simulator(&w->sim, NULL, w->names ? everywhere : NULL);
    steer_off();
    letters_init(&w->letters, &w->sim, w->names);
    if (fault->configure)
        fault->configure(w);
    start_daemon(w, &w->main);
    return true;
}

/* No attempt is left open: the next daemon finds nothing that the one before it had not written. */
static void check_restart(struct world *w)
{
    cJSON *status;

    fixture_stop_daemon(&w->main.f);
    start_daemon(w, &w->main);
    status = fixture_status(&w->main.f);
    if (json_number(status, "ledger.recovered") != 0)
        world_fail(w, &w->main, "rows were left in the journal");
    cJSON_Delete(status);
}

void world_release(struct world *w, const struct fault *fault)
{
    check_restart(w);
    fixture_stop_daemon(&w->main.f);
    if (fault->finish)
        fault->finish(w);
    fixture_stop(&w->main.f);
    fixture_stop(&w->sim);
    provider_close(&w->raw);
    close(w->dead_fd);
    letters_release(&w->letters);
    steer_free(w->steer);
    w->steer = NULL;
}

void world_fail(const struct world *w, const struct subject *s, const char *what)
{
    char *log = s->f.daemon ? process_log(s->f.daemon) : NULL;
    size_t n = log ? strlen(log) : 0;

    for (size_t i = 0; i < w->n; i++)
        player_print(&w->players[i], stderr);
    fprintf(stderr, "seed %" PRIu64 ": %s; the end of the daemon's log:\n%s\n", w->seed, what,
                log ? log + (n > 6000 ? n - 6000 : 0) : "(none)");
    free(log);
    fail();
}

/* ---- descriptors and memory ---- */

enum socket_kind { SOCKET_OTHER, SOCKET_CLIENT, SOCKET_UPSTREAM, SOCKET_HIDDEN };

/*
 * A pair of Unix sockets is libcurl's, one for each group of transfers that was ever needed; newer ones have a pipe or an eventfd
 * there, and the one of our own does not matter among as many. Looks at the socket itself, through a
 * descriptor of our own: tables in /proc are long, and change while they are read.
 */
static enum socket_kind kind_of(int pidfd, int number, int port)
{
    struct sockaddr_in addr = {0};
    socklen_t n = sizeof addr, flag_n = sizeof n;
    int listens = 0, fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    enum socket_kind kind = SOCKET_OTHER;

    if (fd < 0) /* containers often forbid it */
        return errno == EBADF ? SOCKET_OTHER : SOCKET_HIDDEN;
    if (getsockname(fd, (struct sockaddr *)&addr, &n) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_n) == 0 && !listens)
        kind = addr.sin_family == AF_INET && ntohs(addr.sin_port) == port ? SOCKET_CLIENT : SOCKET_UPSTREAM;
    close(fd);
    return kind;
}

/* What the daemon has open; .other is -1 when that cannot be read. */
struct open_files subject_open_files(const struct subject *s)
{
    pid_t pid = process_pid(s->f.daemon);
    struct open_files files = {0};
    const struct dirent *e;
    char dir[64], path[384], target[64];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool hidden;
    DIR *d;

    snprintf(dir, sizeof dir, "/proc/%d/fd", (int)pid);
    d = opendir(dir);
    hidden = !d || pidfd < 0;
    while (!hidden && (e = readdir(d)) != NULL) {
        enum socket_kind kind = SOCKET_OTHER;
        ssize_t n;

        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        n = readlink(path, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (strncmp(target, "socket:", 7) == 0)
            kind = kind_of(pidfd, (int)strtol(e->d_name, NULL, 10), s->f.port);
        else if (strncmp(target, "pipe:", 5) == 0 || strcmp(target, "anon_inode:[eventfd]") == 0)
            kind = SOCKET_UPSTREAM;
        hidden = kind == SOCKET_HIDDEN;
        files.other += kind == SOCKET_OTHER;
        files.clients += kind == SOCKET_CLIENT;
        files.upstream += kind == SOCKET_UPSTREAM;
    }
    if (d)
        closedir(d);
    if (pidfd >= 0)
        close(pidfd);
    if (hidden)
        files.other = -1;
    return files;
}

static void read_whole(const char *path, struct buf *out)
{
    char piece[8192];
    FILE *f = fopen(path, "re");
    size_t n;

    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(out, piece, n);
    fclose(f);
}

int64_t subject_rss_bytes(const struct subject *s)
{
    struct buf text;
    char path[64];
    const char *at;
    int64_t kb = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(s->f.daemon));
    buf_init(&text, BUF_UNLIMITED);
    read_whole(path, &text);
    at = strstr(text.p, "VmRSS:");
    if (at)
        kb = strtoll(at + 6, NULL, 10);
    buf_release(&text);
    return kb * 1024;
}

/* ---- the daemon's own figures ---- */

static bool is_settled(const cJSON *status)
{
    static const char *const zero[] = {"held", "held_bytes", "in_flight"};
    const cJSON *b, *l;
    double outcomes = json_number(status, "totals.completed") + json_number(status, "totals.refused") +
                      json_number(status, "totals.cancelled") + json_number(status, "totals.failed");

    for (size_t i = 0; i < MG_ARRAY_LEN(zero); i++)
        if (json_number(status, zero[i]) != 0)
            return false;
    cJSON_ArrayForEach(b, json_at(status, "budgets"))
    {
        if (json_number(b, "held") != 0 || json_number(b, "in_flight") != 0)
            return false;
        cJSON_ArrayForEach(l, json_at(b, "limits"))
            if (json_number(l, "reserved") != 0)
                return false;
    }
    cJSON_ArrayForEach(b, json_at(status, "clients"))
    {
        if (json_number(b, "held") != 0 || json_number(b, "in_flight") != 0)
            return false;
        cJSON_ArrayForEach(l, json_at(b, "limits"))
            if (json_number(l, "reserved") != 0)
                return false;
    }
    cJSON_ArrayForEach(b, json_at(status, "upstreams"))
        if (json_number(b, "connections") != 0)
            return false;
    return json_number(status, "totals.calls") == outcomes && json_number(status, "ledger.waiting") == 0 &&
           cJSON_IsTrue(json_at(status, "ledger.ok"));
}

/* ---- the ledger ---- */

static void fail_unless(const struct world *w, const struct subject *s, const char *what, int64_t is, int64_t should)
{
    struct errbuf text;

    err_set(&text, "the ledger: %s: %" PRId64 " instead of %" PRId64, what, is, should);
    if (is != should)
        world_fail(w, s, text.text);
}

/* Columns of `hours`, and what of `calls` they are the sums of. */
static const char *const summed[][2] = {
    {"calls", "1"},          {"completed", "outcome = 0"},   {"refused", "outcome = 1"},
    {"cancelled", "outcome = 2"}, {"failed", "outcome = 3"}, {"attempts", "attempts"},
    {"input", "input"},      {"output", "output"},           {"cost_nano", "coalesce(cost_nano, 0)"},
    {"unpriced", "cost_nano IS NULL"},
};

static void check_hours(const struct world *w, const struct subject *s)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(summed); i++) {
        char of_calls[96], of_hours[96];

        snprintf(of_calls, sizeof of_calls, "SELECT coalesce(sum(%s), 0) FROM calls", summed[i][1]);
        snprintf(of_hours, sizeof of_hours, "SELECT coalesce(sum(%s), 0) FROM hours", summed[i][0]);
        fail_unless(w, s, of_hours, ledger_ask(&s->f, of_hours), ledger_ask(&s->f, of_calls));
    }
}

/* One row for each call, and each sum is that of its rows; what clients and budgets were charged is what calls cost. */
static void check_ledger(const struct world *w, const struct subject *s, int64_t calls)
{
    static const char *const scopes[] = {"client:", "budget:"};

    fail_unless(w, s, "calls", ledger_ask(&s->f, "SELECT count(*) FROM calls"), calls - s->lost);
    fail_unless(w, s, "calls of a daemon that died",
                ledger_ask(&s->f, "SELECT count(*) FROM calls JOIN names ON names.id = reason WHERE text = 'daemon died'"), 0);
    check_hours(w, s);
    for (size_t i = 0; i < MG_ARRAY_LEN(scopes) && !w->forgets; i++) {
        char sql[192];

        snprintf(sql, sizeof sql,
                 "SELECT coalesce(sum(cost_nano), 0) FROM charges JOIN names ON names.id = scope WHERE text LIKE '%s%%'", scopes[i]);
        fail_unless(w, s, sql, ledger_ask(&s->f, sql), ledger_ask(&s->f, "SELECT coalesce(sum(cost_nano), 0) FROM calls"));
    }
}

/* A daemon that has ended says in its log what calls it had. */
void subject_assert_kept(struct world *w, const struct subject *s)
{
    char *log = process_log(s->f.daemon), *at = log;
    int64_t calls = 0;

    while ((at = strstr(at, " attempts=")) != NULL) {
        calls++;
        at++;
    }
    free(log);
    check_ledger(w, s, calls);
}

/*
 * Idle connections to providers are kept, and dead ones found when they are wanted: there may be as many as calls at once. SQLite keeps
 * a second descriptor of the database that it must not close yet, or not, for the one that read it at the start.
 */
static bool has_baseline(const struct subject *s, struct open_files now)
{
    return now.other < 0 || (now.clients == 0 && now.other <= s->at_rest.other && now.other >= s->at_rest.other - 1 &&
                             now.upstream <= WORLD_UPSTREAM_MAX);
}

/* Rows that were in files which somebody removed are known from now on. */
static void note_lost(struct subject *s, int64_t calls)
{
    if (s->may_lose)
        s->lost = calls - ledger_ask(&s->f, "SELECT count(*) FROM calls");
    s->may_lose = false;
}

void subject_assert_settled(struct world *w, struct subject *s)
{
    int64_t end_us = clock_now_us() + w->settle_us;
    struct errbuf what;
    int64_t calls;

    for (;;) {
        cJSON *status = fixture_status(&s->f);
        bool settled = is_settled(status), late = clock_now_us() > end_us;

        if (late && !settled)
            world_fail(w, s, cJSON_PrintUnformatted(status));
        calls = ledger_int(status, "totals.calls");
        cJSON_Delete(status);
        s->now = subject_open_files(s);
        if (settled && has_baseline(s, s->now)) {
            note_lost(s, calls);
            check_ledger(w, s, calls);
            return;
        }
        if (late)
            break;
        poll(NULL, 0, 1);
    }
    err_set(&what, "open: %d of clients, %d of providers, %d others instead of %d", s->now.clients, s->now.upstream, s->now.other,
            s->at_rest.other);
    world_fail(w, s, what.text);
}

/* ---- what the provider saw ---- */

static int id_of(const cJSON *arrival)
{
    const cJSON *h;

    cJSON_ArrayForEach(h, json_at(arrival, "headers"))
        if (strcmp(json_text(h, "0"), "X-Chaos") == 0)
            return (int)strtol(json_text(h, "1"), NULL, 10);
    return -1;
}

static void check_account(struct world *w, const cJSON *account, double start_us)
{
    const cJSON *a;

    cJSON_ArrayForEach(a, json_at(account, "list"))
    {
        double end_us = start_us + json_number(a, "end_us"), from_us = start_us + json_number(a, "t_us");
        int id = id_of(a);
        struct errbuf what;

        if (!cJSON_IsTrue(json_at(a, "aborted")))
            continue;
        if (id < 0 || (size_t)id >= w->n)
            continue;
        if (w->players[id].left_us && (double)w->players[id].left_us > from_us)
            from_us = (double)w->players[id].left_us;
        if (end_us - from_us > (double)w->slowest_abort_us)
            w->slowest_abort_us = (int64_t)(end_us - from_us);
        if (end_us - from_us <= (double)(world_patience_us() + w->extra_us))
            continue;
        err_set(&what, "the provider saw the abort of client %d after %.0f ms", id, (end_us - from_us) / 1000);
        world_fail(w, &w->main, what.text);
    }
}

static void check_violations(struct world *w, const cJSON *audit)
{
    const cJSON *v;

    cJSON_ArrayForEach(v, json_at(audit, "violations"))
    {
        if (w->torn && cJSON_IsString(v) && strstr(v->valuestring, "closed in the middle of a head"))
            continue;
        world_fail(w, &w->main, cJSON_Print(json_at(audit, "violations")));
    }
}

void world_assert_provider(struct world *w)
{
    cJSON *audit, *account;
    double start_us;
    struct errbuf condition;

    err_set(&condition, "in_flight=0");
    fixture_sim_wait(&w->sim, condition.text);
    audit = fixture_audit(&w->sim);
    start_us = json_number(audit, "start_us");
    check_violations(w, audit);
    cJSON_ArrayForEach(account, json_at(audit, "models"))
        check_account(w, account, start_us);
    check_account(w, json_at(audit, "other"), start_us);
    cJSON_Delete(audit);
    fixture_sim_post(&w->sim, "/_sim/reset", NULL);
}
