/* session: who has logged in, for how long, and how often somebody may be wrong before that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/proxy/session.h"
#include "metergate/proxy/tries.h"

#define ANAS "anas-token-0123456789"
#define BOS  "bos-token-01234567890"
#define ANA  1000 /* a user */

static struct slice text_of(const char *session)
{
    return slice_of(session, SESSION_SIZE - 1);
}

static struct secret_fingerprint token_of(const char *token)
{
    return secret_fingerprint_of(slice_str(token));
}

static void test_session__lasts_12_hours_and_no_longer(void **state)
{
    static struct sessions s;
    struct secret_fingerprint ana = token_of(ANAS);
    int64_t now = 7 * CLOCK_S, end = now + 12 * INT64_C(3600) * CLOCK_S;
    char text[SESSION_SIZE], other[SESSION_SIZE];

    (void)state;
    sessions_begin(&s, &ana, ANA, now, text);
    assert_int_equal(strspn(text, "0123456789abcdef"), 64);
    assert_true(sessions_has(&s, text_of(text), ANA, now));
    assert_true(sessions_has(&s, text_of(text), ANA, end - 1));
    assert_false(sessions_has(&s, text_of(text), ANA, end));
    sessions_begin(&s, &ana, ANA, now, other);
    assert_string_not_equal(text, other);
    sessions_end(&s, text_of(text));
    assert_false(sessions_has(&s, text_of(text), ANA, now));
    assert_true(sessions_has(&s, text_of(other), ANA, now));
}

static void test_session__a_text_that_is_none__opens_nothing(void **state)
{
    static struct sessions s;
    struct secret_fingerprint ana = token_of(ANAS);
    char text[SESSION_SIZE], zeros[SESSION_SIZE];

    (void)state;
    memset(zeros, '0', sizeof zeros);
    assert_false(sessions_has(&s, text_of(zeros), ANA, 0));
    sessions_begin(&s, &ana, ANA, 1, text);
    assert_false(sessions_has(&s, slice_of(text, 63), ANA, 1));
    assert_false(sessions_has(&s, SLICE(""), ANA, 1));
    assert_false(sessions_has(&s, slice_of(NULL, 0), ANA, 1));
    text[63] = text[63] == '0' ? '1' : '0';
    assert_false(sessions_has(&s, text_of(text), ANA, 1));
    sessions_end(&s, text_of(text)); /* of nobody: nothing happens */
}

/* Of another token for each SESSIONS_EACH of them. */
static struct secret_fingerprint nth_token(int i)
{
    char token[40];

    snprintf(token, sizeof token, "token-0123456789-%d", i / SESSIONS_EACH);
    return token_of(token);
}

static void test_session__one_more_than_there_may_be__ends_the_oldest(void **state)
{
    static char text[SESSIONS_MAX + 1][SESSION_SIZE];
    static struct sessions s;

    (void)state;
    for (int i = 0; i <= SESSIONS_MAX; i++) {
        struct secret_fingerprint token = nth_token(i);

        sessions_begin(&s, &token, ANA, 1 + i, text[i]);
    }
    assert_false(sessions_has(&s, text_of(text[0]), ANA, 200));
    for (int i = 1; i <= SESSIONS_MAX; i++)
        assert_true(sessions_has(&s, text_of(text[i]), ANA, 200));
}

static void test_session__of_who_logs_in_often__end_his_own_alone(void **state)
{
    static char text[SESSIONS_MAX + 1][SESSION_SIZE];
    struct secret_fingerprint ana = token_of(ANAS), bo = token_of(BOS);
    static struct sessions s;
    char anas[SESSION_SIZE];

    (void)state;
    sessions_begin(&s, &ana, ANA, 1, anas);
    for (int i = 0; i <= SESSIONS_MAX; i++)
        sessions_begin(&s, &bo, ANA, 2 + i, text[i]);
    assert_true(sessions_has(&s, text_of(anas), ANA, 200));
    for (int i = 0; i <= SESSIONS_MAX; i++)
        assert_int_equal(sessions_has(&s, text_of(text[i]), ANA, 200), i > SESSIONS_MAX - SESSIONS_EACH);
}

static void test_session__shown_by_another_user__opens_nothing(void **state)
{
    struct secret_fingerprint ana = token_of(ANAS);
    char text[SESSION_SIZE], remote[SESSION_SIZE];
    static struct sessions s;

    (void)state;
    sessions_begin(&s, &ana, ANA, 1, text);
    sessions_begin(&s, &ana, SESSION_USER_UNSEEN, 1, remote);
    assert_true(sessions_has(&s, text_of(text), ANA, 2));
    assert_false(sessions_has(&s, text_of(text), ANA + 1, 2));
    assert_false(sessions_has(&s, text_of(text), SESSION_USER_UNSEEN, 2));
    assert_true(sessions_has(&s, text_of(remote), SESSION_USER_UNSEEN, 2));
    assert_false(sessions_has(&s, text_of(remote), ANA, 2));
}

