/* config: clients and their tokens: where they come from, which are refused, and that none is kept or shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_text.h"
#include "metergate/config/print.h"

#define TOKEN "not-to-be-shown-0123456789"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/metergate-clients-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static const char *in_dir(const char *name)
{
    static char path[2][128];
    static unsigned turn;
    char *at = path[turn++ % 2];

    snprintf(at, sizeof path[0], "%s/%s", dir, name);
    return at;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(in_dir("token"));
    return rmdir(dir);
}

static void write_token(const char *text, mode_t mode)
{
    int fd = open(in_dir("token"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* The configuration with $DIR replaced. */
static void with_dir(const char *yaml, struct buf *out)
{
    const char *at = strstr(yaml, "$DIR");

    buf_init(out, BUF_UNLIMITED);
    if (at)
        buf_addf(out, "%.*s%s%s", (int)(at - yaml), yaml, dir, at + 4);
    else
        buf_add_str(out, yaml);
}

static struct config *good(const char *yaml)
{
    struct config *c;
    struct buf text;

    with_dir(yaml, &text);
    c = config_from_good(text.p);
    buf_release(&text);
    return c;
}

/* Its only problem ends so; no problem ever shows the token. */
static void assert_bad(const char *yaml, const char *problem)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf text, said;

    with_dir(yaml, &text);
    buf_init(&said, BUF_UNLIMITED);
    if (config_from(text.p, &c, &problems) == 0)
        fail_msg("accepted: %s", yaml);
    problems_print_all(&problems, &said);
    if (!strstr(said.p, problem) || problems.errors != 1)
        fail_msg("%s\ngave %swant %s", yaml, said.p, problem);
    assert_null(strstr(said.p, "not-to-be-shown"));
    problems_release(&problems);
    buf_release(&said);
    buf_release(&text);
}

static void test_client__everything_given__is_there(void **state)
{
    struct config *c = good("clients:\n"
                            "  nightly: {priority: low, weight: 7, max_wait: 2h}\n"
                            "  bare:\n"
                            "  other.one: {max_wait: 0s}\n");
    const struct config_client *nightly = config_client_named(c, SLICE("nightly"));

    (void)state;
    assert_int_equal(c->clients.n, 3);
    assert_int_equal(nightly->priority, CONFIG_PRIORITY_LOW);
    assert_int_equal(nightly->weight, 7);
    assert_int_equal(nightly->max_wait_us, INT64_C(7200000000));
    assert_false(nightly->has_token);
    assert_int_equal(config_client_named(c, SLICE("bare"))->priority, CONFIG_PRIORITY_NORMAL);
    assert_int_equal(config_client_named(c, SLICE("bare"))->weight, 1);
    assert_int_equal(config_client_named(c, SLICE("bare"))->max_wait_us, -1);
    assert_int_equal(config_client_named(c, SLICE("other.one"))->max_wait_us, 0);
    assert_null(config_client_named(c, SLICE("night")));
    config_free(c);
}

static void test_users__names_and_numbers__are_uids(void **state)
{
    struct config *c = good("clients: {users: [root, 4242, \"0\"]}");

    (void)state;
    assert_int_equal(c->clients.users.n, 3);
    assert_string_equal(c->clients.users.v[0].text, "root");
    assert_int_equal(c->clients.users.v[0].uid, 0);
    assert_int_equal(c->clients.users.v[1].uid, 4242);
    config_free(c);
}

