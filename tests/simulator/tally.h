/*
 * tally: how many tokens a text and a chat are. The vocabulary is the project's own (exact, tested against published
 * vectors); the rules of the messages around it are written here again, so that the simulator and the proxy do not
 * share their reading of a request.
 */
#ifndef SIMULATOR_TALLY_H
#define SIMULATOR_TALLY_H

#include <stdint.h>

#include "metergate/base/slice.h"

struct cJSON;
struct model_config;

int64_t tally_text(struct slice model, struct slice text);

/* A chat/completions request: 3 tokens a message, its role, content and name (one more), 3 for the answer's start; tools by
 * their JSON. */
int64_t tally_chat(struct slice model, const struct cJSON *request);

/* What a model's own tokenizer makes of so many tokens, the same for each text with that seed. */
int64_t tally_as(const struct model_config *config, int64_t tokens, uint64_t seed);

#endif
