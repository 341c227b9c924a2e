/*
 * ratio: how many tokens a provider reports for each that was counted here, learned from the last answers.
 *
 * The estimate is the interquartile mean of the last samples, weighted by their size: a quarter of them may
 * be far off (input that the provider adds, files that nobody saw) without moving it, and it is nearly as
 * steady as the mean would be.
 */
#ifndef METERGATE_TOKENS_RATIO_H
#define METERGATE_TOKENS_RATIO_H

#include <stdint.h>

enum {
    RATIO_ONE = 10000,  /* ratios are in ten-thousandths */
    RATIO_SAMPLES = 32, /* remembered */
    RATIO_WEIGHT_MAX =
        1024, /* a sample weighs as many tokens as it has, up to this: no long text outvotes all others */
};

/* Plain data; nothing to release. */
struct ratio {
    int32_t value; /* readable */
    uint32_t seen; /* samples ever, saturated */
    struct ratio_sample {
        int32_t ratio, weight;
    } sample[RATIO_SAMPLES]; /* private: a ring; the next one goes to seen % RATIO_SAMPLES */
};

/* `value` until anything is learned; a guess fades as samples come in. */
void ratio_init(struct ratio *r, int32_t value);

/*
 * `counted` tokens turned out to be `reported`. Nothing is learned from less than one token, nor from what no
 * tokenizer does: less than a tenth, or more than ten times as many.
 */
void ratio_learn(struct ratio *r, int64_t counted, int64_t reported);

/* So many of the provider's tokens, rounded. counted >= 0. */
int64_t ratio_apply(int32_t ratio, int64_t counted);

/* The samples again, oldest first, as ratio_learn was told them: for keeping them. Returns how many. */
int ratio_samples(const struct ratio *r, struct ratio_sample ret[RATIO_SAMPLES]);

/* One of them, put back. Ignored unless it could have been learned. */
void ratio_put(struct ratio *r, const struct ratio_sample *sample);

#endif