static void test_token__from_each_place__is_its_clients(void **state)
{
    struct config *c;

    (void)state;
    write_token(TOKEN "-file\r\nmore lines\n", 0600);
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    c = good("clients:\n  require_token: true\n  a: {token: {env: METERGATE_TEST_TOKEN}}\n"
             "  b: {token: {file: $DIR/token}}\n  open: {max_wait: 1s}\n");
    assert_string_equal(config_client_of_token(c, SLICE(TOKEN))->name, "a");
    assert_string_equal(config_client_of_token(c, SLICE(TOKEN "-file"))->name, "b");
    assert_null(config_client_of_token(c, SLICE(TOKEN "-fil")));
    assert_null(config_client_of_token(c, SLICE("")));
    assert_null(config_client_of_token(c, slice_of(NULL, 0)));
    config_free(c);
    write_token(TOKEN "-credential", 0440); /* systemd's own mode */
    c = good("clients:\n  c: {token: {credential: token}}\n");
    assert_string_equal(config_client_of_token(c, SLICE(TOKEN "-credential"))->name, "c");
    config_free(c);
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_token__printed__is_where_it_comes_from(void **state)
{
    struct config *c, *again;
    struct buf first, second;

    (void)state;
    write_token(TOKEN "-file", 0600);
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    c = good("clients:\n  require_token: true\n  users: [root]\n"
             "  a: {priority: high, max_wait: 10s, token: {env: METERGATE_TEST_TOKEN}}\n"
             "  b: {token: {file: $DIR/token}}\n");
    buf_init(&first, BUF_UNLIMITED);
    buf_init(&second, BUF_UNLIMITED);
    config_print(c, &first);
    assert_null(strstr(first.p, "not-to-be-shown"));
    assert_non_null(strstr(first.p, "clients:\n  require_token: true\n  users: [root]\n"
                                    "  a:\n    priority: high\n    weight: 1\n    max_wait: 10s\n    token:\n"
                                    "      env: METERGATE_TEST_TOKEN\n"
                                    "  b:\n    priority: normal\n    weight: 1\n    token:\n      file: "));
    again = config_from_good(first.p);
    config_print(again, &second);
    assert_string_equal(first.p, second.p);
    buf_release(&first);
    buf_release(&second);
    config_free(again);
    config_free(c);
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_token__file_that_others_can_use__is_an_error(void **state)
{
    static const mode_t open_modes[] = {0660, 0604, 0644, 0620, 0602};
    char problem[240];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(open_modes); i++) {
        write_token(TOKEN, open_modes[i]);
        snprintf(problem, sizeof problem,
                 "file:2:21: clients.a.token: cannot read %s: others may read or write it (its mode is %04o): chmod 600",
                 in_dir("token"), (unsigned)open_modes[i]);
        assert_bad("clients:\n  a: {token: {file: $DIR/token}}\n", problem);
    }
    write_token(TOKEN, 0400);
    config_free(good("clients:\n  a: {token: {file: $DIR/token}}\n"));
}

static void test_token__that_proves_nothing__is_an_error(void **state)
{
    (void)state;
    write_token("not-to-be-shown", 0600); /* 15 */
    assert_bad("clients:\n  a: {token: {file: $DIR/token}}\n",
               "file:2:21: clients.a.token: the token is shorter than 16 characters and could be guessed");
    write_token("\n" TOKEN, 0600);
    assert_bad("clients:\n  a: {token: {file: $DIR/token}}\n", "token is empty\n");
    write_token("not-to-be-shown 1234", 0600);
    assert_bad("clients:\n  a: {token: {file: $DIR/token}}\n", "has a space");
    setenv("METERGATE_TEST_TOKEN", "", 1);
    assert_bad("clients:\n  a: {token: {env: METERGATE_TEST_TOKEN}}\n", "METERGATE_TEST_TOKEN is empty");
    unlink(in_dir("token"));
    assert_bad("clients:\n  a: {token: {file: $DIR/token}}\n", "No such file");
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_token__of_two_clients__is_an_error(void **state)
{
    (void)state;
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    write_token(TOKEN "\n", 0600);
    assert_bad("clients:\n  a: {token: {env: METERGATE_TEST_TOKEN}}\n  b: {token: {file: $DIR/token}}\n",
               "file:3:21: clients.b.token: clients.a in line 2 has the same token");
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_listen__with_tokens__may_be_for_other_machines(void **state)
{
    struct config *c;
    struct errbuf e;

    (void)state;
    setenv("METERGATE_TEST_TOKEN", TOKEN, 1);
    c = good("listen: [\"0.0.0.0:4283\", \"[2001:db8::1]:80\"]\n"
             "clients:\n  a: {token: {env: METERGATE_TEST_TOKEN}}\n  require_token: true\n");
    assert_int_equal(c->listen.n, 2);
    assert_int_equal(config_override(c, "listen", "192.0.2.1:80", &e), 0);
    config_free(c);
    c = good("");
    assert_true(config_override(c, "listen", "192.0.2.1:80", &e) < 0);
    assert_non_null(strstr(e.text, "listen: 192.0.2.1 can be reached from other machines"));
    config_free(c);
    unsetenv("METERGATE_TEST_TOKEN");
}

static void test_clients__more_than_1000__are_refused(void **state)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf yaml;

    (void)state;
    buf_init(&yaml, BUF_UNLIMITED);
    buf_add_str(&yaml, "clients:\n");
    for (int i = 0; i < 1001; i++)
        buf_addf(&yaml, "  c%d:\n", i);
    assert_true(config_from(yaml.p, &c, &problems) < 0);
    assert_int_equal(problems.errors, 1);
    assert_string_equal(problems.v[0].message,
                        "\"c1000\" is one client more than the 1,000 that there may be");
    problems_release(&problems);
    buf_release(&yaml);
}

/* ---- limits ---- */

static void test_config__limits_of_clients__are_read_and_printed_as_those_of_models(void **state)
{
    static const char yaml[] = "clients:\n  ana: {tpm: 10k, rpm: {max: 5, per: 10s}, concurrent: 2}\n  bo: {rpd: 9}\n"
                               "  cy: {weight: 3, priority: low}\n";
    struct config *c = config_from_good(yaml);
    const struct config_client *ana = config_client_named(c, SLICE("ana"));
    struct buf text;

    (void)state;
    assert_int_equal(ana->limit_count, 3);
    assert_string_equal(ana->limits[0].key, "tpm");
    assert_int_equal(ana->limits[0].max, 10000);
    assert_int_equal(ana->limits[0].span_us, INT64_C(60000000));
    assert_int_equal(ana->limits[1].metric, METRIC_REQUESTS);
    assert_int_equal(ana->limits[1].span_us, INT64_C(10000000));
    assert_int_equal(ana->limits[2].metric, METRIC_CONCURRENT);
    assert_int_equal(config_client_named(c, SLICE("bo"))->limits[0].max, 9);
    assert_int_equal(config_client_named(c, SLICE("cy"))->limit_count, 0);
    buf_init(&text, BUF_UNLIMITED);
    config_print(c, &text);
    assert_non_null(strstr(text.p, "  ana:\n    priority: normal\n    weight: 1\n    tpm: {max: 10000, per: 1m}\n"
                                   "    rpm: {max: 5, per: 10s}\n    concurrent: 2\n"));
    assert_non_null(strstr(text.p, "  cy:\n    priority: low\n    weight: 3\n"));
    buf_release(&text);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__limits_of_clients__are_read_and_printed_as_those_of_models),
        cmocka_unit_test(test_client__everything_given__is_there),
        cmocka_unit_test(test_users__names_and_numbers__are_uids),
        cmocka_unit_test(test_token__from_each_place__is_its_clients),
        cmocka_unit_test(test_token__printed__is_where_it_comes_from),
        cmocka_unit_test(test_token__file_that_others_can_use__is_an_error),
        cmocka_unit_test(test_token__that_proves_nothing__is_an_error),
        cmocka_unit_test(test_token__of_two_clients__is_an_error),
        cmocka_unit_test(test_listen__with_tokens__may_be_for_other_machines),
        cmocka_unit_test(test_clients__more_than_1000__are_refused),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
