/* row: names of its enums, request ids, and what a row may be. */
#include "metergate/ledger/row.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/err.h"

void row_id_text(int64_t id, char ret[ROW_ID_SIZE])
{
    uint64_t u = (uint64_t)id;

    snprintf(ret, ROW_ID_SIZE, "mg-%07" PRIx64 "-%" PRIu64, u >> ROW_NUMBER_BITS & ((1u << ROW_RUN_BITS) - 1),
             u & ((UINT64_C(1) << ROW_NUMBER_BITS) - 1));
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int row_id_read(const char *text, size_t n, int64_t *ret)
{
    uint64_t number = 0;
    uint32_t run = 0;
    size_t i = 3;

    if (n < sizeof "mg-0000000-1" - 1 || n >= ROW_ID_SIZE || memcmp(text, "mg-", 3) != 0 || text[10] != '-')
        return -EINVAL;
    for (; i < 10; i++) {
        if (hex(text[i]) < 0)
            return -EINVAL;
        run = run << 4 | (uint32_t)hex(text[i]);
    }
    for (i = 11; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (text[11] == '0' || number >> ROW_NUMBER_BITS)
        return -EINVAL;
    *ret = row_id(run, number);
    return 0;
}

void row_scope_of_budget(const char *upstream, const char *account, const char *kind, const char *name, struct buf *out)
{
    buf_addf(out, "budget:%s/%s/%s/%s", upstream, account, kind, name);
}

void row_budget_scope(const struct ledger_row *r, struct buf *out)
{
    if (r->budget_scope[0])
        row_scope_of_budget(r->upstream, r->account, r->budget_scope, r->budget, out);
}

void row_client_scope(const struct ledger_row *r, struct buf *out)
{
    if (r->client[0])
        buf_addf(out, "client:%s", r->client);
}

const char *row_outcome_name(enum row_outcome o)
{
    static const char *const names[ROW_OUTCOMES] = {"completed", "refused", "cancelled", "failed"};

    MG_ASSERT(o < ROW_OUTCOMES);
    return names[o];
}

const char *row_source_name(enum row_source s)
{
    static const char *const names[ROW_SOURCES] = {"none", "provider", "counted", "estimated"};

    MG_ASSERT(s < ROW_SOURCES);
    return names[s];
}

const char *row_whose_name(enum row_whose w)
{
    static const char *const names[ROW_WHOSES] = {"budget", "upstream", "account", "client", ""};

    MG_ASSERT(w < ROW_WHOSES);
    return names[w];
}

/* ---- what a row may be ---- */

#define TEXT(member)              {offsetof(struct ledger_row, member), sizeof(((struct ledger_row *)0)->member)}
#define NUMBER(member, low, high) {offsetof(struct ledger_row, member), low, high}
#define TOKENS(member)            NUMBER(member, 0, PROFILE_AMOUNT_MAX)
#define RATE(which)               NUMBER(price.rates.pico[which], PRICE_UNKNOWN, PRICE_RATE_MAX * TIER_TIMES_MAX)

/* The rates of a tier are a multiple of the table's: twice, and room for dearer ones. */
#define TIER_TIMES_MAX 8

static const struct {
    size_t at, size;
} texts[] = {TEXT(client),       TEXT(upstream), TEXT(budget), TEXT(account), TEXT(model), TEXT(endpoint),
             TEXT(budget_scope), TEXT(reason),   TEXT(price.name)};

/* All that are int64_t, but for those of arrays. */
static const struct {
    size_t at;
    int64_t low, high;
} numbers[] = {
    NUMBER(id, 1, INT64_MAX),
    NUMBER(t_us, 0, ROW_TIME_MAX),
    TOKENS(estimated_input),
    TOKENS(estimated_output),
    TOKENS(usage.input),
    TOKENS(usage.cached),
    TOKENS(usage.cache_write),
    TOKENS(usage.cache_write_1h),
    TOKENS(usage.output),
    TOKENS(usage.reasoning),
    NUMBER(cost_nano, PRICE_UNKNOWN, ROW_COST_MAX),
    RATE(RATE_INPUT),
    RATE(RATE_CACHED),
    RATE(RATE_CACHE_WRITE),
    RATE(RATE_CACHE_WRITE_1H),
    RATE(RATE_OUTPUT),
    NUMBER(queued_us, 0, ROW_TIME_MAX),
    NUMBER(total_us, 0, ROW_TIME_MAX),
    NUMBER(first_byte_us, -1, ROW_TIME_MAX),
    NUMBER(charge.sent_us, 0, ROW_TIME_MAX),
};

_Static_assert(RATES == 5, "every rate has a line above");

static bool are_amounts(const int64_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] < 0 || v[i] > PROFILE_AMOUNT_MAX)
            return false;
    }
    return true;
}

static bool are_holds(const struct row_hold *v, int n)
{
    if (n < 0 || n > ROW_HOLDS_MAX)
        return false;
    for (int i = 0; i < n; i++) {
        if (!memchr(v[i].what, '\0', sizeof v[i].what) || (unsigned)v[i].whose >= ROW_WHOSES || v[i].from_us < 0 ||
            v[i].to_us < v[i].from_us || v[i].to_us > ROW_TIME_MAX)
            return false;
    }
    return true;
}

bool row_is_sound(const struct ledger_row *r)
{
    const char *at = (const char *)r;

    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++) {
        if (!memchr(at + texts[i].at, '\0', texts[i].size))
            return false;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(numbers); i++) {
        int64_t v;

        memcpy(&v, at + numbers[i].at, sizeof v);
        if (v < numbers[i].low || v > numbers[i].high)
            return false;
    }
    return (unsigned)r->kind <= ROW_CORRECTION && (unsigned)r->outcome < ROW_OUTCOMES &&
           (unsigned)r->source < ROW_SOURCES && (unsigned)r->usage.tier < USAGE_TIERS && r->status >= 0 &&
           r->status <= 999 && r->attempts >= 0 && r->attempts <= ROW_ATTEMPTS_MAX && r->price.since >= 0 &&
           r->price.since <= 99991231 && are_amounts(r->charge.on_arrival, METRICS) &&
           are_amounts(r->charge.at_end, METRICS) && are_holds(r->hold, r->hold_count);
}

uint64_t row_layout(void)
{
    uint64_t v = sizeof(struct ledger_row) * 31 + sizeof(struct row_hold);

    for (size_t i = 0; i < MG_ARRAY_LEN(texts); i++)
        v = (v * 31 + texts[i].at) * 31 + texts[i].size;
    for (size_t i = 0; i < MG_ARRAY_LEN(numbers); i++)
        v = v * 31 + numbers[i].at;
    return v * 31 + offsetof(struct ledger_row, hold_count);
}
