/*
 * watcher: the process that says what tool/notice.h has to say while this process, become another program,
 * runs.
 */
#ifndef METERGATE_TOOL_WATCHER_H
#define METERGATE_TOOL_WATCHER_H

#include "metergate/base/secret.h"
#include "metergate/tool/address.h"

/*
 * Starts it; it asks the daemon there once a second, looks for held calls of `client` (a name), writes to
 * this process's stderr, and ends when this process does. It is no child of this process, which may exec.
 * Where that or anything else is not possible there is none, and nothing is said of it.
 */
void watcher_start(const struct address *a, const struct secret *token, const char *client);

#endif
