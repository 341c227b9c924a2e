/* slice: every number is read by hand with its range checked, never by a function that reads past the end. */
#include "metergate/base/slice.h"

#include <errno.h>
#include <strings.h>

bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.n >= prefix.n && slice_eq(slice_head(s, prefix.n), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
    return s.n >= suffix.n && slice_eq(slice_skip(s, s.n - suffix.n), suffix);
}

size_t slice_find(struct slice s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;

    return hit ? (size_t)(hit - s.p) : s.n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = slice_skip(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

int slice_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

int slice_escaped(struct slice s)
{
    int high, low;

    if (s.n < 3 || s.p[0] != '%')
        return -1;
    high = slice_hex_digit(s.p[1]);
    low = slice_hex_digit(s.p[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

struct slice slice_head(struct slice s, size_t n)
{
    return slice_of(s.p, n < s.n ? n : s.n);
}

struct slice slice_skip(struct slice s, size_t n)
{
    if (n > s.n)
        n = s.n;
    return slice_of(s.n ? s.p + n : s.p, s.n - n);
}

/* True when p[i] is a byte that continues a sequence and lies within [low, high]. */
static bool continues(struct slice s, size_t i, unsigned char low, unsigned char high)
{
    return i < s.n && (unsigned char)s.p[i] >= low && (unsigned char)s.p[i] <= high;
}

size_t slice_utf8(struct slice s)
{
    unsigned char c = s.n ? (unsigned char)s.p[0] : 0xff;
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (!continues(s, 1, low, high))
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (!continues(s, i, 0x80, 0xbf))
            return 0;
    }
    return n;
}

uint32_t slice_code_point(struct slice s, size_t n)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)s.p[0] & lead[n];

    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
    return c;
}

/*
 * Whether c is in the bracket expression that *p points into, behind its '['. Moves *p behind its ']'; without one, the
 * '[' was an ordinary character, and *p stays.
 */
static bool in_bracket(const char **p, char c)
{
    const char *at = *p;
    bool negated = *at == '!' || *at == '^', found = false;

    at += negated;
    for (bool first = true; *at && (first || *at != ']'); first = false) {
        char low = *at++, high = low;

        if (low == '\\' && *at)
            low = high = *at++;
        if (at[0] == '-' && at[1] && at[1] != ']') {
            at++;
            if (*at == '\\' && at[1])
                at++;
            high = *at++;
        }
        found = found || ((unsigned char)c >= (unsigned char)low && (unsigned char)c <= (unsigned char)high);
    }
    if (!*at)
        return c == '[';
    *p = at + 1;
    return found != negated;
}

/* Whether c matches the one pattern character (not '*', not the end) at *p; moves *p behind it. */
static bool one_matches(const char **p, char c)
{
    char want = *(*p)++;

    if (want == '?')
        return true;
    if (want == '[')
        return in_bracket(p, c);
    if (want == '\\' && **p)
        want = *(*p)++;
    return want == c;
}

/*
 * Only the last '*' is ever tried again: what an earlier one could take more of, the last can take as well. So the time
 * is at most the product of the two lengths, whatever the pattern (fnmatch's is exponential in the number of stars).
 */
bool slice_glob(struct slice s, const char *pattern)
{
    const char *star = NULL;
    size_t at = 0, retry = 0;

    if (s.n > 256)
        return false;
    while (at < s.n || *pattern) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = at;
        } else if (at < s.n && *pattern && one_matches(&pattern, s.p[at])) {
            at++;
        } else if (star && retry < s.n) {
            pattern = star;
            at = ++retry;
        } else {
            return false;
        }
    }
    return true;
}

int slice_int64(struct slice s, int64_t *ret)
{
    int64_t v = 0;

    if (s.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
            return -ERANGE;
    }
    *ret = v;
    return 0;
}

__extension__ typedef __int128 int128;

/* A decimal: billionths, and whether digits behind the ninth were lost. */
struct decimal {
    int128 nano;
    bool cut;
};

