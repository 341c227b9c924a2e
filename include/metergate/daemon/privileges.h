/*
 * privileges: what this process may do, and what others may do to it.
 *
 * All of it is done before the first thread is made: the kernel keeps most of it a thread.
 */
#ifndef METERGATE_DAEMON_PRIVILEGES_H
#define METERGATE_DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/base/file.h"
#include "metergate/base/user.h"
#include "metergate/config/config.h"

/* What privileges_begin could not have, as errno codes; 0: it has. */
struct privileges_wanting {
    int core, dump, gain, lock;
};

/* Who we become. */
struct privileges {
    bool leaves_root; /* we are root, and will be `who` from privileges_drop on */
    struct file_owner who;
    char name[USER_NAME_SIZE]; /* of `who`, or his number */
    bool named;                /* it is a name of /etc/passwd */
    bool stays_root;           /* we are root and stay it, */
    bool asked;                /* as the configuration says in so many words */
};

/*
 * First of all: no core dump, no debugger and no /proc/PID/mem, environ or fd for others of our user (they are root's from here on), no
 * program that could give more rights, files for nobody else, and the locked room of secrets (base/secret.h).
 */
void privileges_begin(struct privileges_wanting *ret);

/* Logs a warning for each that is not 0. */
void privileges_say(const struct privileges_wanting *w);

/* Logs a warning where keys found no room in locked memory. After a configuration was read. */
void privileges_say_room(void);

/*
 * Who the configuration wants us to be: `user`, else a user of the name metergate; nobody else where we are not root. -ENOENT with a
 * sentence: there is no such user any more.
 */
int privileges_plan(const struct config *config, struct privileges *ret, struct errbuf *e) MG_MUSTCHECK;

/*
 * Becomes that user for good, with his groups and no capability, and makes sure that there is no way back; or stays root with the
 * capabilities that the daemon uses: to read any file (a reload), and to see whose a connection is (base/holders). -errno with a
 * sentence: the daemon must not run.
 */
int privileges_drop(const struct privileges *p, struct errbuf *e) MG_MUSTCHECK;

/* Logs who we are now, and what to write where that should be another. */
void privileges_say_who(const struct privileges *p, const struct config *config);

#endif
