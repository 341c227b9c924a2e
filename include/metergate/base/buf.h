/*
 * buf: a growable run of bytes with a maximum given at init.
 *
 * The buffer owns its memory; buf_take moves it out and leaves the buffer valid and empty. What would pass the maximum
 * is refused with -E2BIG and nothing is written. The bytes are always followed by a NUL that is not counted, so text
 * may be handed to C functions.
 */
#ifndef METERGATE_BASE_BUF_H
#define METERGATE_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

struct buf {
    char *p;    /* readable: the bytes, NULL while nothing was ever written */
    size_t n;   /* readable: how many */
    size_t cap; /* private */
    size_t max; /* private: the most that n may become */
};

#define BUF_UNLIMITED ((size_t)-1 >> 2)

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b); /* frees; the buffer is empty and usable again */
void buf_reset(struct buf *b);   /* empty, memory kept */

/* Wipes the bytes (and what lies beyond them in the allocation) before freeing: for secrets. Growing leaves copies behind,
 * so reserve the room for a secret before the first byte of it. */
void buf_release_secret(struct buf *b);

/* Room for n more bytes. Growth is geometric. -E2BIG over the maximum, -ENOMEM. */
int buf_reserve(struct buf *b, size_t n) MG_MUSTCHECK;

int buf_append(struct buf *b, const void *p, size_t n) MG_MUSTCHECK;

/* Gives the slack that growing left back to the system: for what is full and will be kept for long. */
void buf_trim(struct buf *b);

/* For text that we compose ourselves into unlimited buffers: what does not fit is a bug; memory is had as xmalloc has it. */
void buf_need(struct buf *b, size_t n); /* room for n more bytes */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) MG_PRINTF(2, 3);
void buf_addv(struct buf *b, const char *fmt, va_list ap) MG_PRINTF(2, 0);

/* Removes the first n bytes (n <= b->n). */
void buf_drop_head(struct buf *b, size_t n);

/* Removes the last n bytes (n <= b->n). */
void buf_drop_tail(struct buf *b, size_t n);

/* The bytes leave the buffer; free() them. Never NULL. */
char *buf_take(struct buf *b, size_t *ret_n);

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->p, b->n);
}

#endif
