/*
 * test_memory: no allocation of the daemon is one that it cannot do without. Sessions of all kinds of clients (session.h) run while its
 * n-th allocation fails, n by n: the daemon lives, nobody takes half an answer for a whole one, and afterwards nothing is held,
 * in flight, reserved or open that was not before, and each call has one outcome and one row.
 *
 * In `make test` n is drawn by a seed; `make chaos-memory` tries all of them. MEMORY_SEED, MEMORY_RUNS (0: every n), MEMORY_ROW (how many
 * in a row fail), MEMORY_FROM and MEMORY_TRACE=1 (where each failure was, in the daemon's log) choose otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "../e2e/ledger_fixture.h"
#include "control.h"
#include "metergate/base/clock.h"
#include "metergate/base/prng.h"
#include "session.h"

#define SKIP 77
#define RSS_GROWTH_BYTES (INT64_C(24) << 20)

struct bed {
    struct fixture f;
    struct faults *faults;
    char control[128];
    int64_t calls_before; /* rows of daemons that have ended */
    int64_t descriptors;  /* at rest */
    int64_t saw[SEEN_KINDS];
    int64_t sessions, failures;
};

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

/* ---- the daemon and its shim ---- */

static void map_control(struct bed *b)
{
    int fd;

    snprintf(b->control, sizeof b->control, "%s/faults", b->f.dir);
    fd = open(b->control, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *b->faults), 0);
    b->faults = mmap(NULL, sizeof *b->faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(b->faults != MAP_FAILED);
    close(fd);
    atomic_store(&b->faults->trace, number_from("MEMORY_TRACE", 0) != 0);
}

static void start_daemon(struct bed *b)
{
    char shim[280];

    fixture_program("../tests/faults/shim.so", shim, sizeof shim);
    setenv("LD_PRELOAD", shim, 1);
    setenv("MG_FAULTS", b->control, 1);
    fixture_start_daemon(&b->f, session_yaml, NULL);
    unsetenv("LD_PRELOAD");
    unsetenv("MG_FAULTS");
}

static void bed_init(struct bed *b)
{
    *b = (struct bed){0};
    fixture_start_simulator(&b->f, session_settings, NULL);
    map_control(b);
    start_daemon(b);
}

static void bed_release(struct bed *b)
{
    munmap(b->faults, sizeof *b->faults);
    fixture_stop(&b->f);
}

static void arm(struct bed *b, int64_t from, int64_t row, int64_t every, int64_t above)
{
    struct faults *f = b->faults;

    atomic_store(&f->seen, 0);
    atomic_store(&f->failed, 0);
    memset(f->where, 0, sizeof f->where);
    atomic_store(&f->from, from);
    atomic_store(&f->row, row);
    atomic_store(&f->every, every);
    atomic_store(&f->above, above);
    atomic_store(&f->on, 1);
}

static void disarm(struct bed *b)
{
    atomic_store(&b->faults->on, 0);
}

/* Fails the test with what failed and how the daemon's log ends. */
static void bed_fail(struct bed *b, const char *what)
{
    char *log = process_log(b->f.daemon);
    size_t n = strlen(log);

    fprintf(stderr, "allocations from %" PRId64 ", %" PRId64 " in a row (%s): %s; the end of the log:\n%s\n",
            atomic_load(&b->faults->from), atomic_load(&b->faults->row), b->faults->where, what, log + (n > 5000 ? n - 5000 : 0));
    free(log);
    fail();
}

/* ---- what must be true afterwards ---- */

static bool is_settled(const cJSON *status)
{
    static const char *const zero[] = {"held", "held_bytes", "in_flight", "ledger.waiting"};
    const cJSON *b, *l;

    for (size_t i = 0; i < MG_ARRAY_LEN(zero); i++) {
        if (json_number(status, zero[i]) > 0)
            return false;
    }
    cJSON_ArrayForEach(b, json_at(status, "budgets"))
    {
        if (json_number(b, "held") > 0 || json_number(b, "in_flight") > 0)
            return false;
        cJSON_ArrayForEach(l, json_at(b, "limits"))
            if (json_number(l, "reserved") > 0)
                return false;
    }
    return ledger_int(status, "totals.calls") ==
               ledger_int(status, "totals.completed") + ledger_int(status, "totals.refused") +
                   ledger_int(status, "totals.cancelled") + ledger_int(status, "totals.failed") &&
           ledger_int(status, "process.connections") == 1 && !cJSON_IsTrue(json_at(status, "process.memory_short"));
}

/* Connections to providers that are kept are no leak. */
static int64_t upstream_connections(const struct bed *b)
{
    struct client_reply r = fixture_call(&b->f, "GET", "/metrics", NULL);
    const char *at = strstr(r.body.p, "\nmetergate_upstream_connections ");
    int64_t n = at ? strtoll(at + 32, NULL, 10) : 0;

    client_reply_release(&r);
    return n;
}

