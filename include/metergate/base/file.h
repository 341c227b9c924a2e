/*
 * file: files that an operator named, read whole. A path may lead anywhere: opening a FIFO would wait for a
 * writer, a device may do anything at its opening, so nothing but a regular file is opened.
 */
#ifndef METERGATE_BASE_FILE_H
#define METERGATE_BASE_FILE_H

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

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

/* Appends the whole file. As file_open, and -E2BIG when it passes the buffer's maximum. */
int file_read(const char *path, struct buf *out, struct errbuf *e) MG_MUSTCHECK;
int file_read_given(const char *path, struct buf *out, struct errbuf *e) MG_MUSTCHECK;

#endif
