/* headers: what two lines tell of one limit is read once, so that they agree with each other. */
#include "headers.h"

#include <inttypes.h>
#include <time.h>

#include "duration.h"
#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "organization.h"

/* The limit that OpenAI's headers call requests or tokens. */
static bool find(struct model *m, enum metric minute, enum metric day, int64_t now_us, struct standing *ret)
{
    return metric_is_requests(minute)
               ? model_standing(m, day, now_us, ret) || model_standing(m, minute, now_us, ret)
               : model_standing(m, minute, now_us, ret) || model_standing(m, day, now_us, ret);
}

static void print_pair(struct buf *out, const char *type, const struct standing *s)
{
    buf_addf(out,
             "x-ratelimit-limit-%s: %" PRId64 "\r\nx-ratelimit-remaining-%s: %" PRId64
             "\r\nx-ratelimit-reset-%s: ",
             type, s->max, type, s->left, type);
}

static void print_duration(struct buf *out, const char *type, const struct standing *s)
{
    print_pair(out, type, s);
    duration_print(out, s->reset_us);
    buf_add_str(out, "\r\n");
}

static void print_openai(struct model *m, int64_t now_us, struct buf *out)
{
    struct standing s;

    if (find(m, METRIC_REQUESTS, METRIC_DAY_REQUESTS, now_us, &s))
        print_duration(out, "requests", &s);
    if (find(m, METRIC_TOKENS, METRIC_DAY_TOKENS, now_us, &s))
        print_duration(out, "tokens", &s);
}

static void print_groq(struct model *m, int64_t now_us, struct buf *out)
{
    struct standing s;

    if (model_standing(m, METRIC_DAY_REQUESTS, now_us, &s))
        print_duration(out, "requests", &s);
    if (model_standing(m, METRIC_TOKENS, now_us, &s))
        print_duration(out, "tokens", &s);
}

static int64_t seconds(int64_t us)
{
    return (us + CLOCK_S - 1) / CLOCK_S;
}

static void print_venice(struct model *m, int64_t now_us, int64_t wall_us, struct buf *out)
{
    struct standing s;

    if (find(m, METRIC_REQUESTS, METRIC_DAY_REQUESTS, now_us, &s)) {
        print_pair(out, "requests", &s);
        buf_addf(out, "%" PRId64 "\r\n", seconds(wall_us + s.reset_us));
    }
    if (find(m, METRIC_TOKENS, METRIC_DAY_TOKENS, now_us, &s)) {
        print_pair(out, "tokens", &s);
        buf_addf(out, "%" PRId64 "\r\n", seconds(s.reset_us));
    }
}

static void print_azure(struct model *m, int64_t now_us, struct buf *out)
{
    bool odd = m->config.headers == FAMILY_AZURE && ++m->heads % 3 == 0;

    for (int i = METRIC_REQUESTS; i <= METRIC_TOKENS; i++) {
        const char *type = metric_type((enum metric)i);
        struct standing s;

        if (!model_standing(m, (enum metric)i, now_us, &s))
            continue;
        if (odd)
            buf_addf(
                out,
                "x-ratelimit-limit-%s: -1\r\nx-ratelimit-remaining-%s: -1\r\nx-ratelimit-reset-%s: 0\r\n",
                type, type, type);
        else
            buf_addf(out, "x-ratelimit-remaining-%s: %" PRId64 "\r\n", type, s.left);
    }
}

/* ---- Anthropic's ---- */

static void print_moment(struct buf *out, const char *name, const struct standing *s, int64_t wall_us)
{
    time_t at = (time_t)seconds(wall_us + s->reset_us);
    struct tm tm;
    char text[32];

    gmtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_addf(out,
             "anthropic-ratelimit-%s-limit: %" PRId64 "\r\nanthropic-ratelimit-%s-remaining: %" PRId64
             "\r\nanthropic-ratelimit-%s-reset: %s\r\n",
             name, s->max, name, s->left, name, text);
}

/* Tokens are told to the nearest thousand. */
static void print_rounded(struct buf *out, const char *name, struct standing s, int64_t wall_us)
{
    s.left = (s.left + 500) / 1000 * 1000;
    print_moment(out, name, &s, wall_us);
}

static void print_anthropic(struct model *m, int64_t now_us, int64_t wall_us, struct buf *out)
{
    struct standing s, input, output;
    bool has_input = model_standing(m, METRIC_INPUT, now_us, &input);
    bool has_output = model_standing(m, METRIC_OUTPUT, now_us, &output);
    bool has_tokens = model_standing(m, METRIC_TOKENS, now_us, &s);

    if (!has_tokens && has_input && has_output) {
        s = (struct standing){input.max + output.max, input.left + output.left,
                              input.reset_us > output.reset_us ? input.reset_us : output.reset_us};
        has_tokens = true;
    }
    if (has_tokens)
        print_rounded(out, "tokens", s, wall_us);
    if (model_standing(m, METRIC_REQUESTS, now_us, &s))
        print_moment(out, "requests", &s, wall_us);
    if (has_input)
        print_rounded(out, "input-tokens", input, wall_us);
    if (has_output)
        print_rounded(out, "output-tokens", output, wall_us);
}

void headers_print(struct model *m, enum family family, const struct organization *org, bool limits,
                   int64_t now_us, int64_t wall_us, struct buf *out)
{
    if (family == FAMILY_OPENAI)
        buf_addf(out, "openai-organization: %s\r\n", org->name);
    if (family == FAMILY_ANTHROPIC)
        buf_addf(out, "anthropic-organization-id: %s\r\n", org->uuid);
    if (!limits)
        return;
    switch (family) {
    case FAMILY_OPENAI:
        print_openai(m, now_us, out);
        break;
    case FAMILY_ANTHROPIC:
        print_anthropic(m, now_us, wall_us, out);
        break;
    case FAMILY_GROQ:
        print_groq(m, now_us, out);
        break;
    case FAMILY_AZURE:
        print_azure(m, now_us, out);
        break;
    case FAMILY_VENICE:
        print_venice(m, now_us, wall_us, out);
        break;
    case FAMILY_AUTO:
    case FAMILY_NONE:
    case FAMILY_GEMINI:
        break;
    }
}
