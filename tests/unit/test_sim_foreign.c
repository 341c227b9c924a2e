/* The simulator's second consumer: charged when somebody looks, at the moments when it took place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../simulator/accounts.h"
#include "metergate/base/clock.h"

#define MINUTE (60 * CLOCK_S)

static struct model_config config_with(int64_t tpm, enum limiter_kind limiter, struct foreign foreign)
{
    return (struct model_config){
        .limits = {.max[METRIC_TOKENS] = tpm, .window_ms = 60000, .day_ms = 86400000, .limiter = limiter},
        .foreign = foreign};
}

static struct verdict arrive(struct model *m, int64_t input, int64_t now_us)
{
    const struct demand demand = {.input = input};
    struct claim claim;

    return model_arrive(m, &demand, now_us, &claim);
}

static int64_t left(struct model *m, int64_t now_us)
{
    struct standing s;

    model_look(m, now_us);
    assert_true(model_standing(m, METRIC_TOKENS, now_us, &s));
    return s.left;
}

static void test_foreign__begins__with_the_first_arrival(void **state)
{
    struct model_config config =
        config_with(1000, LIMITER_ROLLING, (struct foreign){.tokens = 100, .every_ms = 10000});
    struct model *m = model_new("m", &config);

    (void)state;
    assert_int_equal(left(m, 5 * CLOCK_S), 1000);
    assert_int_equal(arrive(m, 50, 5 * CLOCK_S).kind, VERDICT_ADMITTED);
    assert_int_equal(left(m, 5 * CLOCK_S), 850);
    assert_int_equal(left(m, 15 * CLOCK_S - 1), 850);
    assert_int_equal(left(m, 15 * CLOCK_S), 750);
    /* six in every minute: those that leave and those that come are as many */
    assert_int_equal(left(m, 65 * CLOCK_S), 400);
    assert_int_equal(left(m, 65 * CLOCK_S + 200 * MINUTE), 400);
    assert_int_equal(m->foreign_tokens, 100 * (7 + 6 * 200));
    model_free(m);
}

/* However rarely it is looked at, each charge has its own time. */
static void test_foreign__looked_at_late__is_charged_at_its_moments(void **state)
{
    static const enum limiter_kind kinds[] = {LIMITER_ROLLING, LIMITER_BUCKET, LIMITER_FIXED};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct model_config config =
            config_with(1000, kinds[i], (struct foreign){.tokens = 70, .every_ms = 7000});
        struct model *often = model_new("often", &config), *rarely = model_new("rarely", &config);

        model_start_foreign(often, 0);
        model_start_foreign(rarely, 0);
        for (int64_t t = 0; t < 10 * MINUTE; t += 333333)
            (void)left(often, t);
        assert_int_equal(left(often, 10 * MINUTE), left(rarely, 10 * MINUTE));
        assert_int_equal(charges_peak(&often->limits.counted[METRIC_TOKENS], MINUTE),
                         charges_peak(&rarely->limits.counted[METRIC_TOKENS], MINUTE));
        assert_int_equal(rarely->foreign_tokens, 70 * (600 / 7 + 1));
        model_free(often);
        model_free(rarely);
    }
}

static void test_foreign__fills_the_window__and_refuses_who_arrives(void **state)
{
    struct model_config config =
        config_with(100, LIMITER_ROLLING, (struct foreign){.tokens = 90, .every_ms = 60000, .times = 2});
    struct model *m = model_new("m", &config);
    struct verdict v;

    (void)state;
    v = arrive(m, 11, CLOCK_S);
    assert_int_equal(v.kind, VERDICT_LIMITED);
    assert_int_equal(v.used, 90);
    assert_int_equal(m->refused, 1);
    assert_int_equal(charges_total(&m->limits.counted[METRIC_REQUESTS]), 1); /* its calls are not seen */
    /* it comes twice, and then its use leaves the window for good */
    assert_int_equal(arrive(m, 11, MINUTE + CLOCK_S).kind, VERDICT_LIMITED);
    assert_int_equal(arrive(m, 100, 2 * MINUTE + CLOCK_S).kind, VERDICT_ADMITTED);
    assert_int_equal(m->foreign_tokens, 180);
    /* a reset lets it begin again */
    model_reset(m);
    assert_int_equal(arrive(m, 11, 9 * MINUTE).kind, VERDICT_LIMITED);
    assert_int_equal(m->foreign_tokens, 90);
    model_free(m);
}

