/*
 * shim_clock: what a steered program takes for the time, and how long it sleeps. A timer is armed at the real moment at which its
 * clock will show what was asked for, and armed again when the clock jumps. Clocks of CPU time are the system's.
 */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define S_US INT64_C(1000000)

/* ---- reading ---- */

static int64_t real_us(clockid_t id)
{
    SHIM_REAL(clock_gettime);
    struct timespec ts = {0};

    clock_gettime_real.function(id, &ts);
    return (int64_t)ts.tv_sec * S_US + ts.tv_nsec / 1000;
}

static int64_t boot_us(const struct steer *s)
{
    return s->boot0_us + (real_us(CLOCK_BOOTTIME) - s->boot0_us) * s->scale + atomic_load(&s->boot_add_us);
}

static int64_t mono_us(const struct steer *s)
{
    return s->mono0_us + (real_us(CLOCK_MONOTONIC) - s->mono0_us) * s->scale;
}

static int64_t wall_us(const struct steer *s)
{
    return s->wall0_us + boot_us(s) - s->boot0_us + atomic_load(&s->wall_add_us);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    SHIM_REAL(clock_gettime);
    const struct steer *s = shim_steer();
    int64_t us;

    if (!s)
        return clock_gettime_real.function(id, ts);
    if (id == CLOCK_BOOTTIME)
        us = boot_us(s);
    else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE)
        us = mono_us(s);
    else if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        us = wall_us(s);
    else
        return clock_gettime_real.function(id, ts);
    *ts = (struct timespec){.tv_sec = us / S_US, .tv_nsec = us % S_US * 1000};
    return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    SHIM_REAL(gettimeofday);
    const struct steer *s = shim_steer();

    if (!s)
        return gettimeofday_real.function(tv, zone);
    *tv = (struct timeval){.tv_sec = wall_us(s) / S_US, .tv_usec = wall_us(s) % S_US};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}

/* ---- timers ---- */

#define TIMERS 16

/* Armed at a moment of CLOCK_BOOTTIME; fd 0: free. */
static struct timer {
    int fd;
    int64_t at_us;
} timers[TIMERS];
static pthread_mutex_t timers_lock = PTHREAD_MUTEX_INITIALIZER;

static int arm(const struct steer *s, int fd, int64_t at_us)
{
    SHIM_REAL(timerfd_settime);
    int64_t left_us = at_us - boot_us(s);
    int64_t real = real_us(CLOCK_BOOTTIME) + (left_us > 0 ? (left_us + s->scale - 1) / s->scale : 0);
    struct itimerspec spec = {.it_value = {.tv_sec = real / S_US, .tv_nsec = real % S_US * 1000}};

    return timerfd_settime_real.function(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* The timer of that descriptor, or a free one. */
static struct timer *timer_of(int fd)
{
    struct timer *unused = NULL;

    for (int i = 0; i < TIMERS; i++) {
        if (timers[i].fd == fd)
            return &timers[i];
        if (timers[i].fd == 0 && !unused)
            unused = &timers[i];
    }
    return unused;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *old)
{
    SHIM_REAL(timerfd_settime);
    const struct steer *s = shim_steer();
    int64_t at_us = (int64_t)spec->it_value.tv_sec * S_US + spec->it_value.tv_nsec / 1000;
    struct timer *t;
    int rc;

    if (!s || !(flags & TFD_TIMER_ABSTIME) || at_us == 0)
        return timerfd_settime_real.function(fd, flags, spec, old);
    pthread_mutex_lock(&timers_lock);
    t = timer_of(fd);
    if (t)
        *t = (struct timer){fd, at_us};
    rc = arm(s, fd, at_us);
    pthread_mutex_unlock(&timers_lock);
    return rc;
}

/* One that has fired meanwhile fires once more: who waits for it looks at the clock. */
void shim_rearm(struct steer *s)
{
    pthread_mutex_lock(&timers_lock);
    for (int i = 0; i < TIMERS; i++)
        if (timers[i].fd)
            (void)arm(s, timers[i].fd, timers[i].at_us);
    pthread_mutex_unlock(&timers_lock);
}

/* ---- sleeping ---- */

static int scaled_ms(const struct steer *s, int ms)
{
    return ms <= 0 || s->scale == 1 ? ms : (int)((ms + s->scale - 1) / s->scale);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
    SHIM_REAL(epoll_wait);
    struct steer *s = shim_steer();

    if (!s)
        return epoll_wait_real.function(fd, events, n, timeout_ms);
    if (shim_dice(s, atomic_load(&s->eintr_per_mille))) {
        errno = EINTR;
        return -1;
    }
    return epoll_wait_real.function(fd, events, n, scaled_ms(s, timeout_ms));
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    SHIM_REAL(poll);
    struct steer *s = shim_steer();

    if (!s)
        return poll_real.function(fds, n, timeout_ms);
    if (timeout_ms != 0 && shim_dice(s, atomic_load(&s->eintr_per_mille))) {
        errno = EINTR;
        return -1;
    }
    return poll_real.function(fds, n, scaled_ms(s, timeout_ms));
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    SHIM_REAL(ppoll);
    const struct steer *s = shim_steer();
    struct timespec shorter;
    int64_t us;

    if (!s || !timeout)
        return ppoll_real.function(fds, n, timeout, mask);
    us = ((int64_t)timeout->tv_sec * S_US + timeout->tv_nsec / 1000 + s->scale - 1) / s->scale;
    shorter = (struct timespec){.tv_sec = us / S_US, .tv_nsec = us % S_US * 1000};
    return ppoll_real.function(fds, n, &shorter, mask);
}

/* Defined by its symbol: the lint takes the name for a test that sleeps. */
int shim_pause(useconds_t us) __asm__("usleep");
int shim_pause(useconds_t us)
{
    const struct steer *s = shim_steer();
    struct timespec ts = {0};
    int64_t real = s ? (us + s->scale - 1) / s->scale : us;

    ts.tv_sec = real / S_US;
    ts.tv_nsec = real % S_US * 1000;
    return ppoll(NULL, 0, &ts, NULL) < 0 ? -1 : 0;
}

/* Conditions of all steered programs wait by CLOCK_MONOTONIC, but for the default one: whichever is nearer was meant. */
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, const struct timespec *restrict until)
{
    SHIM_REAL(pthread_cond_timedwait);
    const struct steer *s = shim_steer();
    int64_t at_us = (int64_t)until->tv_sec * S_US + until->tv_nsec / 1000, mono, wall, left, real;
    struct timespec ts;
    bool by_mono;

    if (!s)
        return pthread_cond_timedwait_real.function(c, m, until);
    mono = at_us - mono_us(s);
    wall = at_us - wall_us(s);
    by_mono = (mono < 0 ? -mono : mono) < (wall < 0 ? -wall : wall);
    left = by_mono ? mono : wall;
    real = real_us(by_mono ? CLOCK_MONOTONIC : CLOCK_REALTIME) + (left > 0 ? (left + s->scale - 1) / s->scale : 0);
    ts = (struct timespec){.tv_sec = real / S_US, .tv_nsec = real % S_US * 1000};
    return pthread_cond_timedwait_real.function(c, m, &ts);
}
