/*
 * journal_file: the file's contents are believed of nothing. Whoever can write there could have written anything, a power
 * cut leaves any mixture of old and new pages, and a copy may have been cut anywhere: so its size and each row are
 * checked, a copy of the row at that, and what is wrong is counted and left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal_inside.h"
#include "metergate/base/clock.h"

#define FILE_NAME "journal"

struct head {
    char magic[8];
    uint32_t version, slot_bytes;
    uint64_t layout; /* row_layout */
};

/* ---- checksum: the accumulator of xxHash64 (Y. Collet, xxhash_spec.md), in four lanes, and its avalanche ---- */

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)

static uint64_t rotate(uint64_t v, int by)
{
    return v << by | v >> (64 - by);
}

static uint64_t add_word(uint64_t lane, const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

uint64_t slot_checksum(const struct slot *s, uint32_t state)
{
    const unsigned char *at = (const unsigned char *)&s->row, *end = at + sizeof s->row;
    uint64_t lane[4] = {PRIME_1 + state, PRIME_2 + s->sequence, 0, PRIME_3}, sum;

    for (; end - at >= 32; at += 32) {
        for (size_t i = 0; i < 4; i++)
            lane[i] = add_word(lane[i], at + 8 * i);
    }
    for (; at < end; at += 8)
        lane[0] = add_word(lane[0], at);
    sum = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
    sum = (sum ^ sum >> 33) * PRIME_2;
    sum = (sum ^ sum >> 29) * PRIME_3;
    return sum ^ sum >> 32;
}

/* ---- opening ---- */

static struct head head_of_ours(void)
{
    return (struct head){"mg-rows", JOURNAL_VERSION, sizeof(struct slot), row_layout()};
}

/* -EBUSY also when who had the lock gave it back after he had renamed the file. */
static int lock_file(int fd, int dir_fd, const struct stat *st)
{
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstatat(dir_fd, FILE_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != st->st_ino ||
        named.st_dev != st->st_dev)
        return -EBUSY;
    return (st->st_mode & 077) == 0 || fchmod(fd, 0600) == 0 ? 0 : -errno;
}

/* A descriptor of a locked file that still has that name, or -errno. */
static int open_locked(int dir_fd, int flags)
{
    int fd = openat(dir_fd, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags,
                    0600);
    struct stat st;
    int rc;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        rc = -errno;
    else
        rc = S_ISREG(st.st_mode) ? lock_file(fd, dir_fd, &st) : -ENOTSUP;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* 1: it is a journal of this layout, or has nothing but zeros where that would stand (it was being made); 0: it is not. */
static int is_ours(int fd, bool *ret_new)
{
    const struct head ours = head_of_ours(), none = {"", 0, 0, 0};
    struct head h = none;
    struct stat st;
    ssize_t n = pread(fd, &h, sizeof h, 0);

    if (n < 0 || fstat(fd, &st) < 0)
        return -errno;
    *ret_new = memcmp(&h, &none, sizeof h) == 0;
    return *ret_new || (st.st_size >= JOURNAL_HEAD_BYTES && memcmp(&h, &ours, sizeof h) == 0);
}

static int set_aside(int dir_fd, const char *dir, struct errbuf *e)
{
    char name[64];
    time_t now = (time_t)(clock_wall_us() / CLOCK_S);
    struct tm tm;

    MG_ASSERT(gmtime_r(&now, &tm) && strftime(name, sizeof name, FILE_NAME ".damaged-%Y%m%dT%H%M%SZ", &tm));
    if (renameat(dir_fd, FILE_NAME, dir_fd, name) < 0)
        return -errno;
    err_set(e, "%s/" FILE_NAME ": it is damaged or of another version, and now called %s", dir, name);
    return 0;
}

/* One that copies what is written (btrfs) has no blocks to reserve unless it is told not to; others do not know the flag. */
static void write_in_place(int fd)
{
#ifdef FS_NOCOW_FL
    int flags = 0;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
#else
    (void)fd;
#endif
}

/* The blocks first: a file that has them and no head yet is empty, whenever this ends. */
static int make_new(int fd)
{
    const struct head ours = head_of_ours();
    int rc;

    write_in_place(fd);
    rc = journal_file_reserve(fd, JOURNAL_STEP);
    if (rc == 0 && pwrite(fd, &ours, sizeof ours, 0) != (ssize_t)sizeof ours)
        rc = errno ? -errno : -EIO;
    return rc;
}

static int open_ours(int dir_fd, const char *dir, struct errbuf *e)
{
    bool is_new = false;
    int fd = open_locked(dir_fd, 0), rc;

    if (fd < 0)
        return fd;
    rc = is_ours(fd, &is_new);
    if (rc == 0) {
        rc = set_aside(dir_fd, dir, e);
        close(fd);
        if (rc < 0)
            return rc;
        fd = open_locked(dir_fd, O_EXCL);
        if (fd < 0)
            return fd;
        is_new = true;
    }
    if (rc >= 0)
        rc = is_new ? make_new(fd) : 0;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int journal_file_open(const char *dir, struct errbuf *e)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (dir_fd < 0)
        return -errno;
    fd = open_ours(dir_fd, dir, e);
    close(dir_fd);
    return fd;
}

bool journal_file_is(int fd, const char *dir)
{
    struct buf path;
    struct stat ours, named;
    bool same;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/" FILE_NAME, dir);
    same = fstat(fd, &ours) == 0 && lstat(path.p, &named) == 0 && named.st_ino == ours.st_ino &&
           named.st_dev == ours.st_dev;
    buf_release(&path);
    return same;
}

int journal_file_reserve(int fd, size_t slots)
{
    int rc;

    do
        rc = posix_fallocate(fd, 0, journal_file_offset(slots));
    while (rc == EINTR);
    return -rc;
}

/* ---- what is in it ---- */

struct kept {
    bool open;
    uint64_t sequence;
    struct ledger_row row;
};

struct rows {
    struct kept **v;
    size_t n;
    int64_t damaged;
};

static int64_t whole_slots(int fd, struct rows *rows)
{
    struct stat st;
    int64_t bytes, n;

    if (fstat(fd, &st) < 0)
        return -errno;
    bytes = st.st_size > JOURNAL_HEAD_BYTES ? st.st_size - JOURNAL_HEAD_BYTES : 0;
    n = bytes / (int64_t)sizeof(struct slot);
    if (n > JOURNAL_SLOTS_MAX)
        n = JOURNAL_SLOTS_MAX;
    else if (bytes % (int64_t)sizeof(struct slot) != 0)
        rows->damaged++;
    return n;
}

static void keep(struct rows *rows, const struct slot *s, uint32_t state)
{
    struct kept *k;

    if ((state != SLOT_OPEN && state != SLOT_ENDED) || s->checksum != slot_checksum(s, state) ||
        !row_is_sound(&s->row)) {
        rows->damaged++;
        return;
    }
    k = xmalloc(sizeof *k);
    *k = (struct kept){state == SLOT_OPEN, s->sequence, s->row};
    rows->v[rows->n++] = k;
}

static int read_rows(int fd, int64_t slots, struct rows *rows)
{
    for (int64_t i = 0; i < slots; i++) {
        struct slot s;
        ssize_t n = pread(fd, &s, sizeof s, journal_file_offset((size_t)i));
        uint32_t state;

        if (n != (ssize_t)sizeof s)
            return n < 0 ? -errno : -EIO;
        state = atomic_load_explicit(&s.state, memory_order_relaxed);
        if (state != SLOT_FREE)
            keep(rows, &s, state);
    }
    return 0;
}

static int by_end(const void *a, const void *b)
{
    const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;

    if (x->open != y->open)
        return x->open ? 1 : -1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int by_attempt(const void *a, const void *b)
{
    const struct ledger_row *x = &(*(struct kept *const *)a)->row, *y = &(*(struct kept *const *)b)->row;

    if (x->id != y->id)
        return x->id > y->id ? 1 : -1;
    return (x->attempts > y->attempts) - (x->attempts < y->attempts);
}

/* Those that ended, then those that were open and have no twin that ended; NULL behind the last one. */
static bool give(const struct rows *rows, journal_found *found, void *arg)
{
    struct kept **ended = xcalloc(rows->n, sizeof *ended);
    bool kept = true;
    size_t n = 0;

    qsort(rows->v, rows->n, sizeof *rows->v, by_end);
    while (n < rows->n && !rows->v[n]->open) {
        ended[n] = rows->v[n];
        n++;
    }
    qsort(ended, n, sizeof *ended, by_attempt);
    for (size_t i = 0; i < rows->n && kept; i++) {
        const struct kept *k = rows->v[i];

        if (!k->open || !bsearch(&k, ended, n, sizeof *ended, by_attempt))
            kept = found(arg, &k->row, k->open);
    }
    free(ended);
    return kept && (rows->n == 0 || found(arg, NULL, false));
}

/* In place, so that a full disk does not keep the blocks that it has; what is more than the first step goes back, and half a
 * slot at the end, whose other half would come back with the blocks. */
static int empty(int fd, int64_t slots)
{
    const int64_t bytes = journal_file_offset((size_t)(slots < JOURNAL_STEP ? slots : JOURNAL_STEP));
    const struct head ours = head_of_ours();
    struct stat st;

    for (int64_t i = 0; i < slots; i++) {
        int64_t at = journal_file_offset((size_t)i) + (int64_t)offsetof(struct slot, state);
        uint32_t state;

        if (pread(fd, &state, sizeof state, at) != (ssize_t)sizeof state)
            return -EIO;
        if (state == SLOT_FREE)
            continue;
        state = SLOT_FREE;
        if (pwrite(fd, &state, sizeof state, at) != (ssize_t)sizeof state)
            return -EIO;
    }
    if (pwrite(fd, &ours, sizeof ours, 0) != (ssize_t)sizeof ours || fstat(fd, &st) < 0)
        return -EIO;
    return st.st_size > bytes && ftruncate(fd, bytes) < 0 ? -errno : 0;
}

int journal_file_recover(int fd, journal_found *found, void *arg, int64_t *ret_damaged)
{
    struct rows rows = {.v = NULL};
    int64_t slots = whole_slots(fd, &rows);
    int rc = slots < 0 ? (int)slots : 0;

    if (rc == 0) {
        rows.v = xcalloc((size_t)slots, sizeof *rows.v);
        rc = read_rows(fd, slots, &rows);
    }
    if (rc == 0 && !give(&rows, found, arg))
        rc = -ECANCELED;
    if (rc == 0)
        rc = empty(fd, slots);
    if (rc == 0)
        *ret_damaged = rows.damaged;
    for (size_t i = 0; i < rows.n; i++)
        free(rows.v[i]);
    free(rows.v);
    return rc;
}
