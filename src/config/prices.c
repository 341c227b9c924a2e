/*
 * prices: the walk looks at names first, at days last: whichever row matches first decides the match, and among its
 * rows, which stand together, the day decides.
 */
#include "metergate/config/prices.h"

#include <string.h>
#include <time.h>

#include "metergate/config/models.h"
#include "metergate/config/price_table.h"

int32_t prices_day(int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm day;

    if (!gmtime_r(&seconds, &day))
        return 0;
    return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

/* The last of the rows from `first` on that match the same and hold on that day. */
static size_t in_force(const struct price *rows, size_t n, size_t first, int32_t day)
{
    size_t at = first;

    while (at + 1 < n && strcmp(rows[at + 1].name, rows[first].name) == 0 && rows[at + 1].since <= day)
        at++;
    return at;
}

/* As models_key_matches, with what it finds out about the model found out once. */
static bool row_matches(const char *match, struct slice model, struct slice undated)
{
    if (model.n == 0 || match[0] != model.p[0]) /* no row of the table begins with a glob */
        return false;
    if (models_is_glob(match))
        return slice_glob(model, match);
    return slice_eq(undated, slice_str(match)) || slice_eq(model, slice_str(match));
}

static const struct price *built_in(struct slice model, int32_t day)
{
    struct slice undated = models_undated_name(model);
    size_t n;
    const struct price *rows = price_table(&n);

    for (size_t i = 0; i < n; i++) {
        if (row_matches(rows[i].name, model, undated))
            return &rows[in_force(rows, n, i, day)];
    }
    return NULL;
}

static const struct config_price *configured(const struct config *c, struct slice model)
{
    for (size_t i = 0; i < c->price_count; i++) {
        if (models_key_matches(c->prices[i].name, model))
            return &c->prices[i];
    }
    return NULL;
}

static void replace(struct rates *r, const struct rates *by)
{
    for (size_t i = 0; i < RATES; i++) {
        if (by->pico[i] >= 0)
            r->pico[i] = by->pico[i];
    }
}

/* A price of which nothing is known. */
static struct price nothing(void)
{
    struct price p = {.priority = {2, 1}};

    for (size_t i = 0; i < RATES; i++)
        p.rates.pico[i] = p.long_rates.pico[i] = PRICE_UNKNOWN;
    return p;
}

/* Where the table knows nothing: a provider that has no price of its own for its cache charges it as input. */
static void fill_up(struct rates *r)
{
    if (r->pico[RATE_CACHED] < 0)
        r->pico[RATE_CACHED] = r->pico[RATE_INPUT];
    if (r->pico[RATE_CACHE_WRITE] < 0)
        r->pico[RATE_CACHE_WRITE] = r->pico[RATE_INPUT];
    if (r->pico[RATE_CACHE_WRITE_1H] < 0)
        r->pico[RATE_CACHE_WRITE_1H] = r->pico[RATE_CACHE_WRITE];
}

/* The entry over the table's row; NULL: over nothing, and then `whole` says whether all it has is to be known. */
static void lay_over(struct price *room, const struct config_price *entry, const struct price *row, bool whole)
{
    if (row && row->rates.pico[RATE_INPUT] < 0) /* it only says that nobody knows */
        row = NULL;
    *room = row ? *row : nothing();
    room->name = entry->name;
    room->source = "configuration";
    room->since = 0;
    replace(&room->rates, &entry->rates);
    if (!row && whole)
        fill_up(&room->rates);
    if (entry->long_above <= 0)
        return;
    room->long_above = entry->long_above;
    room->long_rates = room->rates;
    replace(&room->long_rates, &entry->long_rates);
}

const struct price *prices_find(const struct config *c, struct slice model, int32_t day, struct price *room)
{
    const struct config_price *entry = configured(c, model);
    const struct price *row = built_in(model, day);

    if (!entry)
        return row;
    lay_over(room, entry, row, true);
    return room;
}

void prices_each(const struct config *c, int32_t day,
                 void (*each)(void *arg, const struct price *p, bool configured), void *arg)
{
    size_t n;
    const struct price *rows = price_table(&n);

    for (size_t i = 0; i < c->price_count; i++) {
        const struct config_price *entry = &c->prices[i];
        bool glob = models_is_glob(entry->name);
        struct price p;

        lay_over(&p, entry, glob ? NULL : built_in(slice_str(entry->name), day), !glob);
        each(arg, &p, true);
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = in_force(rows, n, i, day);

        each(arg, &rows[at], false);
        while (i + 1 < n && strcmp(rows[i + 1].name, rows[at].name) == 0)
            i++;
    }
}
