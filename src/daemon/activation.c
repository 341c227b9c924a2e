/* activation: the variables are removed whatever they say, so that no child takes the sockets for its own. */
#include "metergate/daemon/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/slice.h"

#define SOCKETS_MAX 64 /* as many as `listen` takes */

static int read_count(int *ret_count, struct errbuf *e)
{
    const char *pid_text = getenv("LISTEN_PID"), *fds_text = getenv("LISTEN_FDS");
    int64_t pid, fds;

    if (!pid_text || !fds_text) {
        *ret_count = 0;
        return 0;
    }
    if (slice_int64(slice_str(pid_text), &pid) < 0 || slice_int64(slice_str(fds_text), &fds) < 0 ||
        fds > SOCKETS_MAX) {
        err_set(e, "$LISTEN_PID and $LISTEN_FDS (at most %d) must be numbers", SOCKETS_MAX);
        return -EINVAL;
    }
    *ret_count = pid == getpid() ? (int)fds : 0;
    return 0;
}

int activation_take(int *ret_count, struct errbuf *e)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    int count = 0, rc = read_count(&count, e);

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    for (int fd = ACTIVATION_FIRST_FD; rc == 0 && fd < ACTIVATION_FIRST_FD + count; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            err_set(e, "$LISTEN_FDS names descriptor %d: %s", fd, strerror(errno));
            rc = -EBADF;
        }
    }
    if (rc == 0)
        *ret_count = count;
    return rc;
}
