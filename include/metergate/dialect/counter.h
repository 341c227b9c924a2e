/*
 * counter: adds up what the parts of a body cost, for the dialects. Who walks the body says what a string is;
 * how text, tools and images are priced is in tokens/chat.h.
 *
 * Text is counted as it reads, without JSON's escapes. `characters` are the code points of what the model is
 * asked, without roles and names: OpenAI documents an estimate "based on the character count" without saying
 * of what; this is the least that it can mean, and what it is used for (refusing a call that cannot ever fit)
 * must not say too much.
 */
#ifndef METERGATE_DIALECT_COUNTER_H
#define METERGATE_DIALECT_COUNTER_H

#include <stdint.h>

#include "metergate/base/scan.h"
#include "metergate/dialect/dialect.h"
#include "metergate/tokens/chat.h"

/* A sound, a file or a page given by its id or address: nothing in the body tells its length. */
#define COUNTER_UNKNOWN_TOKENS 1000

struct counter {
    struct chat_count chat; /* what has no function here may be counted on it directly */
    int64_t messages;       /* written by the walker */
    int64_t characters;     /* private */
};

enum meaning { MEANS_CONTENT, MEANS_ROLE, MEANS_NAME };

/* For the model's encoding. Nothing to release. */
void counter_init(struct counter *k, const char *model);

/* A string that was just read. */
void counter_string(struct counter *k, const struct scan *s, const struct scan_value *v,
                    enum meaning meaning);

/* The next value, a list of tool definitions or calls: each with its frame. Another value is skipped. */
void counter_tools(struct counter *k, struct scan *s);

/* A list of tools that stands in the body; none when the span is empty. */
void counter_tools_at(struct counter *k, struct slice body, struct span at);

/*
 * The schemas in a value that the answer must follow: shown to the model, as tools are. The plain formats are
 * not, and cost nothing.
 */
void counter_schemas_at(struct counter *k, struct slice body, struct span at);

/*
 * The next value, content as OpenAI's Responses, Anthropic and Gemini write it: a string, a block, or a list
 * of blocks, nested as they may be. Texts are counted, calls and their results as JSON, images, sounds and
 * files by what is known of them, and what does not reach the model (ids, signatures, cache marks) not at
 * all. Always an estimate.
 */
void counter_blocks(struct counter *k, struct scan *s);

/* Content that stands in the body; none when the span is empty. */
void counter_blocks_at(struct counter *k, struct slice body, struct span at);

/* A list of messages, each with its frame: counter_blocks for one after the other. */
void counter_messages(struct counter *k, struct scan *s);

/* The part of a body that a span tells. */
struct slice counter_part(struct slice body, struct span at);

/* The sum. `priming`: the answer is primed as a chat's is. */
void counter_finish(struct counter *k, bool priming, struct request_count *ret);

#endif
