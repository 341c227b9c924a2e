/* steer: one memory at a time has its file's path here, for steer_on. */
#include "steer.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char path[64];

static int64_t real_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t steer_boot_us(const struct steer *s)
{
    return s->boot0_us + (real_us(CLOCK_BOOTTIME) - s->boot0_us) * s->scale + atomic_load(&s->boot_add_us);
}

int64_t steer_wall_us(const struct steer *s)
{
    return s->wall0_us + steer_boot_us(s) - s->boot0_us + atomic_load(&s->wall_add_us);
}

bool steer_can(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#else
    return true;
#endif
}

struct steer *steer_new(int64_t scale)
{
    struct steer *s = MAP_FAILED;
    int fd;

    snprintf(path, sizeof path, "/tmp/metergate-steer-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (ftruncate(fd, sizeof *s) == 0)
        s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (s == MAP_FAILED) {
        unlink(path);
        return NULL;
    }
    s->scale = scale;
    s->boot0_us = real_us(CLOCK_BOOTTIME);
    s->mono0_us = real_us(CLOCK_MONOTONIC);
    s->wall0_us = real_us(CLOCK_REALTIME);
    return s;
}

void steer_free(struct steer *s)
{
    if (!s)
        return;
    munmap(s, sizeof *s);
    unlink(path);
}

void steer_on(const struct steer *s)
{
    const char *bin = getenv("MG_BIN"), *given = getenv("MG_SHIM");
    char lib[512], *real;

    (void)s;
    snprintf(lib, sizeof lib, "%s/../tests/libshim.so", bin ? bin : "build/release/bin");
    real = realpath(given ? given : lib, NULL);
    setenv("LD_PRELOAD", real ? real : lib, 1); /* one that is not there shows in the program's log */
    setenv(STEER_ENV, path, 1);
    free(real);
}

void steer_off(void)
{
    unsetenv("LD_PRELOAD");
    unsetenv(STEER_ENV);
}

static void wake(struct steer *s)
{
    atomic_fetch_add(&s->turn, 1);
    syscall(SYS_futex, &s->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void steer_suspend(struct steer *s, int64_t us)
{
    atomic_fetch_add(&s->boot_add_us, us);
    wake(s);
}

void steer_set_wall(struct steer *s, int64_t add_us)
{
    atomic_store(&s->wall_add_us, add_us);
    wake(s);
}

void steer_calm(struct steer *s)
{
    for (int i = 0; i < STEER_CALLS; i++)
        atomic_store(&s->error_per_mille[i], 0);
    atomic_store(&s->short_per_mille, 0);
    atomic_store(&s->eintr_per_mille, 0);
    atomic_store(&s->answer, 0);
}
