/*
 * openai_tools: what tools and functions cost at OpenAI, for openai_count.c. Neither is documented; both
 * rules were found by others and hold for schemas of one level; the same is done for deeper ones.
 *
 * tools      OpenAI's cookbook (How to count tokens with tiktoken, section 7): 7 tokens a tool (10 with
 * cl100k_base) and those of "name:description"; 3 where there are properties, for each 3 and those of
 * "name:type:description", and for each value of an enum 3 and its own, less 3; 12 once. A last full stop of
 * a description does not count. functions  the older form: the tokens of a TypeScript namespace that declares
 * them, and 9; 4 less when there is a system message, whose text has a line break more then; `function_call`:
 * 1 for "none", 4 and the name for a name. (github.com/hmarr/ openai-chat-tokens, whose fixtures were
 * measured at the API in 2023.)
 */
#ifndef METERGATE_DIALECT_OPENAI_TOOLS_H
#define METERGATE_DIALECT_OPENAI_TOOLS_H

#include "metergate/dialect/counter.h"

/* The list `tools`, as chat/completions and responses write it. A tool that the provider runs is hidden
 * input. */
void openai_tools_count(struct counter *k, struct slice list);

/* The list `functions`, and the value of `function_call` (empty: none). */
void openai_functions_count(struct counter *k, struct slice list, struct slice function_call);

/* What functions add to the first system message, whose text is the inside of a JSON string; below 0. */
int64_t openai_functions_system(const struct counter *k, struct slice text);

/* A call that a message tells of: {"name", "arguments"}, or a list element of `tool_calls` with "function".
 */
void openai_call_count(struct counter *k, struct slice call);

#endif
