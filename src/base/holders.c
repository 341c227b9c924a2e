/* holders: `places` and `left` are touched under the lock alone, and nothing is looked at meanwhile. `places` begins with the one
 * that was found last: who opens a crowd of connections is the same for all of them. */
#include "metergate/base/holders.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define PLACES 16
#define BEFORE 8 /* a program also closes sockets, and their numbers are used again */
#define AFTER  32

struct place {
    uid_t uid;
    pid_t pid; /* 0: free */
    int fd;    /* where a socket was found last, */
    int low;   /* and the lowest at which any was: the kernel gives out the lowest number that is free */
};

/* Somebody whose processes have more descriptors than there was time for. */
struct left_alone {
    uid_t uid;
    int64_t until_us;
};

struct holders {
    pthread_mutex_t lock;
    struct place places[PLACES];
    struct left_alone left[PLACES]; /* a ring */
    unsigned next_left;
};

struct holders *holders_new(void)
{
    struct holders *h = xcalloc(1, sizeof *h);

    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void holders_free(struct holders *h)
{
    if (h)
        pthread_mutex_destroy(&h->lock);
    free(h);
}

static bool is_left_alone(struct holders *h, uid_t uid, int64_t now_us)
{
    bool found = false;

    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < PLACES; i++)
        found |= h->left[i].uid == uid && now_us < h->left[i].until_us;
    pthread_mutex_unlock(&h->lock);
    return found;
}

static void leave_alone(struct holders *h, uid_t uid, int64_t until_us)
{
    pthread_mutex_lock(&h->lock);
    h->left[h->next_left++ % PLACES] = (struct left_alone){uid, until_us};
    pthread_mutex_unlock(&h->lock);
}

/* That it was found at p->fd. */
static void remember(struct holders *h, const struct place *p)
{
    size_t at = 0;
    int low;

    pthread_mutex_lock(&h->lock);
    while (at < PLACES - 1 && h->places[at].pid != p->pid)
        at++;
    low = h->places[at].pid == p->pid && h->places[at].low < p->fd ? h->places[at].low : p->fd;
    memmove(&h->places[1], &h->places[0], at * sizeof h->places[0]);
    h->places[0] = *p;
    h->places[0].low = low;
    pthread_mutex_unlock(&h->lock);
}

/* Near the last one: the next number is the likeliest. Or where they begin: who closes all of a crowd begins there again. */
static int descriptor_near(const struct place *p, const struct process_wanted *w)
{
    int fd = process_descriptor(p->pid, w, p->fd + 1, p->fd + AFTER);

    if (fd < 0)
        fd = process_descriptor(p->pid, w, p->fd - BEFORE, p->fd);
    return fd >= 0 ? fd : process_descriptor(p->pid, w, p->low, p->low + BEFORE);
}

static pid_t look_near(struct holders *h, const struct process_wanted *w)
{
    struct place places[PLACES];

    pthread_mutex_lock(&h->lock);
    memcpy(places, h->places, sizeof places);
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < PLACES; i++) {
        struct place *p = &places[i];

        if (!p->pid || p->uid != w->uid)
            continue;
        p->fd = descriptor_near(p, w);
        if (p->fd < 0)
            continue;
        remember(h, p);
        return p->pid;
    }
    return 0;
}

pid_t holders_find(struct holders *h, const char *procs, const struct process_wanted *w)
{
    pid_t pid = look_near(h, w);
    int64_t now = clock_now_us(), until = clock_spent_us() + HOLDERS_LOOK_US; /* in a worker's thread, whose time is not the loop's */
    int fd = 0;

    if (pid || is_left_alone(h, w->uid, now))
        return pid;
    pid = procs ? process_find(procs, w, until, &fd) : 0;
    if (!pid)
        pid = process_find(NULL, w, until, &fd);
    if (pid)
        remember(h, &(struct place){.uid = w->uid, .pid = pid, .fd = fd});
    else if (clock_spent_us() > until)
        leave_alone(h, w->uid, now + HOLDERS_LEAVE_US);
    return pid;
}
