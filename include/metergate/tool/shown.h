/*
 * shown: lines that several commands print alike, on standard output. `doc` is a document of the daemon
 * (doc.h).
 */
#ifndef METERGATE_TOOL_SHOWN_H
#define METERGATE_TOOL_SHOWN_H

#include <stdint.h>

#include "metergate/base/slice.h"

/* "2026-11-27 14:03:12 to 2026-11-28 14:03:12 UTC" and an empty line, of "since" and "until"; nothing without
 * them. */
void shown_span(struct slice doc);

/* The member's time, as figure_time has it. */
void shown_time(struct slice doc, const char *name);

/* A string of the document, safe to show. */
void shown_text(struct slice doc, const char *path);

/* What to do about calls without a price. `whose` is safe text: "" or " of gpt-4o". Nothing for 0. */
void shown_unpriced(int64_t calls, const char *whose);

#endif
