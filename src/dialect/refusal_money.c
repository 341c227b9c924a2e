/*
 * refusal_money: no sentence says "try again in": clients search for that and come back (LangChain, for waits
 * up to a minute), and money is seldom there again so soon. Amounts are told exactly, waits never too short.
 */
#include "refusal_money.h"

#include <inttypes.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/base/money.h"

#define MINUTE (60 * CLOCK_S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* "`models: gpt-4o`", "`clients: nightly`": the entry that the limit stands in. */
static void add_entry(const struct refusal *r, struct buf *out)
{
    struct slice name = r->client.n ? r->client : r->budget.n ? r->budget : r->model;

    buf_addf(out, "`%s: ", r->client.n ? "clients" : "models");
    if (name.n == 0 || slice_eq(name, SLICE("*")))
        name = SLICE("\"*\""); /* a bare one is no YAML */
    buf_add_slice(out, name);
    buf_add_char(out, '`');
}

static void add_usd(const char *what, int64_t nano, struct buf *out)
{
    char text[MONEY_TEXT_MAX];

    buf_addf(out, "%s %s USD", what, money_words(nano, text));
}

/* The two largest units, rounded up: "12s", "5m 3s", "3h 12m", "29d 4h". */
static void add_wait(int64_t us, struct buf *out)
{
    static const struct {
        int64_t size;
        char name;
    } units[] = {{DAY, 'd'}, {HOUR, 'h'}, {MINUTE, 'm'}, {CLOCK_S, 's'}};
    size_t i = 0;
    int64_t rest;

    us = us <= 0 ? CLOCK_S : (us - 1) / CLOCK_S * CLOCK_S + CLOCK_S;
    while (us < units[i].size)
        i++;
    if (i + 1 < MG_ARRAY_LEN(units)) /* which may make it one more of the larger */
        us = (us - 1) / units[i + 1].size * units[i + 1].size + units[i + 1].size;
    if (i > 0 && us >= units[i - 1].size)
        i--;
    buf_addf(out, "%" PRId64 "%c", us / units[i].size, units[i].name);
    rest = us % units[i].size;
    if (rest > 0)
        buf_addf(out, " %" PRId64 "%c", rest / units[i + 1].size, units[i + 1].name);
}

/* " (2026-11-28 18:02:05 UTC)", of the next whole second. */
static void add_time(int64_t wall_us, struct buf *out)
{
    time_t s = (time_t)((wall_us - 1) / CLOCK_S + 1);
    char text[32];
    struct tm tm;

    if (gmtime_r(&s, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > 0)
        buf_addf(out, " (%s UTC)", text);
}

static void add_when(const struct refusal *r, struct buf *out)
{
    if (r->wanted_nano > r->max_nano) {
        buf_add_str(out,
                    "The call alone costs more than the limit allows, so that no wait makes room for it");
    } else if (r->frees_us >= CLOCK_NEVER) {
        buf_add_str(out,
                    "When there is room for it depends on what calls that are under way cost in the end");
    } else {
        buf_add_str(out, "If nothing else is spent there is room for it in ");
        add_wait(r->frees_us, out);
        if (r->wall_us > 0)
            add_time(r->wall_us + r->frees_us, out);
    }
}

/* A JSON string is one of YAML, too: whatever the model is called, the line can be copied. */
static void unpriced(const struct refusal *r, struct buf *out)
{
    struct slice model = r->model.n ? r->model : SLICE("this model");

    buf_add_str(out, "The price of ");
    buf_add_slice(out, model);
    buf_addf(out, " is not known, and the money limit `%s` of ", r->metric);
    add_entry(r, out);
    buf_add_str(out, " needs it. The call was not sent. Add the price to Metergate's configuration, in USD per "
                     "million tokens: `prices: {\"");
    json_escape(out, r->model.n ? r->model : SLICE("MODEL"));
    buf_add_str(out, "\": {input: 2.50, output: 10}}` with the provider's figures in place of these.");
}

void refusal_money_sentence(const struct refusal *r, struct buf *out)
{
    if (r->unpriced) {
        unpriced(r, out);
        return;
    }
    buf_add_str(out, "Money limit reached for ");
    buf_add_slice(out, r->model.n ? r->model : SLICE("this call"));
    buf_addf(out, " on `%s` of ", r->metric);
    add_entry(r, out);
    add_usd(": Limit", r->max_nano, out);
    add_usd(", Spent", r->spent_nano, out);
    add_usd(", Reserved", r->reserved_nano, out);
    add_usd(", Requested (estimate)", r->wanted_nano, out);
    buf_add_str(out, ". The call was not sent. ");
    if (r->detail.n) {
        buf_add_slice(out, r->detail);
        buf_add_char(out, ' ');
    }
    add_when(r, out);
    buf_addf(out, "; to let it go now, raise `%s` of ", r->metric);
    add_entry(r, out);
    buf_add_str(out, " in Metergate's configuration.");
}
