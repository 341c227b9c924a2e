/* state: where no directory can be had, the daemon works as well, and remembers nothing. */
#include "metergate/daemon/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "metergate/base/file.h"
#include "metergate/base/log.h"

static bool is_path(const char *value)
{
    return value && *value == '/';
}

/* The place that the environment names, or nothing. The environment of who has left root is root's. */
static void default_dir(bool left_root, struct buf *ret)
{
    const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (is_path(given))
        buf_add(ret, given, strcspn(given, ":")); /* a list */
    else if (left_root)
        buf_add_str(ret, "/var/lib/metergate");
    else if (is_path(xdg)) /* the XDG specification: a relative path is to be ignored */
        buf_addf(ret, "%s/metergate", xdg);
    else if (is_path(home))
        buf_addf(ret, "%s/.local/state/metergate", home);
}

/* Who can write there can put another ledger in the place of ours, and with it other money limits. */
static int check(const char *dir, const struct file_owner *owner, struct errbuf *e)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return 0; /* it will be said when it is used */
    if (st.st_mode & 022) {
        err_set(e, "state_dir: others can write to %.300s (its mode is %04o): chmod 700, or take a directory of its own", dir,
                st.st_mode & 07777u);
        return -EACCES;
    }
    if (owner && st.st_uid != owner->uid) {
        err_set(e, "state_dir: %.300s belongs to user %u and not to the one that the daemon becomes: chown -R %u:%u", dir,
                (unsigned)st.st_uid, (unsigned)owner->uid, (unsigned)owner->gid);
        return -EACCES;
    }
    return 0;
}

int state_dir_open(const struct config *config, const struct file_owner *owner, struct buf *ret, struct errbuf *e)
{
    int rc;

    if (strcmp(config->state_dir, "none") == 0)
        return 0;
    if (*config->state_dir)
        buf_add_str(ret, config->state_dir);
    else
        default_dir(owner != NULL, ret);
    if (ret->n == 0) {
        log_warn("no state_dir: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is a path; nothing is "
                 "kept: no ledger, and windows and money limits begin empty at each start");
        return 0;
    }
    rc = file_make_dir(ret->p, owner);
    if (rc == 0)
        return check(ret->p, owner, e);
    log_warn("state_dir %s: %s; nothing is kept: no ledger, and windows and money limits begin empty at each start", ret->p,
             strerror(-rc));
    buf_reset(ret);
    return 0;
}
