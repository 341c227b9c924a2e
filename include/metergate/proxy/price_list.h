/*
 * price_list: GET /-/prices: the prices in force, where each of them comes from, and what a call of one name is billed
 * by.
 */
#ifndef METERGATE_PROXY_PRICE_LIST_H
#define METERGATE_PROXY_PRICE_LIST_H

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/config/config.h"

/*
 * Appends the body of that answer, as of a moment of the wall clock (microseconds since 1970), in one line:
 *
 *   {"day":"2026-11-28","prices":[{"match":"gpt-4o","since":"2026-07-02","source":"...","configured":false,
 *    "usd_per_million":{"input":2.5,"cached":1.25,"cache_write":2.5,"cache_write_1h":2.5,"output":10},
 *    "long_above":null,"long_usd_per_million":null}]}
 *
 * Amounts are exact decimals; null: not known. `since` is null for what the configuration gives. With model=NAME in the
 * query there is the one price by which a call of that name is billed that day, or none. -EINVAL with a sentence, and nothing
 * is appended, when the query has anything else.
 */
int price_list_write(const struct config *c, int64_t wall_us, struct slice query, struct buf *out, struct errbuf *e) MG_MUSTCHECK;

#endif
