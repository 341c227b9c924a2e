/*
 * loop: what must always be true.
 *
 * - A watch that is on has events != 0 and its address in the kernel's epoll set; one that was cleared is in
 *   neither the set nor the rest of the running batch, so no callback ever sees a freed owner.
 * - The timerfd is armed at armed_us, which is never later than the first deadline while the loop sleeps. It
 *   may be earlier (the timer was moved or cleared): one empty wake-up is cheaper than a system call for each
 *   cleared timer.
 * - `posts` is the only thing that other threads touch, besides the eventfd.
 *
 * Deadlines go through a timerfd on CLOCK_BOOTTIME and not through epoll's timeout, because that one is in
 * milliseconds and stands still while the machine sleeps.
 */
#include "metergate/net/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/spare.h"

#define LOOP_BATCH           256   /* events taken from the kernel at once */
#define LOOP_TASKS_PER_TURN  256   /* a task that always queues another must not starve the sockets */
#define LOOP_TIMERS_PER_TURN 10000 /* likewise for timers */
#define LOOP_SIGNALS         8

struct grave {
    void *p;
    void (*release)(void *);
};

struct signal_handler {
    int signo;
    void (*fn)(void *, int);
    void *ctx;
};

struct loop {
    int epoll_fd, timer_fd, event_fd, signal_fd; /* signal_fd: -1 until the first loop_signal */
    bool stop;
    int64_t now_us;
    uint64_t wakeups;
    void (*short_fn)(void *ctx); /* NULL: nobody wants to know */
    void *short_ctx;

    struct epoll_event batch[LOOP_BATCH];
    int batch_n, batch_next; /* events of the running batch; those before batch_next are done */

    struct heap timers;
    int64_t armed_us; /* CLOCK_NEVER: the timerfd is off */
    struct loop_watch timer_watch;

    struct loop_task *task_head, **task_tail;

    struct grave *graves;
    size_t grave_n, grave_cap;

    _Atomic(struct loop_post *) posts; /* newest first */
    struct loop_watch event_watch;

    sigset_t signals;
    struct signal_handler handlers[LOOP_SIGNALS];
    unsigned handler_n;
    struct loop_watch signal_watch;
};

/* ---- watches ------------------------------------------------------------------------------------------- */

int loop_watch_set(struct loop *l, struct loop_watch *w, int fd, uint32_t events,
                   void (*fn)(void *, uint32_t), void *ctx)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    bool on = w->events != 0;

    MG_ASSERT(events != 0 && fd >= 0);
    MG_ASSERT(!on || w->fd == fd);
    w->fn = fn;
    w->ctx = ctx;
    if (on && w->events == events)
        return 0;
    /* Already there: one that was forgotten while the library kept the descriptor open after all. */
    if (epoll_ctl(l->epoll_fd, on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
        (errno != EEXIST || epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0))
        return -errno;
    w->fd = fd;
    w->events = events;
    return 0;
}

static void loop_watch_off(struct loop *l, struct loop_watch *w)
{
    w->events = 0;
    for (int i = l->batch_next; i < l->batch_n; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
}

void loop_watch_clear(struct loop *l, struct loop_watch *w)
{
    if (!w->events)
        return;
    /* It fails only when somebody closed the descriptor first: a bug. */
    MG_ASSERT(epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL) == 0);
    loop_watch_off(l, w);
}

void loop_watch_forget(struct loop *l, struct loop_watch *w)
{
    loop_watch_off(l, w);
}

/* ---- timers -------------------------------------------------------------------------------------------- */

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_us, void (*fn)(void *), void *ctx)
{
    t->fn = fn;
    t->ctx = ctx;
    heap_set(&l->timers, &t->node, at_us);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    heap_remove(&l->timers, &t->node);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return heap_contains(&t->node);
}

