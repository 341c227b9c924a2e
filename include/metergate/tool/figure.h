/*
 * figure: numbers as people read them. Integers alone: what is shown of money is what the ledger keeps, digit
 * by digit. Each function writes into `out` and returns it.
 */
#ifndef METERGATE_TOOL_FIGURE_H
#define METERGATE_TOOL_FIGURE_H

#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

#define FIGURE_SIZE 48

/* 1234567 as "1,234,567". */
const char *figure_int(int64_t v, char out[FIGURE_SIZE]);

/* Nano-dollars as "$1,234.004210", with so many digits after the point (6 or 9); what they leave out is cut.
 */
const char *figure_usd(int64_t nano, int digits, char out[FIGURE_SIZE]);

/* How many digits show all of it. */
int figure_usd_digits(int64_t nano);

/* "1234.004210000": all nine digits, nothing else, for other programs. */
const char *figure_usd_exact(int64_t nano, char out[FIGURE_SIZE]);

/* Milliseconds as "340 ms", "5.2 s", "3m 12s", "2h 5m": two parts are enough to know; up to an hour the nearest of what is shown. */
const char *figure_ms(int64_t ms, char out[FIGURE_SIZE]);

/* The same as it is said: "12 s", "4 min 12 s", "2 h 5 min", "3 d 4 h", to the nearest second; less than one
 * is "1 s". */
const char *figure_span(int64_t ms, char out[FIGURE_SIZE]);

/* The span of a window, exactly: "60 s", "6 h", "30 d", "0.500 s"; "-" for none. */
const char *figure_window(int64_t ms, char out[FIGURE_SIZE]);

/* Tenths as "1,234.5". */
const char *figure_tenths(int64_t tenths, char out[FIGURE_SIZE]);

/* What RFC 3339 writes of UTC as "2026-11-28 14:03:12" (a day stays a day); anything else as it is, safe to
 * show. */
void figure_time(struct slice text, struct buf *out);

/* How many of `places` stand for `part` of `whole` (none for nothing, all where there is no more to have). */
int figure_part(int64_t part, int64_t whole, int places);

/* " + 2 unpriced calls", to stand behind a sum of money that they are not in; "" for none. */
const char *figure_unpriced(int64_t calls, char out[FIGURE_SIZE]);

/* The sum, or the nearest that fits. */
int64_t figure_sum(int64_t a, int64_t b);

#endif
