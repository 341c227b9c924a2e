/*
 * image: one table, read from the top; the first row that the name begins with decides. See image.h for the
 * formulas.
 */
#include "metergate/tokens/image.h"

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/tokens/encoding.h"

#define TILES(base, tile)           ((base) + 8 * (tile))
#define PATCHES(budget, hundredths) (((budget) * (hundredths) + 99) / 100)
#define UNKNOWN_TOKENS              4784

static const struct {
    const char *begins;
    int64_t tokens;
} costs[] = {
    {"gpt-4o-mini", TILES(2833, 5667)},
    {"gpt-4o", TILES(85, 170)},
    {"chatgpt-4o", TILES(85, 170)},
    {"gpt-4.1-mini", PATCHES(1536, 162)},
    {"gpt-4.1-nano", PATCHES(1536, 246)},
    {"gpt-4", TILES(85, 170)},
    {"o4-mini", PATCHES(1536, 172)},
    {"o1", TILES(75, 150)},
    {"o3", TILES(75, 150)},
    {"computer-use-preview", TILES(65, 129)},
    {"gpt-5-mini", PATCHES(1536, 162)},
    {"gpt-5-nano", PATCHES(1536, 246)},
    {"gpt-5.4-mini", PATCHES(1536, 162)},
    {"gpt-5.4-nano", PATCHES(1536, 246)},
    {"gpt-5.1-codex-mini", PATCHES(1536, 100)},
    {"gpt-5-codex-mini", PATCHES(1536, 100)},
    {"gpt-5.2", PATCHES(1536, 100)},
    {"gpt-5.3", PATCHES(1536, 100)},
    {"gpt-5.4", PATCHES(2500, 100)},
    {"gpt-5.", PATCHES(2500, 120)}, /* 5.5 and later; more than the tiles of 5.1 */
    {"gpt-5", TILES(70, 140)},
    {"gpt-", PATCHES(2500, 120)},
    {"claude-3", 1568},
    {"claude-haiku-4", 1568},
    {"claude-sonnet-4", 1568},
    {"gemini-1", INT64_C(4) * 258}, /* four tiles of 768 x 768 */
    {"gemini-2", INT64_C(4) * 258},
    {"gemini-", 1120},
};

int64_t image_default_tokens(const char *model, size_t n)
{
    struct slice name = encoding_base_model(model, n);

    for (size_t i = 0; i < MG_ARRAY_LEN(costs); i++)
        if (slice_starts(name, slice_str(costs[i].begins)))
            return costs[i].tokens;
    return UNKNOWN_TOKENS;
}
