/* prices, price_table: which price a name gets on which day, and what the configuration makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/config/models.h"
#include "metergate/config/price_table.h"
#include "metergate/config/prices.h"
#include "config_text.h"

#define TODAY 20261128
#define M(x)  (INT64_C(1000) * (x)) /* thousandths of a dollar per million tokens */

static const struct price *find_on(const char *model, int32_t day)
{
    static struct config *nothing;
    static struct price room;

    if (!nothing)
        nothing = config_from_good("");
    if (!model) {
        config_free(nothing);
        nothing = NULL;
        return NULL;
    }
    return prices_find(nothing, slice_str(model), day, &room);
}

static int forget_configuration(void **state)
{
    (void)state;
    find_on(NULL, 0);
    return 0;
}

/* ---- the table ---- */

static const struct {
    const char *model;
    const char *match; /* NULL: unpriced */
    int64_t input, cached, output; /* thousandths; -1 unknown */
} rows[] = {
    {"gpt-4o", "gpt-4o", 2500, 1250, 10000},
    {"gpt-4o-2024-08-06", "gpt-4o", 2500, 1250, 10000},
    {"gpt-4o-2024-05-13", "gpt-4o-2024-05-13", 5000, -1, 15000},
    {"gpt-4o-mini", "gpt-4o-mini", 150, 75, 600},
    {"gpt-4o-mini-2024-07-18", "gpt-4o-mini", 150, 75, 600},
    {"gpt-4.1-nano", "gpt-4.1-nano", 100, 25, 400},
    {"gpt-5.4-mini-2026-03-17", "gpt-5.4-mini", 750, 75, 4500},
    {"gpt-6.2-sol", "gpt-6.2-sol", 2000, 100, 10000},
    {"gpt-6.1-terra", "gpt-6.1-terra", 1000, 50, 5000},
    {"gpt-6-luna", "gpt-6-luna", 100, 10, 500},
    {"gpt-4", "gpt-4", 30000, -1, 60000},
    {"gpt-4-0613", "gpt-4", 30000, -1, 60000},
    {"gpt-4-1106-preview", "gpt-4-1106-preview", 10000, -1, 30000},
    {"gpt-4-turbo-2024-04-09", "gpt-4-turbo", 10000, -1, 30000},
    {"gpt-3.5-turbo", "gpt-3.5-turbo", 500, -1, 1500},
    {"gpt-3.5-turbo-0125", "gpt-3.5-turbo", 500, -1, 1500},
    {"gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106", 1000, -1, 2000},
    {"o4-mini-2025-04-16", "o4-mini", 1100, 275, 4400},
    {"text-embedding-3-small", "text-embedding-3-small", 20, 20, -1},
    {"omni-moderation-2024-09-26", "omni-moderation-*", 0, 0, 0},
    {"claude-fable-5-1", "claude-fable-5-1", 10000, 250, 50000},
    {"claude-opus-5", "claude-opus-5", 5000, 500, 25000},
    {"claude-opus-5-5", "claude-opus-5-5", 4000, 200, 20000},
    {"claude-opus-4-5-20251101", "claude-opus-4-5", 5000, 500, 25000},
    {"claude-opus-4-20250514", "claude-opus-4", 15000, 1500, 75000},
    {"claude-sonnet-4-5-20250929", "claude-sonnet-4-5", 3000, 300, 15000},
    {"claude-haiku-4-5", "claude-haiku-4-5", 1000, 100, 5000},
    {"claude-3-5-haiku-latest", "claude-3-5-haiku*", 800, 80, 4000},
    {"gemini-3.1-pro-preview", "gemini-3.1-pro-preview", 2000, 200, 12000},
    {"gemini-2.5-flash", "gemini-2.5-flash", 300, 30, 2500},
    {"gemini-2.5-flash-lite", "gemini-2.5-flash-lite", 100, 10, 400},
    /* others that begin alike have other prices, or none that tokens tell */
    {"gpt-4o-audio-preview", NULL, 0, 0, 0},
    {"gpt-4o-audio-preview-2024-12-17", NULL, 0, 0, 0},
    {"gpt-4o-realtime-preview", NULL, 0, 0, 0},
    {"gpt-4o-search-preview", NULL, 0, 0, 0},
    {"gpt-4o-mini-tts", NULL, 0, 0, 0},
    {"gpt-4o-transcribe", NULL, 0, 0, 0},
    {"gpt-5-search-api", NULL, 0, 0, 0},
    {"gpt-image-1", NULL, 0, 0, 0},
    {"o3-deep-research", NULL, 0, 0, 0},
    {"gemini-2.5-flash-image", NULL, 0, 0, 0},
    {"gemini-2.5-pro-preview-tts", NULL, 0, 0, 0},
    {"claude-fable-5-2", NULL, 0, 0, 0},
    {"claude-opus-4-9", NULL, 0, 0, 0},
    {"ft:gpt-4o:org::id", NULL, 0, 0, 0},
    {"ft:gpt-4o-mini-2024-07-18:org:suffix:id", NULL, 0, 0, 0},
    {"openai/gpt-4o", NULL, 0, 0, 0},
    {"GPT-4o", NULL, 0, 0, 0},
    {"gpt-4o ", NULL, 0, 0, 0},
    {"llama-3.3-70b", NULL, 0, 0, 0},
    {"*", NULL, 0, 0, 0},
    {"", NULL, 0, 0, 0},
};

