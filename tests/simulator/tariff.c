/* tariff: of rows that match, the first counts: a name stands before its beginnings. */
#include "tariff.h"

#include <stddef.h>
#include <string.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* Public prices, USD per million tokens as of November 2026: OpenAI, Anthropic, Gemini. */
static const struct row {
    const char *models; /* a glob */
    struct tariff tariff;
} rows[] = {
    {"gpt-4o-mini*", {.input = 150000, .cached = 75000, .output = 600000}},
    {"gpt-4o*", {.input = 2500000, .cached = 1250000, .output = 10000000}},
    {"gpt-3.5-turbo*", {.input = 500000, .output = 1500000}},
    {"claude-sonnet-4*",
     {.input = 3000000, .cached = 300000, .written = 3750000, .written_1h = 6000000, .output = 15000000}},
    {"gemini-2.5-flash", {.input = 300000, .cached = 30000, .output = 2500000}},
    {"text-embedding-3-small", {.input = 20000}},
};

static const struct tariff *find(const struct tariff *own, const char *model)
{
    if (own->input || own->cached || own->written || own->written_1h || own->output)
        return own;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_glob(slice_str(model), rows[i].models))
            return &rows[i].tariff;
    return NULL;
}

static int64_t percent_of(const char *tier)
{
    if (tier && (strcmp(tier, "flex") == 0 || strcmp(tier, "batch") == 0))
        return 50;
    return tier && strcmp(tier, "priority") == 0 ? 200 : 100;
}

bool tariff_cost(const struct tariff *own, const char *model, const struct used *u, int64_t *ret_nano)
{
    const struct tariff *t = find(own, model);
    int64_t percent = percent_of(u->tier), sum = 0;

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
        sum += parts[i][0] * parts[i][1] * percent;
    }
    if (!t)
        return false;
    *ret_nano = (sum + 50000) / 100000;
    return true;
}