static void assert_baseline(struct bed *b)
{
    int64_t end_us = clock_now_us() + 15 * CLOCK_S, calls = 0, descriptors = 0;
    bool settled = false;

    for (;;) {
        cJSON *status;

        if (process_wait_exit(b->f.daemon, 2) >= 0)
            bed_fail(b, "the daemon has ended");
        status = fixture_status(&b->f);
        settled = is_settled(status);
        calls = ledger_int(status, "totals.calls");
        descriptors = ledger_int(status, "process.descriptors") - upstream_connections(b);
        if (clock_now_us() > end_us && !settled)
            bed_fail(b, cJSON_PrintUnformatted(status));
        cJSON_Delete(status);
        if (settled && (b->descriptors == 0 || descriptors <= b->descriptors))
            break;
        if (clock_now_us() > end_us)
            bed_fail(b, "descriptors were left open");
        poll(NULL, 0, 2);
    }
    if (ledger_ask(&b->f, "SELECT count(*) FROM calls") != b->calls_before + calls)
        bed_fail(b, "the ledger has not one row for each call");
}

static void run_faulty(struct bed *b, int64_t from, int64_t row)
{
    arm(b, from, row, 0, 0);
    session_run(&b->f, b->saw);
    disarm(b);
    assert_baseline(b);
    b->sessions++;
    b->failures += atomic_load(&b->faults->failed);
}

static int64_t rss_bytes(const struct bed *b)
{
    struct client_reply r = fixture_call(&b->f, "GET", "/metrics", NULL);
    const char *at = strstr(r.body.p, "\nprocess_resident_memory_bytes ");
    int64_t n = at ? strtoll(at + 31, NULL, 10) : 0;

    client_reply_release(&r);
    return n;
}

/* How many allocations a session has, once all that is kept from session to session is there. */
static int64_t measure(struct bed *b)
{
    int64_t n = 0;

    for (int i = 0; i < 3; i++) {
        memset(b->saw, 0, sizeof b->saw);
        arm(b, 0, 0, 0, 0);
        session_run(&b->f, b->saw);
        disarm(b);
        n = atomic_load(&b->faults->seen);
        assert_baseline(b);
    }
    assert_int_equal(b->saw[SEEN_CUT], 0);
    b->descriptors = 0;
    for (int i = 0; i < 3; i++) {
        cJSON *status = fixture_status(&b->f);
        int64_t d = ledger_int(status, "process.descriptors") - upstream_connections(b);

        b->descriptors = d > b->descriptors ? d : b->descriptors;
        cJSON_Delete(status);
    }
    b->descriptors += 2; /* kept connections come and go between two questions */
    return n;
}

static void say(const struct bed *b, const char *what, int64_t of)
{
    printf("%s: %" PRId64 " sessions of about %" PRId64 " allocations, %" PRId64 " failed: %" PRId64 " answers whole, %" PRId64
           " refused, %" PRId64 " cut\n",
           what, b->sessions, of, b->failures, b->saw[SEEN_WHOLE], b->saw[SEEN_REFUSED], b->saw[SEEN_CUT]);
}

static void sweep(struct bed *b, const char *what, int64_t row, int64_t runs)
{
    struct prng random = {(uint64_t)number_from("MEMORY_SEED", 1)};
    int64_t of = measure(b), from = number_from("MEMORY_FROM", 1), rss = rss_bytes(b);

    memset(b->saw, 0, sizeof b->saw);
    b->sessions = b->failures = 0;
    for (int64_t i = 0; runs ? i < runs : from + i * row <= of; i++) {
        int64_t n = runs ? 1 + prng_below(&random, of) : from + i * row;

        run_faulty(b, n, row);
        if (number_from("MEMORY_TRACE", 0))
            printf("%" PRId64 ": %s\n", n, b->faults->where);
        if (!runs && i % 500 == 499)
            say(b, what, of);
    }
    say(b, what, of);
    if (rss_bytes(b) > rss + RSS_GROWTH_BYTES)
        bed_fail(b, "memory has grown");
}

/* ---- tests ---- */

static void test_memory__one_allocation_fails__nothing_ends_and_nothing_is_left(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    sweep(&b, "one fails", number_from("MEMORY_ROW", 1), number_from("MEMORY_RUNS", 60));
    bed_release(&b);
}

/* What helps out has been used when the second one fails: libraries see it, and what we cannot do without is tried again. */
static void test_memory__several_in_a_row_fail__nothing_ends_and_nothing_is_left(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    sweep(&b, "three in a row fail", number_from("MEMORY_ROW", 3), number_from("MEMORY_RUNS", 60));
    bed_release(&b);
}