static void loop_arm(struct loop *l, int64_t at_us)
{
    struct itimerspec spec = {.it_value = {.tv_sec = at_us / CLOCK_S, .tv_nsec = at_us % CLOCK_S * 1000}};

    if (at_us <= 0) /* zero would switch it off */
        spec.it_value = (struct timespec){.tv_nsec = 1};
    MG_ASSERT(timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
    l->armed_us = at_us;
}

static void loop_on_timerfd(void *ctx, uint32_t events)
{
    struct loop *l = ctx;
    uint64_t ticks;

    (void)events;
    if (read(l->timer_fd, &ticks, sizeof ticks) == (ssize_t)sizeof ticks)
        l->armed_us = CLOCK_NEVER;
}

static void loop_expire_timers(struct loop *l)
{
    for (int budget = LOOP_TIMERS_PER_TURN; budget > 0; budget--) {
        struct heap_node *first = heap_first(&l->timers);
        struct loop_timer *t;

        if (!first || first->key > l->now_us)
            return;
        t = MG_CONTAINER(first, struct loop_timer, node);
        heap_remove(&l->timers, first);
        t->fn(t->ctx);
    }
}

/* ---- tasks and graves ---------------------------------------------------------------------------------- */

void loop_task_queue(struct loop *l, struct loop_task *t, void (*fn)(void *), void *ctx)
{
    if (t->queued)
        return;
    t->fn = fn;
    t->ctx = ctx;
    t->next = NULL;
    t->queued = true;
    *l->task_tail = t;
    l->task_tail = &t->next;
}

static struct loop_task *loop_task_pop(struct loop *l)
{
    struct loop_task *t = l->task_head;

    if (!t)
        return NULL;
    l->task_head = t->next;
    if (!l->task_head)
        l->task_tail = &l->task_head;
    t->queued = false;
    return t;
}

void loop_task_clear(struct loop *l, struct loop_task *t)
{
    struct loop_task **at = &l->task_head;

    if (!t->queued)
        return;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (!*at)
        l->task_tail = at;
    t->queued = false;
}

static void loop_run_tasks(struct loop *l)
{
    for (int budget = LOOP_TASKS_PER_TURN; budget > 0; budget--) {
        struct loop_task *t = loop_task_pop(l);

        if (!t)
            return;
        t->fn(t->ctx);
    }
}

void loop_bury(struct loop *l, void *p, void (*release)(void *))
{
    if (l->grave_n == l->grave_cap) {
        l->grave_cap = l->grave_cap ? l->grave_cap * 2 : 64;
        l->graves = xrealloc(l->graves, l->grave_cap * sizeof l->graves[0]);
    }
    l->graves[l->grave_n++] = (struct grave){p, release};
}

static void loop_free_graves(struct loop *l)
{
    /* By index: a release may bury something itself. */
    for (size_t i = 0; i < l->grave_n; i++) {
        struct grave g = l->graves[i];

        g.release(g.p);
    }
    l->grave_n = 0;
}

/* ---- posts and signals --------------------------------------------------------------------------------- */

void loop_post(struct loop *l, struct loop_post *post)
{
    struct loop_post *head = atomic_load_explicit(&l->posts, memory_order_relaxed);
    uint64_t one = 1;

    do
        post->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->posts, &head, post, memory_order_release,
                                                  memory_order_relaxed));
    /* Only the first of a batch needs to wake the loop; an eventfd of count 1 never blocks a writer. */
    if (!head)
        MG_ASSERT(write(l->event_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

static void loop_on_eventfd(void *ctx, uint32_t events)
{
    struct loop *l = ctx;
    struct loop_post *p, *oldest = NULL;
    uint64_t count;

    (void)events;
    MG_ASSERT(read(l->event_fd, &count, sizeof count) == (ssize_t)sizeof count);
    p = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire);
    while (p) {
        struct loop_post *next = p->next;

        p->next = oldest;
        oldest = p;
        p = next;
    }
    while (oldest) {
        p = oldest;
        oldest = p->next;
        p->fn(p);
    }
}

static void loop_on_signalfd(void *ctx, uint32_t events)
{
    struct loop *l = ctx;
    struct signalfd_siginfo info;

    (void)events;
    while (read(l->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        for (unsigned i = 0; i < l->handler_n; i++)
            if (l->handlers[i].signo == (int)info.ssi_signo)
                l->handlers[i].fn(l->handlers[i].ctx, l->handlers[i].signo);
}

int loop_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx)
{
    int fd;

    MG_ASSERT(l->handler_n < LOOP_SIGNALS);
    sigaddset(&l->signals, signo);
    if (pthread_sigmask(SIG_BLOCK, &l->signals, NULL) != 0)
        return -EINVAL;
    fd = signalfd(l->signal_fd, &l->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    l->signal_fd = fd;
    l->handlers[l->handler_n++] = (struct signal_handler){signo, fn, ctx};
    return loop_watch_set(l, &l->signal_watch, fd, EPOLLIN, loop_on_signalfd, l);
}

/* ---- the turn ------------------------------------------------------------------------------------------ */

/* Sleeps until a descriptor, a deadline or a post; at most wait_us, and not at all when work is left over. */
static void loop_wait(struct loop *l, int64_t wait_us)
{
    struct heap_node *first = heap_first(&l->timers);
    int timeout_ms = -1;

    if (wait_us < CLOCK_NEVER)
        timeout_ms = (int)((wait_us + CLOCK_MS - 1) / CLOCK_MS);
    if (l->task_head || (first && first->key <= l->now_us))
        timeout_ms = 0;
    else if (first && first->key < l->armed_us)
        loop_arm(l, first->key);
    l->batch_next = 0;
    l->batch_n = epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH, timeout_ms);
    if (l->batch_n < 0) {
        MG_ASSERT(errno == EINTR);
        l->batch_n = 0;
    }
    l->wakeups++;
}

static void loop_dispatch(struct loop *l)
{
    while (l->batch_next < l->batch_n) {
        struct epoll_event *ev = &l->batch[l->batch_next++];
        struct loop_watch *w = ev->data.ptr;

        if (w)
            w->fn(w->ctx, ev->events);
    }
}

void loop_turn(struct loop *l, int64_t wait_us)
{
    loop_wait(l, wait_us);
    l->now_us = clock_now_us();
    loop_dispatch(l);
    if (l->short_fn && spare_is_gone())
        l->short_fn(l->short_ctx);
    loop_expire_timers(l);
    loop_run_tasks(l);
    loop_free_graves(l);
}

void loop_on_shortage(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    l->short_fn = fn;
    l->short_ctx = ctx;
}

void loop_run(struct loop *l)
{
    l->stop = false;
    while (!l->stop)
        loop_turn(l, CLOCK_NEVER);
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}

int64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

int64_t loop_resample_us(struct loop *l)
{
    l->now_us = clock_now_us();
    return l->now_us;
}

uint64_t loop_wakeups(const struct loop *l)
{
    return l->wakeups;
}

/* ---- birth and death ----------------------------------------------------------------------------------- */

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof *l);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its writer */
    l->now_us = clock_now_us();
    l->armed_us = CLOCK_NEVER;
    l->task_tail = &l->task_head;
    heap_init(&l->timers);
    sigemptyset(&l->signals);
    l->signal_fd = -1;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->epoll_fd < 0 || l->timer_fd < 0 || l->event_fd < 0 ||
        loop_watch_set(l, &l->timer_watch, l->timer_fd, EPOLLIN, loop_on_timerfd, l) < 0 ||
        loop_watch_set(l, &l->event_watch, l->event_fd, EPOLLIN, loop_on_eventfd, l) < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

static void loop_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    loop_free_graves(l);
    free(l->graves);
    heap_release(&l->timers);
    loop_close(l->signal_fd);
    loop_close(l->event_fd);
    loop_close(l->timer_fd);
    loop_close(l->epoll_fd);
    free(l);
}