static int64_t pico(int64_t thousandths)
{
    return thousandths < 0 ? PRICE_UNKNOWN : M(thousandths);
}

static void test_prices__names_as_providers_write_them__get_their_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct price *p = find_on(rows[i].model, TODAY);

        if ((p == NULL) != (rows[i].match == NULL))
            fail_msg("%s: %s", rows[i].model, p ? p->name : "unpriced");
        if (!p)
            continue;
        assert_string_equal(p->name, rows[i].match);
        assert_int_equal(p->rates.pico[RATE_INPUT], pico(rows[i].input));
        assert_int_equal(p->rates.pico[RATE_CACHED], pico(rows[i].cached));
        assert_int_equal(p->rates.pico[RATE_OUTPUT], pico(rows[i].output));
    }
}

static void test_prices__families__have_their_rules(void **state)
{
    const struct price *p;

    (void)state;
    p = find_on("claude-sonnet-4-6", TODAY);
    assert_int_equal(p->rates.pico[RATE_CACHE_WRITE], M(3750));
    assert_int_equal(p->rates.pico[RATE_CACHE_WRITE_1H], M(6000));
    assert_int_equal(p->long_above, 0);
    p = find_on("claude-haiku-5-5", TODAY);
    assert_int_equal(p->long_above, 100000);
    assert_memory_equal(&p->rates, (&(struct rates){{M(100), M(10), M(125), M(200), M(500)}}), sizeof p->rates);
    assert_memory_equal(&p->long_rates, (&(struct rates){{M(500), M(50), M(625), M(1000), M(2500)}}), sizeof p->rates);
    p = find_on("gpt-5.4", TODAY); /* written at the price of input */
    assert_int_equal(p->long_above, 272000);
    assert_memory_equal(&p->rates, (&(struct rates){{M(2500), M(250), M(2500), M(2500), M(15000)}}), sizeof p->rates);
    assert_memory_equal(&p->long_rates, (&(struct rates){{M(5000), M(500), M(5000), M(5000), M(22500)}}), sizeof p->rates);
    p = find_on("gpt-6.2-sol", TODAY); /* and from the 5.6 family on for more */
    assert_memory_equal(&p->rates, (&(struct rates){{M(2000), M(100), M(2500), M(5000), M(10000)}}), sizeof p->rates);
    assert_memory_equal(&p->long_rates, (&(struct rates){{M(4000), M(200), M(5000), M(10000), M(15000)}}), sizeof p->rates);
    assert_int_equal(find_on("gpt-6.1-sol", TODAY)->rates.pico[RATE_CACHE_WRITE_1H], PRICE_UNKNOWN);
    assert_int_equal(find_on("gpt-5.4-mini", TODAY)->long_above, 0);
    p = find_on("gemini-2.5-pro", TODAY);
    assert_int_equal(p->long_above, 200000);
    assert_memory_equal(&p->long_rates, (&(struct rates){{M(2500), M(250), M(2500), M(2500), M(15000)}}), sizeof p->rates);
    assert_int_equal(find_on("gpt-4o", TODAY)->priority.times, 17); /* OpenAI: 4.25 of 2.50 */
    assert_int_equal(find_on("claude-opus-5-5", TODAY)->priority.times, 2);
    assert_int_equal(find_on("claude-sonnet-5-5", TODAY)->priority.over, 0);
}

