/* state: where no directory can be had, the daemon works as well, and remembers nothing. */
#include "metergate/daemon/state.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/file.h"
#include "metergate/base/log.h"

static bool is_path(const char *value)
{
    return value && *value == '/';
}

/* The place that the environment names, or nothing. */
static void default_dir(struct buf *ret)
{
    const char *given = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (is_path(given))
        buf_add(ret, given, strcspn(given, ":")); /* a list */
    else if (is_path(xdg)) /* the XDG specification: a relative path is to be ignored */
        buf_addf(ret, "%s/metergate", xdg);
    else if (is_path(home))
        buf_addf(ret, "%s/.local/state/metergate", home);
}

bool state_dir_open(const struct config *config, struct buf *ret)
{
    int rc;

    if (strcmp(config->state_dir, "none") == 0)
        return false;
    if (*config->state_dir)
        buf_add_str(ret, config->state_dir);
    else
        default_dir(ret);
    if (ret->n == 0) {
        log_warn("no state_dir: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is a path; what is "
                 "learned is not kept");
        return false;
    }
    rc = file_make_dir(ret->p);
    if (rc < 0)
        log_warn("state_dir %s: %s; what is learned is not kept", ret->p, strerror(-rc));
    return rc == 0;
}
