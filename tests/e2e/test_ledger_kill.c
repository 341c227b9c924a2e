/*
 * kill -9 at any moment of a busy daemon, again and again on one state directory: the database opens, no
 * answered call is missing, what was in flight is there as that, and no restart grants a budget twice.
 *
 * 20 times; `make kills KILLS=200 SEED=1` (LEDGER_KILLS, LEDGER_SEED) for more, at other moments.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
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

#include "ledger_fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/prng.h"
#include "metergate/ledger/row.h"

#define CLIENTS    12
#define TOKENS_MAX 5000
#define CALLS_MAX  30
#define LIFE_MS    700 /* at most, of one daemon */
#define START_MS   120 /* and of one that is killed while it starts */

/* A call whose head was seen, and when its answer was complete; 0: it never was. */
struct seen {
    int64_t id, end_us;
    bool refused; /* by the daemon: it was not sent */
};

/* Clients that call one after the other until nobody answers, or they are refused. */
struct load {
    const struct fixture *f;
    pthread_t threads[CLIENTS];
    pthread_mutex_t lock;
    struct seen *seen;
    size_t n, room;
};

static void note(struct load *l, const struct client_reply *r)
{
    const char *id = client_header(r, "Metergate-Request-Id");
    struct seen *s;

    if (!id)
        return;
    pthread_mutex_lock(&l->lock);
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 256;
        l->seen = realloc(l->seen, l->room * sizeof *l->seen);
        MG_ASSERT(l->seen);
    }
    s = &l->seen[l->n++];
    *s = (struct seen){.end_us = r->error == 0 ? r->end_us : 0, .refused = r->status != 200};
    MG_ASSERT(row_id_read(id, strlen(id), &s->id) == 0);
    pthread_mutex_unlock(&l->lock);
}

/* Answers are all of one length, so that estimates are exact; prompts are not, and their tokens are counted
 * exactly. */
#define OUT   100
#define WATER " water water water water water water water water water water"

static void *call_on(void *arg)
{
    static const char words[] = WATER WATER WATER WATER WATER WATER WATER WATER WATER;
    struct load *l = arg;
    static int64_t numbers;

    for (;;) {
        int64_t i = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
        struct client_reply r;
        char body[1024];
        bool go;

        snprintf(body, sizeof body,
                 "{\"model\":\"gpt-4o\",\"stream\":%s,\"max_tokens\":%d,\"messages\":[{\"role\":\"user\","
                 "\"content\":"
                 "\"call %" PRId64 "%.*s\"}]}",
                 i % 2 ? "true" : "false", OUT, i, (int)(i % 10 * 60), words);
        r = fixture_chat(l->f, body);
        note(l, &r);
        go = r.error == 0 && r.status == 200;
        client_reply_release(&r);
        if (!go)
            return NULL;
    }
}

static void load_begin(struct load *l, const struct fixture *f)
{
    l->f = f;
    l->n = 0;
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&l->threads[i], NULL, call_on, l), 0);
}

static void load_end(struct load *l)
{
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(l->threads[i], NULL);
}

/* ---- what must hold ---- */

