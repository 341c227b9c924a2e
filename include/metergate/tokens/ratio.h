/*
 * ratio: what a provider reports for so many tokens that were counted here, learned from the last answers: a
 * line, so many tokens for each and some on top (the frames around messages, a prompt that comes with tools).
 *
 * The line goes through two points: the small half of the last samples and the large one (Wald's method of
 * grouping, "The fitting of straight lines if both variables are subject to error", 1940), each taken from
 * the half of its samples whose ratios are in the middle, so that a quarter of them may be far off (input
 * that the provider adds, files that nobody saw) without moving it. Where sizes hardly differ, or the two
 * points' ratios differ by no more than chance would have it, the line goes through the origin.
 */
#ifndef METERGATE_TOKENS_RATIO_H
#define METERGATE_TOKENS_RATIO_H

#include <stdint.h>

enum {
    RATIO_ONE = 10000,  /* ratios are in ten-thousandths */
    RATIO_SAMPLES = 64, /* remembered */
};

struct ratio_sample {
    int32_t counted, reported; /* tokens */
};

/* Plain data; nothing to release. */
struct ratio {
    int32_t slope;  /* readable: of the line */
    int32_t offset; /* readable: of the line, in tokens; may be below 0 */
    int32_t mean;   /* readable: reported / counted, all samples together */
    int32_t guess;  /* private: what it began with */
    uint32_t seen;  /* readable: samples ever, saturated */
    struct ratio_sample
        sample[RATIO_SAMPLES]; /* private: a ring; the next one goes to seen % RATIO_SAMPLES */
};

/* `guess` until anything is learned; it fades as samples come in. */
void ratio_init(struct ratio *r, int32_t guess);

/*
 * `counted` tokens turned out to be `reported`. Nothing is learned from less than one token, nor from what no
 * tokenizer does: less than a tenth, or more than ten times as many.
 */
void ratio_learn(struct ratio *r, int64_t counted, int64_t reported);

/* How many to expect for so many counted: 0 for 0, and never below 0. counted >= 0. */
int64_t ratio_apply(const struct ratio *r, int64_t counted);

/* The same by a ratio alone, rounded. */
int64_t ratio_times(int32_t ratio, int64_t counted);

/* The samples again, oldest first: ratio_learn puts one back. Returns how many. */
int ratio_samples(const struct ratio *r, struct ratio_sample ret[RATIO_SAMPLES]);

#endif
