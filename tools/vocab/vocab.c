/*
 * vocab: reading, writing and checking the two forms. See vocab.h.
 *
 * Always true: start[] rises strictly (no empty token), start[n] is the size of bytes, and for r >=
 * VOCAB_BYTES left[r] and right[r] are below r, so that expanding in rank order meets only known tokens.
 */
#include "vocab.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

#define MAX_TOKENS     (1u << 18)
#define MAX_TOKEN_SIZE 128

/* Numbers and hashes as tiktoken_ext/openai_public.py of OpenAI's tiktoken states them (expected_hash). */
static const struct {
    const char *name;
    uint32_t n;
    const char *sha256;
} published[] = {
    {"o200k_base", 199998, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"},
    {"cl100k_base", 100256, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"},
};

static const char pairs_magic[8] = {'M', 'G', 'P', 'A', 'I', 'R', 'S', '1'};

void vocab_die(const char *fmt, ...)
{
    va_list ap;

    (void)fputs("vocab: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    exit(1);
}

static void *must(void *p)
{
    if (!p)
        vocab_die("out of memory");
    return p;
}

unsigned char *vocab_read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *p = NULL;
    size_t n = 0, cap = 0;

    if (!f)
        vocab_die("cannot open %s", path);
    for (;;) {
        if (cap - n < 65536) {
            cap = cap * 2 + (1u << 20);
            p = must(realloc(p, cap));
        }
        size_t got = fread(p + n, 1, cap - n, f);
        if (got == 0)
            break;
        n += got;
    }
    if (ferror(f))
        vocab_die("cannot read %s", path);
    (void)fclose(f);
    *ret_n = n;
    return p;
}

void vocab_write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        vocab_die("cannot write %s", path);
}

/* ---- room ------------------------------------------------------------------------------------ */

static void make_room(struct vocab *v, const char *name)
{
    v->name = name;
    v->n = 0;
    v->start = must(calloc(MAX_TOKENS + 1, sizeof *v->start));
    v->left = must(calloc(MAX_TOKENS, sizeof *v->left));
    v->right = must(calloc(MAX_TOKENS, sizeof *v->right));
    v->bytes = must(malloc((size_t)MAX_TOKENS * MAX_TOKEN_SIZE));
}

void vocab_release(struct vocab *v)
{
    free(v->start);
    free(v->left);
    free(v->right);
    free(v->bytes);
    memset(v, 0, sizeof *v);
}

/* Gives token n its bytes, which the caller has put behind the last token's. */
static void push_token(struct vocab *v, size_t size)
{
    if (size == 0 || size > MAX_TOKEN_SIZE || v->n + 1 >= MAX_TOKENS)
        vocab_die("%s: token %u has %zu bytes", v->name, v->n, size);
    v->start[v->n + 1] = v->start[v->n] + (uint32_t)size;
    v->n++;
}

static uint32_t size_of(const struct vocab *v, uint32_t r)
{
    return v->start[r + 1] - v->start[r];
}

/* ---- bytes to rank --------------------------------------------------------------------------- */

struct ranks {
    const struct vocab *v;
    uint32_t *slot; /* rank + 1, 0 = free; twice as many as MAX_TOKENS */
};

#define RANK_SLOTS ((size_t)MAX_TOKENS * 2)

static uint32_t *rank_slot(const struct ranks *t, const unsigned char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    for (size_t at = (h >> 32) % RANK_SLOTS;; at = (at + 1) % RANK_SLOTS) {
        uint32_t r = t->slot[at];

        if (r == 0 || (size_of(t->v, r - 1) == n && memcmp(t->v->bytes + t->v->start[r - 1], p, n) == 0))
            return &t->slot[at];
    }
}

static void ranks_init(struct ranks *t, const struct vocab *v)
{
    t->v = v;
    t->slot = must(calloc(RANK_SLOTS, sizeof *t->slot));
    for (uint32_t r = 0; r < v->n; r++) {
        uint32_t *slot = rank_slot(t, v->bytes + v->start[r], size_of(v, r));

        if (*slot)
            vocab_die("%s: tokens %u and %u are the same", v->name, *slot - 1, r);
        *slot = r + 1;
    }
}

/* ---- splitting ------------------------------------------------------------------------------- */

/*
 * Byte pair encoding of the token itself with the ranks below its own: the state before the last merge is the
 * pair. cut[0..parts] are the borders of the parts.
 */
static void split_token(struct vocab *v, const struct ranks *t, uint32_t rank)
{
    const unsigned char *p = v->bytes + v->start[rank];
    size_t parts = size_of(v, rank);
    size_t cut[MAX_TOKEN_SIZE + 1] = {0};

    for (size_t i = 0; i <= parts; i++)
        cut[i] = i;
    while (parts > 2) {
        size_t best = parts;
        uint32_t best_rank = rank;

        for (size_t i = 0; i + 2 <= parts; i++) {
            uint32_t r = *rank_slot(t, p + cut[i], cut[i + 2] - cut[i]);

            if (r != 0 && r - 1 < best_rank) {
                best_rank = r - 1;
                best = i;
            }
        }
        if (best == parts)
            vocab_die("%s: token %u is not a merge of two others", v->name, rank);
        memmove(cut + best + 1, cut + best + 2, (parts - best - 1) * sizeof cut[0]);
        parts--;
    }
    v->left[rank] = *rank_slot(t, p, cut[1]) - 1;
    v->right[rank] = *rank_slot(t, p + cut[1], cut[2] - cut[1]) - 1;
    if (v->left[rank] >= rank || v->right[rank] >= rank)
        vocab_die("%s: token %u splits into a later one", v->name, rank);
}

/* ---- OpenAI's text --------------------------------------------------------------------------- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
#define BASE64_DIGITS (sizeof base64 - 1)

static size_t decode_base64(const unsigned char *p, size_t n, unsigned char *to)
{
    uint32_t bits = 0;
    int have = 0;
    size_t out = 0;

    for (size_t i = 0; i < n && p[i] != '='; i++) {
        const char *at = memchr(base64, p[i], BASE64_DIGITS);

        if (!at)
            vocab_die("byte %u is not base64", p[i]);
        bits = bits << 6 | (uint32_t)(at - base64);
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[out++] = (unsigned char)(bits >> have);
        }
    }
    return out;
}

static size_t encode_base64(const unsigned char *p, size_t n, char *to)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;

        if (left > 1)
            bits |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            bits |= p[i + 2];
        for (size_t j = 0; j < 4; j++)
            to[out++] = j <= left ? base64[bits >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

void vocab_load_tiktoken(struct vocab *v, const char *name, const char *path)
{
    size_t n;
    unsigned char *text = vocab_read_file(path, &n);
    struct ranks t;

    make_room(v, name);
    for (size_t at = 0; at < n;) {
        const unsigned char *line = text + at;
        const unsigned char *eol = memchr(line, '\n', n - at);
        const unsigned char *space = eol ? memchr(line, ' ', (size_t)(eol - line)) : NULL;

        if (!space || (size_t)(space - line) > MAX_TOKEN_SIZE * 4 / 3 + 3)
            vocab_die("%s: line %u is not `base64 rank`", path, v->n + 1);
        if (strtoul((const char *)space + 1, NULL, 10) != v->n)
            vocab_die("%s: line %u has another rank", path, v->n + 1);
        push_token(v, decode_base64(line, (size_t)(space - line), v->bytes + v->start[v->n]));
        at = (size_t)(eol + 1 - text);
    }
    free(text);
    ranks_init(&t, v);
    for (uint32_t r = 0; r < v->n; r++) {
        v->left[r] = v->right[r] = r;
        if ((size_of(v, r) == 1) != (r < VOCAB_BYTES))
            vocab_die("%s: the first 256 tokens are not the single bytes", name);
        if (r >= VOCAB_BYTES)
            split_token(v, &t, r);
    }
    free(t.slot);
}

void vocab_check(const struct vocab *v)
{
    struct sha256 s;
    char line[MAX_TOKEN_SIZE * 2 + 16], hex[65];

    sha256_init(&s);
    for (uint32_t r = 0; r < v->n; r++) {
        size_t at = encode_base64(v->bytes + v->start[r], size_of(v, r), line);
        int more = snprintf(line + at, sizeof line - at, " %u\n", r);

        sha256_add(&s, line, at + (size_t)more);
    }
    sha256_finish_hex(&s, hex);
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        if (strcmp(published[i].name, v->name) != 0)
            continue;
        if (published[i].n != v->n || strcmp(published[i].sha256, hex) != 0)
            vocab_die("%s: %u tokens with SHA-256 %s, published are %u with %s", v->name, v->n, hex,
                      published[i].n, published[i].sha256);
        return;
    }
    vocab_die("%s: not a vocabulary whose hash is known here", v->name);
}

/* ---- our pairs ------------------------------------------------------------------------------- */

enum { PAIRS_HEAD = 12, PLANES = 6 };

static void put_u32(unsigned char *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(x >> (8 * i));
}

static uint32_t get_u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void vocab_save_pairs(const struct vocab *v, const char *path)
{
    size_t merged = v->n - VOCAB_BYTES;
    size_t size = PAIRS_HEAD + VOCAB_BYTES + PLANES * merged;
    unsigned char *file = must(malloc(size));
    unsigned char *plane = file + PAIRS_HEAD + VOCAB_BYTES;

    memcpy(file, pairs_magic, sizeof pairs_magic);
    put_u32(file + 8, v->n);
    memcpy(file + PAIRS_HEAD, v->bytes, VOCAB_BYTES);
    for (size_t i = 0; i < merged; i++) {
        for (size_t b = 0; b < 3; b++) {
            plane[b * merged + i] = (unsigned char)(v->left[i + VOCAB_BYTES] >> (8 * b));
            plane[(3 + b) * merged + i] = (unsigned char)(v->right[i + VOCAB_BYTES] >> (8 * b));
        }
    }
    vocab_write_file(path, file, size);
    free(file);
}

static uint32_t get_part(const unsigned char *planes, size_t merged, size_t i)
{
    return planes[i] | (uint32_t)planes[merged + i] << 8 | (uint32_t)planes[2 * merged + i] << 16;
}

void vocab_load_pairs(struct vocab *v, const char *name, const char *path)
{
    size_t size;
    unsigned char *file = vocab_read_file(path, &size);
    uint32_t n = size >= PAIRS_HEAD ? get_u32(file + 8) : 0;
    size_t merged = n - VOCAB_BYTES;
    const unsigned char *planes = file + PAIRS_HEAD + VOCAB_BYTES;

    if (n <= VOCAB_BYTES || n >= MAX_TOKENS || memcmp(file, pairs_magic, sizeof pairs_magic) != 0 ||
        size != PAIRS_HEAD + VOCAB_BYTES + PLANES * merged)
        vocab_die("%s: not a file of pairs", path);
    make_room(v, name);
    for (uint32_t r = 0; r < n; r++) {
        unsigned char *to = v->bytes + v->start[r];

        v->left[r] = v->right[r] = r;
        *to = file[PAIRS_HEAD + r % VOCAB_BYTES];
        if (r < VOCAB_BYTES) {
            push_token(v, 1);
            continue;
        }
        uint32_t left = get_part(planes, merged, r - VOCAB_BYTES);
        uint32_t right = get_part(planes + 3 * merged, merged, r - VOCAB_BYTES);
        if (left >= r || right >= r || size_of(v, left) + size_of(v, right) > MAX_TOKEN_SIZE)
            vocab_die("%s: token %u splits into a later one", path, r);
        memcpy(to, v->bytes + v->start[left], size_of(v, left));
        memcpy(to + size_of(v, left), v->bytes + v->start[right], size_of(v, right));
        v->left[r] = left;
        v->right[r] = right;
        push_token(v, size_of(v, left) + size_of(v, right));
    }
    free(file);
}
