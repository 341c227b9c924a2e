/* lease, lease_text: the table of open leases in virtual time, and what bodies say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/lease.h"
#include "metergate/proxy/lease_text.h"

#define MANY 1000

/* ---- the table ---- */

static void test_lease__open__is_found_by_its_whole_id_alone(void **state)
{
    struct leases ls;
    struct lease l;
    struct slice id;

    (void)state;
    leases_init(&ls);
    lease_init(&l);
    assert_null(leases_find(&ls, SLICE("")));
    leases_open(&ls, &l, 7);
    id = slice_str(l.id);
    assert_int_equal(id.n, 32);
    assert_int_equal(strspn(l.id, "0123456789abcdef"), 32);
    assert_ptr_equal(leases_find(&ls, id), &l);
    assert_null(leases_find(&ls, slice_head(id, 31)));
    assert_null(leases_find(&ls, SLICE("")));
    assert_int_equal(leases_count(&ls), 1);
    leases_close(&ls, &l);
    leases_close(&ls, &l);
    assert_null(leases_find(&ls, id));
    assert_int_equal(leases_count(&ls), 0);
    leases_release(&ls);
}

static void test_lease_ids__many__are_all_different(void **state)
{
    static struct lease many[MANY];
    struct leases ls;

    (void)state;
    leases_init(&ls);
    for (size_t i = 0; i < MANY; i++) {
        lease_init(&many[i]);
        leases_open(&ls, &many[i], 0);
    }
    assert_int_equal(leases_count(&ls), MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(leases_find(&ls, slice_str(many[i].id)), &many[i]);
        leases_close(&ls, &many[i]);
    }
    leases_release(&ls);
}

static void test_leases__not_settled__are_due_after_ten_minutes_in_order(void **state)
{
    const int64_t ten_minutes = INT64_C(600000000);
    struct lease a, b, c;
    struct leases ls;

    (void)state;
    leases_init(&ls);
    lease_init(&a);
    lease_init(&b);
    lease_init(&c);
    assert_true(leases_due_us(&ls) == CLOCK_NEVER);
    leases_open(&ls, &a, 100);
    leases_open(&ls, &b, 200);
    leases_open(&ls, &c, 200);
    assert_int_equal(leases_due_us(&ls), ten_minutes + 100);
    assert_null(leases_due(&ls, ten_minutes + 99));
    assert_ptr_equal(leases_due(&ls, ten_minutes + 100), &a);
    leases_close(&ls, &b); /* settled */
    leases_close(&ls, &a);
    assert_int_equal(leases_due_us(&ls), ten_minutes + 200);
    assert_null(leases_due(&ls, ten_minutes + 199));
    assert_ptr_equal(leases_due(&ls, CLOCK_NEVER), &c);
    leases_close(&ls, &c);
    assert_null(leases_due(&ls, CLOCK_NEVER));
    leases_release(&ls);
}

/* ---- reservations ---- */

static void test_wish__a_good_body__says_what_is_wanted(void **state)
{
    static const struct {
        const char *body, *model, *upstream;
        int64_t input, output, max_wait_us;
    } rows[] = {
        {"{\"model\":\"gpt-4o\",\"tokens\":1200}", "gpt-4o", "", 1200, 0, -1},
        {" {\"tokens\":0,\"model\":\"m\"} ", "m", "", 0, 0, -1},
        {"{\"model\":\"m\",\"input_tokens\":7,\"output_tokens\":5}", "m", "", 7, 5, -1},
        {"{\"model\":\"m\",\"output_tokens\":5}", "m", "", 0, 5, -1},
        {"{\"model\":\"m\",\"tokens\":12,\"input_tokens\":7,\"output_tokens\":5}", "m", "", 7, 5, -1},
        {"{\"model\":\"m\",\"tokens\":1e3,\"max_wait\":0}", "m", "", 1000, 0, 0},
        {"{\"model\":\"m\",\"tokens\":1,\"max_wait\":1.5}", "m", "", 1, 0, 1500000},
        {"{\"model\":\"m\",\"tokens\":1,\"max_wait\":\"2m30s\"}", "m", "", 1, 0, 150000000},
        {"{\"model\":\"m\",\"tokens\":1,\"max_wait\":null,\"upstream\":null,\"input_tokens\":null}", "m", "",
         1, 0, -1},
        {"{\"model\":\"m\",\"tokens\":1,\"upstream\":\"azure-eu\"}", "m", "azure-eu", 1, 0, -1},
        {"{\"model\":\"models/gemini-2.5-pro\",\"tokens\":1000000000}", "gemini-2.5-pro", "", 1000000000, 0,
         -1},
        {"{\"model\":\"models/\",\"tokens\":1}", "models/", "", 1, 0, -1},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct lease_wish w;
        struct errbuf e;

        if (lease_wish_read(slice_str(rows[i].body), &w, &e) < 0)
            fail_msg("%s: %s", rows[i].body, e.text);
        assert_string_equal(w.model, rows[i].model);
        assert_string_equal(w.upstream, rows[i].upstream);
        assert_int_equal(w.input, rows[i].input);
        assert_int_equal(w.output, rows[i].output);
        assert_int_equal(w.max_wait_us, rows[i].max_wait_us);
    }
}

