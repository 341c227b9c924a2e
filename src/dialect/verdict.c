/*
 * verdict: every wait read here is the peer's word: it is at least 0, at most VERDICT_WAIT_MAX_US, and what
 * cannot be read is "not named", never a guess. A past moment is a wait of 0.
 */
#include "metergate/dialect/verdict.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "metergate/base/clock.h"

static int64_t bounded(int64_t us)
{
    return us < 0 ? 0 : us > VERDICT_WAIT_MAX_US ? VERDICT_WAIT_MAX_US : us;
}

/* ---- moments ----------------------------------------------------------------------------------------------
 */

/*
 * What may follow the seconds: of an HTTP date nothing; of RFC 3339 a fraction, which is cut, and the zone
 * (none is read as Z). How far the zone is ahead of UTC.
 */
static int parse_zone(const char *s, bool rfc3339, int64_t *ret_s)
{
    int hours, minutes, sign;

    *ret_s = 0;
    if (!rfc3339)
        return *s ? -EINVAL : 0;
    if (*s == '.')
        s += 1 + strspn(s + 1, "0123456789");
    if (!*s || strcmp(s, "Z") == 0)
        return 0;
    if ((*s != '+' && *s != '-') || strlen(s) != 6 || s[3] != ':' || strspn(s + 1, "0123456789") != 2 ||
        strspn(s + 4, "0123456789") != 2)
        return -EINVAL;
    sign = *s == '-' ? -1 : 1;
    hours = (s[1] - '0') * 10 + s[2] - '0';
    minutes = (s[4] - '0') * 10 + s[5] - '0';
    *ret_s = (int64_t)sign * (hours * 3600 + minutes * 60);
    return 0;
}

/*
 * A moment as RFC 9110 allows it in an HTTP date (three forms) or as RFC 3339 writes it; microseconds since
 * the epoch. Month and day names are the C locale's: nothing in the daemon sets another.
 */
static int parse_moment(struct slice s, int64_t *ret_us)
{
    static const struct {
        const char *form;
        bool rfc3339;
    } forms[] = {
        {"%a, %d %b %Y %H:%M:%S GMT", false}, /* Sun, 06 Nov 1994 08:49:37 GMT */
        {"%A, %d-%b-%y %H:%M:%S GMT", false}, /* Sunday, 06-Nov-94 08:49:37 GMT */
        {"%a %b %d %H:%M:%S %Y", false},      /* Sun Nov  6 08:49:37 1994 */
        {"%Y-%m-%dT%H:%M:%S", true},          /* 1994-11-06T08:49:37.5+01:00 */
    };
    char text[64];

    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n))
        return -EINVAL;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    for (size_t i = 0; i < MG_ARRAY_LEN(forms); i++) {
        struct tm tm = {0};
        const char *rest = strptime(text, forms[i].form, &tm);
        int64_t zone_s;

        if (!rest || parse_zone(rest, forms[i].rfc3339, &zone_s) < 0)
            continue;
        *ret_us = ((int64_t)timegm(&tm) - zone_s) * CLOCK_S;
        return 0;
    }
    return -EINVAL;
}

/* ---- headers ----------------------------------------------------------------------------------------------
 */

static struct slice header(const struct provider_answer *a, const char *name)
{
    return a->header ? slice_trim(a->header(a->arg, name)) : slice_of(NULL, 0);
}

/* A number without a unit, fractions allowed, in steps of `unit_us`. */
static int parse_number(struct slice s, int64_t unit_us, int64_t *ret_us)
{
    int64_t us;
    int rc;

    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
            return -EINVAL;
    rc = slice_duration_us(s, &us); /* as if it were seconds */
    if (rc == -ERANGE)
        us = VERDICT_WAIT_MAX_US;
    else if (rc < 0)
        return rc;
    else if (unit_us < CLOCK_S)
        us = us / (CLOCK_S / unit_us);
    *ret_us = bounded(us);
    return 0;
}

int verdict_retry_after_us(const struct provider_answer *a, int64_t *ret)
{
    struct slice s = header(a, "retry-after-ms");
    int64_t moment_us;

    if (s.n && parse_number(s, CLOCK_MS, ret) == 0)
        return 0;
    s = header(a, "retry-after");
    if (s.n && parse_number(s, CLOCK_S, ret) == 0)
        return 0;
    if (s.n == 0 || parse_moment(s, &moment_us) < 0)
        return -ENOENT;
    *ret = bounded(moment_us - a->wall_us);
    return 0;
}

/* Later than 2001 when read as seconds, later than 2001 when read as milliseconds: no wait is that long. */
#define EPOCH_S  INT64_C(1000000000)
#define EPOCH_MS INT64_C(1000000000000)

