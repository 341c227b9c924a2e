/*
 * prose: answers. Text that depends on nothing but a seed, in pieces of which each is a known number of tokens, so that an
 * answer has exactly as many tokens as it is said to have and a proxied answer can be compared with a direct one.
 */
#ifndef SIMULATOR_PROSE_H
#define SIMULATOR_PROSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

struct prose {
    struct slice model; /* borrowed */
    uint64_t state;     /* private */
    int64_t left;       /* readable: tokens still to come */
    bool unicode;       /* private */
    bool first;         /* private */
};

/* The same for the same question. */
uint64_t prose_seed(struct slice model, struct slice prompt);

/* `tokens` in all, by the model's vocabulary. With `unicode`, words of several scripts among them. */
void prose_init(struct prose *p, struct slice model, uint64_t seed, int64_t tokens, bool unicode);

/* The next piece (static text) and its tokens; false when all has been said. */
bool prose_next(struct prose *p, struct slice *ret, int64_t *ret_tokens);

#endif