/* Errors of libraries come up everywhere at once. */
static void test_memory__each_fortieth_fails__nothing_ends_and_nothing_is_left(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    (void)measure(&b);
    memset(b.saw, 0, sizeof b.saw);
    for (int i = 0; i < 8; i++) {
        arm(&b, 0, 0, 40 + i, 0);
        session_run(&b.f, b.saw);
        disarm(&b);
        assert_baseline(&b);
        b.sessions++;
        b.failures += atomic_load(&b.faults->failed);
    }
    say(&b, "each fortieth fails", 4000);
    bed_release(&b);
}

/* What a peer has sized fails alone. */
static void test_memory__what_is_big_fails__only_the_big_body_is_refused(void **state)
{
    struct bed b;

    (void)state;
    bed_init(&b);
    (void)measure(&b);
    memset(b.saw, 0, sizeof b.saw);
    arm(&b, 0, 0, 0, 100000);
    session_run(&b.f, b.saw);
    disarm(&b);
    assert_true(atomic_load(&b.faults->failed) > 0);
    assert_int_equal(b.saw[SEEN_REFUSED], 1);
    assert_int_equal(b.saw[SEEN_CUT], 0);
    assert_baseline(&b);
    bed_release(&b);
}

static void post(const struct bed *b, const char *path)
{
    struct client_reply r = fixture_call(&b->f, "POST", path, "");

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

static bool is_short(const struct bed *b)
{
    cJSON *status = fixture_status(&b->f);
    bool is = cJSON_IsTrue(json_at(status, "process.memory_short"));

    cJSON_Delete(status);
    return is;
}

static const char chat[] = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}";

static void assert_told_to_come_again(const struct bed *b)
{
    struct client_reply r = fixture_chat(&b->f, chat);

    assert_int_equal(r.status, 429);
    assert_string_equal(client_header(&r, "Metergate-Refused"), "queue-full");
    assert_string_equal(client_header(&r, "Retry-After"), "1");
    assert_string_equal(client_header(&r, "Connection"), "close");
    client_reply_release(&r);
    r = fixture_call(&b->f, "GET", "/readyz", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.p, "memory is short"));
    client_reply_release(&r);
}

/* What is kept back was used, and cannot be had again. */
static void make_short(struct bed *b)
{
    int64_t end_us = clock_now_us() + 20 * CLOCK_S;

    arm(b, 0, 0, 0, 1 << 20);
    for (int64_t n = 1; !is_short(b); n++) { /* not every allocation is one that cannot be done without */
        if (clock_now_us() > end_us)
            bed_fail(b, "memory did not become short");
        struct client_reply r;

        atomic_store(&b->faults->row, 1);
        atomic_store(&b->faults->from, atomic_load(&b->faults->seen) + n);
        r = fixture_call(&b->f, "GET", "/healthz", NULL);
        client_reply_release(&r);
        atomic_store(&b->faults->from, 0);
    }
}

static void test_memory__it_stays_short__held_calls_go_on_and_new_ones_are_told_to_come_again(void **state)
{
    struct client_async *held;
    struct client_reply r;
    struct bed b;

    (void)state;
    bed_init(&b);
    post(&b, "/-/pause");
    held = fixture_chat_start(&b.f, chat);
    fixture_wait_status(&b.f, "held", 1);
    make_short(&b);
    assert_told_to_come_again(&b);
    post(&b, "/-/resume");
    r = client_finish(held);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    assert_true(is_short(&b));
    disarm(&b);
    fixture_wait_log(&b.f, 0, "there is memory again: new calls are taken");
    ledger_chat(&b.f, "gpt-4o", 5, 200);
    assert_baseline(&b);
    bed_release(&b);
}

/* The last resort. A service manager starts it again, and the ledger has kept everything. */
static void test_memory__there_is_none_at_all__ends_with_a_word_and_the_ledger_has_kept_all(void **state)
{
    struct client_reply r;
    struct bed b;
    char *log;

    (void)state;
    bed_init(&b);
    for (int i = 0; i < 3; i++)
        ledger_chat(&b.f, "gpt-4o", 5, 200);
    assert_baseline(&b);
    arm(&b, 1, INT64_MAX, 0, 0);
    r = fixture_chat(&b.f, chat);
    assert_int_not_equal(r.error, 0);
    client_reply_release(&r);
    assert_int_equal(process_wait_exit(b.f.daemon, FIXTURE_TIMEOUT_MS), 128 + SIGABRT);
    disarm(&b);
    log = process_log(b.f.daemon);
    assert_non_null(strstr(log, "metergate: out of memory, and what was kept back for that did not help\n"));
    free(log);
    process_free(b.f.daemon);
    b.f.daemon = NULL;
    start_daemon(&b);
    ledger_chat(&b.f, "gpt-4o", 5, 200);
    ledger_wait_calls(&b.f, 4);
    bed_release(&b);
}

