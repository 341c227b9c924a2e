/* holds: the ledger tells afterwards what kept a call waiting, whose limit it was, and from when to when; and of a call
 * that still waits, so far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "fixture.h"

#define CHAT(text)                                                                                           \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define KEPT "state_dir: $DIR/state\nheadroom: 0%\n" FIXTURE_UPSTREAM

static struct client_async *stand_in_the_way(struct fixture *f, const char *yaml)
{
    struct client_async *first;

    fixture_start(f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", yaml);
    first = fixture_chat_start(f, CHAT("in the way"));
    fixture_sim_wait(f, "held=1");
    return first;
}

/* The id that a call got. */
static void end_well(struct client_async *a, char id[32])
{
    struct client_reply r = client_finish(a);

    assert_int_equal(r.status, 200);
    snprintf(id, 32, "%s", client_header(&r, "Metergate-Request-Id"));
    client_reply_release(&r);
}

static cJSON *ask(const struct fixture *f, const char *id)
{
    struct client_reply r;
    char path[64];
    cJSON *doc;

    snprintf(path, sizeof path, "/-/calls/%s", id);
    r = fixture_call(f, "GET", path, NULL);
    assert_int_equal(r.status, 200);
    doc = client_json(&r);
    client_reply_release(&r);
    return doc;
}

/* Waits until the queue was looked at: the call is seen to be held. Ids are numbered: it is the next after `before`. */
static void wait_until_held(const struct fixture *f, const char *before, const char *limit, char id[32])
{
    bool seen = false;

    snprintf(id, 32, "%.*s-%ld", 10, before, strtol(strrchr(before, '-') + 1, NULL, 10) + 1);
    fixture_wait_status(f, "held", 1);
    while (!seen) {
        cJSON *doc = ask(f, id);

        assert_string_equal(json_text(doc, "state"), "held");
        seen = cJSON_GetArraySize(json_at(doc, "holds")) == 1 && strcmp(json_text(doc, "holds.0.limit"), limit) == 0;
        cJSON_Delete(doc);
    }
}

/* An id, by a call that passes through. */
static void take_id(const struct fixture *f, char id[32])
{
    struct client_reply r = fixture_call(f, "GET", "/v1/models", NULL);

    snprintf(id, 32, "%s", client_header(&r, "Metergate-Request-Id"));
    client_reply_release(&r);
}

/* One hold, for as long as it waited. */
static void assert_held_by(const struct fixture *f, const char *id, const char *limit, const char *of, const char *name)
{
    cJSON *doc = ask(f, id);
    const cJSON *holds = json_at(doc, "holds");

    assert_int_equal(cJSON_GetArraySize(holds), 1);
    assert_string_equal(json_text(doc, "holds.0.limit"), limit);
    assert_string_equal(json_text(doc, "holds.0.of"), of);
    assert_string_equal(json_text(doc, "holds.0.name"), name);
    /* all the time that it was held, give or take what is cut of each figure */
    assert_true(json_number(doc, "holds.0.to_ms") - json_number(doc, "holds.0.from_ms") + 2 >= json_number(doc, "queued_ms"));
    assert_string_equal(json_text(doc, "state"), "ended");
    cJSON_Delete(doc);
}

static void test_holds__another_call_is_in_flight__names_the_budgets_limit(void **state)
{
    struct client_async *first, *second;
    struct fixture f;
    char id[32], held[32];

    (void)state;
    first = stand_in_the_way(&f, KEPT "models:\n  gpt-4o: {concurrent: 1}\n");
    take_id(&f, id);
    second = fixture_chat_start(&f, CHAT("waits"));
    wait_until_held(&f, id, "concurrent", held);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end_well(first, id);
    end_well(second, id);
    assert_held_by(&f, id, "concurrent", "budget", "gpt-4o");
    fixture_stop(&f);
}

