/*
 * outlook: when held calls start, in words, as a status document tells it (docs/status.md). What a document
 * does not say is unknown. Moments are in the local time zone. Every function appends to `out` what is safe
 * to show.
 */
#ifndef METERGATE_TOOL_OUTLOOK_H
#define METERGATE_TOOL_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* "53 calls wait; the last of them starts in 4 min 12 s, at 15:04:10." */
void outlook_sentence(struct slice doc, struct buf *out);

/* Of one element of `budgets` of `doc`, that holds some: "gpt-4o holds 3, the next starts in 5 s, the last in
 * 41 s, at 15:00:43: no room in the tokens per minute (tpm) of budget gpt-4o". */
void outlook_budget(struct slice doc, struct slice budget, struct buf *out);

/* "gpt-4o"; with a key of its own "gpt-4o (k-3f9a02bc)". */
void outlook_name(struct slice budget, struct buf *out);

/* What an amount of milliseconds from now on is on the clock: "15:04:10", of another day "2026-11-29
 * 15:04:10"; nothing for a document that does not tell its own time. */
void outlook_moment(struct slice doc, int64_t ms, struct buf *out);

/* A document with nothing but what the others here ask of `doc` for each budget or call: to be given to them
 * in its place where there may be many, since each question goes through all that comes before its answer. */
void outlook_head(struct slice doc, struct buf *out);

/* A member that is a time from now on in milliseconds; false: nobody can know. */
bool outlook_ms(struct slice node, const char *member, int64_t *ret_ms);

/* What is wrong with the daemon and its providers, a sentence without a full stop each: a provider that
 * cannot be reached or refuses, a pause that it asked for, a ledger that is not written. */
typedef void outlook_trouble(const char *sentence, void *ctx);
void outlook_troubles(struct slice doc, outlook_trouble *each, void *ctx);

#endif
