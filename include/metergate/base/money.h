/*
 * money: amounts of US dollars as text, exactly. An amount is int64 nano-dollars (10^-9 USD) everywhere; it is
 * never a floating-point number, not on its way to people or to JSON either.
 */
#ifndef METERGATE_BASE_MONEY_H
#define METERGATE_BASE_MONEY_H

#include <stdint.h>

#define MONEY_USD      INT64_C(1000000000) /* one dollar */
#define MONEY_TEXT_MAX 24                  /* of any amount, with its NUL */

/* a + b, or the nearest that there is: what providers report has no bound that many of it together would keep. */
int64_t money_sum(int64_t a, int64_t b);

/*
 * The dollars as a decimal number without zeros at its end, which is a number of JSON, too: "0.00421", "5",
 * "-12.5". Returns `out`.
 */
const char *money_text(int64_t nano, char out[MONEY_TEXT_MAX]);

/* The same with two decimals at least, as people write it: "0.00421", "5.00", "12.50". */
const char *money_words(int64_t nano, char out[MONEY_TEXT_MAX]);

#endif
