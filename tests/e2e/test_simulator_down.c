/* The simulator's ways of being down: what a client sees, what is counted, and that it comes back on the same
 * port. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define COULD_NOT_CONNECT 7 /* CURLE_COULDNT_CONNECT */

#define CHAT "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static struct fixture fixture;

static int start(void **state)
{
    (void)state;
    fixture_start_simulator(&fixture, NULL, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    fixture_sim_post(&fixture, "/_sim/up", NULL);
    fixture_sim_post(&fixture, "/_sim/reset", NULL);
    return 0;
}

static struct client_reply chat(void)
{
    char url[256];

    snprintf(url, sizeof url, "%s/v1/chat/completions", fixture.simulator_url);
    return client_run(&(struct client_call){.url = url, .body = CHAT});
}

static struct client_async *chat_start(void)
{
    char url[256];

    snprintf(url, sizeof url, "%s/v1/chat/completions", fixture.simulator_url);
    return client_start(&(struct client_call){.url = url, .body = CHAT});
}

static void expect(int status, int error)
{
    struct client_reply r = chat();

    if (r.status != status || (error ? r.error != error : r.error != 0))
        fail_msg("status %d, error %d (%s)", r.status, r.error, r.error_text);
    client_reply_release(&r);
}

static double audited(const char *path)
{
    cJSON *audit = fixture_audit(&fixture);
    double n = json_number(audit, path);

    cJSON_Delete(audit);
    return n;
}

static void assert_mode(const char *mode)
{
    cJSON *audit = fixture_audit(&fixture);

    assert_string_equal(json_text(audit, "down.mode"), mode);
    cJSON_Delete(audit);
}

static void test_refuse__nobody_listens__until_it_is_up_again(void **state)
{
    (void)state;
    expect(200, 0);
    for (int i = 1; i <= 3; i++) {
        fixture_sim_post(&fixture, "/_sim/down", "{\"mode\":\"refuse\"}");
        assert_mode("refuse");
        expect(0, COULD_NOT_CONNECT);
        fixture_sim_post(&fixture, "/_sim/up", NULL);
        assert_mode("up");
        expect(200, 0);
        assert_int_equal(audited("down.times"), i);
    }
    assert_int_equal(audited("arrivals"), 4);
    assert_int_equal(audited("aborted"), 0);
    assert_int_equal(audited("down.attempts"), 0); /* nobody was there to count them */
}

static void test_reset__each_connection__is_reset_and_counted(void **state)
{
    (void)state;
    fixture_sim_post(&fixture, "/_sim/down", "{\"mode\":\"reset\"}");
    for (int i = 0; i < 3; i++) {
        struct client_reply r = chat();

        assert_int_equal(r.status, 0);
        assert_int_not_equal(r.error, 0); /* which one depends on how soon the client looks */
        client_reply_release(&r);
    }
    fixture_sim_wait(&fixture, "attempts=3");
    assert_int_equal(audited("down.attempts"), 3);
    assert_int_equal(audited("arrivals"), 0);
    fixture_sim_post(&fixture, "/_sim/up", NULL);
    expect(200, 0);
}

static void test_503__each_call__is_answered_and_charged_to_nobody(void **state)
{
    (void)state;
    fixture_sim_post(&fixture, "/_sim/down", "{\"mode\":\"503\"}");
    expect(503, 0);
    expect(503, 0);
    assert_int_equal(audited("down.attempts"), 2);
    assert_int_equal(audited("models.gpt-4o.arrivals"), 2);
    assert_int_equal(audited("models.gpt-4o.requests"), 0);
    fixture_sim_post(&fixture, "/_sim/up", NULL);
    expect(200, 0);
    assert_int_equal(audited("models.gpt-4o.requests"), 1);
}

static void test_for_a_while__it_comes_back__by_itself(void **state)
{
    static const char *const modes[] = {"refuse", "reset", "503"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(modes); i++) {
        int64_t begun_us = clock_now_us();
        char body[64];
        int status = 0;

        snprintf(body, sizeof body, "{\"mode\":\"%s\",\"ms\":150}", modes[i]);
        fixture_sim_post(&fixture, "/_sim/down", body);
        /* nothing to wait for but the time itself */
        while (status != 200) {
            struct client_reply r = chat();

            status = r.status;
            client_reply_release(&r);
        }
        assert_true(clock_now_us() - begun_us >= 150 * CLOCK_MS);
        assert_mode("up");
    }
}

static void test_going_down__an_idle_connection__is_closed(void **state)
{
    static const char request[] = "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = raw_connect(fixture.simulator_port);
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    raw_send(fd, request, sizeof request - 1);
    assert_true(raw_read(fd, &out, "]}", FIXTURE_TIMEOUT_MS) > 0);
    fixture_sim_wait(&fixture, "completed=1");
    fixture_sim_post(&fixture, "/_sim/down", "{\"mode\":\"refuse\"}");
    assert_true(raw_read(fd, &out, NULL, FIXTURE_TIMEOUT_MS) >= 0);
    fixture_sim_wait(&fixture, "connections=0");
    assert_int_equal(audited("n_violations"), 0);
    close(fd);
    buf_release(&out);
}

static void test_going_down__calls_in_flight__end_well_unless_they_are_cut(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct client_async *call;
        struct client_reply r;

        fixture_sim_config(&fixture, "{\"faults\":[{\"fault\":\"hold\",\"next\":1}]}");
        call = chat_start();
        fixture_sim_wait(&fixture, "held=1");
        fixture_sim_post(&fixture, "/_sim/down",
                         cut ? "{\"mode\":\"refuse\",\"cut\":true}" : "{\"mode\":\"refuse\"}");
        if (!cut)
            fixture_sim_post(&fixture, "/_sim/release", NULL);
        r = client_finish(call);
        assert_int_equal(r.status, cut ? 0 : 200);
        assert_int_equal(r.error != 0, cut);
        client_reply_release(&r);
        /* either way nothing is left of the connection */
        fixture_sim_wait(&fixture, "connections=0&in_flight=0");
        assert_int_equal(audited("aborted"), cut);
        fixture_sim_post(&fixture, "/_sim/up", NULL);
    }
}

