/*
 * state: the directory in which the daemon keeps what it has learned.
 */
#ifndef METERGATE_DAEMON_STATE_H
#define METERGATE_DAEMON_STATE_H

#include "metergate/base/buf.h"
#include "metergate/config/config.h"

/*
 * Appends the directory to `ret`, made if it was missing: `state_dir`, or its default: the first of
 * $STATE_DIRECTORY (systemd sets it), $XDG_STATE_HOME/metergate, ~/.local/state/metergate. False: there is
 * none, or it cannot be made; the log says why.
 */
bool state_dir_open(const struct config *config, struct buf *ret);

#endif
