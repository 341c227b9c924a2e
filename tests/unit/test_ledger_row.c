/* row: ids there and back, the texts of scopes, names, and which rows are sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/ledger/row.h"

static void test_row_id__any_run_and_number__there_and_back(void **state)
{
    static const struct {
        uint32_t run;
        uint64_t number;
        const char *text;
    } rows[] = {
        {0, 1, "mg-0000000-1"},
        {0xabcdef1, 42, "mg-abcdef1-42"},
        {0xfffffff, (UINT64_C(1) << ROW_NUMBER_BITS) - 1, "mg-fffffff-34359738367"},
        {0x12345678, 7, "mg-2345678-7"}, /* 28 bits of the run count */
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int64_t id = row_id(rows[i].run, rows[i].number), back = 0;
        char text[ROW_ID_SIZE];

        assert_true(id > 0);
        row_id_text(id, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(row_id_read(text, strlen(text), &back), 0);
        assert_int_equal(back, id);
    }
}

static void test_row_id__what_is_no_id__is_refused_and_nothing_is_set(void **state)
{
    static const char *const texts[] = {
        "",
        "mg-",
        "mg-0000000-",
        "mg-0000000-0",
        "mg-0000000-01",
        "mg-000000-12",
        "mg-0000000_1",
        "mg-000000g-1",
        "mg-ABCDEF1-1",
        "MG-abcdef1-1",
        "mg-abcdef1-1x",
        "mg-abcdef1--1",
        "mg-abcdef1- 1",
        " mg-abcdef1-1",
        "mg-abcdef1-34359738368",              /* one bit too many */
        "mg-abcdef1-999999999999",             /* the longest there is room for */
        "mg-abcdef1-18446744073709551617",     /* 2^64 + 1 */
        "mg-abcdef1-1111111111111111111111111" /* no room */
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++) {
        size_t n = strlen(texts[i]);
        char *exact = malloc(n + 1); /* an id ends with its length, not with a NUL */
        int64_t id = -7;

        assert_non_null(exact);
        memcpy(exact, texts[i], n);
        exact[n] = '1';
        if (row_id_read(exact, n, &id) != -EINVAL || id != -7)
            fail_msg("%s: %lld", texts[i], (long long)id);
        free(exact);
    }
}

static void test_row_scope__of_a_budget_and_a_client__is_what_its_parts_make(void **state)
{
    struct ledger_row r = {.upstream = "openai", .account = "1f", .budget = "gpt-4o*", .budget_scope = "entry",
                           .client = "ana"};
    struct buf out, parts;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    buf_init(&parts, BUF_UNLIMITED);
    row_budget_scope(&r, &out);
    assert_string_equal(out.p, "budget:openai/1f/entry/gpt-4o*");
    row_scope_of_budget(r.upstream, r.account, r.budget_scope, r.budget, &parts);
    assert_string_equal(out.p, parts.p);
    buf_reset(&out);
    row_client_scope(&r, &out);
    assert_string_equal(out.p, "client:ana");
    buf_reset(&out);
    r.budget_scope[0] = r.client[0] = '\0';
    row_budget_scope(&r, &out);
    row_client_scope(&r, &out);
    assert_int_equal(out.n, 0);
    buf_release(&out);
    buf_release(&parts);
}

static void test_row_names__of_every_value__differ(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(row_whose_name(a), row_whose_name(b));
            if (a < ROW_OUTCOMES)
                assert_string_not_equal(row_outcome_name(a), row_outcome_name(b));
            if (a < ROW_SOURCES)
                assert_string_not_equal(row_source_name(a), row_source_name(b));
        }
    }
}

/* ---- soundness ---- */

/* With all that there can be at its largest. */
static struct ledger_row largest(void)
{
    struct ledger_row r = {.id = INT64_MAX,
                           .kind = ROW_CORRECTION,
                           .t_us = ROW_TIME_MAX,
                           .outcome = ROW_FAILED,
                           .status = 999,
                           .attempts = ROW_ATTEMPTS_MAX,
                           .source = ROW_ESTIMATED,
                           .cost_nano = ROW_COST_MAX,
                           .queued_us = ROW_TIME_MAX,
                           .total_us = ROW_TIME_MAX,
                           .first_byte_us = ROW_TIME_MAX,
                           .hold_count = ROW_HOLDS_MAX};

    r.usage = (struct usage){.input = PROFILE_AMOUNT_MAX, .output = PROFILE_AMOUNT_MAX, .tier = TIER_PRIORITY};
    r.estimated_input = r.estimated_output = PROFILE_AMOUNT_MAX;
    for (size_t i = 0; i < RATES; i++)
        r.price.rates.pico[i] = 2 * PRICE_RATE_MAX; /* of the priority tier */
    r.price.since = 20991231;
    for (size_t i = 0; i < METRICS; i++)
        r.charge.on_arrival[i] = r.charge.at_end[i] = PROFILE_AMOUNT_MAX;
    memset(r.client, 'c', sizeof r.client - 1);
    memset(r.model, 'm', sizeof r.model - 1);
    for (size_t i = 0; i < ROW_HOLDS_MAX; i++) {
        memset(r.hold[i].what, 'w', sizeof r.hold[i].what - 1);
        r.hold[i].whose = ROW_OF_NOBODY;
        r.hold[i].to_us = ROW_TIME_MAX;
    }
    return r;
}

