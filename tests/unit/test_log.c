/* log: one line an event, whatever the text; what is written is looked at through a file in place of stderr.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/json.h"
#include "metergate/base/log.h"

/* What one log_write of the text puts on stderr. */
static void written(enum log_format format, const char *text, struct buf *out)
{
    FILE *f = tmpfile();
    int stderr_copy = dup(STDERR_FILENO);
    char piece[16384];
    size_t n;

    assert_non_null(f);
    assert_true(stderr_copy >= 0);
    log_setup(LOG_LEVEL_INFO, format);
    assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
    log_warn("%s", text);
    assert_true(dup2(stderr_copy, STDERR_FILENO) >= 0);
    close(stderr_copy);
    rewind(f);
    n = fread(piece, 1, sizeof piece, f);
    fclose(f);
    buf_reset(out);
    buf_add(out, piece, n);
}

static void test_log__a_text_line__has_its_time_and_level(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    written(LOG_FORMAT_TEXT, "upstream openai: 3 connections", &out);
    assert_int_equal(out.n, strlen("2026-11-23T21:10:00.000Z warn  upstream openai: 3 connections\n"));
    assert_string_equal(out.p + 23, "Z warn  upstream openai: 3 connections\n");
    assert_int_equal(out.p[10], 'T');
    buf_release(&out);
}

static void test_log__a_line_end_in_the_text__begins_no_new_line(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    written(LOG_FORMAT_TEXT, "one\ntwo\r\x1b[31mred", &out);
    assert_non_null(strstr(out.p, "one?two??[31mred\n"));
    assert_int_equal(slice_find(buf_slice(&out), '\n'), out.n - 1);
    buf_release(&out);
}

static void test_log__a_json_line__is_json_whatever_the_text(void **state)
{
    static const char *const texts[] = {"plain",       "\"quoted\" \\ back", "two\nlines\t\x01",
                                        "caf\xc3\xa9", "broken \xc3(\xff",   "\x7f"};
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++) {
        struct slice rest, message;
        struct json *doc;

        written(LOG_FORMAT_JSON, texts[i], &out);
        assert_int_equal(out.p[out.n - 1], '\n');
        assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
        assert_int_equal(json_as_str(json_get(doc, "message"), &message), 0);
        if (i < 4)
            assert_string_equal(message.p, texts[i]);
        for (rest = buf_slice(&out); rest.n; rest = slice_skip(rest, slice_utf8(rest)))
            assert_true(slice_utf8(rest) > 0);
        json_free(doc);
    }
    buf_release(&out);
}

static void test_log__a_long_text__is_cut_and_its_line_still_ends(void **state)
{
    static const char fillers[] = {'x', '\x01', '"', '\xc3'};
    char text[9000];
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    for (size_t f = 0; f < sizeof fillers; f++) {
        for (size_t offset = 0; offset < 12; offset++) { /* the cut falls on every place of an escape */
            struct json *doc;

            memset(text, 'y', offset);
            memset(text + offset, fillers[f], sizeof text - 1 - offset);
            text[sizeof text - 1] = '\0';
            written(LOG_FORMAT_TEXT, text, &out);
            assert_true(out.n > 4000 && out.n < 4200);
            assert_int_equal(slice_find(buf_slice(&out), '\n'), out.n - 1);
            written(LOG_FORMAT_JSON, text, &out);
            assert_true(out.n <= 8192);
            assert_int_equal(slice_find(buf_slice(&out), '\n'), out.n - 1);
            assert_int_equal(json_parse(buf_slice(&out), &doc), 0);
            json_free(doc);
        }
    }
    buf_release(&out);
}

static void count(enum log_level level, const char *line, void *arg)
{
    (void)level;
    (void)line;
    ++*(int *)arg;
}

