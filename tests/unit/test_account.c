/* account: which credential a request travels with, and whose windows that means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/openai.h"
#include "metergate/proxy/account.h"
#include "metergate/proxy/provider.h"

/* ---- the credential ---- */

static const struct row {
    const struct dialect *spoken;
    const char *headers[2][2];
    const char *query;
    const char *credential;
} rows[] = {
    {&dialect_openai, {{"Authorization", "Bearer sk-a"}}, "", "sk-a"},
    {&dialect_openai, {{"authorization", "bearer  sk-a "}}, "", "sk-a"},
    {&dialect_openai, {{"Authorization", "Basic dXNlcg=="}}, "", "Basic dXNlcg=="},
    {&dialect_openai, {{"x-api-key", "junk"}, {"Authorization", "Bearer sk-a"}}, "", "sk-a"},
    {&dialect_openai, {{"Authorization", "Bearer "}, {"x-api-key", "sk-b"}}, "", "sk-b"},
    {&dialect_anthropic, {{"Authorization", "Bearer junk"}, {"X-Api-Key", "sk-b"}}, "", "sk-b"},
    {&dialect_anthropic, {{"Authorization", "Bearer sk-b"}}, "", "sk-b"},
    {&dialect_azure, {{"api-key", "az"}, {"x-api-key", "junk"}}, "", "az"},
    {&dialect_gemini, {{"x-goog-api-key", "g"}}, "key=junk", "g"},
    {&dialect_gemini, {{NULL, NULL}}, "alt=sse&key=g", "g"},
    {&dialect_gemini, {{NULL, NULL}}, "keys=h&key=g&key=h", "g"},
    {&dialect_gemini, {{NULL, NULL}}, "monkey=g&key", ""},
    {&dialect_openai, {{"Cookie", "session=1"}}, "", ""},
    {&dialect_openai, {{NULL, NULL}}, "", ""},
};

static void test_credential__of_several__is_the_one_that_the_dialect_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_header v[2];
        struct http_head head = {.headers = v};
        struct slice got;

        for (size_t j = 0; j < 2 && rows[i].headers[j][0]; j++)
            v[head.header_count++] =
                (struct http_header){slice_str(rows[i].headers[j][0]), slice_str(rows[i].headers[j][1])};
        got = account_credential(&head, slice_str(rows[i].query), rows[i].spoken);
        if (!slice_eq(got, slice_str(rows[i].credential)))
            fail_msg("row %zu: \"%.*s\"", i, (int)got.n, got.p);
    }
}

/* ---- who pays ---- */

static char one[] = "one", two[] = "two";
static struct config_upstream by_key = {.name = one, .dialect = CONFIG_OPENAI, .scope = CONFIG_SCOPE_KEY};
static struct config_upstream by_key_too = {.name = two, .dialect = CONFIG_OPENAI, .scope = CONFIG_SCOPE_KEY};
static struct config_upstream shared = {.name = one, .dialect = CONFIG_OPENAI};

static struct payer payer(const struct accounts *as, const struct config_upstream *u, const char *credential)
{
    const struct provider via = {.config = u};

    return accounts_payer(as, &via, slice_str(credential));
}

static bool same(struct payer a, struct payer b)
{
    return a.kind == b.kind && secret_fingerprint_eq(&a.print, &b.print);
}

static void test_payer__is_told_by_credential_and_upstream_alone(void **state)
{
    struct accounts as, other_run;

    (void)state;
    accounts_init(&as);
    accounts_init(&other_run);
    assert_int_equal(payer(&as, &shared, "sk-a").kind, PAYER_SHARED);
    assert_int_equal(payer(&as, &by_key, "sk-a").kind, PAYER_KEY);
    assert_int_equal(payer(&as, &by_key, "").kind, PAYER_NONE);
    assert_true(same(payer(&as, &by_key, "sk-a"), payer(&as, &by_key, "sk-a")));
    assert_false(same(payer(&as, &by_key, "sk-a"), payer(&as, &by_key, "sk-b")));
    assert_false(same(payer(&as, &by_key, "sk-a"), payer(&as, &by_key_too, "sk-a")));
    assert_false(same(payer(&as, &by_key, "sk-a"), payer(&other_run, &by_key, "sk-a"))); /* salted */
    accounts_release(&as);
    accounts_release(&other_run);
}

static void test_account__shows_a_label_and_never_the_credential(void **state)
{
    const struct provider via = {.config = &by_key};
    struct gate *g = gate_new();
    struct account *a, *none, *rest;
    struct accounts as;
    struct payer p;

    (void)state;
    accounts_init(&as);
    p = payer(&as, &by_key, "sk-very-secret");
    assert_null(accounts_look(&as, &p));
    a = accounts_add(&as, &p, g);
    assert_ptr_equal(accounts_look(&as, &p), a);
    assert_int_equal(strlen(a->label), strlen("k-00000000"));
    assert_memory_equal(a->label, "k-", 2);
    assert_int_equal(strlen(a->scope), strlen("k-00000000000000000000"));
    assert_memory_equal(a->scope, a->label, strlen(a->label));
    assert_string_equal(a->budget->name, a->label);
    p = payer(&as, &by_key, "");
    none = accounts_add(&as, &p, g);
    assert_string_equal(none->label, "none");
    assert_string_equal(none->scope, "none");
    p = accounts_rest(&as, &via);
    rest = accounts_add(&as, &p, g);
    assert_string_equal(rest->label, "other");
    assert_string_equal(rest->scope, "other");
    assert_true(a->id != none->id && none->id != rest->id);
    accounts_free(&as, rest, g);
    assert_null(accounts_look(&as, &p));
    accounts_release(&as);
    gate_free(g);
}

/* What the credential is called in a run with that salt. Its budget is gone. */
static struct account in_a_run(const unsigned char *salt, const char *credential)
{
    struct gate *g = gate_new();
    struct accounts as;
    struct account copy;
    struct payer p;

    accounts_init(&as);
    accounts_set_salt(&as, salt);
    p = payer(&as, &by_key, credential);
    copy = *accounts_add(&as, &p, g);
    accounts_release(&as);
    gate_free(g);
    return copy;
}

static void test_account__under_a_kept_salt__has_the_same_names_in_the_next_run(void **state)
{
    unsigned char salt[SECRET_FINGERPRINT_BYTES] = "kept in the state directory", another[sizeof salt] = {0};
    struct account first = in_a_run(salt, "sk-a"), again = in_a_run(salt, "sk-a");

    (void)state;
    assert_string_equal(first.label, again.label);
    assert_string_equal(first.scope, again.scope);
    assert_true(strcmp(first.scope, in_a_run(salt, "sk-b").scope) != 0);
    assert_true(strcmp(first.scope, in_a_run(another, "sk-a").scope) != 0);
    assert_null(strstr(first.scope, "sk-a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credential__of_several__is_the_one_that_the_dialect_reads),
        cmocka_unit_test(test_payer__is_told_by_credential_and_upstream_alone),
        cmocka_unit_test(test_account__shows_a_label_and_never_the_credential),
        cmocka_unit_test(test_account__under_a_kept_salt__has_the_same_names_in_the_next_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
