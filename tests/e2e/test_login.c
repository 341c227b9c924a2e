/* login: how a browser gets in where tokens are required, what a session opens, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "browser.h"
#include "fixture.h"
#include "heard.h"
#include "metergate/base/slice.h"
#include "watcher.h"

#define PLANTED "planted-token-"
#define ANAS    PLANTED "ana-0123456789"
#define BOS     PLANTED "bo-0123456789"
#define KEY     "sk-planted-in-the-configuration"

/* A user that no machine has. */
#define SOMEBODY 12345

#define FORM "Content-Type: application/x-www-form-urlencoded"
#define OWN  FORM "\nOrigin: $URL\nSec-Fetch-Site: same-origin\nSec-Fetch-Mode: navigate"
#define HTML "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

#define YAML                                                                                                 \
    "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"                  \
    "clients: {require_token: true, ana: {token: {env: METERGATE_TEST_ANA}}, bo: {token: {env: METERGATE_TEST_BO}}}\n"

#define CHAT "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

static void start(struct fixture *f)
{
    setenv("METERGATE_TEST_KEY", KEY, 1);
    setenv("METERGATE_TEST_ANA", ANAS, 1);
    setenv("METERGATE_TEST_BO", BOS, 1);
    *f = (struct fixture){0};
    fixture_start_simulator(f, "{\"api_keys\":[\"" KEY "\"]}", NULL);
    fixture_start_daemon(f, YAML, NULL);
}

/* Nothing of a token may be in the log. */
static void stop(struct fixture *f)
{
    char *log = process_log(f->daemon);

    assert_null(strstr(log, PLANTED));
    free(log);
    fixture_stop(f);
}

