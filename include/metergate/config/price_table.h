/*
 * price_table: what providers charge, as this version knows it: one row for each name, or for each day on which the
 * price of that name changed. Rows of one match stand together, the oldest first; what an earlier row matches, no later
 * row of another match is asked for.
 */
#ifndef METERGATE_CONFIG_PRICE_TABLE_H
#define METERGATE_CONFIG_PRICE_TABLE_H

#include <stddef.h>

#include "metergate/gate/price.h"

/* All rows; *ret_n is their number. `name` is what a row matches, as a key of `prices` does. */
const struct price *price_table(size_t *ret_n);

#endif
