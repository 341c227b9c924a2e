/*
 * shim: malloc and its family for the daemon under test, by LD_PRELOAD: counts allocations and fails those that the test
 * wants to (control.h). Without MG_FAULTS it changes nothing. Nothing here allocates.
 *
 * Real blocks come from glibc by its own names, so that nothing has to be looked up while the program starts.
 */
#include "control.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPPED_LEAST ((size_t)64 << 10) /* of what is mapped, smaller ones are not counted */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static struct faults *shared;
static _Thread_local bool inside; /* tracing allocates */

/* What ends the program says where, on the way to its end. */
static void on_fatal(int signo)
{
    void *frames[32];

    inside = true;
    /* NOLINTNEXTLINE(bugprone-signal-handler): not safe here, and all is lost anyway; what it needs is loaded already */
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    signal(signo, SIG_DFL);
    raise(signo);
}

static void watch_fatal(void)
{
    static const int fatal[] = {SIGFPE, SIGSEGV, SIGBUS, SIGILL};

    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], on_fatal);
}

__attribute__((constructor)) static void find_control(void)
{
    const char *path = getenv("MG_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *frames[1];
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    (void)backtrace(frames, 1); /* loads what it needs now */
    watch_fatal();
    if (at != MAP_FAILED)
        shared = at;
}

static void note(struct faults *f, void *caller)
{
    Dl_info info;

    inside = true;
    if (atomic_fetch_add(&f->failed, 1) == 0 && dladdr(caller, &info) && info.dli_fname) {
        const char *base = strrchr(info.dli_fname, '/');

        snprintf(f->where, sizeof f->where, "%s %s", base ? base + 1 : info.dli_fname,
                 info.dli_sname ? info.dli_sname : "");
    }
    if (atomic_load(&f->trace)) {
        void *frames[24];
        int n = backtrace(frames, 24);

        backtrace_symbols_fd(frames, n, STDERR_FILENO);
        (void)!write(STDERR_FILENO, "----\n", 5);
    }
    inside = false;
}

static bool fails(size_t n, void *caller)
{
    struct faults *f = shared;
    int64_t number, from, every, above;

    if (!f || inside || !atomic_load_explicit(&f->on, memory_order_acquire))
        return false;
    number = atomic_fetch_add(&f->seen, 1) + 1;
    from = atomic_load(&f->from);
    every = atomic_load(&f->every);
    above = atomic_load(&f->above);
    if (!(from && number >= from && number - from < atomic_load(&f->row)) && !(every && number % every == 0) &&
        !(above && (int64_t)n > above))
        return false;
    note(f, caller);
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return fails(n, CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
    return fails(count * size, CALLER) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t n)
{
    return n && fails(n, CALLER) ? NULL : __libc_realloc(p, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
    void *p = fails(n, CALLER) ? NULL : __libc_memalign(alignment, n);

    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return fails(n, CALLER) ? NULL : __libc_memalign(alignment, n);
}

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && n >= MAPPED_LEAST && fails(n, CALLER))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, addr, n, prot, flags, fd, offset); /* NOLINT(performance-no-int-to-ptr) */
}
