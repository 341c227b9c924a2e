/*
 * plain: text of somebody else, made safe to show: on a terminal it is seen, and does nothing.
 *
 * What moves the cursor or changes how the rest is shown (control characters of ASCII and of ISO 6429, with
 * which escape sequences begin; line and paragraph separators; the marks that turn the direction of writing;
 * tags and other characters without a look of their own) and what is no UTF-8 becomes a '?', one for each
 * character or byte. The rest stays.
 */
#ifndef METERGATE_BASE_PLAIN_H
#define METERGATE_BASE_PLAIN_H

#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* Appends `s`, made safe. `out` is unlimited. */
void plain_add(struct buf *out, struct slice s);

/* The places that a terminal gives to a text which is safe already: 2 for East Asian wide characters and
 * emoji, 0 for marks that combine with the character before them. */
size_t plain_width(struct slice s);

/* The longest head of a safe text that takes at most so many places, as bytes. */
size_t plain_fit(struct slice s, size_t places);

#endif