int verdict_reset_us(const struct provider_answer *a, const char *name, int64_t *ret)
{
    struct slice s = header(a, name);
    int64_t number, us;

    if (s.n == 0)
        return -ENOENT;
    if (slice_int64(s, &number) == 0 && number >= EPOCH_S) {
        number = number >= EPOCH_MS ? number / 1000 : number;
        *ret = number > INT64_MAX / CLOCK_S ? VERDICT_WAIT_MAX_US : bounded(number * CLOCK_S - a->wall_us);
        return 0;
    }
    if (slice_duration_us(s, &us) == 0) {
        *ret = bounded(us);
        return 0;
    }
    if (parse_moment(s, &us) < 0)
        return -ENOENT;
    *ret = bounded(us - a->wall_us);
    return 0;
}

/* ---- sentences --------------------------------------------------------------------------------------------
 */

struct slice verdict_after(struct slice text, const char *phrase)
{
    size_t n = strlen(phrase);

    for (size_t i = 0; i + n <= text.n; i++)
        if ((text.p[i] | 0x20) == (phrase[0] | 0x20) &&
            slice_eq_nocase(slice_of(text.p + i, n), slice_of(phrase, n)))
            return slice_skip(text, i + n);
    return slice_of(NULL, 0);
}

bool verdict_says(struct slice message, const char *phrase)
{
    return verdict_after(message, phrase).p != NULL;
}

/* The letters, digits and points at the start: "6m0s", "9.816s", "20". */
static struct slice first_word(struct slice s)
{
    size_t n = 0;

    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'a' && s.p[n] <= 'z') ||
                       (s.p[n] >= 'A' && s.p[n] <= 'Z') || s.p[n] == '.'))
        n++;
    while (n && s.p[n - 1] == '.')
        n--;
    return slice_head(s, n);
}

/* Of a unit that stands as a word of its own behind a number. */
static int64_t unit_seconds(struct slice word)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"minute", 60}, {"min", 60}, {"hour", 3600}, {"day", 86400}};

    for (size_t i = 0; i < MG_ARRAY_LEN(units); i++)
        if (word.n >= strlen(units[i].name) &&
            slice_eq_nocase(slice_head(word, strlen(units[i].name)), slice_str(units[i].name)))
            return units[i].seconds;
    return 1;
}

/* One that no clock can hold is one that is too long. */
static int duration_at(struct slice s, int64_t *ret)
{
    struct slice word, unit;
    int64_t us;
    int rc;

    s = slice_trim(s);
    word = first_word(s);
    rc = word.n ? slice_duration_us(word, &us) : -EINVAL;
    if (rc == -ERANGE)
        us = VERDICT_WAIT_MAX_US;
    else if (rc < 0)
        return -ENOENT;
    unit = first_word(slice_trim(slice_skip(s, word.n)));
    if (word.p[word.n - 1] <= '9') { /* a bare number */
        if (slice_starts(unit, SLICE("ms")) || slice_starts(unit, SLICE("milli")))
            us /= 1000;
        else
            us = bounded(us) * unit_seconds(unit);
    }
    *ret = bounded(us);
    return 0;
}

int verdict_sentence_wait_us(struct slice message, int64_t *ret)
{
    static const char *const phrases[] = {"try again in ", "retry after ", "retry in "};

    for (size_t i = 0; i < MG_ARRAY_LEN(phrases); i++) {
        struct slice rest = verdict_after(message, phrases[i]);

        if (rest.n && duration_at(rest, ret) == 0)
            return 0;
    }
    return -ENOENT;
}

/* A comma with exactly three digits behind it stands between thousands. */
static bool is_thousands(struct slice s)
{
    size_t n = 0;

    if (s.n == 0 || s.p[0] != ',')
        return false;
    while (n + 1 < s.n && s.p[n + 1] >= '0' && s.p[n + 1] <= '9')
        n++;
    return n == 3;
}

int verdict_take_number(struct slice *s, int64_t *ret)
{
    struct slice rest = slice_trim(*s);
    int64_t v = 0;
    bool any = false;

    while (rest.n && ((rest.p[0] >= '0' && rest.p[0] <= '9') || (any && is_thousands(rest)))) {
        if (rest.p[0] != ',' &&
            (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, rest.p[0] - '0', &v)))
            return -ERANGE;
        any = true;
        rest = slice_skip(rest, 1);
    }
    if (!any || first_word(rest).n) /* none, or "20s", or "1.5" */
        return -EINVAL;
    *ret = v;
    *s = rest;
    return 0;
}

int64_t verdict_sentence_number(struct slice message, const char *name)
{
    struct slice rest = verdict_after(message, name);
    int64_t v;

    return verdict_take_number(&rest, &v) == 0 ? v : -1;
}
