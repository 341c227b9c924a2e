/* config: which file is read, what becomes of one that cannot be, and where keys come from. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/config/yaml.h"

static const char etc[] = "/etc/metergate/metergate.yaml";

/* A directory with metergate/metergate.yaml and .config/metergate/metergate.yaml in it. */
struct place {
    char dir[64];
    char file[160];
};

static void path_of(const struct place *p, const char *name, char ret[160])
{
    snprintf(ret, 160, "%s/%s", p->dir, name);
}

static void write_file(const struct place *p, const char *name, const char *bytes, size_t n)
{
    char path[160];
    FILE *f;

    path_of(p, name, path);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0); /* as keys have to be */
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static const char *const dirs[] = {"metergate", ".config", ".config/metergate"};

static int make_place(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    char path[160];

    snprintf(p->dir, sizeof p->dir, "/tmp/metergate-config-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    for (size_t i = 0; i < MG_ARRAY_LEN(dirs); i++) {
        path_of(p, dirs[i], path);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    path_of(p, "file", p->file);
    unsetenv("METERGATE_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("CREDENTIALS_DIRECTORY");
    setenv("HOME", p->dir, 1);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    static const char *const files[] = {"metergate/metergate.yaml", ".config/metergate/metergate.yaml",
                                        "file", "key"};
    struct place *p = *state;
    char path[160];

    for (size_t i = 0; i < MG_ARRAY_LEN(files); i++) {
        path_of(p, files[i], path);
        unlink(path);
    }
    for (size_t i = MG_ARRAY_LEN(dirs); i-- > 0;) {
        path_of(p, dirs[i], path);
        rmdir(path);
    }
    rmdir(p->dir);
    free(p);
    return 0;
}

static void assert_found(const char *given, const char *want)
{
    char *path = config_find(given);

    if (!want)
        want = access(etc, F_OK) == 0 ? etc : NULL; /* this machine may have one */
    if (!want)
        assert_null(path);
    else
        assert_string_equal(path ? path : "nothing", want);
    free(path);
}

static void test_find__goes_by_the_search_order(void **state)
{
    const struct place *p = *state;
    char xdg[160], home[160];

    path_of(p, "metergate/metergate.yaml", xdg);
    path_of(p, ".config/metergate/metergate.yaml", home);
    assert_found(NULL, NULL);
    write_file(p, ".config/metergate/metergate.yaml", "", 0);
    assert_found(NULL, home);
    setenv("XDG_CONFIG_HOME", p->dir, 1);
    assert_found(NULL, NULL); /* it takes the place of ~/.config, whether or not the file is there */
    write_file(p, "metergate/metergate.yaml", "", 0);
    assert_found(NULL, xdg);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    assert_found(NULL, home);
    setenv("XDG_CONFIG_HOME", "", 1);
    assert_found(NULL, home);
    setenv("METERGATE_CONFIG", "", 1);
    assert_found(NULL, home);
    setenv("METERGATE_CONFIG", "/from/env", 1); /* named, so it must not exist to be chosen */
    assert_found(NULL, "/from/env");
    assert_found("given", "given");
    unsetenv("METERGATE_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    assert_found(NULL, NULL);
    setenv("HOME", p->dir, 1);
}

/* The problem of a file that config_load refuses, after its name. */
static void assert_refused(const char *path, const char *want)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf text;

    problems_init(&problems);
    buf_init(&text, BUF_UNLIMITED);
    assert_true(config_load(path, &c, &problems) < 0);
    assert_null(c);
    assert_int_equal(problems.errors, 1);
    problems_print(&problems, 0, &text);
    assert_true(slice_starts(buf_slice(&text), slice_str(path)));
    assert_string_equal(text.p + strlen(path), want);
    buf_release(&text);
    problems_release(&problems);
}

static void test_load__a_file_that_cannot_be_read__is_a_problem(void **state)
{
    const struct place *p = *state;
    struct buf text;

    assert_refused("/nonexistent/metergate.yaml", ": cannot be read: No such file or directory");
    assert_refused(p->dir, ": cannot be read: it is a directory, not a file");
    buf_init(&text, BUF_UNLIMITED);
    for (size_t i = 0; i <= YAML_BYTES_MAX; i++)
        buf_add_char(&text, i % 80 ? '#' : '\n');
    write_file(p, "file", text.p, text.n);
    assert_refused(p->file, ": is longer than 1 MiB; a configuration is not");
    write_file(p, "file", "headroom: 91%\n", 14);
    assert_refused(p->file, ":1:11: headroom: \"91%\" is out of range (0% to 90%)");
    buf_release(&text);
}

static void test_load__up_to_one_mebibyte__is_read(void **state)
{
    const struct place *p = *state;
    struct problems problems;
    struct config *c;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, "headroom: 7%\n");
    while (text.n < YAML_BYTES_MAX)
        buf_add_char(&text, text.n % 80 ? '#' : '\n');
    write_file(p, "file", text.p, text.n);
    problems_init(&problems);
    assert_int_equal(config_load(p->file, &c, &problems), 0);
    assert_int_equal(c->headroom_permille, 70);
    assert_int_equal(problems.n, 0);
    config_free(c);
    assert_int_equal(config_load(NULL, &c, &problems), 0); /* the built-in one */
    config_free(c);
    problems_release(&problems);
    buf_release(&text);
}

/* Others are told of it, in whatever directory they are. */
static void test_load__a_relative_path__is_known_as_an_absolute_one(void **state)
{
    const struct place *p = *state;
    char *here = getcwd(NULL, 0);
    struct problems problems;
    struct config *c;

    write_file(p, "file", "headroom: 7%\n", 13);
    problems_init(&problems);
    assert_int_equal(chdir(p->dir), 0);
    assert_int_equal(config_load("file", &c, &problems), 0);
    assert_int_equal(chdir(here), 0);
    assert_string_equal(c->path, p->file);
    config_free(c);
    problems_release(&problems);
    free(here);
}

/* ---- keys ---- */

#define UPSTREAM "upstreams:\n  a: {base_url: \"http://x\", api_key: "

static int parse_with_key(const char *api_key, struct config **ret, struct problems *problems)
{
    struct buf yaml;
    int rc;

    buf_init(&yaml, BUF_UNLIMITED);
    buf_addf(&yaml, UPSTREAM "%s}\n", api_key);
    rc = config_from(yaml.p, ret, problems);
    buf_release(&yaml);
    return rc;
}

static void assert_key(const char *api_key, const char *want)
{
    struct problems problems;
    struct config *c = NULL;

    assert_int_equal(parse_with_key(api_key, &c, &problems), 0);
    assert_true(slice_eq(secret_expose(&config_upstream_named(c, SLICE("a"))->api_key), slice_str(want)));
    config_free(c);
    problems_release(&problems);
}

/* The file is refused, in these words among others; none of them is a key. */
static void assert_no_key(const char *api_key, const char *words)
{
    struct problems problems;
    struct config *c = NULL;

    assert_true(parse_with_key(api_key, &c, &problems) < 0);
    assert_int_equal(problems.n, 1);
    assert_int_equal(problems.v[0].line, 2);
    if (!strstr(problems.v[0].message, words))
        fail_msg("%s: %s", api_key, problems.v[0].message);
    assert_null(strstr(problems.v[0].message, "sk-"));
    problems_release(&problems);
}

static void test_api_key__comes_from_the_environment(void **state)
{
    (void)state;
    unsetenv("METERGATE_TEST_KEY");
    assert_no_key("{env: METERGATE_TEST_KEY}", "METERGATE_TEST_KEY is not set");
    setenv("METERGATE_TEST_KEY", "", 1);
    assert_no_key("{env: METERGATE_TEST_KEY}", "METERGATE_TEST_KEY is empty");
    setenv("METERGATE_TEST_KEY", "sk-one\nsk-two", 1);
    assert_no_key("{env: METERGATE_TEST_KEY}",
                  "METERGATE_TEST_KEY has a space or a byte that is not printable");
    setenv("METERGATE_TEST_KEY", "sk-one", 1);
    assert_key("{env: METERGATE_TEST_KEY}", "sk-one");
    unsetenv("METERGATE_TEST_KEY");
}

static void test_api_key__comes_from_a_file(void **state)
{
    const struct place *p = *state;
    char quoted[200];

    snprintf(quoted, sizeof quoted, "{file: \"%s/key\"}", p->dir);
    assert_no_key(quoted, "key: No such file or directory");
    write_file(p, "key", "sk-two\r\n", 8);
    assert_key(quoted, "sk-two");
    assert_key("{file: ~/key}", "sk-two");
    write_file(p, "key", "\nsk-two\n", 8);
    assert_no_key(quoted, "key is empty");
    write_file(p, "key", "Bearer sk-two\n", 14);
    assert_no_key(quoted, "key has a space");
}

static void test_api_key__in_a_file_that_others_can_use__is_refused(void **state)
{
    static const mode_t open_modes[] = {0644, 0604, 0620, 0602, 0660};
    const struct place *p = *state;
    char quoted[200], path[160], problem[80];

    path_of(p, "key", path);
    write_file(p, "key", "sk-two", 6);
    snprintf(quoted, sizeof quoted, "{file: \"%s\"}", path);
    for (size_t i = 0; i < MG_ARRAY_LEN(open_modes); i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        snprintf(problem, sizeof problem, "key: others may read or write it (its mode is %04o): chmod 600", (unsigned)open_modes[i]);
        assert_no_key(quoted, problem);
    }
}

/* Of root's a group may read it: that is how a service that is not root is let in. */
static void test_api_key__in_a_file_of_root__may_be_readable_by_a_group(void **state)
{
    const struct place *p = *state;
    char quoted[200], path[160];

    if (geteuid() != 0)
        skip();
    path_of(p, "key", path);
    write_file(p, "key", "sk-two", 6);
    snprintf(quoted, sizeof quoted, "{file: \"%s\"}", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_key(quoted, "sk-two");
    assert_int_equal(chown(path, 65534, 65534), 0); /* of anybody else it may not */
    assert_no_key(quoted, "(its mode is 0640): chmod 600");
    assert_int_equal(chmod(path, 0600), 0);
    assert_key(quoted, "sk-two"); /* root reads what it was told to */
    assert_int_equal(chown(path, 1, 1), 0);
    assert_int_equal(chmod(p->dir, 0711), 0);
    assert_int_equal(chmod(path, 0604), 0); /* else it could not be opened */
    assert_int_equal(seteuid(65534), 0);
    assert_no_key(quoted, "key: it belongs to another user (1), who may change it");
    assert_int_equal(seteuid(0), 0);
}

static void test_load__a_file_that_everybody_may_write_to__is_refused(void **state)
{
    const struct place *p = *state;
    struct problems problems;
    struct config *c;

    write_file(p, "file", "", 0);
    assert_int_equal(chmod(p->file, 0666), 0);
    problems_init(&problems);
    assert_int_equal(config_load(p->file, &c, &problems), -EINVAL);
    assert_string_equal(problems.v[0].message, "cannot be read: everybody may write to it (its mode is 0666): chmod o-w");
    problems_release(&problems);
    assert_int_equal(chmod(p->file, 0664), 0); /* a group of its own is what many systems give a user */
    problems_init(&problems);
    assert_int_equal(config_load(p->file, &c, &problems), 0);
    problems_release(&problems);
    config_free(c);
}

static void test_api_key__comes_from_a_systemd_credential(void **state)
{
    const struct place *p = *state;

    write_file(p, "key", "sk-three", 8);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_no_key("{credential: key}", "$CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", p->dir, 1);
    assert_key("{credential: key}", "sk-three");
    assert_no_key("{credential: sk-oops}", "the credential cannot be read from /tmp/");
    write_file(p, "key", "sk three", 8);
    assert_no_key("{credential: key}", "the credential holds no key");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_api_key__of_two_places__is_refused(void **state)
{
    (void)state;
    setenv("METERGATE_TEST_KEY", "sk-one", 1);
    assert_no_key("{env: METERGATE_TEST_KEY, file: /dev/null}", "wants one of env, file and credential");
    unsetenv("METERGATE_TEST_KEY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find__goes_by_the_search_order),
        cmocka_unit_test(test_load__a_file_that_cannot_be_read__is_a_problem),
        cmocka_unit_test(test_load__up_to_one_mebibyte__is_read),
        cmocka_unit_test(test_load__a_relative_path__is_known_as_an_absolute_one),
        cmocka_unit_test(test_api_key__comes_from_the_environment),
        cmocka_unit_test(test_api_key__comes_from_a_file),
        cmocka_unit_test(test_api_key__in_a_file_that_others_can_use__is_refused),
        cmocka_unit_test(test_api_key__in_a_file_of_root__may_be_readable_by_a_group),
        cmocka_unit_test(test_load__a_file_that_everybody_may_write_to__is_refused),
        cmocka_unit_test(test_api_key__comes_from_a_systemd_credential),
        cmocka_unit_test(test_api_key__of_two_places__is_refused),
    };

    return cmocka_run_group_tests(tests, make_place, remove_place);
}