static void test_log__levels__above_the_one_set_are_silent(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;
    int lines = 0;

    (void)state;
    log_capture(count, &lines);
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_error("1");
    log_warn("2");
    log_info("3");
    log_debug("4");
    assert_int_equal(lines, 2);
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    errno = ENOENT;
    log_warn("errno is kept");
    assert_int_equal(errno, ENOENT);
    log_capture(NULL, NULL);
    assert_int_equal(log_level_parse(SLICE("debug"), &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse(SLICE("Debug"), &level), -EINVAL);
    assert_int_equal(log_level_parse(SLICE(""), &level), -EINVAL);
}

static void test_log_quote__peer_text__is_bounded_and_printable(void **state)
{
    char long_text[200];

    (void)state;
    assert_string_equal(log_quote(SLICE("curl/8.1")).text, "curl/8.1");
    assert_string_equal(log_quote(SLICE("a b\n\"\\\xff")).text, "a\\x20b\\x0a\\x22\\x5c\\xff");
    assert_string_equal(log_quote(slice_of(NULL, 0)).text, "");
    memset(long_text, '\n', sizeof long_text);
    assert_int_equal(strlen(log_quote(slice_of(long_text, sizeof long_text)).text), 80 * 4 + 3);
    assert_int_equal(strlen(log_quote(slice_of(long_text, 80)).text), 80 * 4);
}

/* ---- the journal ---- */

/* What is written where stderr is a file and $JOURNAL_STREAM names that file, or one beside it. */
static void written_to_stream(enum log_format format, bool ours, struct buf *out)
{
    FILE *f = tmpfile();
    int stderr_copy = dup(STDERR_FILENO);
    char piece[1024], stream[64];
    struct stat st;
    size_t n;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + !ours);
    setenv("JOURNAL_STREAM", stream, 1);
    log_setup(LOG_LEVEL_DEBUG, format);
    assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
    log_find_journal();
    log_error("one");
    log_warn("two");
    log_info("three");
    log_debug("four");
    assert_true(dup2(stderr_copy, STDERR_FILENO) >= 0);
    close(stderr_copy);
    unsetenv("JOURNAL_STREAM");
    rewind(f);
    n = fread(piece, 1, sizeof piece, f);
    fclose(f);
    buf_reset(out);
    buf_add(out, piece, n);
}

/* How each of the lines begins, with commas between. */
static const char *beginnings(const struct buf *out, char ret[64])
{
    struct slice left = buf_slice(out);
    size_t n = 0;

    while (left.n) {
        n += (size_t)snprintf(ret + n, 64 - n, "%.*s,", 4, left.p);
        left = slice_skip(left, slice_find(left, '\n') + 1);
    }
    return ret;
}

static void test_log__to_the_journal__each_line_begins_with_its_level(void **state)
{
    struct buf out;
    char is[64];

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    written_to_stream(LOG_FORMAT_TEXT, true, &out);
    assert_string_equal(beginnings(&out, is), "<3>2,<4>2,<6>2,<7>2,");
    assert_string_equal(log_prefix(LOG_LEVEL_ERROR), "<3>");
    written_to_stream(LOG_FORMAT_JSON, true, &out);
    assert_string_equal(beginnings(&out, is), "<3>{,<4>{,<6>{,<7>{,");
    written_to_stream(LOG_FORMAT_JSON, false, &out); /* systemd set it, and somebody led stderr elsewhere */
    assert_string_equal(beginnings(&out, is), "{\"ti,{\"ti,{\"ti,{\"ti,");
    assert_string_equal(log_prefix(LOG_LEVEL_ERROR), "");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__a_text_line__has_its_time_and_level),
        cmocka_unit_test(test_log__to_the_journal__each_line_begins_with_its_level),
        cmocka_unit_test(test_log__a_line_end_in_the_text__begins_no_new_line),
        cmocka_unit_test(test_log__a_json_line__is_json_whatever_the_text),
        cmocka_unit_test(test_log__a_long_text__is_cut_and_its_line_still_ends),
        cmocka_unit_test(test_log__levels__above_the_one_set_are_silent),
        cmocka_unit_test(test_log_quote__peer_text__is_bounded_and_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
