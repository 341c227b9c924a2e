/* identity: which token counts where, and that priorities only fall. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/proxy/identity.h"

#define ANAS "anas-token-0123456789"
#define BOS  "bos-token-01234567890"

static const char clients[] = "clients:\n"
                              "  require_token: %s\n"
                              "  ana: {token: {env: METERGATE_TEST_ANA}}\n"
                              "  bo: {token: {env: METERGATE_TEST_BO}}\n"
                              "  open: {max_wait: 5s}\n";

static struct config *make_config(bool require)
{
    struct config *c;
    struct buf yaml;

    setenv("METERGATE_TEST_ANA", ANAS, 1);
    setenv("METERGATE_TEST_BO", BOS, 1);
    buf_init(&yaml, BUF_UNLIMITED);
    buf_addf(&yaml, clients, require ? "true" : "false");
    c = config_from_good(yaml.p);
    buf_release(&yaml);
    return c;
}

/* Up to two headers; what comes out with tokens required, and without. "" is nobody, "!" and a part of it a
 * refusal. */
static const struct {
    const char *name, *value, *name2, *value2;
    bool ours;
    const char *required, *optional;
} rows[] = {
    {NULL, NULL, NULL, NULL, true, "!wants the token of a client", ""},
    {"Metergate-Token", ANAS, NULL, NULL, true, "ana", "ana"},
    {"metergate-token", BOS, NULL, NULL, false, "bo", "bo"},
    {"Metergate-Token", "wrong-token-0123456789", NULL, NULL, true, "!this token", "!this token"},
    {"Metergate-Token", "anas-token-012345678", NULL, NULL, true, "!this token", "!this token"},
    {"Metergate-Token", ANAS "0", NULL, NULL, true, "!this token", "!this token"},
    {"Metergate-Token", "", NULL, NULL, true, "!this token", "!this token"},
    {"Authorization", "Bearer " BOS, NULL, NULL, true, "bo", "bo"},
    {"Authorization", "bearer   " BOS, NULL, NULL, true, "bo", "bo"},
    {"Authorization", BOS, NULL, NULL, true, "!wants the token", ""},
    {"Authorization", "Basic " BOS, NULL, NULL, true, "!wants the token", ""},
    {"Authorization", "Bearer ", NULL, NULL, true, "!wants the token", ""},
    {"Authorization", "Bearer sk-whatever", NULL, NULL, true, "!wants the token", ""},
    {"x-api-key", ANAS, NULL, NULL, true, "ana", "ana"},
    {"X-Goog-Api-Key", ANAS, NULL, NULL, true, "ana", "ana"},
    {"api-key", ANAS, NULL, NULL, true, "!wants the token", ""},
    /* the client's own key goes to the provider: it is no token, and a token must not stand there */
    {"Authorization", "Bearer sk-whatever", NULL, NULL, false, "!wants the token", ""},
    {"Authorization", "Bearer " ANAS, NULL, NULL, false, "!the provider's key should",
     "!the provider's key should"},
    {"x-api-key", BOS, NULL, NULL, false, "!the provider's key should", "!the provider's key should"},
    {"api-key", ANAS, NULL, NULL, false, "!the provider's key should", "!the provider's key should"},
    {"Authorization", BOS, NULL, NULL, false, "!the provider's key should", "!the provider's key should"},
    {"Authorization", "Token  " BOS, NULL, NULL, false, "!the provider's key should", "!the provider's key should"},
    {"User-Agent", ANAS, NULL, NULL, false, "!wants the token", ""},
    {"Metergate-Token", ANAS, "Authorization", "Bearer sk-whatever", false, "ana", "ana"},
    {"Metergate-Token", ANAS, "api-key", BOS, false, "!the provider's key should", "!the provider's key should"},
    {"Metergate-Token", ANAS, "Authorization", "Bearer " ANAS, false, "!the provider's key should",
     "!the provider's key should"},
    /* the header of our own says more than the others */
    {"Authorization", "Bearer " BOS, "Metergate-Token", ANAS, true, "ana", "ana"},
    {"Authorization", "Bearer " BOS, "Metergate-Token", "wrong-token-0123456789", true, "!this token",
     "!this token"},
    {"Authorization", "Bearer sk-whatever", "x-api-key", BOS, true, "bo", "bo"},
};

static void assert_proof(size_t row, struct identity_proof proof, const char *want)
{
    bool as_wanted;

    if (want[0] == '!')
        as_wanted = proof.problem && strstr(proof.problem, want + 1);
    else
        as_wanted = !proof.problem && strcmp(proof.owner ? proof.owner->name : "", want) == 0;
    if (!as_wanted)
        fail_msg("row %zu: owner %s, problem %s, want %s", row, proof.owner ? proof.owner->name : "-",
                 proof.problem ? proof.problem : "-", want);
}

static void test_prove__every_row__is_as_it_says(void **state)
{
    struct config *required = make_config(true), *optional = make_config(false);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct http_header v[2];
        struct http_head head = {.headers = v};

        if (rows[i].name)
            v[head.header_count++] = (struct http_header){slice_str(rows[i].name), slice_str(rows[i].value)};
        if (rows[i].name2)
            v[head.header_count++] =
                (struct http_header){slice_str(rows[i].name2), slice_str(rows[i].value2)};
        assert_proof(i, identity_prove(required, &head, rows[i].ours), rows[i].required);
        assert_proof(i, identity_prove(optional, &head, rows[i].ours), rows[i].optional);
    }
    config_free(required);
    config_free(optional);
}

