/*
 * image: one table, read from the top; the first row that the name matches decides. See image.h for the
 * formulas.
 *
 * Always true: sides are at most SIDE_MAX when a formula sees them, so that no product overflows.
 */
#include "metergate/tokens/image.h"

#include <math.h>
#include <stdbool.h>

#include "metergate/base/err.h"
#include "metergate/tokens/encoding.h"

/* No provider takes more; its shape is kept. */
#define SIDE_MAX 100000

#define PATCHES_MAX 30000

struct rule {
    enum { RULE_TILES, RULE_PATCHES, RULE_CLAUDE, RULE_GEMINI, RULE_FLAT } kind;
    int64_t a, b;     /* tiles: base and tile; patches: budget and multiplier in hundredths; Claude: edge and
                         tokens; flat: tokens */
    int64_t original; /* patches: the budget at the detail `original`, 0: as `high` */
    bool auto_is_original;
};

#define TILES(base, tile)                                                                                    \
    {                                                                                                        \
        .kind = RULE_TILES, .a = (base), .b = (tile)                                                         \
    }
#define PATCHES(budget, times)                                                                               \
    {                                                                                                        \
        .kind = RULE_PATCHES, .a = (budget), .b = (times)                                                    \
    }
#define CLAUDE(edge, tokens)                                                                                 \
    {                                                                                                        \
        .kind = RULE_CLAUDE, .a = (edge), .b = (tokens)                                                      \
    }
#define FLAT(tokens)                                                                                         \
    {                                                                                                        \
        .kind = RULE_FLAT, .a = (tokens)                                                                     \
    }

static const struct row {
    const char *name; /* a glob */
    struct rule rule;
} rows[] = {
    {"gpt-4o-mini*", TILES(2833, 5667)},
    {"gpt-4o*", TILES(85, 170)},
    {"chatgpt-4o*", TILES(85, 170)},
    {"gpt-4.1-mini*", PATCHES(1536, 162)},
    {"gpt-4.1-nano*", PATCHES(1536, 246)},
    {"gpt-4*", TILES(85, 170)},
    {"o4-mini*", PATCHES(1536, 172)},
    {"o1*", TILES(75, 150)},
    {"o3*", TILES(75, 150)},
    {"computer-use-preview*", TILES(65, 129)},
    {"gpt-5-mini*", PATCHES(1536, 162)},
    {"gpt-5-nano*", PATCHES(1536, 246)},
    {"gpt-5.4-mini*", PATCHES(1536, 162)},
    {"gpt-5.4-nano*", PATCHES(1536, 246)},
    {"gpt-5*-codex-mini*", PATCHES(1536, 100)},
    {"gpt-5.2*", PATCHES(1536, 100)},
    {"gpt-5.3*", PATCHES(1536, 100)},
    {"gpt-5.4*", {.kind = RULE_PATCHES, .a = 2500, .b = 100, .original = 10000}},
    {"gpt-5.1*", TILES(70, 140)},
    {"gpt-5", TILES(70, 140)},
    {"gpt-5-*", TILES(70, 140)},
    {"gpt-*", {.kind = RULE_PATCHES, .a = 2500, .b = 120, .original = PATCHES_MAX, .auto_is_original = true}},
    {"claude-3*", CLAUDE(1568, 1568)},
    {"claude-haiku-4*", CLAUDE(1568, 1568)},
    {"claude-sonnet-4*", CLAUDE(1568, 1568)},
    {"claude-opus-4-[0156]*", CLAUDE(1568, 1568)},
    {"claude-opus-4-20*", CLAUDE(1568, 1568)},
    {"claude-opus-4", CLAUDE(1568, 1568)},
    {"gemini-1*", {.kind = RULE_GEMINI}},
    {"gemini-2*", {.kind = RULE_GEMINI}},
    {"gemini-*", FLAT(1120)},
    {"*", CLAUDE(2576, 4784)},
};

static const struct rule *rule_of(struct slice model)
{
    struct slice name = encoding_base_model(model.p, model.n);
    size_t i = 0;

    while (!slice_glob(name, rows[i].name))
        i++;
    return &rows[i].rule;
}

static int64_t parts(int64_t side, int64_t of)
{
    return (side + of - 1) / of;
}

/* Both sides times to/from, rounded to the nearest pixel, at least 1; only ever smaller. */
static struct image_size shrink(struct image_size s, int64_t from, int64_t to)
{
    int64_t w = (s.width * to + from / 2) / from, h = (s.height * to + from / 2) / from;

