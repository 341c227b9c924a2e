/*
 * err: the three answers to three kinds of error.
 *
 *   bug in our own logic      MG_ASSERT: always compiled in, aborts with file:line
 *   peer or network           a negative code (-EINVAL, -E2BIG, ...)
 *   operator                  a code, and a sentence in a struct errbuf
 *
 * Memory of a small fixed size is had with the help of what is kept back for that (xmalloc, spare.h), and aborts the process
 * only when even that does not help; memory that a peer sizes has a maximum and its functions return -ENOMEM or -E2BIG.
 */
#ifndef METERGATE_BASE_ERR_H
#define METERGATE_BASE_ERR_H

#include <stddef.h>

#define MG_MUSTCHECK      __attribute__((warn_unused_result))
#define MG_PRINTF(f, a)   __attribute__((format(printf, f, a)))
#define MG_NORETURN       __attribute__((noreturn))
#define MG_UNUSED         __attribute__((unused))
#define MG_ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))
#define MG_CONTAINER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define MG_ASSERT(cond) ((cond) ? (void)0 : err_bug(#cond, __FILE__, __LINE__))

/* Prints the broken condition to stderr and aborts. */
MG_NORETURN void err_bug(const char *cond, const char *file, int line);

/* A sentence for the operator; always NUL-terminated; longer text is cut. */
struct errbuf {
    char text[512];
};

/* Replaces the sentence; `e` may be NULL. */
void err_set(struct errbuf *e, const char *fmt, ...) MG_PRINTF(2, 3);

/* malloc/calloc/realloc/strdup for small sizes that no peer chooses; never return NULL. */
void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));

#endif
