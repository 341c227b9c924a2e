/*
 * scan_text: what the spans that a scanner tells say: strings as text, numbers as integers.
 */
#ifndef METERGATE_BASE_SCAN_TEXT_H
#define METERGATE_BASE_SCAN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/scan.h"
#include "metergate/base/slice.h"

/* Whether a string (a key, mostly) says `name`, escapes understood. False for what is not a string. */
bool scan_is(const struct scan *s, const struct scan_value *v, const char *name);

/*
 * Appends the text of a string: `inside` is what stands between the quotes. Escapes are resolved, \u pairs
 * joined, lone surrogates and bytes that are not UTF-8 become U+FFFD each, \u0000 is kept as a NUL byte. What
 * was never through a scanner (the cut-off end of a string) is fine too: a broken escape at the end is
 * dropped. -E2BIG, -ENOMEM.
 */
int scan_decode(struct slice inside, struct buf *out) MG_MUSTCHECK;

/*
 * The same, piece by piece and without memory: as many whole characters as fit into `room` bytes (at least SCAN_DECODE_MIN); *inside is
 * what is left. Returns how many bytes were written; 0 only at the end, or for a broken escape there.
 */
#define SCAN_DECODE_MIN 8
size_t scan_decode_some(struct slice *inside, char *out, size_t room);

/*
 * The number as an integer, exactly: `30000`, also `3e4` and `30000.0`. -EINVAL when it is not a number or
 * not whole, -ERANGE when it does not fit.
 */
int scan_int64(struct slice number, int64_t *ret) MG_MUSTCHECK;

#endif