/* ---- a real shortage ---- */

#define CROWD       140
#define CROWD_BYTES ((size_t)300 << 10)
#define LEFT_BYTES  (INT64_C(28) << 20) /* that the process may still have: the crowd wants more */

static int64_t metric(const struct bed *b, const char *name)
{
    struct client_reply r = fixture_call(&b->f, "GET", "/metrics", NULL);
    char line[96];
    const char *at;
    int64_t n;

    snprintf(line, sizeof line, "\n%s ", name);
    at = r.body.n ? strstr(r.body.p, line) : NULL;
    assert_non_null(at);
    n = strtoll(at + strlen(line), NULL, 10);
    client_reply_release(&r);
    return n;
}

static void limit_memory(const struct bed *b)
{
    struct rlimit lim = {0, RLIM_INFINITY};

    lim.rlim_cur = (rlim_t)(metric(b, "process_virtual_memory_bytes") + LEFT_BYTES);
    assert_int_equal(prlimit(process_pid(b->f.daemon), RLIMIT_AS, &lim, NULL), 0);
}

static char *crowd_body(void)
{
    struct buf body;
    size_t n;

    buf_init(&body, BUF_UNLIMITED);
    buf_add_str(&body, "{\"model\":\"gpt-slow\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"");
    while (body.n < CROWD_BYTES)
        buf_add_str(&body, "A gate lets water through. ");
    buf_add_str(&body, "\"}]}");
    return buf_take(&body, &n);
}

/* Those that are there wait, the others have been told to come again, or found no way in. */
static void wait_for_crowd(struct bed *b, struct client_async **crowd)
{
    int64_t end_us = clock_now_us() + 60 * CLOCK_S;

    for (;;) {
        cJSON *status = fixture_status(&b->f);
        int64_t held = ledger_int(status, "held"), ended = 0;

        cJSON_Delete(status);
        for (int i = 0; i < CROWD; i++)
            ended += client_ended(crowd[i]);
        if (held > 0 && held + ended == CROWD)
            return;
        if (clock_now_us() > end_us)
            bed_fail(b, "the crowd was neither held nor refused");
        poll(NULL, 0, 20);
    }
}

static void test_memory__a_crowd_takes_it_all__the_rest_is_told_to_come_again_and_service_goes_on(void **state)
{
    static struct client_async *crowd[CROWD];
    char *body = crowd_body(), url[128];
    int64_t whole = 0, refused = 0;
    struct bed b;

    (void)state;
    bed_init(&b);
    limit_memory(&b);
    post(&b, "/-/pause");
    snprintf(url, sizeof url, "%s/v1/chat/completions", b.f.url);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = client_start(&(struct client_call){.url = url, .body = body, .timeout_ms = 60000});
    wait_for_crowd(&b, crowd);
    post(&b, "/-/resume");
    for (int i = 0; i < CROWD; i++) {
        struct client_reply r = client_finish(crowd[i]);

        whole += r.status == 200 && !r.error;
        refused += r.status == 429 && client_header(&r, "Retry-After") &&
                   strcmp(client_header(&r, "Metergate-Refused"), "queue-full") == 0;
        client_reply_release(&r);
    }
    printf("a crowd of %d: %" PRId64 " held and answered, %" PRId64 " told to come again, %" PRId64 " cut\n", CROWD, whole, refused,
           CROWD - whole - refused);
    if (whole == 0 || refused == 0)
        bed_fail(&b, "nobody was held, or nobody refused");
    assert_baseline(&b); /* memory_short is false among it */
    ledger_chat(&b.f, "gpt-4o", 5, 200);
    free(body);
    bed_release(&b);
}

static bool can_run(void)
{
    char shim[280];

    fixture_program("../tests/faults/shim.so", shim, sizeof shim);
    return access(shim, R_OK) == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__one_allocation_fails__nothing_ends_and_nothing_is_left),
        cmocka_unit_test(test_memory__several_in_a_row_fail__nothing_ends_and_nothing_is_left),
        cmocka_unit_test(test_memory__each_fortieth_fails__nothing_ends_and_nothing_is_left),
        cmocka_unit_test(test_memory__what_is_big_fails__only_the_big_body_is_refused),
        cmocka_unit_test(test_memory__it_stays_short__held_calls_go_on_and_new_ones_are_told_to_come_again),
        cmocka_unit_test(test_memory__there_is_none_at_all__ends_with_a_word_and_the_ledger_has_kept_all),
        cmocka_unit_test(test_memory__a_crowd_takes_it_all__the_rest_is_told_to_come_again_and_service_goes_on),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("MEMORY_TEST"));
    if (!can_run()) {
        printf("no shim: a sanitizer has allocations of its own\n");
        return SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
