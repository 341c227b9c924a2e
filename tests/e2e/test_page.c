/* page: how the dashboard is served, and what it may do that no other page may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "browser.h"
#include "fixture.h"

#define KEY "sk-planted-in-the-configuration"

static void assert_paused(const struct fixture *f, bool paused)
{
    cJSON *status = fixture_status(f);

    assert_int_equal(cJSON_IsTrue(json_at(status, "paused")), paused);
    cJSON_Delete(status);
}

/* The nonce of a page's policy; it is that of its style and its script, and nothing is left to be replaced. */
static void take_nonce(const struct client_reply *r, char nonce[33])
{
    const char *policy = client_header(r, "Content-Security-Policy"), *at;
    char want[512];

    assert_non_null(policy);
    at = strstr(policy, "'nonce-");
    assert_non_null(at);
    snprintf(nonce, 33, "%.32s", at + 7);
    assert_int_equal(strspn(nonce, "0123456789abcdef"), 32);
    snprintf(want, sizeof want,
             "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
             nonce, nonce);
    assert_string_equal(policy, want);
    snprintf(want, sizeof want, "<script nonce=\"%s\">", nonce);
    assert_non_null(strstr(r->body.p, want));
    snprintf(want, sizeof want, "<style nonce=\"%s\">", nonce);
    assert_non_null(strstr(r->body.p, want));
    assert_null(strstr(r->body.p, "@NONCE@"));
    assert_null(strstr(r->body.p, "@PAGE@"));
    assert_null(strstr(r->body.p, "@LOGIN@"));
    assert_null(strstr(r->body.p, "@VERSION@"));
}

static void test_page__is_whole_and_may_load_nothing_else(void **state)
{
    static const char *const headers[][2] = {
        {"Content-Type", "text/html; charset=utf-8"},   {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "same-origin"},             {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"}, {"Cache-Control", "no-store"},
    };
    char nonce[33], other[33];
    struct client_reply r;
    struct fixture f;

    (void)state;
    setenv("METERGATE_TEST_KEY", KEY, 1);
    fixture_start(&f, NULL,
                  "upstreams:\n  openai: {base_url: $SIMULATOR/v1, api_key: {env: METERGATE_TEST_KEY}}\n"
                  "allow: {origins: [\"https://app.example\"]}\n");
    r = browser_ask(&f, "GET", "/-/", "Accept: text/html\nOrigin: https://app.example", NULL);
    assert_int_equal(r.status, 200);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_string_equal(client_header(&r, headers[i][0]), headers[i][1]);
    assert_null(client_header(&r, "Access-Control-Allow-Origin")); /* it holds a secret that no other page may read */
    assert_null(client_header(&r, "Set-Cookie"));
    assert_null(strstr(r.body.p, KEY));
    take_nonce(&r, nonce);
    assert_true(r.body.n <= (size_t)80 * 1024);
    client_reply_release(&r);
    r = browser_ask(&f, "GET", "/-/", "", NULL);
    take_nonce(&r, other);
    assert_string_not_equal(nonce, other);
    client_reply_release(&r);
    fixture_stop(&f);
}

static void test_page__other_ways_to_ask__are_answered_as_elsewhere(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    r = browser_ask(&f, "GET", "/-", "", NULL);
    assert_int_equal(r.status, 308);
    assert_string_equal(client_header(&r, "Location"), "/-/");
    client_reply_release(&r);
    browser_expect(&f, "HEAD", "/-/", "", NULL, 200);
    browser_expect(&f, "POST", "/-/", "", "{}", 405);
    browser_expect(&f, "GET", "/-/page", "", NULL, 404);
    browser_expect(&f, "GET", "/@ana/-/", "", NULL, 200);
    browser_expect(&f, "GET", "/-/", "Host: evil.example", NULL, 403);
    browser_expect(&f, "GET", "/-/login", "", NULL, 303); /* nobody has to */
    browser_expect(&f, "GET", "/-/logout", "", NULL, 405);
    r = browser_ask(&f, "GET", "/", "", NULL);
    assert_string_equal(r.body.p, "Metergate 0.1.0 is running; its dashboard is at /-/\n");
    client_reply_release(&r);
    fixture_stop(&f);
}

/* What repeats a question must not become a page in a browser that guesses types. */
static void test_own_answers__that_repeat_what_was_asked__are_no_pages(void **state)
{
    static const char *const paths[] = {"/-/status", "/metrics", "/-/usage?by=%3Cscript%3E", "/-/calls/<script>", "/-/<script>",
                                        "/-/prices?<script>", "/-/events?<script>", "/healthz"};
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "state_dir: $DIR\n");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        r = browser_ask(&f, "GET", paths[i], "", NULL);
        assert_null(strstr(client_header(&r, "Content-Type"), "html"));
        assert_string_equal(client_header(&r, "X-Content-Type-Options"), "nosniff");
        client_reply_release(&r);
    }
    fixture_stop(&f);
}