static void test_control_address__a_providers_call__is_a_violation(void **state)
{
    char url[256];
    struct client_reply r;

    (void)state;
    snprintf(url, sizeof url, "%s/v1/models", fixture.control_url);
    r = client_run(&(struct client_call){.url = url});
    assert_int_equal(r.status, 400);
    client_reply_release(&r);
    assert_int_equal(audited("n_violations"), 1);
    assert_int_equal(audited("arrivals"), 0);
}

static void test_down__what_is_no_way_of_being_down__is_refused(void **state)
{
    static const char *const bad[] = {"{\"mode\":\"asleep\"}", "{}", "nonsense", "{\"mode\":503}"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        char url[256];
        struct client_reply r;

        snprintf(url, sizeof url, "%s/_sim/down", fixture.control_url);
        r = client_run(&(struct client_call){.url = url, .body = bad[i]});
        assert_int_equal(r.status, 400);
        client_reply_release(&r);
    }
    expect(200, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refuse__nobody_listens__until_it_is_up_again, fresh),
        cmocka_unit_test_setup(test_reset__each_connection__is_reset_and_counted, fresh),
        cmocka_unit_test_setup(test_503__each_call__is_answered_and_charged_to_nobody, fresh),
        cmocka_unit_test_setup(test_for_a_while__it_comes_back__by_itself, fresh),
        cmocka_unit_test_setup(test_going_down__an_idle_connection__is_closed, fresh),
        cmocka_unit_test_setup(test_going_down__calls_in_flight__end_well_unless_they_are_cut, fresh),
        cmocka_unit_test_setup(test_control_address__a_providers_call__is_a_violation, fresh),
        cmocka_unit_test_setup(test_down__what_is_no_way_of_being_down__is_refused, fresh),
    };

    return cmocka_run_group_tests_name("simulator_down", tests, start, stop);
}
