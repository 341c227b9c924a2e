/*
 * answer_head: the head of a provider's answer, taken line by line. Pure; bounded in bytes and in interim
 * responses.
 * The lines come as libcurl hands them out: the status line first, each with its line end, an empty line
 * last. Interim heads (1xx) come before the final one and are forgotten; what comes after the final head
 * (trailers) is ignored.
 */
#ifndef METERGATE_NET_ANSWER_HEAD_H
#define METERGATE_NET_ANSWER_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/net/http.h"

/* More interim responses than this are a provider gone mad. */
#define ANSWER_HEAD_INTERIM_MAX 64

struct answer_line {
    size_t name, name_n, value, value_n; /* offsets into text */
};

struct answer_head {
    int status;    /* readable once done: 200..999 */
    int minor;     /* readable once done: HTTP/1.minor; 0 or 1 */
    bool done;     /* readable: the final head is complete */
    size_t bytes;  /* private: of all lines so far, interim heads included */
    size_t max_bytes;
    unsigned interim;
    struct buf text;
    struct answer_line *lines; /* owned */
    size_t line_n, line_cap;
    int64_t length;            /* private: of Content-Length, -1 without */
    struct http_header *headers; /* readable once done: line_n of them; point into text */
};

void answer_head_init(struct answer_head *h, size_t max_bytes);
void answer_head_release(struct answer_head *h);

/*
 * Takes one line. 0 to go on, 1 when this line completed the final head (exactly once). -E2BIG: over
 * max_bytes or too many interim heads; -EPROTO: no status line, one that we do not understand, a 101 that nobody asked
 * for, Content-Lengths that are no numbers or contradict each other, or a Transfer-Encoding other than one "chunked".
 */
int answer_head_add(struct answer_head *h, struct slice line) MG_MUSTCHECK;

/* Forgets everything (the request is sent again), but keeps counting bytes. */
void answer_head_restart(struct answer_head *h);

/*
 * Whether it announces a body that its status has none of (204, 304: RFC 9110 6.4.1). A sender that is wrong in this may well
 * send one, so nothing that follows on its connection is to be believed.
 */
bool answer_head_promises_too_much(const struct answer_head *h);

/* The length of the body as the head says: -1 when unknown or chunked. */
int64_t answer_head_content_length(const struct answer_head *h);

#endif
