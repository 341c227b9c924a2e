/* duration: everything is whole milliseconds from the first line on. */
#include "duration.h"

#include <inttypes.h>
#include <stdio.h>

#include "metergate/base/buf.h"

void duration_print(struct buf *out, int64_t us)
{
    int64_t ms = (us + 500) / 1000;
    int64_t hours = ms / 3600000, minutes = ms / 60000 % 60;

    if (ms == 0) {
        buf_add_str(out, "0s");
        return;
    }
    if (ms < 1000) {
        buf_addf(out, "%" PRId64 "ms", ms);
        return;
    }
    if (hours)
        buf_addf(out, "%" PRId64 "h", hours);
    if (hours || minutes)
        buf_addf(out, "%" PRId64 "m", minutes);
    buf_addf(out, "%" PRId64, ms % 60000 / 1000);
    if (ms % 1000) {
        char digits[8];
        int n = 3;

        snprintf(digits, sizeof digits, "%03d", (int)(ms % 1000));
        while (digits[n - 1] == '0')
            n--;
        buf_addf(out, ".%.*s", n, digits);
    }
    buf_add_char(out, 's');
}
