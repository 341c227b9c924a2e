/*
 * docs/troubleshooting.md knows everything that a user can meet: each reason of a refusal, each header of
 * ours, each warning and error of the log, each exit status. They are read from the source, so that the page
 * cannot fall behind it. Run from the top of the tree.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <cmocka.h>

#include "config_text.h"
#include "metergate/dialect/refusal.h"

#define PAGE "docs/troubleshooting.md"

/* Blanks and line ends are one blank each: a sentence may be broken anywhere. */
static void read_flat(const char *path, struct buf *out)
{
    struct buf text;

    text_of_file(path, &text);
    buf_init(out, BUF_UNLIMITED);
    for (size_t i = 0; i < text.n; i++) {
        bool blank = text.p[i] == ' ' || text.p[i] == '\n';

        if (!blank || (out->n && out->p[out->n - 1] != ' '))
            buf_add_char(out, blank ? ' ' : text.p[i]);
    }
    buf_release(&text);
}

static int missing_from(const struct buf *page, struct slice text, const char *what, const char *where)
{
    if (memmem(page->p, page->n, text.p, text.n))
        return 0;
    /* all of them, and then the failure */
    fprintf(stderr, "%s has no %s \"%.*s\" (%s)\n", PAGE, what, (int)text.n, text.p, where);
    return 1;
}

/* ---- the source --------------------------------------------------------------------- */

typedef int (*visitor)(const char *path, const struct buf *source, const struct buf *page);

/* The sum of what `visit` says of each file of src/. */
static int over_source(visitor visit)
{
    struct buf page, source;
    glob_t files;
    int sum = 0;

    assert_int_equal(glob("src/*/*.c", 0, NULL, &files), 0);
    assert_true(files.gl_pathc > 50);
    read_flat(PAGE, &page);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        text_of_file(files.gl_pathv[i], &source);
        sum += visit(files.gl_pathv[i], &source, &page);
        buf_release(&source);
    }
    globfree(&files);
    buf_release(&page);
    return sum;
}

/*
 * The longest piece without a conversion of the format that begins at the first quote in s: literals side by
 * side, and macros as PRId64 between them, are one format; a comma or bracket outside of quotes ends it.
 */
static void longest_piece(const char *s, struct buf *ret)
{
    struct buf piece;
    bool quoted = false;

    buf_init(&piece, BUF_UNLIMITED);
    buf_init(ret, BUF_UNLIMITED);
    s = strchr(s, '"');
    assert_non_null(s);
    for (; *s && (quoted || (*s != ',' && *s != ')')); s++) {
        bool ends = quoted && (*s == '%' || *s == '\\');

        if (*s == '"')
            quoted = !quoted;
        else if (quoted && !ends)
            buf_add_char(&piece, *s);
        if (piece.n > ret->n) {
            buf_reset(ret);
            buf_add_slice(ret, buf_slice(&piece));
        }
        if (!ends)
            continue;
        buf_reset(&piece); /* the letters of a conversion or an escape are no text */
        if (*s++ == '%') {
            s += strspn(s, "-+#.*0123456789lzh");
            s -= *s == '"'; /* the rest of it is a macro */
        }
    }
    buf_release(&piece);
}

/* Shorter ones are all conversion: what they say was said by whoever wrote the sentence. */
#define SHORTEST 8

static int of_calls(const char *path, const struct buf *source, const struct buf *page, const char *call)
{
    int missing = 0;

    for (const char *s = source->p; (s = strstr(s, call)) != NULL; s += strlen(call)) {
        struct slice text;
        struct buf piece;

        longest_piece(s, &piece);
        text = slice_trim(buf_slice(&piece));
        if (text.n >= SHORTEST)
            missing += missing_from(page, text, "line of the log", path);
        buf_release(&piece);
    }
    return missing;
}

static int log_lines(const char *path, const struct buf *source, const struct buf *page)
{
    return of_calls(path, source, page, " log_warn(") + of_calls(path, source, page, " log_error(");
}

static void test_troubleshooting__has_every_warning_and_error_of_the_log(void **state)
{
    (void)state;
    assert_int_equal(over_source(log_lines), 0);
}

