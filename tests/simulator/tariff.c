/* tariff: of rows that match, the first counts: a name stands before its beginnings. */
#include "tariff.h"

#include <stddef.h>
#include <string.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* Public prices, USD per million tokens as of November 2026: OpenAI, Anthropic, Gemini. */
static const struct row {
    const char *models; /* a glob */
    struct tariff usual;
    struct tariff priority; /* of calls that were served with priority; all 0: it is not sold */
} rows[] = {
    {"gpt-4o-mini*",
     {.input = 150000, .cached = 75000, .output = 600000},
     {.input = 250000, .cached = 125000, .output = 1000000}},
    {"gpt-4o*",
     {.input = 2500000, .cached = 1250000, .output = 10000000},
     {.input = 4250000, .cached = 2125000, .output = 17000000}},
    {"gpt-4.1", {.input = 2000000, .cached = 500000, .output = 8000000}, {0}},
    {"gpt-3.5-turbo*", {.input = 500000, .output = 1500000}, {0}},
    {"claude-sonnet-4*",
     {.input = 3000000, .cached = 300000, .written = 3750000, .written_1h = 6000000, .output = 15000000},
     {0}},
    {"gemini-2.5-flash", {.input = 300000, .cached = 30000, .output = 2500000}, {0}},
    {"text-embedding-3-small", {.input = 20000}, {0}},
};

static bool is(const char *tier, const char *name)
{
    return tier && strcmp(tier, name) == 0;
}

static const struct tariff *find(const struct tariff *own, const char *model, const char *tier)
{
    if (own->input || own->cached || own->written || own->written_1h || own->output)
        return own;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_glob(slice_str(model), rows[i].models))
            return is(tier, "priority") ? &rows[i].priority : &rows[i].usual;
    return NULL;
}

bool tariff_cost(const struct tariff *own, const char *model, const struct used *u, int64_t *ret_nano)
{
    const struct tariff *t = find(own, model, u->tier);
    int64_t sum = 0;

    for (int i = 0; t && i < 5; i++) {
        const int64_t parts[5][2] = {
            {u->input - u->cached - u->written - u->written_1h, t->input},
            {u->cached, t->cached},
            {u->written, t->written},
            {u->written_1h, t->written_1h},
            {u->output, t->output},
        };

        if (parts[i][0] > 0 && parts[i][1] == 0)
            return false;
        sum += parts[i][0] * parts[i][1];
    }
    if (!t)
        return false;
    /* flex and batch are half of it */
    if (is(u->tier, "flex") || is(u->tier, "batch"))
        *ret_nano = (sum + 1000) / 2000;
    else
        *ret_nano = (sum + 500) / 1000;
    return true;
}
