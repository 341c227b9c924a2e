/*
 * vocab: a BPE vocabulary in memory, for the programs that run while Metergate is being built.
 *
 * It is read either from OpenAI's published text (one `base64(token) rank` a line) or from our compact form
 * (pairs: how each token splits into two tokens of lower rank; see src/tokens/data/README.md). Both forms
 * carry the same information: writing the text from either gives the SHA-256 that OpenAI's tiktoken
 * publishes, and vocab_check insists.
 *
 * These programs run at a developer's or a builder's prompt: every failure prints a sentence and exits with
 * status 1.
 */
#ifndef METERGATE_TOOLS_VOCAB_VOCAB_H
#define METERGATE_TOOLS_VOCAB_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#define VOCAB_BYTES 256 /* the tokens 0..255 are the single bytes, in an order of the vocabulary's own */

struct vocab {
    const char *name;     /* "o200k_base", ... */
    uint32_t n;           /* tokens; ranks are 0..n-1 without gaps */
    uint32_t *start;      /* owned: token r is bytes[start[r]] .. bytes[start[r + 1] - 1] */
    unsigned char *bytes; /* owned */
    uint32_t *left;       /* owned: the two tokens that r is merged from; r itself below VOCAB_BYTES */
    uint32_t *right;      /* owned */
};

/* Prints "vocab: ..." and exits. */
__attribute__((noreturn, format(printf, 1, 2))) void vocab_die(const char *fmt, ...);

/* The whole file; free() it. */
unsigned char *vocab_read_file(const char *path, size_t *ret_n);
void vocab_write_file(const char *path, const void *p, size_t n);

void vocab_load_tiktoken(struct vocab *v, const char *name, const char *path);
void vocab_load_pairs(struct vocab *v, const char *name, const char *path);
void vocab_save_pairs(const struct vocab *v, const char *path);
void vocab_release(struct vocab *v);

/* Written as OpenAI's text, the vocabulary has the published number of tokens and the published SHA-256. */
void vocab_check(const struct vocab *v);

#endif