static int headers(const char *path, const struct buf *source, const struct buf *page)
{
    int missing = 0;

    for (const char *s = source->p; (s = strstr(s, "\"Metergate-")) != NULL;) {
        char name[64];
        size_t n = strspn(++s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");

        if (n < sizeof name - 2 && s[n] == '"') { /* more behind it: a sentence that begins with one */
            snprintf(name, sizeof name, "`%.*s`", (int)n, s);
            missing += missing_from(page, slice_str(name), "header", path);
        }
    }
    return missing;
}

static void test_troubleshooting__has_every_header_of_ours(void **state)
{
    (void)state;
    assert_int_equal(over_source(headers), 0);
}

static const struct {
    const char *name;
    int status;
} exits[] = {
    {"EX_USAGE", EX_USAGE},   {"EX_DATAERR", EX_DATAERR},         {"EX_NOINPUT", EX_NOINPUT},
    {"EX_OSERR", EX_OSERR},   {"EX_UNAVAILABLE", EX_UNAVAILABLE}, {"EX_IOERR", EX_IOERR},
    {"EX_NOPERM", EX_NOPERM}, {"EX_CONFIG", EX_CONFIG},           {"EX_TEMPFAIL", EX_TEMPFAIL},
    {"EX_OK", EX_OK},         {"EX_SOFTWARE", EX_SOFTWARE},       {"EX_PROTOCOL", EX_PROTOCOL},
};

/* Of sysexits.h; a name that is not in the table fails the test. */
static int status_named(const char *name, size_t n, const char *path)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(exits); i++) {
        if (strlen(exits[i].name) == n && memcmp(exits[i].name, name, n) == 0)
            return exits[i].status;
    }
    fail_msg("%s ends with %.*s, which this test does not know", path, (int)n, name);
    return -1;
}

static int statuses(const char *path, const struct buf *source, const struct buf *page)
{
    int missing = 0;

    for (const char *s = source->p; (s = strstr(s, "EX_")) != NULL; s += 3) {
        size_t n = 3 + strspn(s + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        char row[16];

        if (n == 3 || strncmp(s, "EX__BASE", n) == 0 ||
            (s > source->p && strchr("_ABCDEFGHIJKLMNOPQRSTUVWXYZ", s[-1])))
            continue; /* what is no status, and REGEX_... */
        snprintf(row, sizeof row, "| %d |", status_named(s, n, path));
        missing += missing_from(page, slice_str(row), "exit status", path);
    }
    return missing;
}

static void test_troubleshooting__has_every_exit_status(void **state)
{
    struct buf page;

    (void)state;
    assert_int_equal(over_source(statuses), 0);
    read_flat(PAGE, &page);
    assert_int_equal(missing_from(&page, SLICE("| 1 |"), "exit status", "EXIT_FAILURE"), 0);
    assert_int_equal(missing_from(&page, SLICE("| 126, 127 |"), "exit status", "src/tool/run.c"), 0);
    buf_release(&page);
}

static void test_troubleshooting__has_every_reason_with_its_status(void **state)
{
    struct buf page;
    int missing = 0;

    (void)state;
    read_flat(PAGE, &page);
    for (int i = 0; i < REFUSAL_REASONS; i++) {
        const struct refusal r = {.reason = (enum refusal_reason)i};
        char row[64];

        snprintf(row, sizeof row, "| %d | `%s` |", refusal_status(&r), refusal_name(r.reason));
        missing += missing_from(&page, slice_str(row), "reason", "src/dialect/refusal.c");
    }
    assert_int_equal(missing, 0);
    buf_release(&page);
}

/* ---- what is looked for ------------------------------------------------------------- */

static void assert_piece(const char *source, const char *want)
{
    struct buf piece;

    longest_piece(source, &piece);
    assert_string_equal(piece.n ? piece.p : "", want);
    buf_release(&piece);
}

static void test_longest_piece__formats__are_read_whole(void **state)
{
    (void)state;
    assert_piece("log_warn(\"%s; not listening there\", e->text);", "; not listening there");
    assert_piece("log_error(\"ledger: %s; %\" PRId64 \" rows wait, calls go on\", problem);",
                 " rows wait, calls go on");
    assert_piece("log_warn(\"one, \"\n    \"two\");", "one, two");
    assert_piece("log_error(\"%s\", e.text); f(\"another text\");", "");
    assert_piece("log_warn(\"after %lld ms and %d failures, %5.1f%% of it\", a, b);", " failures, ");
    assert_piece("log_warn(\"name \\\"%s\\\" is long\");", " is long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_piece__formats__are_read_whole),
        cmocka_unit_test(test_troubleshooting__has_every_reason_with_its_status),
        cmocka_unit_test(test_troubleshooting__has_every_header_of_ours),
        cmocka_unit_test(test_troubleshooting__has_every_warning_and_error_of_the_log),
        cmocka_unit_test(test_troubleshooting__has_every_exit_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
