/*
 * odd_answers: the table that test_answers.c plays and docs/odd-answers.md shows: answers of providers that are broken, or
 * hostile, or no providers at all, and what their clients see of each.
 */
#ifndef E2E_ODD_ANSWERS_H
#define E2E_ODD_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"

/* What the provider does once the bytes are out. */
enum odd_end { ODD_WAITS, ODD_CLOSES, ODD_RESETS };

struct odd_answer {
    const char *chapter; /* begins one in the manual; NULL: as the row before */
    const char *name;    /* for people, Markdown */
    const char *bytes;   /* '$' stands for `filler`, `times` times */
    size_t n;
    const char *filler;
    unsigned times;
    enum odd_end end;
    const char *method;  /* of the call, which has no body then; NULL: it is a chat */
    int status;          /* that the client gets */
    bool cut;            /* its answer has no clean end; whether it had a head is a matter of time */
    const char *refused; /* Metergate-Refused, "" without */
    const char *body;    /* NULL: not looked at */
    const char *header;  /* of the answer, and its value; NULL: it does not have it */
    const char *value;
    bool stays; /* the connection to the provider: the next call goes over it */
};

extern const struct odd_answer odd_answers[];
extern const size_t odd_answers_count;

/* Appends what is sent: the bytes with the fillers in their places. */
void odd_answer_write(const struct odd_answer *r, struct buf *out);

#endif
