/* buf: p is NULL exactly while cap is 0; otherwise n < cap and p[n] is NUL. */
#include "metergate/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/spare.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max < BUF_UNLIMITED ? max : BUF_UNLIMITED};
}

void buf_release(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void buf_release_secret(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_release(b);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

int buf_reserve(struct buf *b, size_t n)
{
    size_t need, cap;
    char *p;

    if (n > b->max || b->n > b->max - n)
        return -E2BIG;
    need = b->n + n + 1;
    if (need <= b->cap)
        return 0;
    cap = b->cap + b->cap / 2;
    if (cap < need)
        cap = need;
    if (cap < 64)
        cap = 64;
    if (cap > b->max + 1)
        cap = b->max + 1;
    p = spare_realloc(b->p, cap); /* a little is helped with, a big body fails alone */
    if (!p)
        return -ENOMEM;
    b->p = p;
    b->cap = cap;
    b->p[b->n] = '\0';
    return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
    int rc = buf_reserve(b, n);

    if (rc < 0)
        return rc;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
    return 0;
}

void buf_trim(struct buf *b)
{
    char *p;

    if (!b->p || b->cap == b->n + 1)
        return;
    p = realloc(b->p, b->n + 1);
    if (!p)
        return;
    b->p = p;
    b->cap = b->n + 1;
}

void buf_need(struct buf *b, size_t n)
{
    int rc = buf_reserve(b, n);

    for (unsigned i = 0; rc == -ENOMEM; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
        rc = buf_reserve(b, n);
    }
    MG_ASSERT(rc == 0);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    buf_need(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    MG_ASSERT(n >= 0);
    buf_need(b, (size_t)n);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_addv(b, fmt, ap);
    va_end(ap);
}

void buf_drop_head(struct buf *b, size_t n)
{
    MG_ASSERT(n <= b->n);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

void buf_drop_tail(struct buf *b, size_t n)
{
    MG_ASSERT(n <= b->n);
    if (n == 0)
        return;
    b->n -= n;
    b->p[b->n] = '\0';
}

char *buf_take(struct buf *b, size_t *ret_n)
{
    char *p;

    buf_need(b, 0);
    p = b->p;
    if (ret_n)
        *ret_n = b->n;
    buf_init(b, b->max);
    return p;
}
