/*
 * headers: the lines in an answer's head about the limits as they are now, and about who pays, as each
 * family of providers writes them. Pure.
 *
 *   openai     x-ratelimit-{limit,remaining,reset}-{requests,tokens}, reset as Go writes durations;
 *              openai-organization. Where there is a limit by the day, requests are the day's
 *   anthropic  anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}:
 *              remaining tokens rounded to the nearest thousand, reset in RFC 3339; anthropic-organization-id.
 *              Without a limit of its own, tokens is the sum of input and output
 *   groq       as openai, but requests always are the day's, tokens always the minute's; nobody is named
 *   azure      x-ratelimit-remaining-{requests,tokens} alone; where a model asks for azure by name, every
 *              third answer has limit and remaining -1 and reset 0, as its Responses API did
 *   venice     as openai, but requests are reset at a moment since 1970, and tokens in so many seconds
 *   none       nothing; gemini is the same
 */
#ifndef SIMULATOR_HEADERS_H
#define SIMULATOR_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

struct buf;
struct organization;

/* Appends lines, each with its CR LF. `limits` false: only who pays. `family` is not AUTO. */
void headers_print(struct model *m, enum family family, const struct organization *org, bool limits,
                   int64_t now_us, int64_t wall_us, struct buf *out);

#endif
