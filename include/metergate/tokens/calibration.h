/*
 * calibration: from what was counted to what the provider will report, for one model.
 *
 * A count has parts that are wrong in different ways. Text is counted with the nearest public vocabulary, and
 * a model's own makes more or fewer tokens of it; tools are shown to the model in a form that nobody
 * publishes; what an image costs is published, but changes. So each part has its own ratio, and an answer's
 * reported input teaches the one that is the largest part of it: the others are taken as known. What else
 * comes on top (hidden input: stored files, hosted tools, prompts kept by the provider) is nobody's ratio,
 * and a call that has some teaches nothing.
 *
 * The ratios start from what is published (encoding_scale_permille). Where the count is exact by published
 * rules, a ratio only counts when the provider's answers keep contradicting them.
 */
#ifndef METERGATE_TOKENS_CALIBRATION_H
#define METERGATE_TOKENS_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/tokens/ratio.h"

/* What was counted of a request, or some of it. All >= 0. */
struct token_parts {
    int64_t text;  /* of the nearest encoding: what is written, and the frames of the messages */
    int64_t tools; /* likewise: definitions, schemas, calls and their results */
    int64_t media; /* images, sounds, documents, by published rules */
    int64_t fixed; /* tokens that no vocabulary changes */
    bool exact;    /* the model's own vocabulary, by published rules, and nothing else */
    bool hidden;   /* something took part of which the request does not tell how much it is: it is guessed in
                      `fixed` */
};

enum { CALIBRATION_ERRORS = 64 };

/* How far estimates were off lately. */
struct error_figures {
    int64_t calls;   /* ever */
    double mean;     /* (estimated - reported) / reported, of the last CALIBRATION_ERRORS calls */
    double absolute; /* the same without its sign */
};

/* Plain data; nothing to release. */
struct calibration {
    struct ratio text, tools, media;   /* readable */
    bool has_own_vocabulary;           /* the encoding is the model's */
    int64_t estimated, reported;       /* readable: of all calls that taught or could have, summed */
    int64_t absolute;                  /* readable: of |estimated - reported|, summed */
    int64_t calls;                     /* readable */
    int32_t error[CALIBRATION_ERRORS]; /* private: of the last calls, in ten-thousandths; the next goes to
                                          calls % */
};

void calibration_init(struct calibration *c, const char *model, size_t n);

/* The input tokens to expect. */
int64_t calibration_tokens(const struct calibration *c, const struct token_parts *parts);

/* Whether that is certain: published rules, and the provider has not contradicted them. */
bool calibration_is_exact(const struct calibration *c, const struct token_parts *parts);

/* An answer's reported input, cached included, to a call of which `estimated` was expected. */
void calibration_learn(struct calibration *c, const struct token_parts *parts, int64_t estimated,
                       int64_t reported);

struct error_figures calibration_errors(const struct calibration *c);

#endif
