/*
 * reload: the configuration is read in the same way at the start and again later: the same search order, and
 * what the command line replaces stays replaced.
 */
#ifndef METERGATE_DAEMON_RELOAD_H
#define METERGATE_DAEMON_RELOAD_H

#include "metergate/base/buf.h"
#include "metergate/config/config.h"
#include "metergate/daemon/listeners.h"
#include "metergate/daemon/options.h"
#include "metergate/proxy/proxy.h"

/*
 * 0, or the exit status that a start ends with: 78 for a bad file, 64 for a bad command line. Appends what
 * there is to say, warnings too, a line each.
 */
int reload_read(const struct options *o, struct config **ret, struct buf *said) MG_MUSTCHECK;

/* What a running daemon reloads; all borrowed. `config` is the daemon's own share, replaced by a reload. */
struct reload {
    const struct options *options;
    struct config **config;
    const struct listeners *listeners; /* open ones: they must be fit for the next configuration, too */
    struct proxy *proxy;
};

/*
 * Reads the file again and has the proxy go on with it; or, when anything is wrong, changes nothing. Logs all
 * there is to say, and appends it to `said`, a line each. 0, -EINVAL, or -ESHUTDOWN while draining. `ctx` is
 * the struct reload: this is what proxy_on_reload wants.
 */
int reload_again(void *ctx, struct buf *said) MG_MUSTCHECK;

#endif
