/* when: the calendar is the system's (timegm, gmtime_r); what it would put right (30 February) is refused
 * first. */
#include "metergate/base/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"

#define LAST_US (INT64_C(253402300800) * CLOCK_S - 1) /* of the year 9999 */

/* ---- reading ---- */

/* Takes exactly n digits off *s. */
static bool take_digits(struct slice *s, size_t n, int *ret)
{
    int v = 0;

    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = slice_skip(*s, n);
    *ret = v;
    return true;
}

/* Takes one of those characters off *s. */
static bool take_one(struct slice *s, const char *of)
{
    for (; s->n && *of; of++) {
        if (s->p[0] != *of)
            continue;
        *s = slice_skip(*s, 1);
        return true;
    }
    return false;
}

static bool take_date(struct slice *s, struct tm *tm)
{
    return take_digits(s, 4, &tm->tm_year) && take_one(s, "-") && take_digits(s, 2, &tm->tm_mon) &&
           take_one(s, "-") && take_digits(s, 2, &tm->tm_mday);
}

/* ".123456789": microseconds. A point wants a digit. */
static bool take_fraction(struct slice *s, int64_t *ret_us)
{
    int64_t scale = CLOCK_S / 10;
    int digit;

    if (!take_one(s, "."))
        return true;
    if (s->n == 0 || s->p[0] < '0' || s->p[0] > '9')
        return false;
    while (take_digits(s, 1, &digit)) {
        *ret_us += digit * scale;
        scale /= 10;
    }
    return true;
}

static bool take_zone(struct slice *s, int64_t *ret_s)
{
    int hours, minutes;
    bool west;

    if (take_one(s, "Zz"))
        return true;
    west = s->n && s->p[0] == '-';
    if (!take_one(s, "+-") || !take_digits(s, 2, &hours) || !take_one(s, ":") ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_s = (west ? -1 : 1) * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return true;
}

/* What follows the date. RFC 3339 5.6 lets a space stand for the T, and has a second of 60. */
static bool take_time(struct slice *s, struct tm *tm, int64_t *us, int64_t *zone_s)
{
    if (!take_one(s, "Tt ") || !take_digits(s, 2, &tm->tm_hour) || !take_one(s, ":") ||
        !take_digits(s, 2, &tm->tm_min))
        return false;
    if (take_one(s, ":") && (!take_digits(s, 2, &tm->tm_sec) || !take_fraction(s, us)))
        return false;
    return take_zone(s, zone_s) && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* Seconds since 1970 at the beginning of that day. */
static bool day_begins(const struct tm *tm, int64_t *ret_s)
{
    struct tm day = {.tm_year = tm->tm_year - 1900, .tm_mon = tm->tm_mon - 1, .tm_mday = tm->tm_mday};

    *ret_s = (int64_t)timegm(&day); /* puts `day` right: into another month, if there is no such day */
    return day.tm_year == tm->tm_year - 1900 && day.tm_mon == tm->tm_mon - 1 && day.tm_mday == tm->tm_mday;
}

static bool read_calendar(struct slice s, int64_t *ret_us)
{
    struct tm tm = {0};
    int64_t us = 0, zone_s = 0, day_s;

    if (!take_date(&s, &tm) || (s.n && !take_time(&s, &tm, &us, &zone_s)) || s.n || !day_begins(&tm, &day_s))
        return false;
    us += (day_s + tm.tm_hour * INT64_C(3600) + tm.tm_min * INT64_C(60) + tm.tm_sec - zone_s) * CLOCK_S;
    if (us < 0 || us > LAST_US)
        return false;
    *ret_us = us;
    return true;
}

/* How far back; weeks are not in the configuration's durations. */
static bool read_duration(struct slice s, int64_t *ret_us)
{
    int64_t weeks;

    if (s.n == 0 || (s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9'))
        return false;
    if (!slice_ends(s, SLICE("w")))
        return slice_duration_us(s, ret_us) == 0;
    return slice_int64(slice_head(s, s.n - 1), &weeks) == 0 &&
           !__builtin_mul_overflow(weeks, 7 * WHEN_DAY_US, ret_us);
}

int when_read(struct slice text, int64_t now_us, int64_t *ret_us, struct errbuf *e)
{
    int64_t back;

    text = slice_trim(text);
    if (read_calendar(text, ret_us))
        return 0;
    if (!read_duration(text, &back)) {
        err_set(e, "\"%s\" is not " WHEN_FORMS, log_quote(text).text);
        return -EINVAL;
    }
    if (back > now_us) {
        err_set(e, "\"%s\" ago is before 1970", log_quote(text).text);
        return -EINVAL;
    }
    *ret_us = now_us - back;
    return 0;
}

/* ---- writing ---- */

static struct tm calendar_of(int64_t *us)
{
    struct tm tm = {0};
    time_t at;

    *us = *us < 0 ? 0 : *us > LAST_US ? LAST_US : *us;
    at = (time_t)(*us / CLOCK_S);
    MG_ASSERT(gmtime_r(&at, &tm) != NULL);
    return tm;
}

void when_text(int64_t us, char ret[WHEN_SIZE])
{
    struct tm tm = calendar_of(&us);
    size_t n = strftime(ret, WHEN_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);

    snprintf(ret + n, WHEN_SIZE - n, ".%03uZ", (unsigned)((uint64_t)us / 1000 % 1000));
}

void when_hour_text(int64_t us, char ret[WHEN_SIZE])
{
    struct tm tm = calendar_of(&us);

    (void)strftime(ret, WHEN_SIZE, "%Y-%m-%dT%H:00Z", &tm);
}

void when_day_text(int64_t us, char ret[WHEN_SIZE])
{
    struct tm tm = calendar_of(&us);

    (void)strftime(ret, WHEN_SIZE, "%Y-%m-%d", &tm);
}
