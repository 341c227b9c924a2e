/*
 * prices: what a call of a model is billed by: the first entry of the configuration's `prices` that matches the
 * model's name, laid over the row of the built-in table that the name gets.
 *
 *   key                 matches
 *   gpt-4o              gpt-4o and its dated snapshots gpt-4o-2024-08-06; not gpt-4o-mini
 *   with * ? [          what the glob matches; "*" is everything
 *
 * A name is taken as it is: a fine-tuned one (ft:gpt-4o:...) and one with a gateway's prefix (openai/gpt-4o) have
 * prices of their own, and match only what is written for them.
 */
#ifndef METERGATE_CONFIG_PRICES_H
#define METERGATE_CONFIG_PRICES_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/config/config.h"
#include "metergate/gate/price.h"

/*
 * The price of that model on that day (20261128), or NULL: nothing is known of it. A row of the table holds from its
 * day on, the first of a match before that, too. What the configuration gives replaces the row's figures one by one;
 * without a row what was read from a cache, and what was written to one, costs as input unless it says otherwise.
 *
 * The result lies in *room, or is static; its texts live as long as the configuration. A walk through the table: keep
 * the answer.
 */
const struct price *prices_find(const struct config *c, struct slice model, int32_t day, struct price *room);

/*
 * Calls `each` for every price that is in force on that day: those of the configuration first, then the table's. An
 * entry of the configuration whose key is a glob shows its own figures alone: which others it has depends on the name.
 * `p` is valid during the call.
 */
void prices_each(const struct config *c, int32_t day,
                 void (*each)(void *arg, const struct price *p, bool configured), void *arg);

/* The day of a moment in microseconds since 1970, in UTC: 20261128. */
int32_t prices_day(int64_t wall_us);

#endif
