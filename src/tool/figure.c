/* figure: the sign is written apart and the rest is unsigned, so that the smallest number is one like others.
 */
#include "metergate/tool/figure.h"

#include <inttypes.h>
#include <stdio.h>

#include "metergate/base/plain.h"

#define NANO UINT64_C(1000000000)

static uint64_t size_of(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* Thousands set apart; `head` before the first digit. */
static int grouped(const char *head, uint64_t v, char out[FIGURE_SIZE])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, v), at = snprintf(out, FIGURE_SIZE, "%s", head);

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return at;
}

const char *figure_int(int64_t v, char out[FIGURE_SIZE])
{
    grouped(v < 0 ? "-" : "", size_of(v), out);
    return out;
}

const char *figure_usd(int64_t nano, int digits, char out[FIGURE_SIZE])
{
    uint64_t size = size_of(nano);
    int at = grouped(nano < 0 ? "-$" : "$", size / NANO, out);

    if (digits == 9)
        snprintf(out + at, FIGURE_SIZE - (size_t)at, ".%09" PRIu64, size % NANO);
    else
        snprintf(out + at, FIGURE_SIZE - (size_t)at, ".%06" PRIu64, size % NANO / 1000);
    return out;
}

int figure_usd_digits(int64_t nano)
{
    return nano % 1000 ? 9 : 6;
}

const char *figure_usd_exact(int64_t nano, char out[FIGURE_SIZE])
{
    uint64_t size = size_of(nano);

    snprintf(out, FIGURE_SIZE, "%s%" PRIu64 ".%09" PRIu64, nano < 0 ? "-" : "", size / NANO, size % NANO);
    return out;
}

const char *figure_ms(int64_t ms, char out[FIGURE_SIZE])
{
    int64_t n = ms / 1000;

    if (n >= 100) /* the nearest, as in figure_span: one start is not two numbers */
        n += ms % 1000 >= 500;
    if (ms > -1000 && ms < 1000)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " ms", ms);
    else if (n >= 0 && n < 100 && (ms + 50) / 100 % 10)
        snprintf(out, FIGURE_SIZE, "%" PRId64 ".%" PRId64 " s", (ms + 50) / 1000, (ms + 50) / 100 % 10);
    else if (n >= 0 && n < 100)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " s", (ms + 50) / 1000);
    else if (n < 120)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " s", n);
    else if (n < 7200)
        snprintf(out, FIGURE_SIZE, "%" PRId64 "m %" PRId64 "s", n / 60, n % 60);
    else if (n < INT64_C(172800))
        snprintf(out, FIGURE_SIZE, "%" PRId64 "h %" PRId64 "m", n / 3600, n / 60 % 60);
    else
        snprintf(out, FIGURE_SIZE, "%" PRId64 "d %" PRId64 "h", n / 86400, n / 3600 % 24);
    return out;
}

const char *figure_span(int64_t ms, char out[FIGURE_SIZE])
{
    int64_t n = ms < 1000 ? 1 : ms / 1000 + (ms % 1000 >= 500);

    if (n < 60)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " s", n);
    else if (n < 3600)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " min %" PRId64 " s", n / 60, n % 60);
    else if (n < INT64_C(172800))
        snprintf(out, FIGURE_SIZE, "%" PRId64 " h %" PRId64 " min", n / 3600, n / 60 % 60);
    else
        snprintf(out, FIGURE_SIZE, "%" PRId64 " d %" PRId64 " h", n / 86400, n / 3600 % 24);
    return out;
}

const char *figure_window(int64_t ms, char out[FIGURE_SIZE])
{
    if (ms <= 0)
        snprintf(out, FIGURE_SIZE, "-");
    else if (ms % 86400000 == 0)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " d", ms / 86400000);
    else if (ms % 3600000 == 0)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " h", ms / 3600000);
    else if (ms % 1000 == 0)
        snprintf(out, FIGURE_SIZE, "%" PRId64 " s", ms / 1000);
    else
        snprintf(out, FIGURE_SIZE, "%" PRId64 ".%03" PRId64 " s", ms / 1000, ms % 1000);
    return out;
}

const char *figure_tenths(int64_t tenths, char out[FIGURE_SIZE])
{
    uint64_t size = size_of(tenths);
    int at = grouped(tenths < 0 ? "-" : "", size / 10, out);

    snprintf(out + at, FIGURE_SIZE - (size_t)at, ".%" PRIu64, size % 10);
    return out;
}

/* "dddd-dd-dd" and so on: as long as the text, d for each digit. */
static bool looks_like(struct slice text, const char *pattern)
{
    for (size_t i = 0; pattern[i]; i++) {
        if (i >= text.n)
            return false;
        if (pattern[i] == 'd' ? text.p[i] < '0' || text.p[i] > '9' : text.p[i] != pattern[i])
            return false;
    }
    return true;
}

void figure_time(struct slice text, struct buf *out)
{
    if (!looks_like(text, "dddd-dd-ddTdd:dd:dd") || text.p[text.n - 1] != 'Z') {
        plain_add(out, text);
        return;
    }
    buf_add(out, text.p, sizeof "2026-11-28" - 1);
    buf_add_char(out, ' ');
    buf_add(out, text.p + sizeof "2026-11-28T" - 1, sizeof "14:03:12" - 1);
}

int figure_part(int64_t part, int64_t whole, int places)
{
    if (part <= 0)
        return 0;
    if (whole <= 0 || part >= whole)
        return places;
    while (part > INT64_MAX / places) { /* of such amounts the last digits are not seen */
        part /= 2;
        whole /= 2;
    }
    return (int)(part * places / whole);
}

const char *figure_unpriced(int64_t calls, char out[FIGURE_SIZE])
{
    char digits[FIGURE_SIZE];

    out[0] = '\0';
    if (calls > 0)
        snprintf(out, FIGURE_SIZE, " + %.25s unpriced call%s", figure_int(calls, digits), calls == 1 ? "" : "s");
    return out;
}

int64_t figure_sum(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}
