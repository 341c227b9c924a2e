/*
 * when: moments as people write and read them. Microseconds since 1970, UTC; years 1970 to 9999.
 */
#ifndef METERGATE_BASE_WHEN_H
#define METERGATE_BASE_WHEN_H

#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define WHEN_HOUR_US INT64_C(3600000000)
#define WHEN_DAY_US  (24 * WHEN_HOUR_US)

/* What when_read takes, to be put into sentences. */
#define WHEN_FORMS                                                                                           \
    "a duration back from now (15m, 24h, 30d, 4w), a day of UTC (2026-11-01) or a time "                     \
    "(2026-11-01T14:00:00Z)"

/*
 * A duration back from now_us, as slice_duration_us has them, and weeks (4w), but always with a unit: a bare
 * 2026 could be meant as a year. A day: its beginning in UTC. A time of RFC 3339 (a fraction below
 * microseconds is cut), whose seconds may be left out. -EINVAL with a sentence, which quotes the text, for
 * what is none of these, is no date of the calendar or lies before 1970.
 */
int when_read(struct slice text, int64_t now_us, int64_t *ret_us, struct errbuf *e) MG_MUSTCHECK;

/* Texts of a moment from 1970 to 9999; what lies outside is shown as the nearest one inside. */
#define WHEN_SIZE 25
void when_text(int64_t us,
               char ret[WHEN_SIZE]); /* "2026-11-28T14:05:09.123Z": RFC 3339, cut to milliseconds */
void when_hour_text(int64_t us, char ret[WHEN_SIZE]); /* of its hour: "2026-11-28T14:00Z" */
void when_day_text(int64_t us, char ret[WHEN_SIZE]);  /* of its day: "2026-11-28" */

#endif
