/*
 * fuzz_values: durations, sizes, counts, whole numbers, moments, waits and request ids are read as a slow reader written from
 * their manuals reads them, and what is written of a value is read back as it. The first byte says what the rest is: a text of
 * one of the kinds below, or (`#`) eight bytes of a number that is written in every form there is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/base/money.h"
#include "metergate/base/scan_text.h"
#include "metergate/base/slice.h"
#include "metergate/base/when.h"
#include "metergate/config/format.h"
#include "metergate/dialect/verdict.h"
#include "metergate/ledger/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

__extension__ typedef __int128 int128;

#define NOW_US     (INT64_C(1795435200) * CLOCK_S)
#define CENTURY_US (INT64_C(36525) * 86400 * CLOCK_S)

/* ---- the slow reader: digits, a point, digits, a unit ---- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {{"us", 1},          {"ms", 1000},          {"s", 1000000},    {"m", 60000000},
                                        {"h", 3600000000},  {"d", 86400000000},    {NULL, 0}};
static const struct unit sizes[] = {{"B", 1},    {"", 1},          {"kB", 1000},     {"MB", 1000000}, {"GB", 1000000000},
                                    {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
static const struct unit counts[] = {{"", 1}, {"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL, 0}};

enum naive { READ, NO_SUCH, TOO_LONG_FOR_ME };

struct amount {
    int128 digits; /* times the factor of the unit */
    int128 below;  /* a power of ten: the value is digits / below */
    bool bare;     /* it has no unit */
};

static enum naive take_amount(struct slice *s, const struct unit *units, struct amount *ret)
{
    size_t digits = 0, letters = 0;
    bool point = false;

    *ret = (struct amount){0, 1, false};
    for (; s->n; *s = slice_skip(*s, 1)) {
        if (s->p[0] == '.' && !point) {
            point = true;
            continue;
        }
        if (s->p[0] < '0' || s->p[0] > '9')
            break;
        ret->digits = ret->digits * 10 + (s->p[0] - '0');
        ret->below *= point ? 10 : 1;
        if (++digits > 17)
            return TOO_LONG_FOR_ME;
    }
    while (letters < s->n && (unsigned char)((s->p[letters] | 0x20) - 'a') < 26)
        letters++;
    ret->bare = letters == 0;
    if (digits == 0)
        return NO_SUCH;
    if (ret->bare && units == durations)
        return READ;
    for (; units->name; units++) {
        if (!slice_eq(slice_head(*s, letters), slice_str(units->name)))
            continue;
        ret->digits *= units->factor;
        *s = slice_skip(*s, letters);
        return READ;
    }
    return NO_SUCH;
}

static enum naive naive_duration(struct slice s, int128 *ret)
{
    bool alone = true;

    *ret = 0;
    for (s = slice_trim(s); s.n || alone; alone = false) {
        struct amount a;
        enum naive what = take_amount(&s, durations, &a);

        if (what != READ)
            return what;
        if (a.bare && (s.n || !alone))
            return NO_SUCH;
        *ret += a.bare ? a.digits * 1000000 / a.below : a.digits / a.below;
        if (*ret > CENTURY_US)
            return TOO_LONG_FOR_ME;
    }
    return READ;
}

static void check_duration(struct slice s)
{
    int64_t us = -7;
    int rc = slice_duration_us(s, &us);
    enum naive what;
    int128 want;

    what = naive_duration(s, &want);
    MG_ASSERT(rc == 0 ? us >= 0 && us <= CENTURY_US : us == -7 && (rc == -EINVAL || rc == -ERANGE));
    if (what == READ)
        MG_ASSERT(rc == 0 && us == want);
    if (what == NO_SUCH)
        MG_ASSERT(rc == -EINVAL);
}

