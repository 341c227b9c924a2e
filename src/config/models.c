/*
 * models: `match` empty means the key speaks for itself: as a glob when it has glob characters, else as a
 * name with its dated snapshots. An entry that neither way matches is passed over.
 */
#include "metergate/config/models.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool is_month_day(const char *p)
{
    int month = two_digits(p), day = two_digits(p + 2);

    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* Bytes that hold the pattern's 'd' as digits and the rest as they stand, or 0. */
static bool has_shape(struct slice s, const char *shape)
{
    if (s.n != strlen(shape))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (shape[i] == 'd' ? !is_digit(s.p[i]) : s.p[i] != shape[i])
            return false;
    }
    return true;
}

/*
 * A snapshot's date with the '-' before it: -2024-08-06 (OpenAI), -20250514 (Anthropic), -0613 and
 * -1106-preview (OpenAI until early 2024). The month and day must be ones, so that a name that ends in -2048
 * is no snapshot.
 */
static bool is_date(struct slice s)
{
    if (has_shape(s, "-dddd-dd-dd"))
        return two_digits(s.p + 1) >= 20 && two_digits(s.p + 6) >= 1 && two_digits(s.p + 6) <= 12;
    if (has_shape(s, "-dddddddd"))
        return two_digits(s.p + 1) >= 20 && is_month_day(s.p + 5);
    if (slice_ends(s, SLICE("-preview")))
        s.n -= sizeof "-preview" - 1;
    return has_shape(s, "-dddd") && is_month_day(s.p + 1);
}

struct slice models_undated_name(struct slice model)
{
    for (size_t i = 1; i < model.n; i++) {
        if (model.p[i] == '-' && is_date(slice_skip(model, i)))
            return slice_head(model, i);
    }
    return model;
}

struct slice models_base_name(struct slice model)
{
    struct slice base = slice_skip(model, 3);

    if (!slice_starts(model, SLICE("ft:")))
        return model;
    base = slice_head(base, slice_find(base, ':'));
    return base.n ? base : model;
}

bool models_is_glob(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}

/* Where the bracket expression that begins at p ends (its ']'), or NULL. */
static const char *bracket_end(const char *p)
{
    p++;
    if (*p == '!' || *p == '^')
        p++;
    if (*p == ']')
        p++;
    return strchr(p, ']');
}

const char *models_glob_problem(const char *pattern)
{
    if (!*pattern)
        return "it is empty";
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\') {
            if (!*++p)
                return "it ends in a backslash";
            continue; /* the character after it stands for itself */
        }
        if (*p != '[')
            continue;
        p = bracket_end(p);
        if (!p)
            return "a [ without its ]";
    }
    return NULL;
}

bool models_key_matches(const char *key, struct slice model)
{
    if (models_is_glob(key))
        return slice_glob(model, key) || strcmp(key, "*") == 0;
    return slice_eq(model, slice_str(key)) || slice_eq(models_undated_name(model), slice_str(key));
}

static bool entry_matches(const struct config_model *entry, struct slice model)
{
    if (entry->match.n == 0)
        return models_key_matches(entry->name, model);
    for (size_t i = 0; i < entry->match.n; i++) {
        if (slice_glob(model, entry->match.v[i]) || strcmp(entry->match.v[i], "*") == 0)
            return true;
    }
    return false;
}

bool models_matches(const struct config_model *entry, struct slice model)
{
    return entry_matches(entry, model) || entry_matches(entry, models_base_name(model));
}

const struct config_model *config_model_for(const struct config *c, struct slice model,
                                            const struct config_upstream *via)
{
    for (size_t i = 0; i < c->model_count; i++) {
        const struct config_model *entry = c->models[i];

        if (via && entry->upstream && entry->upstream->dialect != via->dialect)
            continue;
        if (models_matches(entry, model))
            return entry;
    }
    return NULL;
}
