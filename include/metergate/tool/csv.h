/*
 * csv: records of RFC 4180 on standard output: lines end in CR LF, what needs quotes has them. Texts of
 * somebody else are made safe to show (base/plain.h), and one that a spreadsheet would take for a formula
 * begins with a '.
 */
#ifndef METERGATE_TOOL_CSV_H
#define METERGATE_TOOL_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

/* Zeroed at first. */
struct csv {
    bool begun; /* private: a cell stands before the next one */
};

void csv_text(struct csv *c, struct slice s);

/* The member `name` of a document's object: a string as a text, a whole number as it is; unknown: an empty
 * cell. */
void csv_value(struct csv *c, struct slice object, const char *name);

/* Nano-dollars of the member `name` as an exact decimal of nine digits; unknown: an empty cell. */
void csv_usd(struct csv *c, struct slice object, const char *name);

/* The record is complete. */
void csv_end(struct csv *c);

#endif
