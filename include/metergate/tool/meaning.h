/*
 * meaning: the short words that the daemon uses for what kept a call waiting, how it ended and where it is,
 * as sentences. Every function appends to `out` what is safe to show, whatever the document says.
 */
#ifndef METERGATE_TOOL_MEANING_H
#define METERGATE_TOOL_MEANING_H

#include <stdbool.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* What kept the call waiting, of one element of "holds": "no room in the tokens per minute (tpm) of budget
 * gpt-4o". */
void meaning_of_hold(struct slice hold, struct buf *out);

/* Why a call was refused and what to change, by its "reason"; nothing for a reason that explains itself. */
void meaning_of_reason(struct slice call, struct buf *out);

/* Where the call is, by its "state": "is held". */
void meaning_of_state(struct slice call, struct buf *out);

/* Where the figures of its tokens come from, by its "usage_source": "as the provider reports". */
void meaning_of_source(struct slice call, struct buf *out);

#endif
