/* calibration: sums of at most three ratios. See calibration.h. */
#include "metergate/tokens/calibration.h"

#include <string.h>

#include "metergate/tokens/encoding.h"

/*
 * The provider contradicts a published rule when so many answers are off by more than this, in
 * ten-thousandths. A rule that is off by less is one that has changed a little: the settlement at the end of
 * each call takes care of it.
 */
#define CONTRADICTION_CALLS 8
#define CONTRADICTION       100

/* No sum of a million of these overflows. */
#define MOST_TOKENS (INT64_C(1) << 40)

void calibration_init(struct calibration *c, const char *model, size_t n)
{
    int32_t start = (int32_t)(encoding_scale_permille(model, n) * RATIO_ONE / 1000);

    memset(c, 0, sizeof *c);
    ratio_init(&c->text, start);
    ratio_init(&c->tools, start);
    ratio_init(&c->media, RATIO_ONE);
    c->has_own_vocabulary = encoding_for_model(model, n).exact;
}

/* The published rules are right, as far as anybody knows. */
static bool is_as_published(const struct calibration *c)
{
    int32_t off = c->text.mean - RATIO_ONE;

    return c->has_own_vocabulary &&
           (c->text.seen < CONTRADICTION_CALLS || (off < CONTRADICTION && off > -CONTRADICTION));
}

static int64_t text_tokens(const struct calibration *c, const struct token_parts *parts)
{
    return is_as_published(c) ? parts->text : ratio_apply(&c->text, parts->text);
}

int64_t calibration_tokens(const struct calibration *c, const struct token_parts *parts)
{
    return text_tokens(c, parts) + ratio_apply(&c->tools, parts->tools) +
           ratio_apply(&c->media, parts->media) + parts->fixed;
}

bool calibration_is_exact(const struct calibration *c, const struct token_parts *parts)
{
    return parts->exact && is_as_published(c);
}

static int32_t off_by(int64_t estimated, int64_t reported)
{
    int64_t off = (estimated - reported) * RATIO_ONE / reported;

    return off > INT32_MAX ? INT32_MAX : (int32_t)off;
}

static void note_error(struct calibration *c, int64_t estimated, int64_t reported)
{
    c->error[c->calls % CALIBRATION_ERRORS] = off_by(estimated, reported);
    c->calls++;
    c->estimated += estimated;
    c->reported += reported;
    c->absolute += estimated > reported ? estimated - reported : reported - estimated;
}

void calibration_learn(struct calibration *c, const struct token_parts *parts, int64_t estimated,
                       int64_t reported)
{
    int64_t text = text_tokens(c, parts), tools = ratio_apply(&c->tools, parts->tools);
    int64_t media = ratio_apply(&c->media, parts->media), rest = reported - parts->fixed;

    if (reported < 1 || reported > MOST_TOKENS || estimated < 0 || estimated > MOST_TOKENS)
        return;
    note_error(c, estimated, reported);
    if (parts->hidden)
        return;
    if (text >= tools && text >= media)
        ratio_learn(&c->text, parts->text, rest - tools - media);
    else if (tools >= media)
        ratio_learn(&c->tools, parts->tools, rest - text - media);
    else
        ratio_learn(&c->media, parts->media, rest - text - tools);
}

struct error_figures calibration_errors(const struct calibration *c)
{
    int64_t n = c->calls < CALIBRATION_ERRORS ? c->calls : CALIBRATION_ERRORS, sum = 0, absolute = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += c->error[i];
        absolute += c->error[i] < 0 ? -(int64_t)c->error[i] : c->error[i];
    }
    if (n == 0)
        n = 1;
    return (struct error_figures){
        .calls = c->calls,
        .mean = (double)sum / (double)n / RATIO_ONE,
        .absolute = (double)absolute / (double)n / RATIO_ONE,
    };
}