static void test_foreign__with_output_and_requests__counts_against_those(void **state)
{
    struct model_config config = {
        .limits = {.max = {[METRIC_REQUESTS] = 10, [METRIC_INPUT] = 100, [METRIC_OUTPUT] = 100},
                   .window_ms = 60000,
                   .day_ms = 86400000},
        .foreign = {.tokens = 60, .output = 20, .requests = 3, .every_ms = 60000}};
    static const int64_t used[METRICS] = {[METRIC_REQUESTS] = 3, [METRIC_INPUT] = 40, [METRIC_OUTPUT] = 20};
    struct model *m = model_new("m", &config);

    (void)state;
    model_start_foreign(m, 0);
    model_look(m, 0);
    for (int i = 0; i < METRICS; i++) {
        struct standing s;

        if (used[i])
            assert_true(model_standing(m, (enum metric)i, 0, &s) && s.max - s.left == used[i]);
    }
    model_free(m);
}

static void test_foreign__that_changed__has_to_begin_again(void **state)
{
    struct model_config config =
        config_with(1000, LIMITER_ROLLING, (struct foreign){.tokens = 100, .every_ms = 1000});
    struct model *m = model_new("m", &config);

    (void)state;
    model_start_foreign(m, 0);
    model_look(m, 0);
    config.foreign.tokens = 0;
    model_configure(m, &config);
    assert_int_equal(left(m, 10 * CLOCK_S), 900);
    model_start_foreign(m, 10 * CLOCK_S);
    assert_int_equal(left(m, 20 * CLOCK_S), 900);
    model_free(m);
}

/*
 * Two models of a pool, both used by somebody else: what one sees of the other is right, and in the order
 * of time.
 */
static void test_foreign__in_a_pool__is_charged_in_the_order_of_time(void **state)
{
    static struct settings settings;
    struct accounts accounts;
    struct account *a, *b;
    struct standing s;

    (void)state;
    settings_init(&settings);
    settings.pools[settings.n_pools++] = (struct named_pool){
        .name = "both",
        .models = {"a", "b"},
        .n_models = 2,
        .limits = {
            .max[METRIC_TOKENS] = 6000, .window_ms = 60000, .day_ms = 86400000, .limiter = LIMITER_BUCKET}};
    settings.any.foreign = (struct foreign){.tokens = 500, .every_ms = 4000};
    accounts_init(&accounts);
    a = accounts_find(&accounts, &settings, SLICE("a"), SLICE(""));
    b = accounts_find(&accounts, &settings, SLICE("b"), SLICE("other"));
    assert_ptr_equal(a->model->pool, b->model->pool);
    model_start_foreign(a->model, 0);
    model_start_foreign(b->model, 2 * CLOCK_S);
    /*
     * 500 every 2 s, of which 200 come back: charged out of order, the bucket would not be given what came
     * back between
     */
    accounts_look(&accounts, a, 10 * CLOCK_S);
    assert_true(model_standing(a->model, METRIC_TOKENS, 10 * CLOCK_S, &s));
    assert_int_equal(s.max - s.left, 6 * 500 - 5 * 200);
    assert_int_equal(b->model->foreign_tokens, 3 * 500);
    accounts_release(&accounts);
}

static void test_scope_key__gives_each_credential__limits_of_its_own(void **state)
{
    static struct settings settings;
    struct accounts accounts;
    struct account *a, *b;

    (void)state;
    settings_init(&settings);
    accounts_init(&accounts);
    assert_ptr_equal(accounts_find(&accounts, &settings, SLICE("m"), SLICE("sk-a")),
                     accounts_find(&accounts, &settings, SLICE("m"), SLICE("sk-b")));
    settings.scope = SCOPE_KEY;
    settings.any.limits.max[METRIC_TOKENS] = 100;
    a = accounts_find(&accounts, &settings, SLICE("m"), SLICE("sk-a"));
    b = accounts_find(&accounts, &settings, SLICE("m"), SLICE("sk-b"));
    assert_ptr_equal(a, accounts_find(&accounts, &settings, SLICE("m"), SLICE("sk-a")));
    assert_int_equal(arrive(a->model, 90, 0).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(b->model, 90, 0).kind, VERDICT_ADMITTED);
    assert_int_equal(arrive(a->model, 90, 0).kind, VERDICT_LIMITED);
    assert_string_not_equal(a->organization.name, b->organization.name);
    assert_string_not_equal(a->organization.uuid, b->organization.uuid);
    assert_null(strstr(a->organization.name, "sk-a"));
    assert_int_equal(strlen(a->organization.uuid), 36);
    accounts_release(&accounts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign__begins__with_the_first_arrival),
        cmocka_unit_test(test_foreign__looked_at_late__is_charged_at_its_moments),
        cmocka_unit_test(test_foreign__fills_the_window__and_refuses_who_arrives),
        cmocka_unit_test(test_foreign__with_output_and_requests__counts_against_those),
        cmocka_unit_test(test_foreign__that_changed__has_to_begin_again),
        cmocka_unit_test(test_foreign__in_a_pool__is_charged_in_the_order_of_time),
        cmocka_unit_test(test_scope_key__gives_each_credential__limits_of_its_own),
    };

    return cmocka_run_group_tests_name("sim_foreign", tests, NULL, NULL);
}
