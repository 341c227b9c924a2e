/*
 * sound: what a recording costs, by how long it is.
 *
 * Google: 32 tokens a second of sound, 263 of video (Gemini, token counting). OpenAI: about 10 a second (one
 * for each 100 ms, realtime and audio guide; not stated for chat). A WAV file says its bytes a second; of
 * anything else 16,000 are assumed for sound (MP3 at 128 kbit/s) and 125,000 for video (1 Mbit/s).
 */
#ifndef METERGATE_TOKENS_SOUND_H
#define METERGATE_TOKENS_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/slice.h"

/* Tokens, of a recording in base64 as it stands in a JSON string. */
int64_t sound_tokens(struct slice model, struct slice text, bool is_video);

#endif
