/*
 * findings: what `metergate doctor` found, in the order in which it was found: what is so, and what to do
 * about it. Texts may have parts of somebody else's in them: they are made safe to show (base/plain.h) and
 * cut when they are added.
 */
#ifndef METERGATE_TOOL_FINDINGS_H
#define METERGATE_TOOL_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "metergate/base/err.h"

enum finding_result { FINDING_OK, FINDING_WARN, FINDING_FAIL, FINDING_RESULTS };

/* No more are kept, and no more of one check; further ones are counted. */
#define FINDINGS_MAX       256
#define FINDINGS_CHECK_MAX 24

struct finding {
    const char *check; /* static: one word */
    enum finding_result result;
    char *found;  /* owned */
    char *advice; /* owned, or NULL */
};

struct findings {
    struct finding v[FINDINGS_MAX]; /* readable */
    size_t n;                       /* readable */
    size_t count[FINDING_RESULTS];  /* readable: of each result, those that were not kept included */
    bool dropped;                   /* private: the last one was not kept */
};

void findings_init(struct findings *f);
void findings_release(struct findings *f);

/* One more. */
void findings_add(struct findings *f, const char *check, enum finding_result result, const char *fmt, ...)
    MG_PRINTF(4, 5);

/* What to do about the last one, in place of what was said before. */
void findings_advise(struct findings *f, const char *fmt, ...) MG_PRINTF(2, 3);

/* "fail  proxy    what was found", the advice in a line of its own (once below all in a row that have the same), and a line that
 * counts all. */
void findings_print(const struct findings *f, FILE *out);

/* [{"check","result","found","advice"}], where an advice may be null. */
void findings_print_json(const struct findings *f, FILE *out);

#endif