/* Logs in; the cookie header of the session goes to `cookie`. */
static void log_in(const struct fixture *f, const char *token, char *cookie, size_t size)
{
    struct client_reply r;
    char form[128];

    snprintf(form, sizeof form, "token=%s", token);
    r = browser_ask(f, "POST", "/-/login", OWN, form);
    assert_int_equal(r.status, 303);
    assert_string_equal(client_header(&r, "Location"), "/-/");
    snprintf(cookie, size, "Cookie: other=1; %s", browser_cookie(&r));
    assert_null(strstr(cookie, token));
    assert_non_null(strstr(r.head.p, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200\r\n"));
    client_reply_release(&r);
}

static void test_login__the_dashboard__sends_browsers_to_it_and_refuses_programs(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    start(&f);
    r = browser_ask(&f, "GET", "/-/", HTML, NULL);
    assert_int_equal(r.status, 303);
    assert_string_equal(client_header(&r, "Location"), "/-/login");
    client_reply_release(&r);
    browser_expect(&f, "GET", "/-", HTML, NULL, 303);
    browser_expect(&f, "GET", "/-/", "Accept: */*", NULL, 401);
    browser_expect(&f, "GET", "/-/", "", NULL, 401);
    browser_expect(&f, "GET", "/-/status", HTML, NULL, 401);
    browser_expect(&f, "POST", "/-/", HTML, "{}", 401);
    browser_expect(&f, "GET", "/-/", "Metergate-Token: " ANAS, NULL, 200);
    r = browser_ask(&f, "GET", "/-/login", HTML, NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Cache-Control"), "no-store");
    assert_non_null(strstr(client_header(&r, "Content-Security-Policy"), "default-src 'none'; style-src 'nonce-"));
    assert_non_null(strstr(r.body.p, "<p role=\"alert\"></p>"));
    assert_null(strstr(r.body.p, "@NONCE@"));
    client_reply_release(&r);
    stop(&f);
}

static void test_session__opens_what_is_to_be_seen_and_nothing_that_costs(void **state)
{
    static const char *const open[] = {"/",          "/-/",        "/-/status", "/metrics",
                                       "/-/prices",  "/-/calls/now", "/-/login"};
    static const struct {
        const char *method, *path, *body;
    } closed[] = {
        {"POST", "/v1/chat/completions", CHAT},
        {"GET", "/v1/models", NULL},
        {"POST", "/-/reserve", "{\"model\":\"gpt-4o\",\"tokens\":10}"},
        {"POST", "/-/settle", "{\"lease\":\"x\"}"},
        {"POST", "/-/estimate", CHAT},
        {"POST", "/-/pause", ""}, /* without the page's secret */
        {"POST", "/-/reload", ""},
    };
    char cookie[160], headers[400], other[320];
    struct fixture f;
    struct watcher w;

    (void)state;
    start(&f);
    log_in(&f, ANAS, cookie, sizeof cookie);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        int status = strcmp(open[i], "/-/login") == 0 ? 303 : 200;

        browser_expect(&f, "GET", open[i], cookie, NULL, status);
        if (status == 200) {
            browser_expect(&f, "GET", open[i], "", NULL, 401);
            snprintf(other, sizeof other, "%s\nOrigin: http://localhost:3000", cookie); /* another port's page */
            browser_expect(&f, "GET", open[i], other, NULL, 401);
            snprintf(other, sizeof other, "%s\nSec-Fetch-Site: same-site", cookie);
            browser_expect(&f, "GET", open[i], other, NULL, 401);
        }
    }
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
        browser_expect(&f, closed[i].method, closed[i].path, cookie, closed[i].body, 401);
    snprintf(other, sizeof other, "%s\nMetergate-Token: wrong-token-0123456789", cookie);
    browser_expect(&f, "GET", "/-/status", other, NULL, 401);
    snprintf(headers, sizeof headers, "%s\nOrigin: $URL\nMetergate-Page: %s", cookie, browser_page_secret(&f, cookie));
    browser_expect(&f, "POST", "/-/pause", headers, "", 200);
    browser_expect(&f, "POST", "/-/resume", headers, "", 200);
    browser_expect(&f, "POST", "/-/reload", headers, "", 401);
    browser_expect(&f, "POST", "/v1/chat/completions", headers, CHAT, 401);
    snprintf(other, sizeof other, "%s\r\n", cookie);
    watcher_start(&w, &f, "", other);
    watcher_wait(&w, "event: status\n", 1);
    watcher_stop(&w);
    stop(&f);
}

static void test_login__what_is_wrong__is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
    } rows[] = {
        {"POST", "/-/login", OWN, "token=" PLANTED "wrong", 401},
        {"POST", "/-/login", OWN, "token=", 401},
        {"POST", "/-/login", OWN, "tokens=" ANAS, 401},
        {"POST", "/-/login", FORM "\nOrigin: http://localhost:3000", "token=" ANAS, 403},
        {"POST", "/-/login", FORM "\nOrigin: null", "token=" ANAS, 403},
        {"POST", "/-/login", FORM "\nSec-Fetch-Site: cross-site", "token=" ANAS, 403},
        {"POST", "/-/login", FORM "\nSec-Fetch-Site: same-site", "token=" ANAS, 403},
        {"POST", "/-/login", "Content-Type: application/json\nOrigin: $URL", "{\"token\":\"" ANAS "\"}", 415},
        {"PUT", "/-/login", OWN, "token=" ANAS, 405},
        {"POST", "/-/login/", OWN, "token=" ANAS, 401},
        {"POST", "/-/logout", "Origin: http://localhost:3000", "", 403},
    };
    struct client_reply r;
    struct fixture f;
    char *big;

    (void)state;
    start(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        r = browser_ask(&f, rows[i].method, rows[i].path, rows[i].headers, rows[i].body);
        if (r.status != rows[i].status)
            fail_msg("row %zu: %d instead of %d: %s", i, r.status, rows[i].status, r.body.p);
        assert_null(client_header(&r, "Set-Cookie"));
        assert_null(strstr(r.body.p, PLANTED));
        client_reply_release(&r);
    }
    big = malloc(6000);
    assert_non_null(big);
    memset(big, 'x', 5999);
    big[5999] = '\0';
    browser_expect(&f, "POST", "/-/login", OWN, big, 413);
    free(big);
    browser_expect(&f, "POST", "/-/login", FORM, "a=b&token=%70" "lanted-token-ana-0123456789", 303); /* a program may, too */
    stop(&f);
}

static void test_login__who_guesses__has_to_wait(void **state)
{
    char cookie[160];
    struct client_reply r;
    struct fixture f;
    long wait;

    (void)state;
    start(&f);
    log_in(&f, BOS, cookie, sizeof cookie);
    for (int i = 0; i < 5; i++)
        browser_expect(&f, "POST", "/-/login", OWN, "token=wrong-token-0123456789", 401);
    r = browser_ask(&f, "POST", "/-/login", OWN, "token=" ANAS); /* the right one, too: else guessing goes on */
    assert_int_equal(r.status, 429);
    wait = strtol(client_header(&r, "Retry-After"), NULL, 10);
    assert_in_range(wait, 1, 60);
    assert_null(client_header(&r, "Set-Cookie"));
    client_reply_release(&r);
    browser_expect(&f, "GET", "/-/status", cookie, NULL, 200); /* who is in stays in, */
    browser_expect(&f, "GET", "/-/status", "Metergate-Token: " ANAS, NULL, 200); /* and programs are not touched */
    stop(&f);
}

/* The effective user of this thread alone: the kernel keeps one for each, and only the library changes them together. */
static void become(uid_t effective)
{
    assert_int_equal(syscall(SYS_setresuid, -1, effective, -1), 0);
}

/* browser_expect for another user of this machine. */
static void expect_for_somebody(const struct fixture *f, const char *method, const char *path, const char *headers,
                                const char *body, int status)
{
    struct client_reply r;

    become(SOMEBODY); /* a socket is of the user who has made it */
    r = browser_ask(f, method, path, headers, body);
    become(0);
    assert_int_equal(r.status, status);
    client_reply_release(&r);
}

