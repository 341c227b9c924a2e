/* notify: fd is open exactly when `where` is a socket's address; the timer is set only between watch and close. */
#include "metergate/daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/base/slice.h"

/* A path, or with '@' an abstract name. */
static bool read_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_n)
{
    size_t n = strlen(text);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof ret->sun_path)
        return false;
    memcpy(ret->sun_path, text, n);
    if (text[0] == '@')
        ret->sun_path[0] = '\0';
    *ret_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

static int64_t read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t us, id;

    if (!usec || slice_int64(slice_str(usec), &us) < 0 || us <= 0)
        return 0;
    if (pid && (slice_int64(slice_str(pid), &id) < 0 || id != getpid()))
        return 0; /* another process is watched */
    return us;
}

void notify_open(struct notify *n)
{
    const char *text = getenv("NOTIFY_SOCKET");

    *n = (struct notify){.fd = -1};
    if (text && !read_address(text, &n->where, &n->where_n))
        log_warn("$NOTIFY_SOCKET is no path of a socket: the service manager will not be told");
    else if (text)
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    n->watchdog_us = n->fd >= 0 ? read_watchdog() : 0;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *n)
{
    if (n->loop)
        loop_timer_clear(n->loop, &n->timer);
    n->loop = NULL;
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

static void say(const struct notify *n, const char *lines)
{
    if (n->fd >= 0 &&
        sendto(n->fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&n->where, n->where_n) < 0)
        log_warn("cannot tell the service manager: %s", strerror(errno));
}

static void say_status(const struct notify *n, const char *state, const char *status)
{
    struct buf lines;

    buf_init(&lines, BUF_UNLIMITED);
    buf_addf(&lines, "%s\nSTATUS=%s\n", state, status);
    say(n, lines.p);
    buf_release(&lines);
}

void notify_ready(const struct notify *n, const char *status)
{
    say_status(n, "READY=1", status);
}

void notify_stopping(const struct notify *n, const char *status)
{
    say_status(n, "STOPPING=1", status);
}

void notify_reloading(const struct notify *n)
{
    struct timespec now;
    struct buf lines;

    clock_gettime(CLOCK_MONOTONIC, &now); /* which clock it is to be of, sd_notify(3) says */
    buf_init(&lines, BUF_UNLIMITED);
    buf_addf(&lines, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reading the configuration\n",
             (int64_t)now.tv_sec * CLOCK_S + now.tv_nsec / 1000);
    say(n, lines.p);
    buf_release(&lines);
}

static void watch_again(struct notify *n);

static void on_watch(void *ctx)
{
    struct notify *n = ctx;

    say(n, "WATCHDOG=1\n");
    watch_again(n);
}

static void watch_again(struct notify *n)
{
    loop_timer_set(n->loop, &n->timer, loop_now_us(n->loop) + n->watchdog_us / 2, on_watch, n);
}

void notify_watch(struct notify *n, struct loop *loop)
{
    if (n->watchdog_us == 0)
        return;
    n->loop = loop;
    watch_again(n);
}
