/* money: the longest text is that of INT64_MIN, 21 characters. */
#include "metergate/base/money.h"

#include <inttypes.h>
#include <stdio.h>

#define DECIMALS 9

int64_t money_sum(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static const char *write_decimal(int64_t nano, int least, char *out)
{
    uint64_t size = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    uint64_t dollars = size / (uint64_t)MONEY_USD, rest = size % (uint64_t)MONEY_USD;
    int n = snprintf(out, MONEY_TEXT_MAX, "%s%" PRIu64 ".%09" PRIu64, nano < 0 ? "-" : "", dollars, rest);
    int kept = DECIMALS;

    while (kept > least && out[n - 1] == '0') {
        n--;
        kept--;
    }
    out[kept == 0 ? n - 1 : n] = '\0'; /* without decimals no point either */
    return out;
}

const char *money_text(int64_t nano, char out[MONEY_TEXT_MAX])
{
    return write_decimal(nano, 0, out);
}

const char *money_words(int64_t nano, char out[MONEY_TEXT_MAX])
{
    return write_decimal(nano, 2, out);
}
