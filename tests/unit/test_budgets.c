/* budgets: which budget a call gets, how it is served, and which are forgotten when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/base/clock.h"
#include "metergate/proxy/budgets.h"
#include "metergate/proxy/learned.h"

#define T0 (1000 * CLOCK_S)

/* What budgets stand on. */
struct world {
    struct config *config;
    struct gate *gate;
    struct providers providers;
    struct loop *loop;
    struct learned learned;
    struct budgets budgets;
};

static void drop_trust(void *ctx, struct trust *t)
{
    (void)ctx;
    trust_free(t);
}

static void apply(struct world *w, struct config *next)
{
    struct providers_plan plan;
    struct errbuf e;

    assert_int_equal(providers_plan(&w->providers, next, &plan, &e), 0);
    providers_apply(&w->providers, next, &plan, w->gate, drop_trust, NULL);
    providers_plan_release(&plan);
}

static void world_begin(struct world *w, const char *yaml)
{
    w->config = config_from_good(yaml);
    w->gate = gate_new();
    providers_init(&w->providers);
    w->loop = loop_new();
    assert_non_null(w->loop);
    learned_init(&w->learned, w->loop);
    budgets_init(&w->budgets, w->config, w->gate, &w->learned);
    apply(w, w->config);
}

static void world_reload(struct world *w, const char *yaml)
{
    struct config *next = config_from_good(yaml);

    apply(w, next);
    budgets_apply(&w->budgets, next);
    config_free(w->config);
    w->config = next;
}

static void world_end(struct world *w)
{
    providers_release(&w->providers);
    budgets_release(&w->budgets);
    learned_release(&w->learned);
    loop_free(w->loop);
    gate_free(w->gate);
    config_free(w->config);
}

static struct provider *openai(const struct world *w)
{
    return providers_find(&w->providers, config_upstream_named(w->config, SLICE("openai")));
}

static struct model_budget *find(struct world *w, const char *credential, const char *model)
{
    struct payer payer = accounts_payer(&w->budgets.accounts, openai(w), slice_str(credential));

    return budgets_find(&w->budgets, openai(w), &payer, slice_str(model));
}

/* ---- how they are served ---- */

#define MODELS "models:\n  a: {rpm: 1, polite: never}\n  b: {rpm: 1}\n  c: {polite: always}\n"