static void check_database(const struct fixture *f)
{
    /* one row, "ok", when it is sound; the text reads as the number 0 either way */
    assert_int_equal(
        ledger_ask(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    assert_int_equal(ledger_files(f, "damaged"), 0);
}

/* Each call is once in the sums by hour, and once in what its budget was charged, however often it was
 * recovered. */
static void check_sums(const struct fixture *f)
{
    static const char *const columns[] = {"input", "output", "cost_nano", "attempts"};

    assert_int_equal(ledger_ask(f, "SELECT total(calls) FROM hours"),
                     ledger_ask(f, "SELECT count(*) FROM calls"));
    for (size_t i = 0; i < MG_ARRAY_LEN(columns); i++) {
        char hours[128], calls[128];

        snprintf(hours, sizeof hours, "SELECT total(%s) FROM hours", columns[i]);
        snprintf(calls, sizeof calls, "SELECT total(%s) FROM calls", columns[i]);
        assert_int_equal(ledger_ask(f, hours), ledger_ask(f, calls));
    }
    assert_int_equal(ledger_ask(f, "SELECT total(requests) FROM charges JOIN names ON names.id = scope "
                                   "WHERE text LIKE 'budget:%'"),
                     ledger_ask(f, "SELECT total(attempts) FROM calls"));
}

/* Every call that was answered is a row, and every one that was not and had a head is one that the daemon
 * died over. */
static void check_calls(const struct fixture *f, const struct load *l, int64_t killed_us)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct seen *s = &l->seen[i];
        char sql[192];

        snprintf(sql, sizeof sql, "SELECT count(*) FROM calls WHERE id = %" PRId64, s->id);
        if (ledger_ask(f, sql) != 1)
            fail_msg("call %zu of %zu, %s %" PRId64 " us before the kill, is not in the database", i, l->n,
                     s->end_us ? "answered" : "begun", s->end_us ? killed_us - s->end_us : 0);
        snprintf(sql, sizeof sql, "SELECT outcome FROM calls WHERE id = %" PRId64, s->id);
        if (s->end_us && !s->refused)
            assert_true(ledger_ask(f, sql) == ROW_COMPLETED || killed_us - s->end_us < 200000);
        if (!s->end_us)
            assert_true(ledger_ask(f, sql) == ROW_FAILED || ledger_ask(f, sql) == ROW_COMPLETED);
    }
}

static void check_limits(const struct fixture *f)
{
    cJSON *audit = fixture_audit(f);
    int64_t tokens = ledger_int(audit, "models.gpt-4o.peak_tokens"),
            calls = ledger_int(audit, "models.gpt-4o.peak_requests");

    if (tokens > TOKENS_MAX || calls > CALLS_MAX)
        fail_msg("%" PRId64 " tokens and %" PRId64 " calls in one window", tokens, calls);
    cJSON_Delete(audit);
}

/* Each call that came to the provider is a row with an attempt, once; a row more is one that was about to be
 * sent. */
static void check_arrivals(const struct fixture *f, int kills)
{
    cJSON *audit = fixture_audit(f);
    int64_t arrivals = ledger_int(audit, "models.gpt-4o.arrivals");
    int64_t rows = ledger_ask(f, "SELECT count(*) FROM calls WHERE attempts > 0");
    int64_t died = ledger_ask(
        f, "SELECT count(*) FROM calls JOIN names ON names.id = calls.reason WHERE text = 'daemon died'");

    print_message("%d kills: %" PRId64 " calls came, %" PRId64 " rows were sent, %" PRId64
                  " of them when the daemon died; "
                  "peaks %" PRId64 " of %d tokens, %" PRId64 " of %d calls\n",
                  kills, arrivals, rows, died, ledger_int(audit, "models.gpt-4o.peak_tokens"), TOKENS_MAX,
                  ledger_int(audit, "models.gpt-4o.peak_requests"), CALLS_MAX);
    assert_true(rows >= arrivals && rows <= arrivals + died);
    assert_true(died > 0 && died <= (int64_t)kills * CLIENTS);
    /* it went on granting what there was */
    assert_true(arrivals >= (int64_t)kills * 3);
    assert_true(ledger_int(audit, "models.gpt-4o.peak_tokens") > TOKENS_MAX / 2 ||
                ledger_int(audit, "models.gpt-4o.peak_requests") > CALLS_MAX / 2);
    assert_int_equal(ledger_int(audit, "n429"), 0);
    cJSON_Delete(audit);
}

static int64_t from_environment(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoll(text, NULL, 10) : otherwise;
}

/* A daemon that is killed while it starts: perhaps while it looks at what the one before it left. */
static void start_in_vain(const struct fixture *f, int64_t ms)
{
    char path[256];
    const char *argv[] = {path, "-c", f->config, NULL};
    struct process *p;

    fixture_program("metergated", path, sizeof path);
    p = process_start(argv);
    poll(NULL, 0, (int)ms);
    process_signal(p, SIGKILL);
    (void)process_wait_exit(p, FIXTURE_TIMEOUT_MS);
    process_free(p);
}