static void test_page__may_pause_and_resume(void **state)
{
    char headers[256];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    snprintf(headers, sizeof headers, "Origin: $URL\nSec-Fetch-Site: same-origin\nMetergate-Page: %s",
             browser_page_secret(&f, ""));
    browser_expect(&f, "POST", "/-/pause", headers, "", 200);
    assert_paused(&f, true);
    browser_expect(&f, "POST", "/-/resume", headers, "", 200);
    assert_paused(&f, false);
    browser_expect(&f, "POST", "/-/reload", headers, "", 403);
    fixture_stop(&f);
}

static void test_page__every_way_of_it_that_is_not_ours__is_refused(void **state)
{
    /* $SECRET stands for the page's */
    static const char *const rows[] = {
        "Origin: $URL",
        "Origin: $URL\nMetergate-Page: 0123456789abcdef0123456789abcdef",
        "Origin: $URL\nMetergate-Page;",
        "Origin: http://localhost:3000\nMetergate-Page: $SECRET",
        "Origin: http://localhost\nMetergate-Page: $SECRET",
        "Origin: null\nMetergate-Page: $SECRET",
        "Origin: https://app.example\nMetergate-Page: $SECRET", /* whatever `allow` says */
        "Origin: $URL\nSec-Fetch-Site: same-site\nMetergate-Page: $SECRET",
        "Origin: $URL\nSec-Fetch-Site: cross-site\nMetergate-Page: $SECRET",
        "Origin: $URL\nHost: localhost\nMetergate-Page: $SECRET",
        "Sec-Fetch-Site: same-site\nMetergate-Page: $SECRET",
        "Sec-Fetch-Site: none",
    };
    struct fixture f;
    char secret[33], *log;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "allow: {origins: [\"https://app.example\"]}\n");
    snprintf(secret, sizeof secret, "%s", browser_page_secret(&f, ""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *at = strstr(rows[i], "$SECRET");
        char headers[256];

        snprintf(headers, sizeof headers, "%.*s%s", at ? (int)(at - rows[i]) : (int)strlen(rows[i]), rows[i],
                 at ? secret : "");
        browser_expect(&f, "POST", "/-/pause", headers, "", 403);
        browser_expect(&f, "POST", "/-/resume", headers, "", 403);
    }
    assert_paused(&f, false);
    log = process_log(f.daemon);
    assert_null(strstr(log, secret));
    free(log);
    fixture_stop(&f);
}

static void test_page__the_secret__is_another_one_in_each_run(void **state)
{
    char headers[256];
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    snprintf(headers, sizeof headers, "Origin: $URL\nMetergate-Page: %s", browser_page_secret(&f, ""));
    fixture_stop_daemon(&f);
    fixture_start_daemon(&f, FIXTURE_UPSTREAM, NULL);
    browser_expect(&f, "POST", "/-/pause", headers, "", 403); /* before anybody has seen the page, too */
    assert_null(strstr(headers, browser_page_secret(&f, "")));
    browser_expect(&f, "POST", "/-/pause", headers, "", 403);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page__is_whole_and_may_load_nothing_else),
        cmocka_unit_test(test_page__other_ways_to_ask__are_answered_as_elsewhere),
        cmocka_unit_test(test_own_answers__that_repeat_what_was_asked__are_no_pages),
        cmocka_unit_test(test_page__may_pause_and_resume),
        cmocka_unit_test(test_page__every_way_of_it_that_is_not_ours__is_refused),
        cmocka_unit_test(test_page__the_secret__is_another_one_in_each_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
