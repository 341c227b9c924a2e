/* prices: what GET /-/prices answers, as the daemon runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"

static void assert_input(const struct fixture *f, const char *path, const char *source, double usd)
{
    struct client_reply r = fixture_call(f, "GET", path, NULL);
    cJSON *answer;

    assert_int_equal(r.status, 200);
    answer = cJSON_Parse(r.body.p);
    assert_non_null(answer);
    assert_int_equal(cJSON_GetArraySize(json_at(answer, "prices")), 1);
    assert_string_equal(json_text(json_at(answer, "prices.0"), "match"), "o3");
    assert_non_null(strstr(json_text(json_at(answer, "prices.0"), "source"), source));
    assert_true(json_number(json_at(answer, "prices.0.usd_per_million"), "input") == usd);
    cJSON_Delete(answer);
    client_reply_release(&r);
}

static void test_prices__are_those_of_the_file_after_a_reload(void **state)
{
    struct client_reply r;
    struct fixture f;

    (void)state;
    fixture_start(&f, "{}", FIXTURE_UPSTREAM);
    assert_input(&f, "/-/prices?model=o3-2025-04-16", "models.dev", 2);
    assert_input(&f, "/@ana/-/prices?model=o3", "models.dev", 2);
    fixture_write_config(&f, FIXTURE_UPSTREAM "prices: {o3: {input: 1.5}}\n");
    r = fixture_call(&f, "POST", "/-/reload", "");
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    assert_input(&f, "/-/prices?model=o3", "configuration", 1.5);
    r = fixture_call(&f, "POST", "/-/prices", "");
    assert_int_equal(r.status, 405);
    client_reply_release(&r);
    r = fixture_call(&f, "GET", "/-/prices/", NULL);
    assert_int_equal(r.status, 404);
    assert_non_null(strstr(r.body.p, "/-/prices"));
    client_reply_release(&r);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices__are_those_of_the_file_after_a_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
