/* price_list: an amount is written from its picodollars by digits alone; no floating point comes near it. */
#include "metergate/proxy/price_list.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/json.h"
#include "metergate/base/log.h"
#include "metergate/config/format.h"
#include "metergate/config/prices.h"
#include "metergate/proxy/query.h"

/* ---- the query ---- */

/* *ret_any: it has a parameter `model`, whose value is appended. */
static int read_query(struct slice query, struct buf *model, bool *ret_any, struct errbuf *e)
{
    struct query_pair pair;
    int rc;

    *ret_any = false;
    query_pair_init(&pair);
    while ((rc = query_next(&query, &pair, e)) == 1) {
        if (!slice_eq(buf_slice(&pair.name), SLICE("model")) || *ret_any) {
            err_set(e, "%s: this address takes one `model=NAME` and nothing else",
                    log_quote(buf_slice(&pair.name)).text);
            rc = -EINVAL;
            break;
        }
        buf_add_slice(model, buf_slice(&pair.value));
        *ret_any = true;
    }
    query_pair_release(&pair);
    return rc;
}

/* ---- the answer ---- */

static const char *const rate_keys[RATES] = {
    [RATE_INPUT] = "input",
    [RATE_CACHED] = "cached",
    [RATE_CACHE_WRITE] = "cache_write",
    [RATE_CACHE_WRITE_1H] = "cache_write_1h",
    [RATE_OUTPUT] = "output",
};

/* Picodollars a token are millionths of a dollar per million tokens. */
static void write_rates(struct json_writer *w, const struct rates *r)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    json_object_begin(w);
    for (size_t i = 0; i < RATES; i++) {
        json_key(w, rate_keys[i]);
        if (r->pico[i] < 0) {
            json_null(w);
            continue;
        }
        buf_reset(&text);
        format_decimal(r->pico[i], 6, &text);
        json_raw(w, buf_slice(&text));
    }
    json_object_end(w);
    buf_release(&text);
}

/* 2026-11-28 of 20261128 */
static void write_day(struct json_writer *w, int32_t day)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    buf_addf(&text, "%04d-%02d-%02d", day / 10000, day / 100 % 100, day % 100);
    json_str(w, buf_slice(&text));
    buf_release(&text);
}

static void write_price(void *arg, const struct price *p, bool configured)
{
    struct json_writer *w = arg;

    json_object_begin(w);
    json_member_str(w, "match", slice_str(p->name));
    json_key(w, "since");
    if (p->since)
        write_day(w, p->since);
    else
        json_null(w);
    json_member_str(w, "source", slice_str(p->source));
    json_member_bool(w, "configured", configured);
    json_key(w, "usd_per_million");
    write_rates(w, &p->rates);
    json_key(w, "long_above");
    if (p->long_above > 0)
        json_int(w, p->long_above);
    else
        json_null(w);
    json_key(w, "long_usd_per_million");
    if (p->long_above > 0)
        write_rates(w, &p->long_rates);
    else
        json_null(w);
    json_object_end(w);
}

static void write_list(const struct config *c, int64_t wall_us, const struct buf *model, struct buf *out)
{
    int32_t day = prices_day(wall_us);
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_key(&w, "day");
    write_day(&w, day);
    json_key(&w, "prices");
    json_array_begin(&w);
    if (model) {
        struct price room;
        const struct price *p = prices_find(c, buf_slice(model), day, &room);

        if (p)
            write_price(&w, p, p->since == 0);
    } else {
        prices_each(c, day, write_price, &w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

int price_list_write(const struct config *c, int64_t wall_us, struct slice query, struct buf *out, struct errbuf *e)
{
    struct buf model;
    bool any;
    int rc;

    buf_init(&model, BUF_UNLIMITED);
    rc = read_query(query, &model, &any, e);
    if (rc == 0)
        write_list(c, wall_us, any ? &model : NULL, out);
    buf_release(&model);
    return rc;
}