static void test_holds__its_clients_limit_is_used_up__names_the_client(void **state)
{
    struct client_async *first, *second;
    struct fixture f;
    char id[32], held[32], url[128];

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}", KEPT "clients:\n  nightly: {concurrent: 1}\n");
    snprintf(url, sizeof url, "%s/@nightly/v1/chat/completions", f.url);
    first = client_start(&(struct client_call){.url = url, .body = CHAT("in the way")});
    fixture_sim_wait(&f, "held=1");
    take_id(&f, id);
    second = client_start(&(struct client_call){.url = url, .body = CHAT("waits")});
    wait_until_held(&f, id, "concurrent", held);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end_well(first, id);
    end_well(second, id);
    assert_held_by(&f, id, "concurrent", "client", "nightly");
    fixture_stop(&f);
}

static void test_holds__a_window_is_full__names_it_until_it_has_room(void **state)
{
    struct client_reply r;
    struct fixture f;
    char id[32];
    cJSON *doc;

    (void)state;
    fixture_start(&f, NULL, KEPT "models:\n  gpt-4o: {rpm: {max: 1, per: 2s}}\n");
    r = fixture_chat(&f, CHAT("first"));
    client_reply_release(&r);
    r = fixture_chat(&f, CHAT("second"));
    snprintf(id, sizeof id, "%s", client_header(&r, "Metergate-Request-Id"));
    client_reply_release(&r);
    assert_held_by(&f, id, "rpm", "budget", "gpt-4o");
    doc = ask(&f, id);
    assert_true(json_number(doc, "queued_ms") > 1000);
    cJSON_Delete(doc);
    fixture_stop(&f);
}

static void test_holds__the_provider_asks_to_wait__names_the_pause(void **state)
{
    struct client_reply r;
    struct fixture f;
    char id[32];

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after:1\",\"next\":1}]}",
                  KEPT "models:\n  gpt-4o: {concurrent: 5}\n");
    r = fixture_chat(&f, CHAT("again"));
    assert_int_equal(r.status, 200);
    snprintf(id, sizeof id, "%s", client_header(&r, "Metergate-Request-Id"));
    client_reply_release(&r);
    assert_held_by(&f, id, "pause", "budget", "gpt-4o");
    fixture_stop(&f);
}

static void test_holds__the_call_still_waits__tells_so_far(void **state)
{
    struct client_async *first, *second;
    struct fixture f;
    char id[32], held[32];
    cJSON *doc;

    (void)state;
    first = stand_in_the_way(&f, KEPT "models:\n  gpt-4o: {concurrent: 1}\n");
    take_id(&f, id);
    second = fixture_chat_start(&f, CHAT("waits"));
    wait_until_held(&f, id, "concurrent", held);
    doc = ask(&f, held);
    assert_string_equal(json_text(doc, "holds.0.of"), "budget");
    assert_true(cJSON_IsNull(json_at(doc, "outcome")));
    assert_non_null(json_at(doc, "predicted_start_ms")); /* a call in flight decides: it is a guess */
    cJSON_Delete(doc);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end_well(first, id);
    end_well(second, id);
    assert_string_equal(id, held);
    fixture_stop(&f);
}

/* The limit that a call was refused for, at the moment of its refusal. */
static void assert_refused_for(const struct fixture *f, const char *client, const char *body, const char *limit,
                               const char *of, const char *name)
{
    char url[128], id[32];
    struct client_reply r;
    cJSON *doc;

    snprintf(url, sizeof url, "%s/@%s/v1/chat/completions", f->url, client);
    r = client_run(&(struct client_call){.url = url, .headers = (const char *const[]){"Metergate-Max-Wait: 1", NULL}, .body = body});
    if (!client_header(&r, "Metergate-Refused"))
        fail_msg("not refused: %s", body);
    snprintf(id, sizeof id, "%s", client_header(&r, "Metergate-Request-Id"));
    client_reply_release(&r);
    doc = ask(f, id);
    assert_string_equal(json_text(doc, "outcome"), "refused");
    assert_int_equal(cJSON_GetArraySize(json_at(doc, "holds")), 1);
    assert_string_equal(json_text(doc, "holds.0.limit"), limit);
    assert_string_equal(json_text(doc, "holds.0.of"), of);
    assert_string_equal(json_text(doc, "holds.0.name"), name);
    assert_int_equal(json_number(doc, "holds.0.from_ms"), json_number(doc, "holds.0.to_ms"));
    cJSON_Delete(doc);
}