static void test_row_is_sound__the_least_and_the_most_that_a_call_can_be__is(void **state)
{
    struct ledger_row r = {.id = 1};

    (void)state;
    assert_true(row_is_sound(&r));
    r.first_byte_us = -1;
    r.cost_nano = PRICE_UNKNOWN;
    r.price.rates = (struct rates){{PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN}};
    assert_true(row_is_sound(&r));
    r = largest();
    assert_true(row_is_sound(&r));
    r.hold_count = 0;
    memset(r.hold, 0xff, sizeof r.hold); /* nobody looks at these */
    assert_true(row_is_sound(&r));
}

#define AT(member) offsetof(struct ledger_row, member)

static void test_row_is_sound__one_figure_out_of_its_bounds__is_not(void **state)
{
    static const struct {
        size_t at;
        int64_t v;
        bool narrow; /* 32 bits */
    } rows[] = {
        {AT(id), 0, false},
        {AT(id), -1, false},
        {AT(kind), ROW_CORRECTION + 1, true},
        {AT(kind), -1, true},
        {AT(t_us), -1, false},
        {AT(t_us), ROW_TIME_MAX + 1, false},
        {AT(outcome), ROW_OUTCOMES, true},
        {AT(outcome), INT_MIN, true},
        {AT(status), -1, true},
        {AT(status), 1000, true},
        {AT(attempts), -1, true},
        {AT(attempts), ROW_ATTEMPTS_MAX + 1, true},
        {AT(estimated_input), -1, false},
        {AT(estimated_output), INT64_MAX, false},
        {AT(usage.input), -1, false},
        {AT(usage.cached), PROFILE_AMOUNT_MAX + 1, false},
        {AT(usage.cache_write), -1, false},
        {AT(usage.cache_write_1h), INT64_MIN, false},
        {AT(usage.output), PROFILE_AMOUNT_MAX + 1, false},
        {AT(usage.reasoning), -1, false},
        {AT(usage.tier), USAGE_TIERS, true},
        {AT(source), ROW_SOURCES, true},
        {AT(cost_nano), -2, false},
        {AT(cost_nano), ROW_COST_MAX + 1, false},
        {AT(price.since), -1, true},
        {AT(price.since), INT_MAX, true},
        {AT(price.rates.pico[RATE_INPUT]), -2, false},
        {AT(price.rates.pico[RATE_CACHED]), INT64_MAX, false},
        {AT(price.rates.pico[RATE_CACHE_WRITE]), -2, false},
        {AT(price.rates.pico[RATE_CACHE_WRITE_1H]), INT64_MIN, false},
        {AT(price.rates.pico[RATE_OUTPUT]), -2, false},
        {AT(queued_us), -1, false},
        {AT(total_us), ROW_TIME_MAX + 1, false},
        {AT(first_byte_us), -2, false},
        {AT(charge.sent_us), -1, false},
        {AT(charge.on_arrival[METRIC_REQUESTS]), -1, false},
        {AT(charge.on_arrival[METRIC_OUTPUT]), PROFILE_AMOUNT_MAX + 1, false},
        {AT(charge.at_end[METRIC_TOKENS]), INT64_MIN, false},
        {AT(hold_count), -1, true},
        {AT(hold_count), ROW_HOLDS_MAX + 1, true},
        {AT(hold[0].whose), ROW_WHOSES, true},
        {AT(hold[5].whose), -1, true},
        {AT(hold[0].from_us), -1, false},
        {AT(hold[3].from_us), ROW_TIME_MAX + 1, false}, /* it ends before it begins */
        {AT(hold[5].to_us), ROW_TIME_MAX + 1, false},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct ledger_row r = largest();
        int32_t narrow = (int32_t)rows[i].v;

        if (rows[i].narrow)
            memcpy((char *)&r + rows[i].at, &narrow, sizeof narrow);
        else
            memcpy((char *)&r + rows[i].at, &rows[i].v, sizeof rows[i].v);
        if (row_is_sound(&r))
            fail_msg("line %zu of the table", i);
    }
}

static void test_row_is_sound__a_text_without_an_end__is_not(void **state)
{
    static const struct {
        size_t at, n;
    } texts[] = {
        {AT(client), 65},      {AT(upstream), 129},  {AT(budget), 257},  {AT(account), 24},      {AT(model), 257},
        {AT(endpoint), 16},    {AT(reason), 48},     {AT(budget_scope), 8}, {AT(price.name), 64}, {AT(hold[0].what), 16},
        {AT(hold[5].what), 16}};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++) {
        struct ledger_row r = largest();

        memset((char *)&r + texts[i].at, 'x', texts[i].n);
        assert_false(row_is_sound(&r));
        ((char *)&r)[texts[i].at + texts[i].n - 1] = '\0';
        assert_true(row_is_sound(&r));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_id__any_run_and_number__there_and_back),
        cmocka_unit_test(test_row_id__what_is_no_id__is_refused_and_nothing_is_set),
        cmocka_unit_test(test_row_scope__of_a_budget_and_a_client__is_what_its_parts_make),
        cmocka_unit_test(test_row_names__of_every_value__differ),
        cmocka_unit_test(test_row_is_sound__the_least_and_the_most_that_a_call_can_be__is),
        cmocka_unit_test(test_row_is_sound__one_figure_out_of_its_bounds__is_not),
        cmocka_unit_test(test_row_is_sound__a_text_without_an_end__is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
