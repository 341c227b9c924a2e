/*
 * output: what another program says.
 */
#ifndef METERGATE_TOOL_OUTPUT_H
#define METERGATE_TOOL_OUTPUT_H

#include <stdint.h>

#include "metergate/base/buf.h"

/*
 * Runs argv (NULL at the end, argv[0] looked up in PATH) without input and appends what it writes to stdout
 * and stderr, up to `out`'s maximum. Its exit status (127: it is not there), or -ETIMEDOUT when it was not
 * done in time, -E2BIG when it had more to say, -ECHILD when a signal ended it; in these cases it is killed
 * and waited for.
 */
int output_of(const char *const *argv, int64_t timeout_ms, struct buf *out);

#endif
