/*
 * path: what a provider could read in a path. The bytes travel as they came; but whether a call is metered is
 * decided on a plain copy, so that no spelling of a metered path reaches the provider unmetered. What two
 * parsers could take for two different paths is refused.
 *
 * Sources: RFC 3986 (2.1 escapes, 5.2.4 dot segments, 6.2.2 normalisation) and what servers are known to do
 * besides: merge slashes, ignore case and `;parameters`, take `\` for `/`, decode twice, cut at %00.
 */
#ifndef METERGATE_PROXY_PATH_H
#define METERGATE_PROXY_PATH_H

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/*
 * `raw` begins with '/'. *ret_plain: escapes decoded (twice), in lower case, without `;parameters`, repeated
 * slashes, and slashes and blanks at the end: /v1//Ch%61t/completions;x/ becomes /v1/chat/completions. It
 * borrows from `raw`, or from `storage`, which the caller initialises (no limit) and releases. Returns NULL,
 * or the sentence that says why the path is refused: a broken escape, an escaped control character or byte
 * that is not UTF-8, a backslash, a dot segment however written.
 */
const char *path_read(struct slice raw, struct buf *storage, struct slice *ret_plain);

#endif