static void test_prove__a_token_in_the_address__does_not_travel(void **state)
{
    static const struct {
        const char *target;
        bool token;
    } cases[] = {
        {"/v1beta/models/m:generateContent?key=" ANAS, true},
        {"/v1/models?a=b&&key=" ANAS "&c", true},
        {"/v1/models?x=%zz&%6bey=%61nas-token-0123456789", true},
        {"/v1/models?key=" ANAS "0", false},
        {"/v1/models?" ANAS, false},
        {"/v1/" ANAS, false},
        {"/v1/models?", false},
    };
    struct config *c = make_config(false);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(cases); i++) {
        const struct http_head head = {.target = slice_str(cases[i].target)};

        assert_proof(i, identity_prove(c, &head, false), cases[i].token ? "!the provider's key should" : "");
        assert_proof(i, identity_prove(c, &head, true), "");
    }
    config_free(c);
}

static void test_prove__without_any_client__nothing_is_a_token(void **state)
{
    struct config *c = config_from_good("");
    struct http_header v[] = {{SLICE("Authorization"), SLICE("Bearer sk-whatever")}};
    const struct http_head head = {.headers = v, .header_count = 1};

    (void)state;
    assert_proof(0, identity_prove(c, &head, true), "");
    assert_proof(1, identity_prove(c, &head, false), "");
    config_free(c);
}

static void test_priority__path_and_header__lower_and_never_raise(void **state)
{
    static const struct {
        const char *path, *header;
        int file; /* -1: the file does not know the client */
        enum config_priority want;
    } cases[] = {
        {"", "", -1, CONFIG_PRIORITY_NORMAL},
        {"high", "", -1, CONFIG_PRIORITY_HIGH},
        {"", "high", -1, CONFIG_PRIORITY_HIGH},
        {"", "low", -1, CONFIG_PRIORITY_LOW},
        {"high", "low", -1, CONFIG_PRIORITY_LOW},
        {"low", "high", -1, CONFIG_PRIORITY_LOW},
        {"", "", CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_HIGH},
        {"", "", CONFIG_PRIORITY_LOW, CONFIG_PRIORITY_LOW},
        {"high", "high", CONFIG_PRIORITY_LOW, CONFIG_PRIORITY_LOW},
        {"high", "", CONFIG_PRIORITY_NORMAL, CONFIG_PRIORITY_NORMAL},
        {"normal", "", CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_NORMAL},
        {"", "low", CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_LOW},
        {"normal", "low", CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_LOW},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(cases); i++) {
        enum config_priority file = (enum config_priority)cases[i].file;
        enum config_priority got = identity_priority(slice_str(cases[i].path), slice_str(cases[i].header),
                                                     cases[i].file < 0 ? NULL : &file);

        if (got != cases[i].want)
            fail_msg("case %zu: got %d", i, (int)got);
    }
}

/* The names of a connection of user `ana` that is unit or program `job`, by who is configured. */
static void test_user__what_the_configuration_knows__goes_first(void **state)
{
    static const struct {
        const char *clients, *origin, *want;
    } cases[] = {
        {"", "", "ana"},
        {"", "job", "ana.job"},
        {"  ana: {}\n", "", "ana"},
        {"  ana: {}\n", "job", "ana"},
        {"  job: {}\n", "", "ana"},
        {"  job: {}\n", "job", "job"},
        {"  job: {}\n  ana: {}\n", "job", "job"},
        {"  ana.job: {}\n  job: {}\n  ana: {}\n", "job", "ana.job"},
        {"  ana.other: {}\n", "job", "ana.job"},
        /* nobody has a name by chance that wants a token; but a user's own is his */
        {"  job: {token: {env: METERGATE_TEST_ANA}}\n", "job", "ana.job"},
        {"  ana.job: {token: {env: METERGATE_TEST_ANA}}\n  job: {}\n", "job", "job"},
        {"  ana: {token: {env: METERGATE_TEST_ANA}}\n", "job", "ana"},
    };

    (void)state;
    setenv("METERGATE_TEST_ANA", ANAS, 1);
    for (size_t i = 0; i < MG_ARRAY_LEN(cases); i++) {
        char room[CLIENT_NAME_SIZE];
        struct config *c;
        struct slice got;
        struct buf yaml;

        buf_init(&yaml, BUF_UNLIMITED);
        buf_addf(&yaml, "%s%s", cases[i].clients[0] ? "clients:\n" : "", cases[i].clients);
        c = config_from_good(yaml.p);
        got = identity_of_user(c, SLICE("ana"), slice_str(cases[i].origin), room);
        if (!slice_eq(got, slice_str(cases[i].want)))
            fail_msg("case %zu: got %.*s, want %s", i, (int)got.n, got.p, cases[i].want);
        buf_release(&yaml);
        config_free(c);
    }
}

static void test_user__with_a_long_origin__is_cut_to_a_name(void **state)
{
    struct config *c = config_from_good("");
    char room[CLIENT_NAME_SIZE], origin[CLIENT_NAME_SIZE];
    struct slice got;

    (void)state;
    memset(origin, 'o', CLIENT_NAME_MAX);
    origin[CLIENT_NAME_MAX] = '\0';
    got = identity_of_user(c, SLICE("ana"), slice_str(origin), room);
    assert_int_equal(got.n, CLIENT_NAME_MAX);
    assert_true(client_name_ok(got));
    assert_true(slice_starts(got, SLICE("ana.oo")));
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prove__every_row__is_as_it_says),
        cmocka_unit_test(test_prove__a_token_in_the_address__does_not_travel),
        cmocka_unit_test(test_prove__without_any_client__nothing_is_a_token),
        cmocka_unit_test(test_user__what_the_configuration_knows__goes_first),
        cmocka_unit_test(test_user__with_a_long_origin__is_cut_to_a_name),
        cmocka_unit_test(test_priority__path_and_header__lower_and_never_raise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