static void test_prices__that_change__hold_from_their_day_on(void **state)
{
    static const struct {
        const char *model;
        int32_t day;
        int64_t input, cached;
    } days[] = {
        {"gemini-4-argon", 20261130, 2000, 100},
        {"gemini-4-argon", 20261201, 4000, 200},
        {"gemini-4-argon", 20300101, 4000, 200},
        {"gemini-4-argon", 20200101, 2000, 100}, /* before the first one: a clock that is wrong */
        {"gemini-3.8-flash", 20261231, 750, 75},
        {"gemini-3.8-flash", 20270101, 1500, 150},
        {"gemini-3.6-flash", 20260901, 1500, 150},
        {"gemini-3.6-flash", 20261128, 750, 75},
        {"gemini-3.6-flash", 20270101, 1500, 150},
        {"claude-sonnet-5-5", 20261006, 2000, 200},
        {"claude-sonnet-5-5", 20261007, 2000, 100},
        {"gpt-5.6-sol", 20260820, 5000, 500},
        {"gpt-5.6-sol", 20261121, 4000, 400},
        {"gpt-5.6-sol", 20261122, -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(days); i++) {
        const struct price *p = find_on(days[i].model, days[i].day);

        assert_non_null(p);
        assert_int_equal(p->rates.pico[RATE_INPUT], pico(days[i].input));
        assert_int_equal(p->rates.pico[RATE_CACHED], pico(days[i].cached));
    }
}

static bool is_day(int32_t day)
{
    int32_t month = day / 100 % 100;

    return day >= 20200101 && day < 21000101 && month >= 1 && month <= 12 && day % 100 >= 1 && day % 100 <= 31;
}

static void test_price_table__each_row__is_whole(void **state)
{
    size_t n;
    const struct price *table = price_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_true(is_day(table[i].since));
        assert_true(strlen(table[i].source) > 10);
        assert_true(strlen(table[i].name) < 64); /* the ledger's */
        assert_null(strchr("*?[", table[i].name[0]));
        assert_null(models_glob_problem(table[i].name));
        for (size_t k = 0; k < RATES; k++) {
            const int64_t rates[] = {table[i].rates.pico[k], table[i].long_rates.pico[k]};

            assert_in_range(rates[0] + 1, 0, PRICE_RATE_MAX + 1);
            assert_in_range(rates[1] + 1, 0, PRICE_RATE_MAX + 1);
        }
        if (table[i].long_above)
            assert_true(table[i].long_rates.pico[RATE_OUTPUT] > table[i].rates.pico[RATE_OUTPUT]);
        if (table[i].rates.pico[RATE_CACHED] > 0)
            assert_true(table[i].rates.pico[RATE_CACHED] <= table[i].rates.pico[RATE_INPUT]);
        assert_true(table[i].priority.over == 0 || table[i].priority.times >= table[i].priority.over);
    }
}

