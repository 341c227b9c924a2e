/*
 * journal: what must always be true.
 *
 * - Slots never move: the address space for all of them is reserved at the beginning, and what lies behind it changes: nothing,
 *   then memory, then the file. Slots [0, in_file) are the file's, [in_file, count) memory's. in_file < count while attached
 *   means that the file could not grow (a full disk); journal_attach moves the rest, too.
 * - What is true of a slot is in states[], of this process alone. The word in the slot is for the next process; it is stored
 *   after what it vouches for (release), and nothing here ever believes it.
 * - A slot is in `free`, or in `queue`, or somebody's who took it. `lock` guards all three, and is held for a few
 *   instructions; but when slots move, or when the file must grow in the middle of journal_take, which is 31 times at the
 *   most in a life and rare, because the writer reserves ahead.
 * - The rows themselves are written without the lock, TAKEN, by the loop alone. Therefore slots move while none is TAKEN.
 * - The free ones are a stack, so that a quiet process touches the same few pages again and again.
 */
#include "metergate/ledger/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "journal_inside.h"

enum {
    WAITING_MAX = JOURNAL_SLOTS_MAX / 4 * 3,
    AHEAD = JOURNAL_STEP / 4, /* so few free ones left: the writer reserves blocks for the next step */
    WRITTEN_STEP = 64,        /* so many slots are freed while the lock is held once */
    QUIET_S = 1               /* how long to wait for a moment at which no slot is TAKEN */
};

enum state { FREE, TAKEN, OPEN, ENDED };

struct journal {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* `moving`, or `taken` while it is set */
    bool moving;            /* slots are to move as soon as none is TAKEN; until they have, none is */

    struct slot *slots; /* JOURNAL_SLOTS_MAX addresses */
    size_t count, in_file, reserved; /* reserved: the file has blocks for so many, >= in_file */
    int fd;                          /* -1: not attached */

    uint64_t sequence; /* the last one that was given; the loop's alone */
    size_t free_count, taken, open;
    size_t head, tail; /* of the queue, counting on and on; tail - head wait */
    int64_t lost, damaged;

    uint8_t states[JOURNAL_SLOTS_MAX]; /* enum state */
    uint16_t free[JOURNAL_SLOTS_MAX];
    uint16_t queue[JOURNAL_SLOTS_MAX];
};

_Static_assert(JOURNAL_SLOTS_MAX <= UINT16_MAX + 1, "numbers of slots take 16 bits");
_Static_assert(JOURNAL_SLOTS_MAX % JOURNAL_STEP == 0, "whole steps");

#define ALL_BYTES  (JOURNAL_SLOTS_MAX * sizeof(struct slot))
#define STEP_BYTES (JOURNAL_STEP * sizeof(struct slot))

struct journal *journal_new(void)
{
    struct journal *j = xcalloc(1, sizeof *j);
    pthread_condattr_t attr;