static void check_amount(struct slice s, const struct unit *units, int (*read)(struct slice, int64_t *))
{
    int64_t v = -7;
    int rc = read(s, &v);
    struct amount a;
    enum naive what;

    s = slice_trim(s);
    what = take_amount(&s, units, &a);
    MG_ASSERT(rc == 0 ? v >= 0 : v == -7 && (rc == -EINVAL || rc == -ERANGE));
    if (what == TOO_LONG_FOR_ME)
        return;
    if (what == READ && s.n)
        what = NO_SUCH;
    if (what == NO_SUCH || a.digits % a.below != 0)
        MG_ASSERT(rc == -EINVAL);
    else if (a.digits / a.below > INT64_MAX)
        MG_ASSERT(rc == -ERANGE);
    else
        MG_ASSERT(rc == 0 && v == a.digits / a.below);
}

/* ---- whole numbers ---- */

static void check_int64(struct slice s)
{
    int64_t v = -7;
    int rc = slice_int64(s, &v);
    bool digits = s.n > 0;
    uint64_t want = 0;

    for (size_t i = 0; i < s.n; i++)
        digits = digits && s.p[i] >= '0' && s.p[i] <= '9';
    if (!digits)
        MG_ASSERT(rc == -EINVAL || rc == -ERANGE); /* too large before its fault was met */
    if (!digits || s.n > 19) {
        MG_ASSERT(rc == 0 || v == -7);
        return;
    }
    for (size_t i = 0; i < s.n; i++)
        want = want * 10 + (uint64_t)(s.p[i] - '0');
    MG_ASSERT(want > INT64_MAX ? rc == -ERANGE : rc == 0 && (uint64_t)v == want);
}

/* What a number of JSON says: its digits without zeros around them, times a power of ten. */
struct naive_number {
    bool below_0;
    char digits[64];
    size_t n;
    int64_t exponent;
};

static struct naive_number read_number(struct slice s)
{
    struct naive_number v = {.below_0 = s.p[0] == '-'};
    bool point = false;
    size_t i = v.below_0;

    for (; i < s.n && (s.p[i] | 0x20) != 'e'; i++) {
        v.exponent -= point && s.p[i] != '.';
        point = point || s.p[i] == '.';
        if (s.p[i] != '.' && (v.n || s.p[i] != '0'))
            v.digits[v.n++] = s.p[i];
    }
    if (i < s.n) {
        bool minus = s.p[i + 1] == '-';
        int64_t e = 0;

        for (i += 1 + (s.p[i + 1] == '-' || s.p[i + 1] == '+'); i < s.n; i++)
            e = e > 100000 ? e : e * 10 + (s.p[i] - '0');
        v.exponent += minus ? -e : e;
    }
    for (; v.n && v.digits[v.n - 1] == '0'; v.n--)
        v.exponent++;
    return v;
}

static void check_json_number(struct slice s)
{
    int64_t v = -7;
    int rc = scan_int64(s, &v);
    struct scan scan;
    struct scan_value found;
    struct naive_number number;
    int128 want = 0;

    MG_ASSERT(rc == 0 || v == -7);
    scan_init(&scan, s);
    found = scan_value(&scan);
    if (found.type != SCAN_NUMBER || scan_end(&scan) < 0 || found.n != s.n) {
        MG_ASSERT(found.n == s.n || rc < 0);
        return;
    }
    if (s.n >= sizeof number.digits)
        return;
    number = read_number(s);
    if (number.n && number.exponent < 0) {
        MG_ASSERT(rc < 0);
        return;
    }
    if (number.n && (int64_t)number.n + number.exponent > 19) {
        MG_ASSERT(rc == -ERANGE);
        return;
    }
    for (size_t i = 0; i < number.n; i++)
        want = want * 10 + (number.digits[i] - '0');
    for (int64_t i = 0; number.n && i < number.exponent; i++)
        want *= 10;
    want = number.below_0 ? -want : want;
    MG_ASSERT(want > INT64_MAX || want < INT64_MIN ? rc == -ERANGE : rc == 0 && v == want);
}

/* ---- moments and waits ---- */