/* A name that the row is for, and no other. */
static const char *name_for(const char *match)
{
    static char name[80];

    snprintf(name, sizeof name, "%.*s%s", (int)strcspn(match, "*"), match, strchr(match, '*') ? "-x" : "");
    return name;
}

static void test_price_table__no_row__hides_another_or_is_out_of_order(void **state)
{
    size_t n;
    const struct price *table = price_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const char *name = name_for(table[i].name);
        const struct price *found = find_on(name, table[i].since);

        if (found != &table[i])
            fail_msg("%s since %d: hidden by %s since %d", table[i].name, (int)table[i].since, found ? found->name : "none",
                     found ? (int)found->since : 0);
        for (size_t k = 0; k < i; k++) {
            bool same = strcmp(table[k].name, table[i].name) == 0;

            if (same && (table[k].since >= table[i].since || strcmp(table[i - 1].name, table[i].name) != 0))
                fail_msg("%s: the rows of a match stand together, the oldest first", table[i].name);
        }
    }
}

/* ---- the configuration ---- */

static const char yaml[] = "prices:\n"
                           "  gpt-4o: {input: 2}\n"
                           "  \"gpt-4o*\": {output: 8, cached: 0}\n"
                           "  gpt-5.4: {input: 2, long: {above: 300k, output: 20}}\n"
                           "  gemini-2.5-pro: {output: 9}\n"
                           "  gpt-5.6-sol: {input: 5, output: 30}\n"
                           "  \"ft:gpt-4o-mini*\": {input: 0.30, output: 1.20}\n"
                           "  openai/gpt-4o: {input: 3, cache_write: 4, output: 10}\n"
                           "  local: {output: 1}\n"
                           "  stepped: {input: 1, output: 2, long: {above: 10, input: 3, cache_write: 7}}\n";

static const struct {
    const char *model, *name;
    struct rates rates;
    int64_t long_above;
    struct rates long_rates;
} laid[] = {
    {"gpt-4o-2024-08-06", "gpt-4o", {{M(2000), M(1250), M(2500), M(2500), M(10000)}}, 0, {{0}}},
    {"gpt-4o-mini", "gpt-4o*", {{M(150), 0, M(150), M(150), M(8000)}}, 0, {{0}}},
    {"gpt-4o-audio-preview", "gpt-4o*", {{-1, 0, -1, -1, M(8000)}}, 0, {{0}}},
    {"gpt-5.4",
     "gpt-5.4",
     {{M(2000), M(250), M(2500), M(2500), M(15000)}},
     300000,
     {{M(2000), M(250), M(2500), M(2500), M(20000)}}},
    {"gemini-2.5-pro", /* the rest stays, the long step as well */
     "gemini-2.5-pro",
     {{M(1250), M(125), M(1250), M(1250), M(9000)}},
     200000,
     {{M(2500), M(250), M(2500), M(2500), M(15000)}}},
    {"gpt-5.6-sol", "gpt-5.6-sol", {{M(5000), M(5000), M(5000), M(5000), M(30000)}}, 0, {{0}}}, /* unknown today */
    {"ft:gpt-4o-mini-2024-07-18:org::id", "ft:gpt-4o-mini*", {{M(300), M(300), M(300), M(300), M(1200)}}, 0, {{0}}},
    {"openai/gpt-4o", "openai/gpt-4o", {{M(3000), M(3000), M(4000), M(4000), M(10000)}}, 0, {{0}}},
    {"local", "local", {{-1, -1, -1, -1, M(1000)}}, 0, {{0}}},
    {"stepped",
     "stepped",
     {{M(1000), M(1000), M(1000), M(1000), M(2000)}},
     10,
     {{M(3000), M(1000), M(7000), M(1000), M(2000)}}},
};

