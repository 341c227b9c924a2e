/*
 * spare: `at` is the mapping while it is kept, and NULL from the moment at which one thread has taken it out to give it
 * back until it is taken anew. Nothing here allocates.
 */
#include "metergate/base/spare.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS   5000000L
#define ATTEMPTS   20u                 /* a tenth of a second */
#define SMALL_MOST ((size_t)32 << 10) /* what is wanted beyond that a peer has sized: it fails alone */

static _Atomic(void *) at;
static size_t bytes; /* 0: none was ever kept */
static atomic_bool gone;
static atomic_llong uses, refusals;

static void *map(size_t n)
{
    /* cppcheck-suppress invalidFunctionArg; -1 is what an anonymous mapping has there */
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

bool spare_keep(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *before = atomic_exchange(&at, NULL);

    if (before)
        (void)munmap(before, bytes);
    bytes = (n + page - 1) / page * page;
    atomic_store(&gone, true);
    return spare_retake();
}

bool spare_is_gone(void)
{
    return atomic_load_explicit(&gone, memory_order_relaxed);
}

bool spare_retake(void)
{
    void *p;

    if (!spare_is_gone())
        return true;
    p = map(2 * bytes);
    if (!p)
        return false;
    (void)munmap((char *)p + bytes, bytes);
    atomic_store(&gone, false); /* before it can be taken out: who does that says that it is gone */
    atomic_store(&at, p);
    return true;
}

int64_t spare_uses(void)
{
    return atomic_load(&uses);
}

/* Only one thread gets it. */
static bool give_back(void)
{
    void *p = atomic_exchange(&at, NULL);

    if (!p)
        return false;
    atomic_store(&gone, true);
    atomic_fetch_add(&uses, 1);
    (void)munmap(p, bytes);
    return true;
}

bool spare_again(unsigned attempt)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int saved = errno;

    if (!give_back()) {
        if (attempt >= ATTEMPTS)
            return false;
        (void)nanosleep(&pause, NULL);
    }
    errno = saved;
    return true;
}

void spare_out_of_memory(void)
{
    static const char line[] = "metergate: out of memory, and what was kept back for that did not help\n";

    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    abort();
}

/* ---- for what may fail ---- */

/* Whether to try once more; else it is counted. */
static bool helps(size_t n)
{
    int saved = errno;
    bool given = n <= SMALL_MOST && give_back();

    errno = saved;
    return given;
}

static void *counted(void *p)
{
    if (!p)
        atomic_fetch_add(&refusals, 1);
    return p;
}

void *spare_malloc(size_t n)
{
    void *p = malloc(n);

    if (!p && helps(n))
        p = malloc(n);
    return p || !n ? p : counted(NULL);
}

void *spare_calloc(size_t count, size_t size)
{
    size_t n;
    void *p = calloc(count, size);

    if (!p && !__builtin_mul_overflow(count, size, &n) && helps(n))
        p = calloc(count, size);
    return p || !count || !size ? p : counted(NULL);
}

void *spare_realloc(void *old, size_t n)
{
    void *p = realloc(old, n);

    if (!p && n && helps(n))
        p = realloc(old, n);
    return p || !n ? p : counted(NULL);
}

char *spare_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = spare_malloc(n);

    if (p)
        memcpy(p, s, n);
    return p;
}

int64_t spare_refusals(void)
{
    return atomic_load(&refusals);
}
