/*
 * state: the directory in which the daemon keeps what it has learned.
 */
#ifndef METERGATE_DAEMON_STATE_H
#define METERGATE_DAEMON_STATE_H

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/file.h"
#include "metergate/config/config.h"

/*
 * Appends the directory to `ret`, made if it was missing: `state_dir`, or its default: the first of
 * $STATE_DIRECTORY (systemd sets it), $XDG_STATE_HOME/metergate, ~/.local/state/metergate. `owner` (NULL: we ourselves) is whom the
 * directory has to belong to; his default is /var/lib/metergate. Nothing is appended where there is none, or none can be made;
 * the log says why. -EACCES with a sentence: others can write to it, or it is another's.
 */
int state_dir_open(const struct config *config, const struct file_owner *owner, struct buf *ret, struct errbuf *e) MG_MUSTCHECK;

#endif