    /* cppcheck-suppress invalidFunctionArg; -1 is what an anonymous mapping has there */
    void *at = mmap(NULL, ALL_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    MG_ASSERT(at != MAP_FAILED);
    MG_ASSERT(pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    MG_ASSERT(pthread_mutex_init(&j->lock, NULL) == 0 && pthread_cond_init(&j->changed, &attr) == 0);
    pthread_condattr_destroy(&attr);
    j->slots = at;
    j->fd = -1;
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    munmap(j->slots, ALL_BYTES);
    if (j->fd >= 0)
        close(j->fd);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static void lock(struct journal *j)
{
    MG_ASSERT(pthread_mutex_lock(&j->lock) == 0);
}

static void unlock(struct journal *j)
{
    MG_ASSERT(pthread_mutex_unlock(&j->lock) == 0);
}

static bool is_whole(const struct journal *j)
{
    return j->fd >= 0 && j->in_file == j->count;
}

/* ---- more slots ---- */

static bool map_step(struct journal *j, int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    off_t offset = fd < 0 ? 0 : journal_file_offset(j->count);
    void *want = &j->slots[j->count];

    /* cppcheck-suppress invalidFunctionArg; -1 is what an anonymous mapping has there */
    void *at = mmap(want, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, offset);

    return at == want; /* cppcheck-suppress memleak; journal_free unmaps all of it */
}

/* Of the file, or where it cannot grow, of memory: better a row that a crash loses than none. */
static void grow(struct journal *j)
{
    size_t next = j->count + JOURNAL_STEP;

    if (j->count == JOURNAL_SLOTS_MAX)
        return;
    if (is_whole(j) && j->reserved < next && journal_file_reserve(j->fd, next) == 0)
        j->reserved = next;
    if (is_whole(j) && j->reserved >= next && map_step(j, j->fd))
        j->in_file = next;
    else if (!map_step(j, -1))
        return;
    for (size_t i = next; i > j->count; i--)
        j->free[j->free_count++] = (uint16_t)(i - 1);
    j->count = next;
}

/* In the writer's thread, so that the loop finds the blocks there when it needs them. */
static void reserve_ahead(struct journal *j)
{
    size_t next;
    bool needed;

    lock(j);
    next = j->count + JOURNAL_STEP;
    needed = is_whole(j) && j->free_count < AHEAD && j->reserved < next && next <= JOURNAL_SLOTS_MAX;
    unlock(j);
    if (!needed || journal_file_reserve(j->fd, next) < 0)
        return;
    lock(j);
    if (j->reserved < next)
        j->reserved = next;
    unlock(j);
}

/* ---- into the file ---- */

/* With the lock held, which is let go meanwhile. */
static bool wait_for_quiet(struct journal *j)
{
    struct timespec until;
    int rc = 0;

    MG_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += QUIET_S;
    while (j->taken > 0 && rc == 0)
        rc = pthread_cond_timedwait(&j->changed, &j->lock, &until);
    return j->taken == 0;
}

/* Slots [in_file, to) lie in memory, and `at` is the file's part for them: it gets what they hold, and their addresses. */
static int move_now(struct journal *j, struct slot *at, size_t to)
{
    size_t from = j->in_file, bytes = (to - from) * sizeof *at;

    for (size_t i = from; i < to; i++) {
        if (j->states[i] != FREE)
            memcpy(&at[i - from], &j->slots[i], sizeof *at);
    }
    if (mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, &j->slots[from]) == MAP_FAILED)
        return -errno;
    j->in_file = to;
    return 0;
}

static int move(struct journal *j, struct slot *at, size_t to)
{
    int rc;

    j->moving = true;
    rc = wait_for_quiet(j) ? move_now(j, at, to) : -EAGAIN;
    j->moving = false;
    pthread_cond_broadcast(&j->changed);
    return rc;
}

/* The file's from now on, with the lock held. What was attached before, if anything, holds no slot any more; -1: nothing. */
static int adopt(struct journal *j, int fd)
{
    int before = j->fd == fd ? -1 : j->fd;

    j->fd = fd;
    return before;
}

/* Somebody gave it another name: its rows are in the new one, and nobody shall be given them twice. */
static void let_go(int fd)
{
    if (fd < 0)
        return;
    (void)!ftruncate(fd, JOURNAL_HEAD_BYTES);
    close(fd);
}

/*
 * All slots that there are, and blocks for one step at the least. The loop goes on taking slots meanwhile. What has been
 * moved is attached, even if the rest fails: opened once more, the file would seem to be of an earlier process.
 */
static int move_all(struct journal *j, int fd)
{
    int rc = 0, before = -1;

    lock(j);
    do {
        size_t from = j->in_file, to = j->count, blocks = to ? to : JOURNAL_STEP;
        struct slot *at = MAP_FAILED;

        unlock(j);
        rc = journal_file_reserve(fd, blocks);
        if (rc == 0 && to > from) {
            at = mmap(NULL, (to - from) * sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      journal_file_offset(from));
            rc = at == MAP_FAILED ? -errno : 0;
        }
        lock(j);
        if (rc == 0 && to > from)
            rc = move(j, at, to);
        if (rc < 0 && at != MAP_FAILED)
            munmap(at, (to - from) * sizeof *at);
        if (rc == 0 && j->reserved < blocks)
            j->reserved = blocks;
        if (rc == 0 && j->fd != fd)
            before = adopt(j, fd);
    } while (rc == 0 && j->in_file < j->count);
    unlock(j);
    let_go(before);
    return rc;
}

static const char *words(int rc)
{
    switch (rc) {
    case -EBUSY:
        return "another process uses it";
    case -ENOTSUP:
        return "it is not a regular file";
    case -ELOOP:
        return "it is a symbolic link";
    case -ECANCELED:
        return "the rows that it holds cannot be kept now";
    case -EAGAIN:
        return "no moment at which no row was being written";
    default:
        return strerror(-rc);
    }
}

static int attach(struct journal *j, const char *dir, journal_found *found, void *arg, struct errbuf *e)
{
    int64_t damaged = 0;
    int fd = journal_file_open(dir, e), rc;

    if (fd < 0)
        return fd;
    rc = journal_file_recover(fd, found, arg, &damaged);
    lock(j);
    j->damaged += damaged;
    unlock(j);
    if (rc == 0) {
        lock(j);
        j->in_file = j->reserved = 0; /* those of a file that lost its name lie nowhere where they would be found */
        unlock(j);
        rc = move_all(j, fd);
    }
    if (rc < 0 && j->fd != fd)
        close(fd);
    return rc;
}

int journal_attach(struct journal *j, const char *dir, journal_found *found, void *arg, struct errbuf *e)
{
    bool anew = j->fd >= 0 && !journal_file_is(j->fd, dir);
    int rc;

    err_set(e, "%s", "");
    rc = j->fd < 0 || anew ? attach(j, dir, found, arg, e) : move_all(j, j->fd);
    if (rc == 0 && anew && !e->text[0])
        err_set(e, "%s/journal was removed or replaced: a new one is begun", dir);
    if (rc < 0)
        err_set(e, "%s/journal: %s", dir, words(rc));
    return rc == -ECANCELED ? -EAGAIN : rc;
}

bool journal_is_attached(struct journal *j)
{
    return journal_figures(j).attached;
}

bool journal_is_in_place(const struct journal *j, const char *dir)
{
    return j->fd < 0 || journal_file_is(j->fd, dir);
}

/* ---- the loop's thread ---- */

static size_t number_of(const struct journal *j, const struct ledger_row *row)
{
    size_t n = (size_t)(MG_CONTAINER(row, struct slot, row) - j->slots);

    MG_ASSERT(n < j->count);
    return n;
}

static void set_free(struct journal *j, size_t n)
{
    j->states[n] = FREE;
    j->free[j->free_count++] = (uint16_t)n;
}

/* It is no longer TAKEN: nobody writes on it. */
static void leave_taken(struct journal *j)
{
    if (--j->taken == 0 && j->moving)
        pthread_cond_broadcast(&j->changed);
}

struct ledger_row *journal_take(struct journal *j)
{
    struct slot *s = NULL;

    lock(j);
    while (j->moving && j->taken == 0)
        MG_ASSERT(pthread_cond_wait(&j->changed, &j->lock) == 0);
    if (j->free_count == 0)
        grow(j);
    if (j->free_count > 0) {
        size_t n = j->free[--j->free_count];

        j->states[n] = TAKEN;
        j->taken++;
        s = &j->slots[n];
    } else {
        j->lost++;
    }
    unlock(j);
    if (!s)
        return NULL;
    memset(&s->row, 0, sizeof s->row);
    return &s->row;
}

/* Before the lock: it takes longest. */
static struct slot *seal(struct journal *j, struct ledger_row *row, uint32_t state)
{
    struct slot *s = MG_CONTAINER(row, struct slot, row);

    s->sequence = ++j->sequence;
    s->checksum = slot_checksum(s, state);
    return s;
}

void journal_open(struct journal *j, struct ledger_row *row)
{
    struct slot *s = seal(j, row, SLOT_OPEN);
    size_t n = number_of(j, row);

    lock(j);
    MG_ASSERT(j->states[n] == TAKEN);
    atomic_store_explicit(&s->state, SLOT_OPEN, memory_order_release);
    j->states[n] = OPEN;
    j->open++;
    leave_taken(j);
    unlock(j);
}

bool journal_end(struct journal *j, struct ledger_row *row)
{
    struct slot *s = seal(j, row, SLOT_ENDED);
    size_t n = number_of(j, row);
    bool first = false;

    lock(j);
    MG_ASSERT(j->states[n] == TAKEN);
    if (j->tail - j->head < WAITING_MAX) {
        first = j->tail == j->head;
        atomic_store_explicit(&s->state, SLOT_ENDED, memory_order_release);
        j->states[n] = ENDED;
        j->queue[j->tail++ % JOURNAL_SLOTS_MAX] = (uint16_t)n;
    } else {
        j->lost++;
        set_free(j, n);
    }
    leave_taken(j);
    unlock(j);
    return first;
}

void journal_drop(struct journal *j, struct ledger_row *row)
{
    size_t n = number_of(j, row);

    lock(j);
    MG_ASSERT(j->states[n] == TAKEN || j->states[n] == OPEN);
    if (j->states[n] == OPEN) {
        atomic_store_explicit(&j->slots[n].state, SLOT_FREE, memory_order_release);
        j->open--;
    } else {
        leave_taken(j);
    }
    set_free(j, n);
    unlock(j);
}

/* ---- the writer's thread ---- */

size_t journal_fetch(struct journal *j, size_t skip, const struct ledger_row **ret, size_t max)
{
    size_t from, n;

    reserve_ahead(j);
    lock(j);
    from = j->head + skip;
    n = j->tail - j->head;
    unlock(j);
    n = n > skip ? n - skip : 0;
    if (n > max)
        n = max;
    for (size_t i = 0; i < n; i++) /* these change when they are written alone, and that is this thread's to say */
        ret[i] = &j->slots[j->queue[(from + i) % JOURNAL_SLOTS_MAX]].row;
    return n;
}

static void free_some(struct journal *j, size_t n)
{
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&j->slots[j->queue[(j->head + i) % JOURNAL_SLOTS_MAX]].state, SLOT_FREE,
                              memory_order_release);
    lock(j);
    MG_ASSERT(n <= j->tail - j->head);
    for (size_t i = 0; i < n; i++)
        set_free(j, j->queue[j->head++ % JOURNAL_SLOTS_MAX]);
    unlock(j);
}

void journal_written(struct journal *j, size_t n)
{
    for (size_t done = 0; done < n; done += WRITTEN_STEP)
        free_some(j, n - done < WRITTEN_STEP ? n - done : WRITTEN_STEP);
}

/* ---- either ---- */

struct journal_figures journal_figures(struct journal *j)
{
    struct journal_figures f;

    lock(j);
    f = (struct journal_figures){.slots = (int64_t)j->count,
                                 .waiting = (int64_t)(j->tail - j->head),
                                 .open = (int64_t)j->open,
                                 .lost = j->lost,
                                 .damaged = j->damaged,
                                 .attached = is_whole(j)};
    unlock(j);
    return f;
}