static void test_login__one_user_who_guesses__locks_out_no_other(void **state)
{
    char cookie[160];
    struct fixture f;

    (void)state;
    if (geteuid() != 0)
        skip(); /* it takes two users */
    start(&f);
    for (int i = 0; i < 5; i++)
        expect_for_somebody(&f, "POST", "/-/login", OWN, "token=wrong-token-0123456789", 401);
    expect_for_somebody(&f, "POST", "/-/login", OWN, "token=" ANAS, 429);
    log_in(&f, ANAS, cookie, sizeof cookie);
    stop(&f);
}

/* Another user's server on another port is sent the cookie by any browser that visits it. */
static void test_session__its_cookie__opens_nothing_to_another_user(void **state)
{
    char cookie[160];
    struct fixture f;

    (void)state;
    if (geteuid() != 0)
        skip(); /* it takes two users */
    start(&f);
    log_in(&f, ANAS, cookie, sizeof cookie);
    browser_expect(&f, "GET", "/-/", cookie, NULL, 200);
    expect_for_somebody(&f, "GET", "/-/", cookie, NULL, 401);
    expect_for_somebody(&f, "GET", "/-/events", cookie, NULL, 401);
    browser_expect(&f, "GET", "/-/", cookie, NULL, 200);
    stop(&f);
}

static void test_session__ends_by_logout_by_a_reload_and_by_a_restart(void **state)
{
    char anas[160], bos[160], headers[300];
    struct client_reply r;
    struct fixture f;
    struct watcher w;

    (void)state;
    start(&f);
    log_in(&f, ANAS, anas, sizeof anas);
    log_in(&f, BOS, bos, sizeof bos);
    snprintf(headers, sizeof headers, "%s\r\n", anas);
    watcher_start(&w, &f, "", headers);
    watcher_wait(&w, "event: status\n", 1);
    snprintf(headers, sizeof headers, "%s\nOrigin: $URL", anas);
    r = browser_ask(&f, "POST", "/-/logout", headers, "");
    assert_int_equal(r.status, 303);
    assert_non_null(strstr(client_header(&r, "Set-Cookie"), "metergate=; "));
    client_reply_release(&r);
    browser_expect(&f, "GET", "/-/status", anas, NULL, 401);
    watcher_wait_end(&w); /* and what it had opened is closed */
    watcher_stop(&w);
    browser_expect(&f, "GET", "/-/status", bos, NULL, 200);
    log_in(&f, ANAS, anas, sizeof anas);
    fixture_write_config(&f, "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"
                             "clients: {require_token: true, ana: {token: {env: METERGATE_TEST_ANA}}, bo: {weight: 2}}\n");
    process_signal(f.daemon, SIGHUP);
    fixture_wait_log(&f, 0, "reload: done");
    browser_expect(&f, "GET", "/-/status", bos, NULL, 401);
    browser_expect(&f, "GET", "/-/status", anas, NULL, 200);
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, YAML, NULL);
    browser_expect(&f, "GET", "/-/status", anas, NULL, 401);
    stop(&f);
}

static void test_session__its_cookie__does_not_leave_the_machine(void **state)
{
    struct heard_call c;
    struct heard h;

    (void)state;
    heard_start(&h, 1, "upstreams:\n  openai: {base_url: $0/v1}\n");
    c = heard_json(&h,
                   "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                   "Cookie: theirs=1; metergate=0123456789; more=2\r\n",
                   CHAT, "{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":1,\"total_tokens\":9}}");
    assert_int_equal(c.who, 0);
    assert_true(heard_has(&c.request, "Cookie: theirs=1; more=2"));
    assert_null(strstr(c.request.p, "0123456789"));
    heard_release(&c);
    c = heard_json(&h, "GET /v1/models HTTP/1.1\r\nCookie: metergate=0123456789\r\n", "", "{}");
    assert_int_equal(c.who, 0);
    assert_null(strstr(c.request.p, "ookie"));
    heard_release(&c);
    heard_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login__the_dashboard__sends_browsers_to_it_and_refuses_programs),
        cmocka_unit_test(test_session__opens_what_is_to_be_seen_and_nothing_that_costs),
        cmocka_unit_test(test_login__what_is_wrong__is_refused_with_a_sentence),
        cmocka_unit_test(test_login__who_guesses__has_to_wait),
        cmocka_unit_test(test_login__one_user_who_guesses__locks_out_no_other),
        cmocka_unit_test(test_session__ends_by_logout_by_a_reload_and_by_a_restart),
        cmocka_unit_test(test_session__its_cookie__opens_nothing_to_another_user),
        cmocka_unit_test(test_session__its_cookie__does_not_leave_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