static void test_prices__of_the_configuration__replace_what_they_give(void **state)
{
    struct config *c = config_from_good(yaml);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(laid); i++) {
        struct price room;
        const struct price *p = prices_find(c, slice_str(laid[i].model), TODAY, &room);

        assert_ptr_equal(p, &room);
        assert_string_equal(p->name, laid[i].name);
        assert_string_equal(p->source, "configuration");
        assert_int_equal(p->since, 0);
        for (size_t k = 0; k < RATES; k++) {
            if (p->rates.pico[k] != laid[i].rates.pico[k] ||
                (p->long_above && p->long_rates.pico[k] != laid[i].long_rates.pico[k]))
                fail_msg("%s, rate %zu: %lld, long %lld", laid[i].model, k, (long long)p->rates.pico[k],
                         (long long)p->long_rates.pico[k]);
        }
        assert_int_equal(p->long_above, laid[i].long_above);
    }
    config_free(c);
}

static void test_prices__what_no_entry_names__is_as_built_in(void **state)
{
    struct config *c = config_from_good(yaml);
    struct price room;

    (void)state;
    assert_ptr_equal(prices_find(c, SLICE("o3"), TODAY, &room), find_on("o3", TODAY));
    assert_null(prices_find(c, SLICE("ft:gpt-4o:org::id"), TODAY, &room));
    config_free(c);
}

/* ---- all of them ---- */

struct seen {
    size_t configured, built_in;
    struct price of_glob, argon, first;
};

static void see(void *arg, const struct price *p, bool configured)
{
    struct seen *s = arg;

    if (s->configured + s->built_in == 0)
        s->first = *p;
    if (configured)
        assert_int_equal(s->built_in, 0);
    if (strcmp(p->name, "gpt-4o*") == 0)
        s->of_glob = *p;
    if (strcmp(p->name, "gemini-4-argon") == 0)
        s->argon = *p;
    s->configured += configured;
    s->built_in += !configured;
}

static void test_prices__of_a_day__are_those_in_force_once_each(void **state)
{
    struct config *c = config_from_good(yaml);
    size_t n, matches = 0;
    const struct price *table = price_table(&n);
    struct seen s = {0};

    (void)state;
    for (size_t i = 0; i < n; i++)
        matches += i == 0 || strcmp(table[i].name, table[i - 1].name) != 0;
    prices_each(c, TODAY, see, &s);
    assert_int_equal(s.configured, c->price_count);
    assert_int_equal(s.built_in, matches);
    assert_int_equal(s.first.rates.pico[RATE_OUTPUT], M(10000)); /* gpt-4o's, of the table */
    assert_int_equal(s.of_glob.rates.pico[RATE_INPUT], PRICE_UNKNOWN);
    assert_int_equal(s.argon.rates.pico[RATE_INPUT], M(2000));
    s = (struct seen){0};
    prices_each(c, 20261201, see, &s);
    assert_int_equal(s.argon.rates.pico[RATE_INPUT], M(4000));
    config_free(c);
}

static void test_prices__a_day__is_of_utc(void **state)
{
    (void)state;
    assert_int_equal(prices_day(0), 19700101);
    assert_int_equal(prices_day(INT64_C(1795823999999999)), 20261127);
    assert_int_equal(prices_day(INT64_C(1795824000000000)), 20261128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prices__names_as_providers_write_them__get_their_own),
        cmocka_unit_test(test_prices__families__have_their_rules),
        cmocka_unit_test(test_prices__that_change__hold_from_their_day_on),
        cmocka_unit_test(test_price_table__each_row__is_whole),
        cmocka_unit_test(test_price_table__no_row__hides_another_or_is_out_of_order),
        cmocka_unit_test(test_prices__of_the_configuration__replace_what_they_give),
        cmocka_unit_test(test_prices__what_no_entry_names__is_as_built_in),
        cmocka_unit_test(test_prices__of_a_day__are_those_in_force_once_each),
        cmocka_unit_test(test_prices__a_day__is_of_utc),
    };

    return cmocka_run_group_tests(tests, NULL, forget_configuration);
}
