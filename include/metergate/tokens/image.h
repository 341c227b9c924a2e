/*
 * image: what an image costs whose size is not known.
 *
 * OpenAI bills images by tiles or by patches (guide "Images and vision", 2026-09), both with a highest number
 * of them at the detail `high`. That highest number is what is assumed here, so that a budget is rather not
 * spent than overspent:
 *
 *   tiles    base + 8 x tile: an image is shrunk into 2048 x 2048, then to 768 on its shorter side, and a
 * tile is 512 x 512 patches  budget x multiplier; a patch is 32 x 32
 *
 * From gpt-5.5 on, an image at the detail `original` may cost up to 36,000 (30,000 patches x 1.2); 3,000
 * (2,500 patches, the budget of `high`) is assumed.
 */
#ifndef METERGATE_TOKENS_IMAGE_H
#define METERGATE_TOKENS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Tokens, for a model by its name (fine-tuned names too). Claude: the most that an image is made to be, 1,568
 * for the older models and 4,784 since (Anthropic, vision, 2026). Gemini: four tiles of 258, or 1,120 at the
 * resolution that is the default since 3 (Google, media resolution). Models of others: Anthropic's most.
 */
int64_t image_default_tokens(const char *model, size_t n);

#endif
