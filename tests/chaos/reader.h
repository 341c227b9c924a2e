/*
 * reader: one answer at a time from a connection, read strictly: what a client could not read, or could only guess at, is
 * READER_BAD.
 */
#ifndef CHAOS_READER_H
#define CHAOS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"

struct reader {
    enum { READER_HEAD, READER_COUNTED, READER_SIZE, READER_CHUNK, READER_CHUNK_END, READER_UNTIL_CLOSE, READER_WHOLE, READER_BAD } state;
    const char *why;  /* readable: what is bad */
    int status;       /* readable: of the last head, 0: none came */
    char id[40];      /* readable: Metergate-Request-Id of the last head; "": none */
    int interims;     /* readable: how many 100 came before it */
    bool close;       /* readable: the answer says that the connection ends */
    struct buf body;  /* readable */
    struct buf line;  /* private: the head, or a chunk's size line, so far */
    bool head_only;   /* private */
    int64_t left;     /* private: of the body or the chunk */
};

/* Ready for the answer to the next request; `head_only`: it was HEAD. */
void reader_begin(struct reader *r, bool head_only);
void reader_release(struct reader *r);

/* Takes bytes until the answer is whole or bad; returns how many. */
size_t reader_feed(struct reader *r, const char *p, size_t n);

/* The stream ended, by FIN: an answer without a length is whole now. */
void reader_end(struct reader *r);

/* Whether some, but not all, of an answer has come. */
bool reader_is_cut(const struct reader *r);

#endif
