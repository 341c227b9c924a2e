/* session: one that has ended is zeroed, or its time is over. */
#include "metergate/proxy/session.h"

#include "metergate/config/config.h"

static bool is_of(const struct session *s, const struct secret_fingerprint *token)
{
    return s->until_us && secret_fingerprint_eq(&s->token, token);
}

/* All last equally long, so the oldest is the one that ends first; a free place is older than any. */
static struct session *oldest(struct sessions *s, const struct secret_fingerprint *token)
{
    struct session *found = &s->v[0], *own = NULL;
    int owned = 0;

    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (s->v[i].until_us < found->until_us)
            found = &s->v[i];
        if (!is_of(&s->v[i], token))
            continue;
        owned++;
        if (!own || s->v[i].until_us < own->until_us)
            own = &s->v[i];
    }
    return owned < SESSIONS_EACH ? found : own;
}

void sessions_begin(struct sessions *s, const struct secret_fingerprint *token, int64_t user, int64_t now_us,
                    char ret[SESSION_SIZE])
{
    secret_random_hex(ret, SESSION_BYTES);
    *oldest(s, token) = (struct session){
        .digest = secret_fingerprint_of(slice_of(ret, SESSION_SIZE - 1)),
        .token = *token,
        .user = user,
        .until_us = now_us + SESSION_US,
    };
}

/* -1: none has that text. Every one is looked at, whatever was found before. */
static int find(const struct sessions *s, struct slice text)
{
    struct secret_fingerprint given;
    int found = -1;

    if (text.n != SESSION_SIZE - 1)
        return -1;
    given = secret_fingerprint_of(text);
    for (int i = 0; i < SESSIONS_MAX; i++) {
        if (secret_fingerprint_eq(&s->v[i].digest, &given) & (s->v[i].until_us != 0))
            found = i;
    }
    return found;
}

bool sessions_has(const struct sessions *s, struct slice text, int64_t user, int64_t now_us)
{
    int i = find(s, text);

    return i >= 0 && s->v[i].user == user && now_us < s->v[i].until_us;
}

void sessions_end(struct sessions *s, struct slice text)
{
    int i = find(s, text);

    if (i >= 0)
        s->v[i] = (struct session){0};
}

static bool is_known(const struct config *config, const struct secret_fingerprint *token)
{
    for (size_t i = 0; i < config->clients.n; i++) {
        const struct config_client *c = config->clients.v[i];

        if (c->has_token && secret_fingerprint_eq(&c->token, token))
            return true;
    }
    return false;
}

void sessions_keep(struct sessions *s, const struct config *config)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (s->v[i].until_us && !is_known(config, &s->v[i].token))
            s->v[i] = (struct session){0};
    }
}
