/*
 * shim: the memory is mapped before main and never goes. One thread waits for jumps of the clocks; it takes no signals, which the
 * program's own threads must get.
 */
#include "shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct steer *_Atomic memory;

struct steer *shim_steer(void)
{
    return atomic_load_explicit(&memory, memory_order_acquire);
}

/* By its version first: of a function that has several, dlsym may find the oldest. */
void *shim_real(void *_Atomic *known, const char *name)
{
    void *p = atomic_load_explicit(known, memory_order_acquire);

    if (p)
        return p;
    if (strncmp(name, "pthread_cond", 12) == 0)
        p = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    if (!p)
        p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    atomic_store_explicit(known, p, memory_order_release);
    return p;
}

bool shim_dice(struct steer *s, int per_mille)
{
    uint64_t x;

    if (per_mille <= 0)
        return false;
    x = atomic_fetch_add(&s->dice, UINT64_C(0x9e3779b97f4a7c15)) + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64 */
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((x ^ x >> 31) % 1000) < per_mille;
}

static void *watch(void *arg)
{
    struct steer *s = arg;

    for (uint32_t seen = 0;;) {
        syscall(SYS_futex, &s->turn, FUTEX_WAIT, seen, NULL, NULL, 0);
        if (atomic_load(&s->turn) == seen)
            continue;
        seen = atomic_load(&s->turn);
        shim_rearm(s);
    }
    return NULL;
}

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv(STEER_ENV);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    struct steer *s;
    sigset_t all, old;
    pthread_t thread;

    if (fd < 0)
        return;
    s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (s == MAP_FAILED)
        abort();
    atomic_store_explicit(&memory, s, memory_order_release);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&thread, NULL, watch, s) != 0)
        abort();
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