#define MODEL "{\"model\":\"m\","

static void test_wish__a_bad_body__is_refused_with_what_is_wrong(void **state)
{
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {MODEL "\"tokens\":1}}", "not a JSON object"},
        {"{\"tokens\":1}", "no \"model\""},
        {"{\"model\":null,\"tokens\":1}", "no \"model\""},
        {"{\"model\":\"\",\"tokens\":1}", "\"model\" must be a text"},
        {"{\"model\":4,\"tokens\":1}", "\"model\" must be a text"},
        {"{\"model\":\"m\"}", "how many \"tokens\""},
        {MODEL "\"tokens\":null}", "how many \"tokens\""},
        {MODEL "\"tokens\":-1}", "\"tokens\" must be a whole number"},
        {MODEL "\"tokens\":1.5}", "\"tokens\" must be a whole number"},
        {MODEL "\"tokens\":\"12\"}", "\"tokens\" must be a whole number"},
        {MODEL "\"tokens\":1000000001}", "\"tokens\" must be a whole number"},
        {MODEL "\"tokens\":1e99}", "\"tokens\" must be a whole number"},
        {MODEL "\"output_tokens\":true}", "\"output_tokens\" must be a whole number"},
        {MODEL "\"tokens\":12,\"output_tokens\":5}", "not the sum"},
        {MODEL "\"tokens\":1,\"max_wait\":-1}", "\"max_wait\" must be seconds"},
        {MODEL "\"tokens\":1,\"max_wait\":1e300}", "\"max_wait\" must be seconds"},
        {MODEL "\"tokens\":1,\"max_wait\":\"soon\"}", "\"max_wait\" must be seconds"},
        {MODEL "\"tokens\":1,\"max_wait\":[]}", "\"max_wait\" must be seconds"},
        {MODEL "\"tokens\":1,\"upstream\":\"\"}", "\"upstream\" must be a text"},
        {MODEL "\"tokens\":1,\"maxwait\":5}", "a member \"maxwait\""},
        {MODEL "\"tokens\":1,\"tokens\":2}", "\"tokens\" stands there twice"},
        {MODEL "\"tokens\":1,\"Tokens\":2}", "a member \"Tokens\""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct lease_wish w = {.input = 77};
        struct errbuf e = {""};

        if (lease_wish_read(slice_str(rows[i].body), &w, &e) == 0 || !strstr(e.text, rows[i].says))
            fail_msg("%s: \"%s\"", rows[i].body, e.text);
        assert_int_equal(w.input, 77);
    }
}

static void test_wish__a_name_that_is_too_long__is_refused_and_the_longest_is_not(void **state)
{
    char body[400];
    struct lease_wish w;
    struct errbuf e;

    (void)state;
    snprintf(body, sizeof body, "{\"tokens\":1,\"model\":\"%0*d\"}", DIALECT_MODEL_MAX - 1, 0);
    assert_int_equal(lease_wish_read(slice_str(body), &w, &e), 0);
    assert_int_equal(strlen(w.model), DIALECT_MODEL_MAX - 1);
    snprintf(body, sizeof body, "{\"tokens\":1,\"model\":\"%0*d\"}", DIALECT_MODEL_MAX, 0);
    assert_true(lease_wish_read(slice_str(body), &w, &e) < 0);
    snprintf(body, sizeof body, "{\"tokens\":1,\"model\":\"m\",\"upstream\":\"%0*d\"}", LEASE_UPSTREAM_MAX,
             0);
    assert_true(lease_wish_read(slice_str(body), &w, &e) < 0);
    snprintf(body, sizeof body, "{\"%0*d\":1}", 300, 0);
    assert_true(lease_wish_read(slice_str(body), &w, &e) < 0);
    assert_true(strlen(e.text) < 150); /* a name of the peer's is cut */
}