static void test_holds__a_call_is_refused__names_the_limit_and_whose_it_is(void **state)
{
    struct client_async *first;
    char id[32], big[9200];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL,
                  KEPT "models:\n  gpt-4o: {rpm: 1, tpm: 1k}\n  mine: {match: [mine*], usd_per_day: 5}\n"
                       "clients:\n  poor: {usd_per_hour: 0.000001}\n");
    first = fixture_chat_start(&f, CHAT("takes the minute's request"));
    end_well(first, id);
    assert_refused_for(&f, "a", CHAT("waits too long"), "rpm", "budget", "gpt-4o");
    assert_refused_for(&f, "poor", "{\"model\":\"gpt-4\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
                       "usd_per_hour", "client", "poor");
    assert_refused_for(&f, "a", "{\"model\":\"mine-1\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "price",
                       "budget", "mine");
    snprintf(big, sizeof big, CHAT("%0*d"), 9000, 7); /* a thousand tokens for each three thousand digits */
    assert_refused_for(&f, "a", big, "tpm", "budget", "gpt-4o");
    fixture_stop(&f);
}

/* What is not over is listed with its state, so that there is an id to ask for; nothing needs to be kept for that. */
static void test_holds__calls_that_are_not_over__are_listed_with_their_state(void **state)
{
    struct client_async *first, *second;
    struct client_reply r;
    struct fixture f;
    char id[32];
    cJSON *doc;

    (void)state;
    first = stand_in_the_way(&f, "state_dir: none\n" FIXTURE_UPSTREAM "models:\n  gpt-4o: {concurrent: 1}\n");
    second = fixture_chat_start(&f, CHAT("waits"));
    fixture_wait_status(&f, "held", 1);
    r = fixture_call(&f, "GET", "/-/calls/now?model=gpt-4o", NULL);
    assert_int_equal(r.status, 200);
    doc = client_json(&r);
    client_reply_release(&r);
    assert_int_equal(cJSON_GetArraySize(json_at(doc, "calls")), 2);
    assert_string_equal(json_text(doc, "calls.0.state"), "sent");
    assert_string_equal(json_text(doc, "calls.1.state"), "held");
    assert_string_equal(json_text(doc, "calls.1.model"), "gpt-4o");
    snprintf(id, sizeof id, "%s", json_text(doc, "calls.1.id"));
    cJSON_Delete(doc);
    doc = ask(&f, id);
    assert_string_equal(json_text(doc, "state"), "held");
    cJSON_Delete(doc);
    r = fixture_call(&f, "GET", "/-/calls/now?client=nobody", NULL);
    assert_string_equal(r.body.p, "{\"calls\":[]}\n");
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/-/calls/now?limit=1", NULL);
    doc = client_json(&r);
    client_reply_release(&r);
    assert_int_equal(cJSON_GetArraySize(json_at(doc, "calls")), 1);
    cJSON_Delete(doc);
    fixture_sim_post(&f, "/_sim/release", NULL);
    end_well(first, id);
    end_well(second, id);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds__another_call_is_in_flight__names_the_budgets_limit),
        cmocka_unit_test(test_holds__its_clients_limit_is_used_up__names_the_client),
        cmocka_unit_test(test_holds__a_window_is_full__names_it_until_it_has_room),
        cmocka_unit_test(test_holds__the_provider_asks_to_wait__names_the_pause),
        cmocka_unit_test(test_holds__calls_that_are_not_over__are_listed_with_their_state),
        cmocka_unit_test(test_holds__a_call_is_refused__names_the_limit_and_whose_it_is),
        cmocka_unit_test(test_holds__the_call_still_waits__tells_so_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
