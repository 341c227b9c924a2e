/*
 * doc: values of the JSON documents that the daemon answers with, by their path
 * ("price.usd_per_million.input").
 *
 * Documents are read where they stand, so that a report of ten thousand calls costs no tree, integers keep
 * all 64 bits and decimals of money stay the digits that they were. A document is whatever doc_check
 * accepted, or a value of one; it is borrowed by all that is found in it. What is missing and what is null
 * are the same: unknown.
 */
#ifndef METERGATE_TOOL_DOC_H
#define METERGATE_TOOL_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/scan.h"
#include "metergate/base/slice.h"

/* Whether the text is one JSON object and nothing else. */
bool doc_check(struct slice text);

/* The value as JSON; empty: unknown. */
struct slice doc_get(struct slice doc, const char *path);

/* Whole numbers; unknown and everything else is 0, what does not fit is the nearest that does. */
int64_t doc_int(struct slice doc, const char *path);

/* A decimal times 10^digits (at most 9), rounded half away from 0. -EINVAL: unknown or no plain decimal,
 * -ERANGE. */
int doc_scaled(struct slice doc, const char *path, int digits, int64_t *ret) MG_MUSTCHECK;

bool doc_truth(struct slice doc, const char *path);

/* Appends a string's text, or nothing where there is none. It is somebody else's: see base/plain.h. */
void doc_text(struct slice doc, const char *path, struct buf *out);

/* The same, safe to show; returned to be free()d. */
char *doc_plain(struct slice doc, const char *path);

/* Whether it is the string `text`. */
bool doc_is(struct slice doc, const char *path, const char *text);

/* Elements of an array in order: begin, then next until it is false. */
struct doc_list {
    struct scan scan; /* private */
    bool inside;      /* private */
};
void doc_list_begin(struct doc_list *l, struct slice doc, const char *path);
bool doc_list_next(struct doc_list *l, struct slice *ret);

#endif
