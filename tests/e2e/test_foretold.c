/*
 * foretold: who starts calls that must wait can say when the last of them will start: it starts within one second, or
 * 5 % of the wait, of what the status says. Windows are of two seconds, so that nobody waits for minutes here.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "metergate/gate/gate.h"
#include "fixture.h"

enum { CALLS = 50, CLIENTS_MOST = 2, SAMPLES_MAX = 400 };

static const char *const names[CLIENTS_MOST] = {"nightly", "editor"};

/* What the status said at one moment, in milliseconds of the wall clock; 0: nothing (everything has started, or null). */
struct sample {
    double at_ms, last_ms, next_ms, client_ms[CLIENTS_MOST];
};

struct story {
    const char *what, *yaml, *settings, *body;
    int clients;
    double known_s; /* after so long, what calls take is known */
};

static struct client_async *start_call(const struct fixture *f, const char *client, const char *body)
{
    static const char *const key[] = {"Authorization: Bearer sk-test", "Content-Type: application/json", NULL};
    char url[160];

    snprintf(url, sizeof url, "%s/@%s/v1/chat/completions", f->url, client);
    return client_start(&(struct client_call){.url = url, .headers = key, .body = body});
}

/* The moment that stands at `key` of the node, from `now_ms` on; 0: null. */
static double moment(const cJSON *node, const char *key, double now_ms)
{
    const cJSON *v = json_at(node, key);

    return cJSON_IsNumber(v) ? now_ms + v->valuedouble : 0;
}

/* next_dispatch_ms, what it waits for and the first of the queue are one number. */
static void assert_consistent(const cJSON *b)
{
    const cJSON *first = json_at(b, "queue.0"), *entry;
    double held = json_number(b, "held"), sum = 0, before = 0;

    cJSON_ArrayForEach(entry, json_at(b, "clients")) sum += json_number(entry, "held");
    assert_true(sum >= held && sum <= held);
    assert_int_equal(cJSON_GetArraySize(json_at(b, "queue")), held < 30 ? (int)held : 30);
    if (held < 1)
        return;
    assert_true(cJSON_Compare(json_at(first, "start_ms"), json_at(b, "next_dispatch_ms"), true));
    if (cJSON_IsObject(json_at(b, "waits_for")))
        assert_true(cJSON_Compare(json_at(b, "waits_for.until_ms"), json_at(b, "next_dispatch_ms"), true));
    else
        assert_true(json_number(b, "next_dispatch_ms") <= 0);
    cJSON_ArrayForEach(entry, json_at(b, "queue"))
    {
        double start = json_number(entry, "start_ms");

        assert_true(start >= before);
        assert_true(start <= json_number(b, "last_dispatch_ms"));
        before = start;
    }
}

/* How many calls have not started. */
static int take_sample(const struct fixture *f, struct sample *ret)
{
    cJSON *s = fixture_status(f);
    const cJSON *b = json_at(s, "budgets.0"), *client;
    int held = (int)json_number(s, "held"), dispatched = (int)json_number(s, "totals.dispatched");

    *ret = (struct sample){.at_ms = json_number(s, "time_ms")};
    if (held + dispatched == CALLS && held > 0) {
        assert_consistent(b);
        ret->last_ms = moment(b, "last_dispatch_ms", ret->at_ms);
        ret->next_ms = moment(b, "next_dispatch_ms", ret->at_ms);
        cJSON_ArrayForEach(client, json_at(b, "clients"))
        {
            for (int i = 0; i < CLIENTS_MOST; i++) {
                if (strcmp(json_text(client, "name"), names[i]) == 0)
                    ret->client_ms[i] = moment(client, "last_ms", ret->at_ms);
            }
        }
    }
    cJSON_Delete(s);
    return CALLS - dispatched;
}

/* "2026-11-28T14:00:00.123Z" */
static double wall_ms(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    assert_non_null(rest);
    return (double)timegm(&tm) * 1000 + strtod(rest, NULL) * 1000;
}

/* When the last of all calls started, and of each client; by the ledger. */
static void read_starts(const struct fixture *f, double *ret_last_ms, double client_ms[CLIENTS_MOST])
{
    struct client_reply r = fixture_call(f, "GET", "/-/calls?limit=1000", NULL);
    cJSON *doc = client_json(&r);
    const cJSON *call;

    assert_int_equal(cJSON_GetArraySize(json_at(doc, "calls")), CALLS);
    *ret_last_ms = 0;
    cJSON_ArrayForEach(call, json_at(doc, "calls"))
    {
        double start = wall_ms(json_text(call, "time")) - json_number(call, "total_ms") + json_number(call, "queued_ms");

        assert_int_equal((int)json_number(call, "status"), 200);
        *ret_last_ms = start > *ret_last_ms ? start : *ret_last_ms;
        for (int i = 0; i < CLIENTS_MOST; i++) {
            if (strcmp(json_text(call, "client"), names[i]) == 0 && start > client_ms[i])
                client_ms[i] = start;
        }
    }
    cJSON_Delete(doc);
    client_reply_release(&r);
}

/* gate.h: until then one that has just come has the estimate of predict.h, which may be a window off. */
#define REPLAY_MS ((double)GATE_REPLAY_EVERY_US / 1000)

