/*
 * loop: the one epoll loop that carries everything. One thread runs it; every function but loop_post is
 * called from that thread.
 *
 * A turn: wait -> clock -> descriptors -> timers -> tasks -> graves.
 *   clock   sampled once a turn (but see loop_resample_us); loop_now_us is what everybody uses.
 *   tasks   "once, at the end of this turn": work that gains from seeing all events of the turn first (let
 *           calls go, resume connections). Tasks run in the order in which they were queued; a task queued by
 *           a task runs in the same turn, for a bounded number of rounds.
 *   graves  what was buried during the turn is freed last: an event of the same batch may still point to it.
 *
 * Watches, timers, tasks and posts are embedded in their owner's struct; the loop owns none of them. A zeroed
 * struct is a valid idle one. With no timer set, an idle loop never wakes up.
 */
#ifndef METERGATE_NET_LOOP_H
#define METERGATE_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "metergate/base/err.h"
#include "metergate/base/heap.h"

struct loop;

/* A descriptor to be watched. The owner of the watch owns the descriptor. */
struct loop_watch {
    void (*fn)(void *ctx, uint32_t events);
    void *ctx;
    int fd;          /* readable */
    uint32_t events; /* readable: the EPOLL* mask asked for; 0 while not watched */
};

struct loop_timer {
    struct heap_node node; /* private */
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop_task {
    struct loop_task *next; /* private */
    void (*fn)(void *ctx);
    void *ctx;
    bool queued; /* readable */
};

/* Work handed to the loop by another thread. */
struct loop_post {
    struct loop_post *next; /* private */
    void (*fn)(struct loop_post *post);
};

/* NULL when the system gives no descriptors. SIGPIPE is ignored from here on: the libraries write to dead
 * peers. */
struct loop *loop_new(void) MG_MUSTCHECK;

/* Nothing may be watched any more; what is buried is freed. NULL is fine. */
void loop_free(struct loop *l);

/* Runs turns until loop_stop. */
void loop_run(struct loop *l);

/* The running turn is finished, then loop_run returns. */
void loop_stop(struct loop *l);

/* One turn that waits at most `wait_us` (CLOCK_NEVER: until something happens). For tests. */
void loop_turn(struct loop *l, int64_t wait_us);

/* CLOCK_BOOTTIME in microseconds, as sampled at the start of the turn. */
int64_t loop_now_us(const struct loop *l);

/*
 * Reads the clock again: loop_now_us moves on with it. For the few moments that must not lie before an event that was met
 * in the middle of a turn, such as the time of a charge: a near provider answers in the turn that sent the call.
 */
int64_t loop_resample_us(struct loop *l);

/*
 * Watches `fd` for `events` (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET), or changes the mask of a watch that is
 * on. `fn` is called with what happened; EPOLLERR and EPOLLHUP come unasked. -errno when the system refuses.
 */
int loop_watch_set(struct loop *l, struct loop_watch *w, int fd, uint32_t events,
                   void (*fn)(void *, uint32_t), void *ctx) MG_MUSTCHECK;

/* Off at once, events of the running batch included. Call it before closing the descriptor. Harmless when
 * off. */
void loop_watch_clear(struct loop *l, struct loop_watch *w);

/*
 * For a descriptor that a library closes by itself: only our side forgets it (closing takes it out of the
 * kernel's set; its number may be somebody else's by now). The watch must stay allocated: an event may still
 * come before the close.
 */
void loop_watch_forget(struct loop *l, struct loop_watch *w);

/* Calls `fn` once in the turn in which `at_us` has come; sets or moves. The time may lie in the past. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_us, void (*fn)(void *), void *ctx);
void loop_timer_clear(struct loop *l, struct loop_timer *t); /* harmless when not set */
bool loop_timer_is_set(const struct loop_timer *t);

/* Calls `fn` once at the end of the turn; queueing a queued task does nothing. */
void loop_task_queue(struct loop *l, struct loop_task *t, void (*fn)(void *), void *ctx);
void loop_task_clear(struct loop *l, struct loop_task *t); /* harmless when not queued */

/* Frees `p` with `release` when the turn has ended. */
void loop_bury(struct loop *l, void *p, void (*release)(void *));

/* From any thread: `post->fn(post)` will be called by the loop thread. The post belongs to the loop until
 * then. */
void loop_post(struct loop *l, struct loop_post *post);

/*
 * From now on `signo` is blocked in this thread (start threads after this) and `fn(ctx, signo)` is called
 * from the loop. -errno.
 */
int loop_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx) MG_MUSTCHECK;

/*
 * `fn` is called in each turn in which the memory that is kept back is gone (base/spare.h); a use of it by another thread
 * is seen when the loop next wakes up. NULL: no more.
 */
void loop_on_shortage(struct loop *l, void (*fn)(void *ctx), void *ctx);

/* How often the loop has woken up since it was made: an idle loop's count stands still. */
uint64_t loop_wakeups(const struct loop *l);

#endif
