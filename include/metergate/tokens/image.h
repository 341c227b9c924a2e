/*
 * image: what an image costs, by its size.
 *
 * OpenAI (guide "Images and vision", 2026-09) bills by tiles or by patches:
 *   tiles    an image is shrunk into 2048 x 2048, then to 768 on its shorter side; base + tile for each 512 x
 * 512. Detail `low`: base. patches  32 x 32 each; an image of more than the budget is shrunk to fit it, in
 * whole patches; times a multiplier. Since gpt-5.4 there is a detail `original` with a larger budget, since
 * gpt-5.5 without one (30,000 patches are the most), and it is the default.
 *
 * Anthropic (vision, 2026): ceil(w / 28) x ceil(h / 28), shrunk to a longest edge and a number of tokens:
 * 1568 and 1568, since Opus 4.7 and Sonnet 5 2576 and 4784.
 *
 * Google (token counting; media resolution): up to Gemini 2 one tile of 258 when both sides are at most 384,
 * else one for each 768 x 768; since Gemini 3 1,120 whatever the size.
 *
 * Models of others cost what the largest image costs at Anthropic.
 */
#ifndef METERGATE_TOKENS_IMAGE_H
#define METERGATE_TOKENS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/tokens/image_size.h"

enum image_detail { IMAGE_AUTO, IMAGE_LOW, IMAGE_HIGH, IMAGE_ORIGINAL };

/*
 * Tokens, for a model by its name (fine-tuned names too). Of an image whose size is not known: the most that
 * one costs at the detail `high`.
 */
int64_t image_tokens(struct slice model, struct image_size size, enum image_detail detail);

/* "low", "high", "original"; anything else is IMAGE_AUTO. */
enum image_detail image_detail_of(struct slice name);

#endif
