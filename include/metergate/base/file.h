/*
 * file: files that an operator named, read whole; and files of our own. A path may lead anywhere: opening a FIFO would wait for a
 * writer, a device may do anything at its opening, so nothing but a regular file is opened.
 */
#ifndef METERGATE_BASE_FILE_H
#define METERGATE_BASE_FILE_H

#include <sys/types.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/*
 * A descriptor for reading, close() it; never waits. -errno, -EISDIR, or -ENOTSUP for what else is no regular
 * file; the sentence says what it is: "it is a FIFO, not a file".
 */
int file_open(const char *path, struct errbuf *e) MG_MUSTCHECK;

/*
 * As file_open, but a pipe that this process was given (/dev/stdin, /dev/fd/N: `-c <(make-config)`) is opened
 * as well, and reading it waits for its writer. For what is read once, at the start.
 */
int file_open_given(const char *path, struct errbuf *e) MG_MUSTCHECK;

/*
 * As file_open, and -EACCES when somebody else may read or write the file: it belongs to us and its mode is at most 0600, or
 * to root and is at most 0640. To root everybody's file of mode 0600 is good.
 */
int file_open_private(const char *path, struct errbuf *e) MG_MUSTCHECK;

/* Appends the whole file. As file_open, and -E2BIG when it passes the buffer's maximum. */
int file_read(const char *path, struct buf *out, struct errbuf *e) MG_MUSTCHECK;

/* As file_open_given, and -EACCES for a file that everybody may write to. */
int file_read_given(const char *path, struct buf *out, struct errbuf *e) MG_MUSTCHECK;

/*
 * The file has this text from now on, or what it had before: it is written beside it (PATH.new), synced, and renamed. Readable by its
 * owner alone. -errno.
 */
int file_replace(const char *path, struct slice text) MG_MUSTCHECK;

struct file_owner {
    uid_t uid;
    gid_t gid;
};

/*
 * Makes the directory and those above it that are missing, 0700, and gives what it made to `owner` (NULL: they are ours). 0 also when
 * it is there. -errno.
 */
int file_make_dir(const char *path, const struct file_owner *owner) MG_MUSTCHECK;

#endif
