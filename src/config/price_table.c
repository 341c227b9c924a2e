/* price_table: see the header. Figures are thousandths of a dollar per million tokens. */
#include "metergate/config/price_table.h"

#include "metergate/base/err.h"

#define PICO(thousandths) ((thousandths) < 0 ? PRICE_UNKNOWN : INT64_C(1000) * (thousandths))

static const struct price rows[] = {
    {.name = "gpt-4o", .source = "models.dev, read 2026-07-02", .since = 20260702, .priority = {17, 10},
     .rates = {{PICO(2500), PICO(1250), PICO(2500), PICO(2500), PICO(10000)}}},
};

const struct price *price_table(size_t *ret_n)
{
    *ret_n = MG_ARRAY_LEN(rows);
    return rows;
}
