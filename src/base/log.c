/* log: level and format are set once at start and on reload by the loop thread; readers in other threads may see either. */
#include "metergate/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/clock.h"

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;
static atomic_bool to_journal;
static void (*capture_sink)(enum log_level level, const char *line, void *arg);
static void *capture_arg;

static const char *const level_name[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

void log_find_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return;
    snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    atomic_store(&to_journal, strcmp(stream, ours) == 0);
}

const char *log_prefix(enum log_level level)
{
    static const char *const prefix[] = {"<3>", "<4>", "<6>", "<7>"};

    return atomic_load(&to_journal) ? prefix[level] : "";
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load(&current_level);
}

void log_capture(void (*sink)(enum log_level level, const char *line, void *arg), void *arg)
{
    capture_sink = sink;
    capture_arg = arg;
}

/*
 * Appends one character of *text to the line as the inside of a JSON string, at most 6 bytes, and moves *text
 * behind it. What is not UTF-8 (a sequence that was cut, a foreign library's words) becomes U+FFFD, so that the
 * line stays JSON.
 */
static size_t put_json_char(char *line, size_t at, size_t cap, struct slice *text)
{
    static const char replacement[] = {'\xef', '\xbf', '\xbd'};
    unsigned char c = (unsigned char)text->p[0];
    size_t n = slice_utf8(*text);

    if (n == 0) {
        memcpy(line + at, replacement, sizeof replacement);
        at += sizeof replacement;
    } else if (c == '"' || c == '\\') {
        line[at++] = '\\';
        line[at++] = (char)c;
    } else if (c < 0x20) {
        at += (size_t)snprintf(line + at, cap - at, "\\u%04x", c);
    } else {
        memcpy(line + at, text->p, n);
        at += n;
    }
    *text = slice_skip(*text, n ? n : 1);
    return at;
}

/* An event is one line: a line end inside it would let whoever chose the text write lines of his own. */
static void keep_on_one_line(char *line, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
}

static size_t format_line(char *line, size_t cap, enum log_level level, const char *text)
{
    int64_t wall = clock_wall_us();
    time_t sec = (time_t)(wall / CLOCK_S);
    struct tm tm;
    char when[32];
    size_t n;

    gmtime_r(&sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    if (atomic_load(&current_format) == LOG_FORMAT_JSON) {
        n = (size_t)snprintf(line, cap, "%s{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"message\":\"", log_prefix(level),
                             when, (int)(wall / 1000 % 1000), level_name[level]);
        for (struct slice rest = slice_str(text); rest.n && n + 6 + sizeof "\"}\n" <= cap;)
            n = put_json_char(line, n, cap, &rest);
        n += (size_t)snprintf(line + n, cap - n, "\"}\n");
        return n;
    }
    n = (size_t)snprintf(line, cap - 1, "%s%s.%03dZ %-5s %s", log_prefix(level), when, (int)(wall / 1000 % 1000),
                         level_name[level], text);
    if (n > cap - 2)
        n = cap - 2;
    keep_on_one_line(line, n);
    line[n++] = '\n';
    return n;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char text[4096], line[8192];
    int saved = errno;
    size_t n;
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (capture_sink) {
        capture_sink(level, text, capture_arg);
        return;
    }
    n = format_line(line, sizeof line, level, text);
    if (write(STDERR_FILENO, line, n) < 0) {
        /* nowhere left to say so */
    }
    errno = saved;
}

int log_level_parse(struct slice name, enum log_level *ret)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(level_name); i++) {
        if (slice_eq(name, slice_str(level_name[i]))) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

struct log_quoted log_quote(struct slice s)
{
    struct log_quoted q;
    size_t at = 0, n = s.n < 80 ? s.n : 80;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c > 0x20 && c < 0x7f && c != '"' && c != '\\')
            q.text[at++] = (char)c;
        else
            at += (size_t)snprintf(q.text + at, 5, "\\x%02x", c);
    }
    if (n < s.n && at + 4 <= sizeof q.text) {
        memcpy(q.text + at, "...", 3);
        at += 3;
    }
    q.text[at] = '\0';
    return q;
}
