/* faults: what a provider that misbehaves can make of a call, and what it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

#define CHAT(text) "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define TWO_ATTEMPTS                                                                                                        \
    "upstreams:\n"                                                                                                          \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual, retry: {attempts: 2}}\n"

static void test_retry_after_0__is_no_wait__and_uses_an_attempt_up(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello [[fault=status:529,retry_after:0]]"));
    assert_int_equal(r.status, 529);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_tiny_waits__grow_when_they_do_not_help(void **state)
{
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:1\",\"next\":8}]}", TWO_ATTEMPTS);
    r = fixture_chat(&f, CHAT("hello"));
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "9");
    assert_true(r.head_us - r.start_us >= 510000); /* 2 + 4 + ... + 256 ms */
    client_reply_release(&r);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_0__is_no_wait__and_uses_an_attempt_up),
        cmocka_unit_test(test_tiny_waits__grow_when_they_do_not_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