/* ---- reports ---- */

#define ID    "0123456789abcdef0123456789abcdef"
#define LEASE "{\"lease\":\"" ID "\","

static void test_report__a_good_body__says_what_was_used(void **state)
{
    static const struct {
        const char *body, *id;
        int64_t input, output, cached, retry_after_us;
        bool refused;
    } rows[] = {
        {LEASE "\"input_tokens\":10,\"output_tokens\":20}", ID, 10, 20, 0, -1, false},
        {LEASE "\"input_tokens\":10}", ID, 10, 0, 0, -1, false},
        {LEASE "\"output_tokens\":0}", ID, 0, 0, 0, -1, false},
        {LEASE "\"input_tokens\":10,\"cached_tokens\":10,\"output_tokens\":2}", ID, 10, 2, 10, -1, false},
        {LEASE "\"status\":429}", ID, 0, 0, 0, -1, true},
        {LEASE "\"status\":429,\"retry_after\":2.5}", ID, 0, 0, 0, 2500000, true},
        {LEASE "\"status\":429,\"retry_after\":\"6m0s\"}", ID, 0, 0, 0, 360000000, true},
        {LEASE "\"status\":null,\"input_tokens\":1}", ID, 1, 0, 0, -1, false},
        {"{\"lease\":\"\",\"input_tokens\":1}", "", 1, 0, 0, -1, false},
        {"{\"lease\":\"" ID "0\",\"input_tokens\":1}", "", 1, 0, 0, -1, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct lease_report r;
        struct errbuf e;

        if (lease_report_read(slice_str(rows[i].body), &r, &e) < 0)
            fail_msg("%s: %s", rows[i].body, e.text);
        assert_string_equal(r.id, rows[i].id);
        assert_int_equal(r.usage.input, rows[i].input);
        assert_int_equal(r.usage.output, rows[i].output);
        assert_int_equal(r.usage.cached, rows[i].cached);
        assert_int_equal(r.retry_after_us, rows[i].retry_after_us);
        assert_int_equal(r.refused, rows[i].refused);
    }
}

static void test_report__a_bad_body__is_refused_with_what_is_wrong(void **state)
{
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"lease=1", "not a JSON object"},
        {"{\"input_tokens\":1}", "no \"lease\""},
        {"{\"lease\":12,\"input_tokens\":1}", "no \"lease\""},
        {"{\"lease\":\"" ID "\"}", "what was used"},
        {LEASE "\"cached_tokens\":1}", "what was used"},
        {LEASE "\"input_tokens\":-1}", "\"input_tokens\" must be a whole number"},
        {LEASE "\"input_tokens\":1,\"output_tokens\":\"x\"}", "\"output_tokens\" must be a whole number"},
        {LEASE "\"input_tokens\":1,\"cached_tokens\":2}", "cannot be more"},
        {LEASE "\"status\":500}", "may only be 429"},
        {LEASE "\"status\":\"429\"}", "may only be 429"},
        {LEASE "\"status\":429,\"input_tokens\":1}", "has used nothing"},
        {LEASE "\"status\":429,\"retry_after\":-2}", "\"retry_after\" must be seconds"},
        {LEASE "\"retry_after\":2,\"input_tokens\":1}", "beside \"status\""},
        {LEASE "\"tokens\":5}", "a member \"tokens\""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct lease_report r = {.retry_after_us = 77};
        struct errbuf e = {""};

        if (lease_report_read(slice_str(rows[i].body), &r, &e) == 0 || !strstr(e.text, rows[i].says))
            fail_msg("%s: \"%s\"", rows[i].body, e.text);
        assert_int_equal(r.retry_after_us, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease__open__is_found_by_its_whole_id_alone),
        cmocka_unit_test(test_lease_ids__many__are_all_different),
        cmocka_unit_test(test_leases__not_settled__are_due_after_ten_minutes_in_order),
        cmocka_unit_test(test_wish__a_good_body__says_what_is_wanted),
        cmocka_unit_test(test_wish__a_bad_body__is_refused_with_what_is_wrong),
        cmocka_unit_test(test_wish__a_name_that_is_too_long__is_refused_and_the_longest_is_not),
        cmocka_unit_test(test_report__a_good_body__says_what_was_used),
        cmocka_unit_test(test_report__a_bad_body__is_refused_with_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