static void test_budgets__politeness__is_that_of_the_entry_and_of_clients_that_may_come(void **state)
{
    const unsigned high = 1u << TICKET_HIGH, low = 1u << TICKET_LOW;
    struct model_budget *a, *b, *c;
    struct world w;

    (void)state;
    setenv("METERGATE_TEST_TOKEN", "0123456789abcdef", 1);
    world_begin(&w, MODELS "clients: {editor: {priority: high}, batch: {priority: low}}\n");
    a = find(&w, "", "a");
    b = find(&w, "", "b");
    c = find(&w, "", "c");
    assert_int_equal(a->budget->polite.mode, POLITE_NEVER);
    assert_int_equal(b->budget->polite.mode, POLITE_AUTO);
    assert_int_equal(c->budget->polite.mode, POLITE_ALWAYS); /* an entry without limits has a say, too */
    assert_int_equal(find(&w, "", "unheard-of")->budget->polite.mode, POLITE_AUTO);
    assert_int_equal(b->budget->polite.expected, high | low);
    world_reload(&w, "models:\n  a: {rpm: 1, polite: always}\n  b: {rpm: 1}\nclients:\n  require_token: true\n"
                     "  editor: {priority: high}\n  batch: {priority: low, token: {env: METERGATE_TEST_TOKEN}}\n");
    assert_int_equal(a->budget->polite.mode, POLITE_ALWAYS);
    assert_int_equal(c->budget->polite.mode, POLITE_AUTO);
    assert_int_equal(b->budget->polite.expected, low); /* the editor cannot come without a token */
    world_end(&w);
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_budgets__an_entry_with_money_alone__is_one_for_all_its_models(void **state)
{
    struct model_budget *a;
    struct world w;

    (void)state;
    world_begin(&w, "models:\n  ab: {match: [a, b], usd_per_day: 5}\n  cd: {match: [c, d]}\n");
    a = find(&w, "", "a");
    assert_ptr_equal(find(&w, "", "b"), a);
    assert_string_equal(a->name, "ab");
    assert_int_equal(a->budget->limit_count, 0);
    assert_ptr_not_equal(find(&w, "", "c"), find(&w, "", "d")); /* without limits each has its own */
    world_end(&w);
}

/* ---- accounts ---- */

#define BY_KEY "upstreams:\n  openai: {scope: key}\nmodels:\n  m: {rpm: 5}\n"

static void test_budgets__of_two_keys__are_two_and_pause_by_their_account(void **state)
{
    struct model_budget *one, *two, *other_model;
    struct world w;

    (void)state;
    world_begin(&w, BY_KEY);
    one = find(&w, "sk-one", "m");
    two = find(&w, "sk-two", "m");
    other_model = find(&w, "sk-one", "n");
    assert_ptr_equal(find(&w, "sk-one", "m"), one);
    assert_ptr_not_equal(one, two);
    assert_string_equal(one->name, two->name);
    assert_ptr_equal(one->account, other_model->account);
    assert_ptr_equal(budgets_of_account(one), budgets_of_account(other_model));
    assert_ptr_not_equal(budgets_of_account(one), budgets_of_account(two));
    assert_ptr_not_equal(budgets_of_account(one), openai(&w)->budget);
    world_reload(&w, "upstreams:\n  openai: {scope: shared}\nmodels:\n  m: {rpm: 5}\n");
    assert_true(one->retired && two->retired);
    assert_null(find(&w, "sk-one", "m")->account);
    assert_ptr_equal(find(&w, "sk-one", "m"), find(&w, "sk-two", "m"));
    assert_ptr_equal(budgets_of_account(find(&w, "sk-one", "m")), openai(&w)->budget);
    budgets_sweep(&w.budgets, T0);
    assert_int_equal(map_count(&w.budgets.by_key), 1);
    assert_int_equal(map_count(&w.budgets.accounts.by_print), 0);
    world_end(&w);
}

static void hear_limit(struct world *w, struct model_budget *b, int64_t max)
{
    static const struct cost cost;
    const struct report r = {
        .v = {{.metric = METRIC_REQUESTS, .limit = max, .remaining = -1, .reset_us = -1}}, .n = 1};
    const struct limits_answer a = {.report = &r, .fine = true, .cost = &cost, .now_us = T0, .wall_s = 1};

    (void)budgets_learn(&w->budgets, b, &a);
}

static void test_budgets__what_one_key_is_told__is_no_others_limit(void **state)
{
    struct model_budget *a, *b;
    struct world w;

    (void)state;
    world_begin(&w, "upstreams:\n  openai: {scope: key}\nmodels:\n  m: {rpm: 5, learn: true}\n");
    a = find(&w, "key-a", "m");
    b = find(&w, "key-b", "m");
    hear_limit(&w, a, 50);
    assert_int_equal(a->budget->limits[0].limit.max, 50);
    assert_true(a->budget->limits[0].learned);
    assert_int_equal(b->budget->limits[0].limit.max, 5);
    world_end(&w);
}

static void test_budgets__a_reload__keeps_what_was_learned_while_it_is_asked_for(void **state)
{
    static const char learns[] = "models:\n  m: {rpm: 5, learn: true}\n", not[] = "models:\n  m: {rpm: 5}\n";
    struct model_budget *b;
    struct world w;

    (void)state;
    world_begin(&w, learns);
    b = find(&w, "", "m");
    hear_limit(&w, b, 50);
    world_reload(&w, learns);
    assert_int_equal(b->budget->limits[0].limit.max, 50);
    world_reload(&w, not);
    assert_int_equal(b->budget->limits[0].limit.max, 5);
    assert_int_equal(b->budget->limit_count, 1);
    world_reload(&w, learns);
    assert_int_equal(b->budget->limits[0].limit.max, 50);
    world_end(&w);
}

/* ---- too many ---- */

static void fill(struct world *w, const char *model)
{
    for (int i = 0; map_count(&w->budgets.by_key) < BUDGETS_MAX; i++) {
        char key[32];

        snprintf(key, sizeof key, "invented-%d", i);
        find(w, key, model);
    }
}

/* One request in its window, as after a call that has ended. */
static void use(struct world *w, struct model_budget *b)
{
    struct budget *const budgets[] = {b->budget};
    const struct cost cost = profile_refused(PROFILE_ACTUAL);
    struct gate_refusal why;
    struct ticket t = {0};

    ticket_init(&t, &cost, budgets, 1, T0, CLOCK_NEVER);
    assert_int_equal(gate_offer(w->gate, &t, T0, &why), GATE_HELD);
    assert_ptr_equal(gate_next(w->gate, T0), &t);
    gate_close(w->gate, &t, T0, NULL);
}

static void test_budgets__full__go_when_their_key_is_idle_or_was_never_taken(void **state)
{
    struct model_budget *real, *unproven, *named, *rest;
    struct world w;

    (void)state;
    world_begin(&w, BY_KEY);
    real = find(&w, "sk-real", "m");
    find(&w, "sk-idle", "m")->account->proven = true;
    unproven = find(&w, "sk-unproven", "m");
    named = find(&w, "sk-named", "m");
    use(&w, real);
    use(&w, unproven);
    budgets_saw_answer(real, 200);
    budgets_saw_answer(unproven, 401);
    fill(&w, "m");
    rest = find(&w, "sk-late", "m");
    assert_string_equal(rest->account->label, "other");
    assert_ptr_equal(find(&w, "sk-later", "m"), rest);
    assert_ptr_equal(find(&w, "sk-real", "m"), real); /* who has one keeps it */
    assert_true(budgets_wants_sweep(&w.budgets, T0));
    named->named = true;
    rest->named = true;
    budgets_sweep(&w.budgets, T0);
    assert_int_equal(map_count(&w.budgets.by_key), 3);
    assert_ptr_equal(find(&w, "sk-real", "m"), real);
    assert_ptr_equal(find(&w, "sk-named", "m"), named);
    assert_string_not_equal(find(&w, "sk-late", "m")->account->label, "other");
    fill(&w, "m");
    assert_false(budgets_wants_sweep(&w.budgets, T0 + CLOCK_S - 1));
    assert_true(budgets_wants_sweep(&w.budgets, T0 + CLOCK_S));
    world_end(&w);
}

static void test_budgets__full__an_account_that_has_to_wait_is_not_forgotten(void **state)
{
    struct model_budget *b;
    struct world w;

    (void)state;
    world_begin(&w, BY_KEY);
    b = find(&w, "sk-real", "m");
    budgets_saw_answer(b, 429);
    gate_pause(w.gate, budgets_of_account(b), T0 + CLOCK_S);
    fill(&w, "m");
    budgets_sweep(&w.budgets, T0);
    assert_int_equal(map_count(&w.budgets.by_key), 1);
    assert_ptr_equal(find(&w, "sk-real", "m"), b);
    fill(&w, "m");
    budgets_sweep(&w.budgets, T0 + CLOCK_S);
    assert_int_equal(map_count(&w.budgets.by_key), 0);
    world_end(&w);
}

static void test_budgets__full_of_names_that_callers_made_up__have_room_after_a_sweep(void **state)
{
    struct model_budget *first;
    struct world w;

    (void)state;
    world_begin(&w, "models:\n  m: {rpm: 5}\n");
    first = find(&w, "", "m");
    for (int i = 0; map_count(&w.budgets.by_key) < BUDGETS_MAX; i++) {
        char model[32];

        snprintf(model, sizeof model, "made-up-%d", i);
        find(&w, "", model);
    }
    assert_string_equal(find(&w, "", "one-more")->name, "other");
    assert_string_equal(find(&w, "", "made-up-1")->name, "made-up-1");
    assert_ptr_equal(find(&w, "", "m"), first);
    budgets_sweep(&w.budgets, T0);
    assert_int_equal(map_count(&w.budgets.by_key), 1);
    assert_string_equal(find(&w, "", "one-more")->name, "one-more");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budgets__politeness__is_that_of_the_entry_and_of_clients_that_may_come),
        cmocka_unit_test(test_budgets__what_one_key_is_told__is_no_others_limit),
        cmocka_unit_test(test_budgets__a_reload__keeps_what_was_learned_while_it_is_asked_for),
        cmocka_unit_test(test_budgets__an_entry_with_money_alone__is_one_for_all_its_models),
        cmocka_unit_test(test_budgets__of_two_keys__are_two_and_pause_by_their_account),
        cmocka_unit_test(test_budgets__full__go_when_their_key_is_idle_or_was_never_taken),
        cmocka_unit_test(test_budgets__full__an_account_that_has_to_wait_is_not_forgotten),
        cmocka_unit_test(test_budgets__full_of_names_that_callers_made_up__have_room_after_a_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
