/*
 * config: the mistakes that operators make, each with its line, its column and its sentence, all of them in
 * one run. They stand in tests/unit/data/bad_configs.txt: `=== NAME`, the file's text, and after it `=> `
 * with each problem. In both, $DIR is a directory with the files below, and %{00} is the byte of that number.
 * Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/config/yaml.h"

#define TABLE  "tests/unit/data/bad_configs.txt"
#define NOBODY 65534

static char dir[64];

static const struct {
    const char *name, *text;
    mode_t mode;
} files[] = {
    {"good", "sk-0123456789abcdef\n", 0600},       {"empty", "", 0600},
    {"control", "sk-0123\a456789abcdef\n", 0600},  {"spaces", "Bearer sk-0123456789abcdef\n", 0600},
    {"unreadable", "sk-0123456789abcdef\n", 0000}, {"token", "sk-0123456789abcdef\n", 0600},
    {"short", "sk-0123456789ab\n", 0600},          {"open", "sk-0123456789abcdef\n", 0644},
    {"below/key", "sk-0123456789abcdef\n", 0600},
};

static const char *path_of(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Owned by the one who will read them: of root nothing is unreadable. */
static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/metergate-bad-XXXXXX");
    if (geteuid() == 0 && seteuid(NOBODY) < 0)
        return -1;
    if (!mkdtemp(dir) || mkdir(path_of("below"), 0700) < 0 || mkfifo(path_of("fifo"), 0600) < 0)
        return -1;
    for (size_t i = 0; i < MG_ARRAY_LEN(files); i++) {
        FILE *f = fopen(path_of(files[i].name), "w");

        if (!f || fputs(files[i].text, f) < 0 || fchmod(fileno(f), files[i].mode) < 0 || fclose(f) < 0)
            return -1;
    }
    setenv("METERGATE_TEST_KEY", "sk-0123456789abcdef", 1);
    setenv("METERGATE_TEST_EMPTY", "", 1);
    setenv("METERGATE_TEST_SPACES", "sk-0123 456789abcdef", 1);
    unsetenv("METERGATE_TEST_UNSET");
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(files); i++)
        unlink(path_of(files[i].name));
    unlink(path_of("fifo"));
    unlink(path_of("huge"));
    rmdir(path_of("below"));
    if (rmdir(dir) < 0 || seteuid(getuid()) < 0)
        return -1;
    return prctl(PR_SET_DUMPABLE, 1); /* or a sanitizer could not look for leaks after this */
}

/* ---- the table ---- */

/* The line with its $DIR and %{..} replaced, and its end. */
static void add_line(struct slice line, struct buf *out)
{
    while (line.n) {
        size_t n = 1;

        if (slice_starts(line, SLICE("$DIR"))) {
            n = strlen("$DIR");
            buf_add_str(out, dir);
        } else if (slice_starts(line, SLICE("%{"))) {
            n = strlen("%{00}");
            buf_add_char(out, (char)strtol(line.p + 2, NULL, 16));
        } else {
            buf_add_char(out, line.p[0]);
        }
        line = slice_skip(line, n);
    }
    buf_add_char(out, '\n');
}

/* False, and told, when the case is not answered as it says. */
static bool is_answered(struct slice name, const struct buf *yaml, const struct buf *want)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf gave;
    bool good;

    problems_init(&problems);
    buf_init(&gave, BUF_UNLIMITED);
    buf_add_str(&gave, "");
    if (config_parse("file", buf_slice(yaml), &c, &problems) == 0)
        fprintf(stderr, "=== %.*s is accepted\n", (int)name.n, name.p);
    for (size_t i = 0; i < problems.n; i++) {
        assert_null(strstr(problems.v[i].message, "0123")); /* what all keys of this test have in them */
        buf_addf(&gave, "%d:%d: %s%s\n", problems.v[i].line, problems.v[i].column,
                 problems.v[i].warning ? "warning: " : "", problems.v[i].message);
    }
    good = !c && slice_eq(buf_slice(&gave), buf_slice(want));
    if (!good)
        fprintf(stderr, "=== %.*s\n  gave\n%s  want\n%s", (int)name.n, name.p, gave.p,
                want->n ? want->p : "");
    config_free(c);
    buf_release(&gave);
    problems_release(&problems);
    return good;
}

static bool is_case(struct slice line)
{
    return slice_starts(line, SLICE("=== "));
}

static void test_bad_configs__every_mistake__has_its_place_and_sentence(void **state)
{
    struct buf table, yaml, want;
    struct slice rest, name;
    bool good = true;
    int cases = 0;

    (void)state;
    text_of_file(TABLE, &table);
    rest = buf_slice(&table);
    buf_init(&yaml, BUF_UNLIMITED);
    buf_init(&want, BUF_UNLIMITED);
    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));

        rest = slice_skip(rest, line.n + 1);
        if (is_case(line)) {
            name = slice_skip(line, 4);
            buf_reset(&yaml);
            buf_reset(&want);
            cases++;
        } else if (slice_starts(line, SLICE("=> "))) {
            add_line(slice_skip(line, 3), &want);
        } else if (cases) {
            add_line(line, &yaml);
        }
        if (cases && (rest.n == 0 || is_case(slice_head(rest, slice_find(rest, '\n')))))
            good &= is_answered(name, &yaml, &want);
    }
    buf_release(&yaml);
    buf_release(&want);
    buf_release(&table);
    assert_true(cases >= 60);
    assert_true(good);
}

/* ---- files that are none ---- */

static void make_huge(void)
{
    FILE *f = fopen(path_of("huge"), "w");

    assert_non_null(f);
    for (size_t i = 0; i <= YAML_BYTES_MAX; i++)
        assert_true(putc(i % 80 ? '#' : '\n', f) >= 0);
    fclose(f);
}

static void test_bad_configs__a_file_that_is_none__is_named_and_not_waited_for(void **state)
{
    static const struct {
        const char *name, *why;
    } rows[] = {
        {"none", "cannot be read: No such file or directory"},
        {"unreadable", "cannot be read: Permission denied"},
        {"fifo", "cannot be read: it is a FIFO, not a file"},
        {"below", "cannot be read: it is a directory, not a file"},
        {"huge", "is longer than 1 MiB; a configuration is not"},
    };

    (void)state;
    make_huge();
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct problems problems;
        struct config *c = NULL;

        problems_init(&problems);
        assert_true(config_load(path_of(rows[i].name), &c, &problems) < 0);
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.file, path_of(rows[i].name));
        assert_string_equal(problems.v[0].message, rows[i].why);
        problems_release(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_configs__every_mistake__has_its_place_and_sentence),
        cmocka_unit_test(test_bad_configs__a_file_that_is_none__is_named_and_not_waited_for),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
