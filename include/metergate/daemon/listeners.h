/*
 * listeners: the sockets that the daemon accepts on: those that a service manager hands over, else those of
 * `listen`.
 */
#ifndef METERGATE_DAEMON_LISTENERS_H
#define METERGATE_DAEMON_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/file.h"
#include "metergate/config/config.h"
#include "metergate/net/listener.h"

struct proxy;

struct listeners {
    struct listener *v; /* owned */
    size_t n;
};

/*
 * Opens `listen`, or with `handed` > 0 takes the descriptors from ACTIVATION_FIRST_FD on. An address that
 * only an optional entry wants and the machine lacks is a warning. -errno with a sentence; whatever was
 * opened is in *ls then too.
 */
int listeners_open(struct listeners *ls, const struct config *config, int handed,
                   struct errbuf *e) MG_MUSTCHECK;
/* Unix sockets that were made here are `owner`'s from now on. 0, or -errno with a sentence. */
int listeners_give(struct listeners *ls, const struct file_owner *owner, struct errbuf *e) MG_MUSTCHECK;
void listeners_release(struct listeners *ls);

/*
 * Whether the configuration may be served on these sockets: -EACCES with a sentence when other machines reach
 * one of them and tokens are not required. (For the addresses of the file config_load has said so already.)
 */
int listeners_check(const struct listeners *ls, const struct config *config, struct errbuf *e) MG_MUSTCHECK;

/* Warns of an api_key in the configuration that every local user can spend. */
void listeners_warn(const struct listeners *ls, const struct config *config);

/* All of them are accepted on from now on. -errno with a sentence. */
int listeners_serve(struct listeners *ls, struct proxy *p, struct errbuf *e) MG_MUSTCHECK;

/* Appends the addresses, with commas between. */
void listeners_print(const struct listeners *ls, struct buf *out);

#endif
