/*
 * session: what all kinds of clients do with a daemon at the same time: calls that are answered, streamed, held, left, refused,
 * big, passed through; and its own endpoints. Each answer is judged: whole and right, an honest error, or cut.
 */
#ifndef FAULTS_SESSION_H
#define FAULTS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../e2e/fixture.h"

enum seen {
    SEEN_WHOLE,   /* what it is when nothing fails */
    SEEN_REFUSED, /* 4xx or 5xx, whole */
    SEEN_CUT,     /* the connection ended without an answer, or before its end */
    SEEN_KINDS
};

/* The configuration of a daemon that such sessions can be had with; its simulator's settings. */
extern const char session_yaml[], session_settings[];

/* Adds to ret[] what the clients saw. Fails the test where somebody saw half an answer as a whole one. */
void session_run(struct fixture *f, int64_t ret[SEEN_KINDS]);

#endif