    if (to >= from)
        return s;
    return (struct image_size){(uint32_t)(w > 0 ? w : 1), (uint32_t)(h > 0 ? h : 1)};
}

static int64_t longer(struct image_size s)
{
    return s.width > s.height ? s.width : s.height;
}

static int64_t shorter(struct image_size s)
{
    return s.width < s.height ? s.width : s.height;
}

static int64_t by_tiles(const struct rule *r, struct image_size s, enum image_detail detail)
{
    if (detail == IMAGE_LOW)
        return r->a;
    s = shrink(s, longer(s), 2048);
    s = shrink(s, shorter(s), 768);
    return r->a + r->b * parts(s.width, 512) * parts(s.height, 512);
}

static int64_t patches(struct image_size s)
{
    return parts(s.width, 32) * parts(s.height, 32);
}

/* The largest shape within the budget that is whole patches on the side that binds. */
static int64_t patches_within(struct image_size s, int64_t budget)
{
    double w = s.width, h = s.height, r, whole_w, whole_h;

    if (patches(s) <= budget)
        return patches(s);
    r = sqrt(1024.0 * (double)budget / (w * h));
    whole_w = floor(w * r / 32) / (w * r / 32);
    whole_h = floor(h * r / 32) / (h * r / 32);
    if (whole_w > 0 && whole_h > 0)
        r *= whole_w < whole_h ? whole_w : whole_h;
    /* what should be whole patches is, whatever the last bit of a double says */
    s = (struct image_size){(uint32_t)(w * r + 1e-6), (uint32_t)(h * r + 1e-6)};
    return patches(s) < budget ? patches(s) : budget;
}

static int64_t by_patches(const struct rule *r, struct image_size s, enum image_detail detail)
{
    bool original = detail == IMAGE_ORIGINAL || (detail == IMAGE_AUTO && r->auto_is_original);
    int64_t n;

    if (original && r->original) {
        if (r->original < PATCHES_MAX)
            s = shrink(s, longer(s), 6000);
        n = patches_within(s, r->original);
    } else if (detail == IMAGE_LOW && r->original) {
        n = patches(shrink(s, longer(s), 512));
    } else {
        n = patches_within(shrink(s, longer(s), 2048), r->a);
    }
    return (n * r->b + 99) / 100;
}

static int64_t by_claude(const struct rule *r, struct image_size s)
{
    int64_t low = 1, high = longer(s) < r->a ? longer(s) : r->a, side = longer(s);

    while (low < high) { /* the longest edge whose tokens fit */
        int64_t middle = low + (high - low + 1) / 2;
        struct image_size at = shrink(s, side, middle);

        if (parts(at.width, 28) * parts(at.height, 28) <= r->b)
            low = middle;
        else
            high = middle - 1;
    }
    s = shrink(s, side, low);
    return parts(s.width, 28) * parts(s.height, 28);
}

static int64_t by_gemini(struct image_size s)
{
    if (longer(s) <= 384)
        return 258;
    return 258 * parts(s.width, 768) * parts(s.height, 768);
}

static int64_t of_unknown(const struct rule *r)
{
    switch (r->kind) {
    case RULE_TILES:
        return r->a + 8 * r->b;
    case RULE_PATCHES:
        return (r->a * r->b + 99) / 100;
    case RULE_CLAUDE:
        return r->b;
    case RULE_GEMINI:
        return INT64_C(4) * 258;
    case RULE_FLAT:
    default:
        return r->a;
    }
}

int64_t image_tokens(struct slice model, struct image_size size, enum image_detail detail)
{
    const struct rule *r = rule_of(model);

    if (size.width == 0)
        return r->kind == RULE_TILES && detail == IMAGE_LOW ? r->a : of_unknown(r);
    size = shrink(size, longer(size), SIDE_MAX);
    switch (r->kind) {
    case RULE_TILES:
        return by_tiles(r, size, detail);
    case RULE_PATCHES:
        return by_patches(r, size, detail);
    case RULE_CLAUDE:
        return by_claude(r, size);
    case RULE_GEMINI:
        return by_gemini(size);
    case RULE_FLAT:
    default:
        return r->a;
    }
}

enum image_detail image_detail_of(struct slice name)
{
    if (slice_eq(name, SLICE("low")))
        return IMAGE_LOW;
    if (slice_eq(name, SLICE("high")))
        return IMAGE_HIGH;
    return slice_eq(name, SLICE("original")) ? IMAGE_ORIGINAL : IMAGE_AUTO;
}
