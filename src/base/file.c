/*
 * file: what the path leads to is looked at before it is opened (a device is not touched), and again after,
 * because it may have been replaced between the two; O_NONBLOCK keeps the open of such a twin from waiting.
 */
#include "metergate/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int check_kind(mode_t mode, bool pipe_too, struct errbuf *e)
{
    const char *kind = "a device";

    if (S_ISREG(mode) || (pipe_too && S_ISFIFO(mode)))
        return 0;
    if (S_ISDIR(mode))
        kind = "a directory";
    else if (S_ISFIFO(mode))
        kind = "a FIFO";
    else if (S_ISSOCK(mode))
        kind = "a socket";
    err_set(e, "it is %s, not a file", kind);
    return S_ISDIR(mode) ? -EISDIR : -ENOTSUP;
}

static int fail(struct errbuf *e)
{
    int rc = -errno;

    err_set(e, "%s", strerror(-rc));
    return rc;
}

static int open_checked(const char *path, bool pipe_too, struct errbuf *e)
{
    struct stat st;
    int fd, rc;

    if (stat(path, &st) < 0)
        return fail(e);
    rc = check_kind(st.st_mode, pipe_too, e);
    if (rc < 0)
        return rc;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(e);
    rc = fstat(fd, &st) < 0 ? fail(e) : check_kind(st.st_mode, pipe_too, e);
    if (rc == 0 && S_ISFIFO(st.st_mode) &&
        fcntl(fd, F_SETFL, 0) < 0) /* opened, now its writer is waited for */
        rc = fail(e);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int file_open(const char *path, struct errbuf *e)
{
    return open_checked(path, false, e);
}

int file_open_given(const char *path, struct errbuf *e)
{
    struct statfs fs;
    bool given =
        statfs(path, &fs) == 0 && fs.f_type == PIPEFS_MAGIC; /* it has no name: its opening never waits */

    return open_checked(path, given, e);
}

/*
 * Root may read everything, and group and mode of a file of root's are what root gave it: 0640 is how a service is let in that is
 * not root (PostgreSQL has this rule for its keys, too). A file of our own is for us alone.
 */
static int check_private(const struct stat *st, struct errbuf *e)
{
    bool roots = st->st_uid == 0, ours = st->st_uid == geteuid();

    if (!roots && !ours && geteuid() != 0) {
        err_set(e, "it belongs to another user (%u), who may change it: chown it to root or to this user",
                (unsigned)st->st_uid);
        return -EACCES;
    }
    if ((st->st_mode & (roots ? 037 : 077)) == 0)
        return 0;
    err_set(e, "others may read or write it (its mode is %04o): chmod %s", st->st_mode & 07777u,
            roots && !ours ? "640, and chgrp to the daemon's group" : "600");
    return -EACCES;
}

int file_open_private(const char *path, struct errbuf *e)
{
    int fd = file_open(path, e), rc;
    struct stat st;

    if (fd < 0)
        return fd;
    rc = fstat(fd, &st) < 0 ? fail(e) : check_private(&st, e);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* Takes the descriptor. */
static int read_all(int fd, struct buf *out, struct errbuf *e)
{
    char piece[16384];
    ssize_t n = 1;
    int rc = 0;

    while (rc == 0 && n != 0) {
        n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        rc = n < 0 ? fail(e) : buf_append(out, piece, (size_t)n);
    }
    if (rc == -E2BIG)
        err_set(e, "it is larger than %zu bytes", out->max);
    close(fd);
    return rc;
}

int file_read(const char *path, struct buf *out, struct errbuf *e)
{
    int fd = file_open(path, e);

    return fd < 0 ? fd : read_all(fd, out, e);
}

/* A pipe has a mode, too, which says nothing. */
static int check_writers(int fd, struct errbuf *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail(e);
    if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IWOTH))
        return 0;
    err_set(e, "everybody may write to it (its mode is %04o): chmod o-w", st.st_mode & 07777u);
    return -EACCES;
}

int file_read_given(const char *path, struct buf *out, struct errbuf *e)
{
    int fd = file_open_given(path, e), rc;

    if (fd < 0)
        return fd;
    rc = check_writers(fd, e);
    if (rc == 0)
        return read_all(fd, out, e);
    close(fd);
    return rc;
}

/* ---- our own ---- */

static int write_all(int fd, struct slice text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno != EINTR)
            return -errno;
        text = slice_skip(text, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(const char *path, struct slice text)
{
    struct buf beside;
    int fd, rc;

    buf_init(&beside, BUF_UNLIMITED);
    buf_addf(&beside, "%s.new", path);
    fd = open(beside.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    rc = fd < 0 ? -errno : write_all(fd, text);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(beside.p, path) < 0)
        rc = -errno;
    if (rc < 0 && fd >= 0)
        unlink(beside.p);
    buf_release(&beside);
    return rc;
}

/* 0 also when it is there. */
static int make_one(const char *path, const struct file_owner *owner)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    return owner && lchown(path, owner->uid, owner->gid) < 0 ? -errno : 0;
}

int file_make_dir(const char *path, const struct file_owner *owner)
{
    char *part = xstrdup(path);
    struct stat st;
    int rc = 0, last;

    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        last = make_one(part, owner);
        rc = rc < 0 ? rc : last;
        *slash = '/';
    }
    last = make_one(part, owner);
    if (last < 0)
        rc = rc < 0 ? rc : last;
    else
        rc = stat(part, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    free(part);
    return rc;
}