/* How far that moment was missed, beyond what is allowed, in milliseconds; *worst: without that. */
static double missed(double at_ms, double said_ms, double was_ms, double *worst)
{
    double off = said_ms > was_ms ? said_ms - was_ms : was_ms - said_ms, wait = was_ms - at_ms;
    double allowed = wait * 0.05 > 1000 ? wait * 0.05 : 1000;

    if (off > *worst)
        *worst = off;
    return off > allowed ? off - allowed : 0;
}

static void tell(const struct story *story)
{
    static struct sample samples[SAMPLES_MAX];
    struct client_async *calls[CALLS];
    double last_ms, client_ms[CLIENTS_MOST] = {0}, worst = 0;
    struct client_reply r;
    struct fixture f;
    int n = 0, checked = 0;

    fixture_start(&f, story->settings, story->yaml);
    for (int i = 0; i < CALLS; i++)
        calls[i] = start_call(&f, names[i % story->clients], story->body);
    fixture_wait_status(&f, "totals.calls", CALLS);
    while (n < SAMPLES_MAX && take_sample(&f, &samples[n]) > 0) {
        if (samples[n].last_ms > 0)
            n++;
        poll(NULL, 0, 20); /* another moment: the status has no event to wait for */
    }
    for (int i = 0; i < CALLS; i++) {
        r = client_finish(calls[i]);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    fixture_wait_status(&f, "ledger.written", CALLS);
    read_starts(&f, &last_ms, client_ms);
    for (int i = 0; i < n; i++) {
        const struct sample *s = &samples[i];

        if (s->at_ms < samples[0].at_ms + story->known_s * 1000 || s->at_ms < samples[0].at_ms + REPLAY_MS)
            continue;
        checked++;
        if (missed(s->at_ms, s->last_ms, last_ms, &worst) > 0)
            fail_msg("%s: at %.0f ms the last was to start at %.0f ms, and started at %.0f ms", story->what,
                     s->at_ms - samples[0].at_ms, s->last_ms - samples[0].at_ms, last_ms - samples[0].at_ms);
        for (int k = 0; k < story->clients; k++) {
            if (s->client_ms[k] > 0 && missed(s->at_ms, s->client_ms[k], client_ms[k], &worst) > 0)
                fail_msg("%s: at %.0f ms the last of %s was to start at %.0f ms, and started at %.0f ms", story->what,
                         s->at_ms - samples[0].at_ms, names[k], s->client_ms[k] - samples[0].at_ms,
                         client_ms[k] - samples[0].at_ms);
        }
    }
    print_message("%s: the last of %d calls started after %.2f s; of %d answers about it the worst was off by %.0f ms\n",
                  story->what, CALLS, (last_ms - samples[0].at_ms) / 1000, checked, worst);
    assert_true(checked >= 10);
    fixture_stop(&f);
}

#define KEPT "state_dir: $DIR/state\nheadroom: 0%\n"
#define OPENAI                                                                                               \
    "upstreams:\n  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: openai}\n"
#define BODY(more)                                                                                           \
    "{\"model\":\"gpt-4o\"," more "\"messages\":[{\"role\":\"user\",\"content\":\"how long will it take\"}]}"

static void test_fifty_calls__of_one_client__start_when_the_status_says(void **state)
{
    (void)state;
    tell(&(struct story){.what = "one client",
                         .yaml = KEPT OPENAI "models:\n  gpt-4o: {tpm: {max: 400, per: 2s}}\n",
                         .body = BODY("\"max_tokens\":20,"),
                         .clients = 1});
}

static void test_fifty_calls__of_two_clients__start_when_the_status_says(void **state)
{
    (void)state;
    tell(&(struct story){.what = "two clients",
                         .yaml = KEPT OPENAI "models:\n  gpt-4o: {tpm: {max: 400, per: 2s}}\n"
                                             "clients:\n  nightly: {priority: low}\n  editor: {weight: 3}\n",
                         .body = BODY("\"max_tokens\":20,"),
                         .clients = 2});
}

/* Without max_tokens 512 tokens of output are expected of each at first. Answers have 16: as soon as some have ended, the
 * status knows better than what was reserved. */
static void test_fifty_calls__that_take_less_than_reserved__start_when_the_status_says(void **state)
{
    (void)state;
    tell(&(struct story){.what = "less than reserved",
                         .settings = "{\"models\":{\"*\":{\"first_byte_ms\":300}}}",
                         .yaml = KEPT OPENAI "models:\n  gpt-4o: {tpm: {max: 2000, per: 4s}}\n",
                         .body = BODY(""),
                         .clients = 1,
                         .known_s = 1});
}

/* Output is charged when answers end, and how long they take is known once some have. */
static void test_fifty_calls__charged_at_their_end__start_when_the_status_says(void **state)
{
    (void)state;
    tell(&(struct story){.what = "charged at the end",
                         .settings = "{\"models\":{\"*\":{\"first_byte_ms\":300}}}",
                         .yaml = KEPT FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: {max: 400, per: 2s}}\n",
                         .body = BODY("\"max_tokens\":20,"),
                         .clients = 1,
                         .known_s = 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifty_calls__of_one_client__start_when_the_status_says),
        cmocka_unit_test(test_fifty_calls__of_two_clients__start_when_the_status_says),
        cmocka_unit_test(test_fifty_calls__that_take_less_than_reserved__start_when_the_status_says),
        cmocka_unit_test(test_fifty_calls__charged_at_their_end__start_when_the_status_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