static void test_session__a_token_that_is_changed_or_removed__ends_its_own_alone(void **state)
{
    static struct sessions s;
    struct secret_fingerprint ana = token_of(ANAS), bo = token_of(BOS);
    char anas[SESSION_SIZE], bos[SESSION_SIZE];
    struct config *c;

    (void)state;
    setenv("METERGATE_TEST_ANA", ANAS, 1);
    setenv("METERGATE_TEST_BO", BOS, 1);
    sessions_begin(&s, &ana, ANA, 1, anas);
    sessions_begin(&s, &bo, ANA, 1, bos);
    c = config_from_good("clients:\n  ana: {token: {env: METERGATE_TEST_ANA}}\n  bo: {token: {env: METERGATE_TEST_BO}}\n");
    sessions_keep(&s, c);
    config_free(c);
    assert_true(sessions_has(&s, text_of(anas), ANA, 2) && sessions_has(&s, text_of(bos), ANA, 2));
    setenv("METERGATE_TEST_BO", "another-token-of-bo-0123", 1);
    c = config_from_good("clients:\n  ana: {token: {env: METERGATE_TEST_ANA}}\n  bo: {token: {env: METERGATE_TEST_BO}}\n");
    sessions_keep(&s, c);
    config_free(c);
    assert_true(sessions_has(&s, text_of(anas), ANA, 2));
    assert_false(sessions_has(&s, text_of(bos), ANA, 2));
    c = config_from_good("clients:\n  ana: {max_wait: 1h}\n");
    sessions_keep(&s, c);
    config_free(c);
    assert_false(sessions_has(&s, text_of(anas), ANA, 2));
}

static void test_tries__after_five_failures__wait_for_the_rest_of_the_minute(void **state)
{
    static struct tries t;
    int64_t from = 100 * CLOCK_S;

    (void)state;
    for (int i = 0; i < TRIES_MAX; i++) {
        assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.1"), from + i * CLOCK_S), 0);
        tries_failed(&t, SLICE("10.0.0.1"), from + i * CLOCK_S);
    }
    assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.1"), from + 10 * CLOCK_S), 50 * CLOCK_S);
    assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.2"), from + 10 * CLOCK_S), 0);
    assert_int_equal(tries_wait_us(&t, SLICE(""), from + 10 * CLOCK_S), 0);
    assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.1"), from + 60 * CLOCK_S), 0);
    tries_failed(&t, SLICE("10.0.0.1"), from + 60 * CLOCK_S); /* the first of another minute */
    assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.1"), from + 60 * CLOCK_S), 0);
}

static void test_tries__of_a_crowd__the_latest_are_known(void **state)
{
    static struct tries t;
    char who[200];

    (void)state;
    for (int i = 0; i < 3 * TRIES_WHO_MAX; i++) {
        snprintf(who, sizeof who, "%0150d", i); /* longer than its place, the end cut: one and the same */
        tries_failed(&t, slice_str(who), 1);
    }
    assert_true(tries_wait_us(&t, slice_str(who), 2) > 0);
    for (int i = 0; i < 2 * TRIES_WHO_MAX; i++) {
        snprintf(who, sizeof who, "10.0.0.%d", i);
        for (int n = 0; n < TRIES_MAX; n++)
            tries_failed(&t, slice_str(who), 10 + i);
    }
    assert_true(tries_wait_us(&t, slice_str(who), 100) > 0);
    assert_int_equal(tries_wait_us(&t, SLICE("10.0.0.0"), 100), 0); /* forgotten: there is room for so many */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__lasts_12_hours_and_no_longer),
        cmocka_unit_test(test_session__a_text_that_is_none__opens_nothing),
        cmocka_unit_test(test_session__one_more_than_there_may_be__ends_the_oldest),
        cmocka_unit_test(test_session__of_who_logs_in_often__end_his_own_alone),
        cmocka_unit_test(test_session__shown_by_another_user__opens_nothing),
        cmocka_unit_test(test_session__a_token_that_is_changed_or_removed__ends_its_own_alone),
        cmocka_unit_test(test_tries__after_five_failures__wait_for_the_rest_of_the_minute),
        cmocka_unit_test(test_tries__of_a_crowd__the_latest_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
