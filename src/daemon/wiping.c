/*
 * wiping: free and realloc for the whole process, the libraries in it too: what a block held is overwritten before the block is free. A
 * caller's credential is copied into libmicrohttpd's pools, libcurl's headers and requests and OpenSSL's buffers, which none of them wipes;
 * so all are, whatever they hold, prompts and answers among it.
 *
 * glibc lets a program bring these functions (manual, "Replacing malloc"), and keeps its own under the names used here. Its own way to
 * wipe, M_PERTURB, leaves out the blocks of its per-thread cache, which are the small ones. Blocks that are mapped by themselves go back to
 * the kernel, which gives out zeros; what realloc does with those moves pages and copies nothing.
 *
 * Sanitizers and Valgrind have a free of their own, and this one is not theirs.
 */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void __libc_free(void *p);                 /* NOLINT(bugprone-reserved-identifier): glibc's names */
void *__libc_realloc(void *p, size_t n); /* NOLINT(bugprone-reserved-identifier) */

/*
 * A block of the heap has one word of bookkeeping, one that is mapped by itself two, and both are an even number of words in all (malloc/malloc.c).
 * Should that change, tests/e2e/test_secrets.c finds what is no longer wiped.
 */
static bool is_mapped(size_t usable)
{
    return usable / sizeof(size_t) % 2 == 0;
}

void free(void *p)
{
    size_t usable;

    if (!p)
        return;
    usable = malloc_usable_size(p);
    if (!is_mapped(usable))
        explicit_bzero(p, usable);
    __libc_free(p);
}

void *realloc(void *p, size_t n)
{
    size_t usable = p ? malloc_usable_size(p) : 0;
    void *moved;

    if (!p)
        return malloc(n);
    if (n == 0) {
        free(p);
        return NULL;
    }
    if (is_mapped(usable))
        return __libc_realloc(p, n);
    if (n <= usable) { /* it stays where it is, and its end becomes free */
        explicit_bzero((char *)p + n, usable - n);
        return __libc_realloc(p, n);
    }
    moved = malloc(n);
    if (!moved)
        return NULL;
    memcpy(moved, p, usable);
    free(p);
    return moved;
}

#endif
