/* profile: amounts are clamped to 0..PROFILE_AMOUNT_MAX where they enter, so that sums never overflow. */
#include "metergate/gate/profile.h"

static int64_t clamp(int64_t v)
{
    return v < 0 ? 0 : v > PROFILE_AMOUNT_MAX ? PROFILE_AMOUNT_MAX : v;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t product(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_mul_overflow(clamp(a), clamp(b), &v) ? PROFILE_AMOUNT_MAX : clamp(v);
}

static bool is_on_arrival(enum profile p)
{
    return p == PROFILE_OPENAI || p == PROFILE_AZURE || p == PROFILE_GROQ;
}

/* The bound of the output is taken on top of the prompt, whatever will be produced. */
static bool adds_the_bound(enum profile p)
{
    return p == PROFILE_AZURE || p == PROFILE_GROQ;
}

static bool cache_is_free(enum profile p)
{
    return p == PROFILE_ANTHROPIC || p == PROFILE_GROQ;
}

bool profile_charges_as_produced(enum profile p)
{
    return p == PROFILE_ANTHROPIC;
}

static struct cost one_request(enum profile p)
{
    struct cost c = {0};

    for (int m = 0; m < METRICS; m++)
        c.in_full[m] = is_on_arrival(p) || (m != METRIC_TOKENS && m != METRIC_OUTPUT);
    c.in_full[METRIC_TOKENS] |= p == PROFILE_GEMINI; /* of input alone */
    c.on_arrival[METRIC_REQUESTS] = 1;
    c.floor[METRIC_REQUESTS] = 1;
    c.on_arrival[METRIC_CONCURRENT] = 1;
    c.floor[METRIC_CONCURRENT] = 1;
    return c;
}

/* The provider's own estimate from the size of the request. */
static int64_t floor_tokens(enum profile p, const struct estimate *e)
{
    int64_t bound = product(e->max_output, e->choices);

    if (p == PROFILE_OPENAI)
        return larger((clamp(e->characters) + 3) / 4, bound);
    return adds_the_bound(p) ? bound : clamp(e->input);
}

static int64_t charged_tokens(enum profile p, const struct estimate *e)
{
    int64_t input = clamp(e->input), output = clamp(e->expected_output);

    if (adds_the_bound(p))
        return input + larger(output, floor_tokens(p, e));
    return larger(input + output, floor_tokens(p, e));
}

/* Where input and output are charged, of a call that has used both. */
static void charge(enum profile p, int64_t input, int64_t output, struct cost *c)
{
    c->on_arrival[METRIC_INPUT] = input;
    c->on_arrival[METRIC_TOKENS] = input;
    if (is_on_arrival(p)) {
        c->on_arrival[METRIC_TOKENS] = clamp(input + output);
        c->on_arrival[METRIC_OUTPUT] = output;
        return;
    }
    if (p != PROFILE_GEMINI)
        c->at_end[METRIC_TOKENS] = output;
    c->at_end[METRIC_OUTPUT] = output;
}

struct cost profile_reserve(enum profile p, const struct estimate *e)
{
    struct cost c = one_request(p);

    c.exact = e->exact;
    c.input = clamp(e->input);
    charge(p, c.input, clamp(e->expected_output), &c);
    c.floor[METRIC_INPUT] = c.input;
    c.floor[METRIC_TOKENS] = floor_tokens(p, e);
    if (is_on_arrival(p))
        c.on_arrival[METRIC_TOKENS] = clamp(charged_tokens(p, e));
    return c;
}

/* What a provider that charges tokens on arrival charged for it, when it counted so much input. */
static int64_t kept_tokens(enum profile p, const struct estimate *e, int64_t input)
{
    if (!is_on_arrival(p))
        return 0;
    return p == PROFILE_OPENAI ? floor_tokens(p, e) : clamp(input + product(e->max_output, e->choices));
}

struct cost profile_settle(enum profile p, const struct estimate *e, const struct usage *u)
{
    struct cost c = one_request(p);
    int64_t input = clamp(u->input), from_cache = clamp(u->cached);

    c.exact = true;
    c.kept = kept_tokens(p, e, input);
    c.input = input;
    if (cache_is_free(p))
        input = input > from_cache ? input - from_cache : 0;
    charge(p, input, clamp(u->output), &c);
    return c;
}

struct cost profile_refused(enum profile p)
{
    return one_request(p);
}

int64_t cost_total(const struct cost *c, enum metric m)
{
    return c->on_arrival[m] + c->at_end[m];
}