/* Advances *s past the digits. */
static int take_decimal(struct slice *s, struct decimal *ret)
{
    int64_t whole = 0, frac = 0, scale = 100000000;
    size_t digits = 0;
    bool cut = false;

    while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, s->p[0] - '0', &whole))
            return -ERANGE;
        *s = slice_skip(*s, 1);
        digits++;
    }
    if (s->n && s->p[0] == '.') {
        *s = slice_skip(*s, 1);
        while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
            cut = cut || (scale == 0 && s->p[0] != '0');
            frac += (s->p[0] - '0') * scale;
            scale /= 10;
            *s = slice_skip(*s, 1);
            digits++;
        }
    }
    if (digits == 0)
        return -EINVAL;
    *ret = (struct decimal){(int128)whole * 1000000000 + frac, cut};
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* The letters at the start of *s, looked up; advances past them. No letters at all is the row named "". */
static int take_unit(struct slice *s, const struct unit *table, int64_t *ret_factor)
{
    size_t n = 0;

    while (n < s->n && ((s->p[n] >= 'a' && s->p[n] <= 'z') || (s->p[n] >= 'A' && s->p[n] <= 'Z')))
        n++;
    for (const struct unit *u = table; u->name; u++) {
        if (!slice_eq(slice_head(*s, n), slice_str(u->name)))
            continue;
        *s = slice_skip(*s, n);
        *ret_factor = u->factor;
        return 0;
    }
    return -EINVAL;
}

/* d * factor; -ERANGE when it does not fit. `whole` demands that nothing is lost. */
static int scale_decimal(const struct decimal *d, int64_t factor, bool whole, int64_t *ret)
{
    int128 v = d->nano; /* < 2^93; factors are below 2^37 */

    if (v > ((int128)1 << 126) / factor)
        return -ERANGE;
    v *= factor;
    if (whole && (d->cut || v % 1000000000 != 0))
        return -EINVAL;
    v /= 1000000000;
    if (v > INT64_MAX)
        return -ERANGE;
    *ret = (int64_t)v;
    return 0;
}

int slice_duration_us(struct slice s, int64_t *ret)
{
    static const struct unit units[] = {{"us", 1},          {"ms", 1000},         {"s", 1000000},
                                        {"m", 60000000},    {"h", 3600000000},    {"d", 86400000000}, {NULL, 0}};
    static const struct unit bare[] = {{"", 1000000}, {NULL, 0}};
    const int64_t limit_us = INT64_C(36525) * 86400000000;
    int64_t total = 0;
    bool first = true;

    s = slice_trim(s);
    if (s.n == 0)
        return -EINVAL;
    while (s.n) {
        struct decimal d;
        int64_t factor, us;
        int rc = take_decimal(&s, &d);

        if (rc < 0)
            return rc;
        rc = take_unit(&s, first && s.n == 0 ? bare : units, &factor);
        if (rc < 0)
            return rc;
        rc = scale_decimal(&d, factor, false, &us);
        if (rc < 0)
            return rc;
        if (us > limit_us || total + us > limit_us)
            return -ERANGE;
        total += us;
        first = false;
    }
    *ret = total;
    return 0;
}

static int number_with_unit(struct slice s, const struct unit *units, int64_t *ret)
{
    struct decimal d;
    int64_t factor;
    int rc;

    s = slice_trim(s);
    rc = take_decimal(&s, &d);
    if (rc < 0)
        return rc;
    rc = take_unit(&s, units, &factor);
    if (rc < 0)
        return rc;
    if (s.n)
        return -EINVAL;
    return scale_decimal(&d, factor, true, ret);
}

int slice_size_bytes(struct slice s, int64_t *ret)
{
    static const struct unit units[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},   {"kB", 1000},
                                        {"MB", 1000000},  {"GB", 1000000000}, {"B", 1}, {"", 1}, {NULL, 0}};

    return number_with_unit(s, units, ret);
}

int slice_count(struct slice s, int64_t *ret)
{
    static const struct unit units[] = {{"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}, {"", 1}, {NULL, 0}};

    return number_with_unit(s, units, ret);
}
