/*
 * expect: how many output tokens a call will probably produce, learned from the last answers of its model and
 * client.
 *
 * The guess is a high quantile, not a mean: a reservation below the truth lifts the window over its limit
 * when the answer ends, one above it only waits a little and is given back.
 */
#ifndef METERGATE_TOKENS_EXPECT_H
#define METERGATE_TOKENS_EXPECT_H

#include <stdint.h>

enum {
    EXPECT_SAMPLES = 64,      /* answers remembered */
    EXPECT_QUANTILE = 90,     /* percent */
    EXPECT_FIRST_TOKENS = 512 /* before any answer was seen: a longish chat answer */
};

/* Plain data, zero-initialised; nothing to release. */
struct expect {
    int32_t sample[EXPECT_SAMPLES]; /* ring of output tokens, saturated at INT32_MAX */
    uint32_t seen;                  /* answers ever, saturated */
};

/* Remembers one answer's output tokens (all choices together). */
void expect_learn(struct expect *e, int64_t output_tokens);

/*
 * Expected output tokens of the next call. `max_output` is the client's own bound for all choices together
 * (0: none given); the guess never exceeds it.
 */
int64_t expect_output(const struct expect *e, int64_t max_output);

/* What it remembers, oldest first: expect_learn puts it back. Returns how many. */
int expect_samples(const struct expect *e, int32_t ret[EXPECT_SAMPLES]);

#endif
