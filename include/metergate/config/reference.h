/*
 * reference: every option of the table, for the manuals: docs/configuration.md and man/metergate.yaml.5 hold
 * these texts, and a test compares them.
 */
#ifndef METERGATE_CONFIG_REFERENCE_H
#define METERGATE_CONFIG_REFERENCE_H

#include "metergate/base/buf.h"

/* Appends a table in Markdown. */
void reference_markdown(struct buf *out);

/* Appends a subsection for each key of the top, in roff's man macros. */
void reference_roff(struct buf *out);

#endif
