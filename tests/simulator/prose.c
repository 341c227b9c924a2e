/*
 * prose: every plain word is one token with its leading space, in both public vocabularies, and no piece joins with its
 * neighbours when the vocabulary splits text: each begins with a space and holds no other. The first piece has no
 * space and is one token too. tests/e2e/test_simulator.c counts whole answers to make sure.
 */
#include "prose.h"

#include "metergate/base/err.h"
#include "tally.h"

static const char *const plain[] = {
    " the",  " water", " of",   " a",     " canal", " is",    " held", " at",   " gate",  " until", " there", " room",
    " for",  " it",    " and",  " then",  " flows", " on",    " as",   " fast", " field", " can",   " take",  " so",
    " that", " no",    " one",  " who",   " lives", " down",  " river", " finds", " bed",  " dry",   " when",  " sun",
};

static const char *const foreign[] = {
    " Wasser", " fließt", " eau", " été", " вода", " течёт", " 水", " 流れる", " नदी", " ماء", " 🌊", " 👩‍🌾", " naïve", " ½",
};

/* FNV-1a */
static uint64_t hash(uint64_t h, struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211);
    return h;
}

uint64_t prose_seed(struct slice model, struct slice prompt)
{
    return hash(hash(UINT64_C(14695981039346656037), model), prompt);
}

void prose_init(struct prose *p, struct slice model, uint64_t seed, int64_t tokens, bool unicode)
{
    *p = (struct prose){
        .model = model, .state = seed | 1, .left = tokens > 0 ? tokens : 0, .unicode = unicode, .first = true};
}

/* xorshift64* */
static size_t draw(struct prose *p, size_t below)
{
    p->state ^= p->state >> 12;
    p->state ^= p->state << 25;
    p->state ^= p->state >> 27;
    return (size_t)((p->state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % below;
}

bool prose_next(struct prose *p, struct slice *ret, int64_t *ret_tokens)
{
    if (p->left <= 0)
        return false;
    if (p->first) {
        *ret = SLICE("The");
        *ret_tokens = 1;
    } else if (p->unicode && draw(p, 3) == 0) {
        *ret = slice_str(foreign[draw(p, MG_ARRAY_LEN(foreign))]);
        *ret_tokens = tally_text(p->model, *ret);
        if (*ret_tokens > p->left) {
            *ret = slice_str(plain[0]);
            *ret_tokens = 1;
        }
    } else {
        *ret = slice_str(plain[draw(p, MG_ARRAY_LEN(plain))]);
        *ret_tokens = 1;
    }
    p->first = false;
    p->left -= *ret_tokens;
    return true;
}
