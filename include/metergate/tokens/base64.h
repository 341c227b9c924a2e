/*
 * base64: RFC 4648, either alphabet, as it stands in a JSON string: a digit may be escaped there (\/, \u002B), what is no
 * digit (white space, escaped or not) is skipped, and padding ends it.
 */
#ifndef METERGATE_TOKENS_BASE64_H
#define METERGATE_TOKENS_BASE64_H

#include <stddef.h>

#include "metergate/base/slice.h"

/* As many bytes as there are, at most `room`: no more of the text is looked at than they need. Returns how
 * many. */
size_t base64_decode(struct slice text, char *to, size_t room);

/* What stands behind the comma of a data: URL; of anything else all of it. */
struct slice base64_of_url(struct slice text);

#endif
