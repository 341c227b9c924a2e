/*
 * encoding: one table, read from the top; the first row that matches decides.
 *
 * A row is a whole name, or, with a star at its end, a beginning. The last OpenAI rows are catch-alls, so a
 * name that is not theirs must stand above them.
 */
#include "metergate/tokens/encoding.h"

#include <string.h>

#include "metergate/base/err.h"

struct rule {
    const char *name;
    struct model_encoding gives;
};

#define O200K                                                                                                \
    {                                                                                                        \
        ENCODING_O200K, true                                                                                 \
    }
#define CL100K                                                                                               \
    {                                                                                                        \
        ENCODING_CL100K, true                                                                                \
    }
#define NEAREST                                                                                              \
    {                                                                                                        \
        ENCODING_O200K, false                                                                                \
    }

static const struct rule rules[] = {
    {"gpt-4o*", O200K},
    {"gpt-4.*", O200K},
    {"gpt-4", CL100K},
    {"gpt-4-*", CL100K},
    {"gpt-3.5", CL100K},
    {"gpt-3.5-turbo", CL100K},
    {"gpt-3.5-turbo-*", CL100K},
    {"gpt-35-turbo", CL100K}, /* Azure's spelling */
    {"gpt-35-turbo-*", CL100K},
    {"davinci-002", CL100K},
    {"babbage-002", CL100K},
    {"text-embedding-ada-002", CL100K},
    {"text-embedding-3-small", CL100K},
    {"text-embedding-3-large", CL100K},
    {"chatgpt-4o-*", O200K},
    {"gpt-2", NEAREST},
    {"gpt-*", O200K}, /* GPT-5, GPT-6, gpt-oss (harmony has the same ranks), and what comes */
};

/* o1, o3-mini, o4-mini-2025-04-16, ... */
static bool is_o_series(struct slice name)
{
    size_t i = 1;

    if (name.n < 2 || name.p[0] != 'o')
        return false;
    while (i < name.n && name.p[i] >= '0' && name.p[i] <= '9')
        i++;
    return i > 1 && (i == name.n || name.p[i] == '-');
}

static bool matches(struct slice name, const char *rule)
{
    struct slice want = slice_str(rule);

    if (want.p[want.n - 1] != '*')
        return slice_eq(name, want);
    return slice_starts(name, slice_head(want, want.n - 1));
}

/* Who passes a model on, or makes it, as gateways and clouds write it before the name. */
static const char *const vendors[] = {
    "openai/",    "azure/",  "azure_ai/", "openrouter/",   "anthropic/",    "google/",         "gemini/",
    "vertex_ai/", "bedrock/", "models/",   "us.anthropic.", "eu.anthropic.", "apac.anthropic.", "global.anthropic.",
    "anthropic.",
};

static struct slice without_vendor(struct slice name)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(vendors); i++)
        if (slice_starts(name, slice_str(vendors[i])))
            return slice_skip(name, strlen(vendors[i]));
    return name;
}

struct slice encoding_base_model(const char *model, size_t n)
{
    struct slice name = slice_of(model, n), shorter = without_vendor(name);

    while (shorter.n < name.n) { /* openrouter/openai/gpt-4o */
        name = shorter;
        shorter = without_vendor(name);
    }
    if (slice_starts(name, SLICE("ft:"))) {
        name = slice_skip(name, sizeof "ft:" - 1);
        name = slice_head(name, slice_find(name, ':'));
    }
    return name;
}

struct model_encoding encoding_for_model(const char *model, size_t n)
{
    struct slice name = encoding_base_model(model, n);

    for (size_t i = 0; i < MG_ARRAY_LEN(rules); i++)
        if (matches(name, rules[i].name))
            return rules[i].gives;
    return (struct model_encoding){ENCODING_O200K, is_o_series(name)};
}

/* Names of Claude that count with the vocabulary before 4.7. Later names begin with the family, as these do.
 */
static const char *const old_claude[] = {
    "claude-1*",
    "claude-2*",
    "claude-3*",
    "claude-instant*",
    "claude-haiku-4*",
    "claude-sonnet-4*",
    "claude-opus-4-[0156]*",
    "claude-opus-4-20*",
    "claude-opus-4",
};

int64_t encoding_scale_permille(const char *model, size_t n)
{
    struct slice name = encoding_base_model(model, n);

    if (encoding_for_model(model, n).exact)
        return 1000;
    for (size_t i = 0; i < MG_ARRAY_LEN(old_claude); i++)
        if (slice_glob(name, old_claude[i]))
            return 1200;
    if (slice_starts(name, SLICE("claude")))
        return 1500;
    return slice_starts(name, SLICE("gemini")) ? 1100 : 1000;
}

const char *encoding_name(enum encoding e)
{
    static const char *const names[ENCODINGS] = {
        [ENCODING_O200K] = "o200k_base",
        [ENCODING_CL100K] = "cl100k_base",
    };

    MG_ASSERT((unsigned)e < ENCODINGS);
    return names[e];
}