/* One life, its end, and the beginning of the next. The moments themselves are what is tested. */
static void live_and_die(struct fixture *f, struct load *l, struct prng *moments, const char *config)
{
    int64_t killed_us;

    load_begin(l, f);
    poll(NULL, 0, (int)prng_below(moments, LIFE_MS));
    killed_us = clock_now_us();
    ledger_kill(f);
    load_end(l);
    if (prng_below(moments, 3) == 0)
        start_in_vain(f, prng_below(moments, START_MS));
    fixture_start_daemon(f, config, NULL);
    check_database(f);
    check_calls(f, l, killed_us);
}

static void test_kill__at_random_moments_under_load__loses_no_answer_and_grants_nothing_twice(void **state)
{
    static const char settings[] =
        "{\"models\":{\"gpt-4o\":{\"window_ms\":1000,\"first_byte_ms\":15,\"event_ms\":1,\"out\":100}}}";
    static const char config[] =
        LEDGER_STATE LEDGER_UPSTREAMS "models:\n"
                                      "  gpt-4o: {tpm: {max: 5000, per: 1s}, rpm: {max: 30, per: 1s}}\n";
    int kills = (int)from_environment("LEDGER_KILLS", 20);
    struct load l = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct fixture f;
    struct prng moments = {(uint64_t)from_environment("LEDGER_SEED", 1)};

    (void)state;
    fixture_start(&f, settings, config);
    for (int k = 0; k < kills; k++) {
        live_and_die(&f, &l, &moments, config);
        check_limits(&f);
    }
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, config, NULL);
    fixture_sim_wait(&f, "in_flight=0");
    check_database(&f);
    check_sums(&f);
    check_limits(&f);
    check_arrivals(&f, kills);
    free(l.seen);
    fixture_stop(&f);
}

/* A call is 0.0011 USD on average. What died is taken for what was expected of it, so that not all can be
 * spent. */
static void test_kill__with_a_limit_of_money__never_spends_more(void **state)
{
    static const char settings[] =
        "{\"models\":{\"gpt-4o\":{\"first_byte_ms\":15,\"event_ms\":1,\"out\":100}}}";
    static const char config[] = LEDGER_STATE LEDGER_UPSTREAMS "models:\n  gpt-4o: {usd_per_day: 0.15}\n";
    int kills = (int)from_environment("LEDGER_KILLS", 20) / 4;
    struct load l = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct prng moments = {(uint64_t)from_environment("LEDGER_SEED", 1) + 1000};
    struct client_reply r;
    struct fixture f;
    int64_t billed;
    cJSON *audit;

    (void)state;
    fixture_start(&f, settings, config);
    for (int k = 0; k < kills; k++)
        live_and_die(&f, &l, &moments, config);
    do {
        r = fixture_chat(
            &f,
            "{\"model\":\"gpt-4o\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        client_reply_release(&r);
    } while (r.status == 200);
    assert_int_equal(r.status, 429);
    fixture_sim_wait(&f, "in_flight=0");
    audit = fixture_audit(&f);
    billed = ledger_int(audit, "models.gpt-4o.bill.cost_nano");
    print_message("%d kills: %" PRId64 " of 150000000 nano-dollars were spent, %" PRId64 " were kept\n",
                  kills, billed, ledger_ask(&f, "SELECT total(cost_nano) FROM calls"));
    assert_true(billed <= 150000000 && billed > 100000000);
    assert_true(ledger_ask(&f, "SELECT total(cost_nano) FROM calls") >= billed);
    check_sums(&f);
    cJSON_Delete(audit);
    free(l.seen);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill__at_random_moments_under_load__loses_no_answer_and_grants_nothing_twice),
        cmocka_unit_test(test_kill__with_a_limit_of_money__never_spends_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