static void check_when(struct slice s)
{
    struct errbuf e = {""};
    char back[WHEN_SIZE];
    int64_t us = -7;
    int rc = when_read(s, NOW_US, &us, &e);

    MG_ASSERT((rc == 0) == (e.text[0] == '\0'));
    MG_ASSERT(rc == 0 ? us >= 0 && us < INT64_C(253402300800) * CLOCK_S : rc == -EINVAL && us == -7);
    s = slice_trim(s);
    if (rc < 0 || s.n != 20 || s.p[19] != 'Z' || slice_starts(slice_skip(s, 17), SLICE("60")))
        return;
    when_text(us, back);
    MG_ASSERT(slice_eq(slice_head(slice_str(back), 10), slice_head(s, 10)));
    MG_ASSERT(slice_eq(slice_head(slice_skip(slice_str(back), 11), 8), slice_head(slice_skip(s, 11), 8)));
}

struct header {
    const char *name;
    struct slice value;
};

static struct slice find_header(void *arg, const char *name)
{
    const struct header *h = arg;

    return strcmp(h->name, name) == 0 ? h->value : slice_of(NULL, 0);
}

static int64_t bounded(int128 us)
{
    return us < 0 ? 0 : us > VERDICT_WAIT_MAX_US ? VERDICT_WAIT_MAX_US : (int64_t)us;
}

static int wait_of(const char *name, struct slice value, int64_t *ret)
{
    struct header h = {name, value};
    const struct provider_answer a = {.status = 429, .header = find_header, .arg = &h, .wall_us = NOW_US};

    return strcmp(name, "reset") == 0 ? verdict_reset_us(&a, name, ret) : verdict_retry_after_us(&a, ret);
}

/* Of these forms the slow reader knows the numbers alone; dates are written by check_number. */
static void check_wait(const char *name, struct slice s)
{
    int64_t us = -7;
    int rc = wait_of(name, s, &us);
    struct slice text = slice_trim(s);
    struct amount a;

    MG_ASSERT(rc == 0 ? us >= 0 && us <= VERDICT_WAIT_MAX_US : rc == -ENOENT && us == -7);
    if (strcmp(name, "reset") == 0 || take_amount(&text, durations, &a) != READ || text.n)
        return;
    if (a.bare)
        MG_ASSERT(rc == 0 && us == bounded(a.digits * (strcmp(name, "retry-after") == 0 ? 1000000 : 1000) / a.below));
}

static void check_sentence(struct slice s)
{
    int64_t us = -7, number = -7;
    struct slice rest = s;
    int rc = verdict_sentence_wait_us(s, &us);

    MG_ASSERT(rc == 0 ? us >= 0 && us <= VERDICT_WAIT_MAX_US : rc == -ENOENT && us == -7);
    rc = verdict_take_number(&rest, &number);
    MG_ASSERT(rc == 0 ? number >= 0 && rest.p > s.p && rest.p + rest.n <= s.p + s.n : number == -7);
    MG_ASSERT(verdict_sentence_number(s, "limit ") >= -1);
    rest = verdict_after(s, "limit ");
    MG_ASSERT((rest.p != NULL) == verdict_says(s, "limit "));
    if (rest.p)
        MG_ASSERT(rest.p >= s.p + 6 && slice_eq_nocase(slice_of(rest.p - 6, 6), SLICE("limit ")));
}

static void check_id(struct slice s)
{
    char back[ROW_ID_SIZE];
    int64_t id = -7;

    if (row_id_read(s.p, s.n, &id) < 0) {
        MG_ASSERT(id == -7);
        return;
    }
    row_id_text(id, back);
    MG_ASSERT(id > 0 && slice_eq(slice_str(back), s));
}

/* ---- what is written is read back ---- */

static void check_dates(int64_t s)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y",
                                        "%Y-%m-%dT%H:%M:%SZ"};
    time_t at = (time_t)s;
    char text[64];
    struct tm tm;
    int64_t us;

    MG_ASSERT(gmtime_r(&at, &tm));
    for (size_t i = 0; i < MG_ARRAY_LEN(forms); i++) {
        size_t n = strftime(text, sizeof text, forms[i], &tm);

        if (i == 1 && (tm.tm_year < 69 || tm.tm_year > 168))
            continue; /* two digits of a year mean these */
        MG_ASSERT(wait_of("retry-after", slice_of(text, n), &us) == 0 && us == bounded((int128)s * CLOCK_S - NOW_US));
        MG_ASSERT(wait_of("reset", slice_of(text, n), &us) == 0 && us == bounded((int128)s * CLOCK_S - NOW_US));
    }
}

static void check_money(int64_t nano)
{
    char text[MONEY_TEXT_MAX], words[MONEY_TEXT_MAX], exact[48];
    uint64_t size = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    struct slice t = slice_str(money_text(nano, text)), w = slice_str(money_words(nano, words));
    int n = snprintf(exact, sizeof exact, "%s%" PRIu64 ".%09" PRIu64, nano < 0 ? "-" : "", size / 1000000000,
                     size % 1000000000);

    MG_ASSERT(slice_starts(slice_of(exact, (size_t)n), t) && slice_starts(slice_of(exact, (size_t)n), w));
    for (const char *p = exact + t.n; *p; p++)
        MG_ASSERT(*p == '0' || *p == '.');
    for (const char *p = exact + w.n; *p; p++)
        MG_ASSERT(*p == '0');
    MG_ASSERT(w.n - slice_find(w, '.') >= 3 && t.p[t.n - 1] != '.');
}

static void check_number(int64_t v)
{
    char text[WHEN_SIZE], id[ROW_ID_SIZE];
    struct errbuf e;
    struct buf out;
    int64_t back, year_9999 = INT64_C(253402300800) * CLOCK_S;

    check_money(v);
    buf_init(&out, BUF_UNLIMITED);
    if (v >= 0 && v <= CENTURY_US) {
        format_duration(v, &out);
        MG_ASSERT(slice_duration_us(buf_slice(&out), &back) == 0 && back == v);
    }
    buf_reset(&out);
    buf_addf(&out, "%" PRId64, v);
    MG_ASSERT(scan_int64(buf_slice(&out), &back) == 0 && back == v);
    buf_release(&out);
    when_text(v, text);
    MG_ASSERT(strlen(text) == 24 && when_read(slice_str(text), NOW_US, &back, &e) == 0);
    MG_ASSERT(back == (v < 0 ? 0 : v >= year_9999 ? year_9999 - 1000 : v - v % 1000));
    if (v > 0 && v & INT64_C(0x7ffffffff)) {
        row_id_text(v, id);
        MG_ASSERT(row_id_read(id, strlen(id), &back) == 0 && back == v);
    }
    check_dates((int64_t)((uint64_t)v % UINT64_C(253402300800)));
    check_dates(NOW_US / CLOCK_S + v % 200000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data + (n > 0), n - (n > 0));
    int64_t number;

    switch (n ? data[0] : 0) {
    case 'd':
        check_duration(text);
        break;
    case 's':
        check_amount(text, sizes, slice_size_bytes);
        break;
    case 'c':
        check_amount(text, counts, slice_count);
        break;
    case 'i':
        check_int64(text);
        break;
    case 'j':
        check_json_number(text);
        break;
    case 'w':
        check_when(text);
        break;
    case 'r':
        check_wait("retry-after", text);
        break;
    case 'm':
        check_wait("retry-after-ms", text);
        break;
    case 't':
        check_wait("reset", text);
        break;
    case 'y':
        check_sentence(text);
        break;
    case 'l':
        check_id(text);
        break;
    default:
        if (text.n >= sizeof number) {
            memcpy(&number, text.p, sizeof number);
            check_number(number);
        }
    }
    return 0;
}
