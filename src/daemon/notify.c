/* notify: fd is open exactly when `where` is a socket's address; the timers are set only between watch or follow and close. `said` is the
 * status that the service manager shows, if it hears us. */
#include "metergate/daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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
    buf_init(&n->said, BUF_UNLIMITED);
    n->watchdog_us = n->fd >= 0 ? read_watchdog() : 0;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *n)
{
    if (n->loop) {
        loop_timer_clear(n->loop, &n->timer);
        loop_timer_clear(n->loop, &n->status_timer);
    }
    n->loop = NULL;
    buf_release(&n->said);
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

/* One that does not listen for a while is a warning, not one a second. */
static void say(struct notify *n, const char *lines)
{
    bool deaf;

    if (n->fd < 0)
        return;
    deaf = sendto(n->fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&n->where, n->where_n) < 0;
    if (deaf && !n->deaf)
        log_warn("cannot tell the service manager: %s", strerror(errno));
    n->deaf = deaf;
}

static void say_status(struct notify *n, const char *state, const char *status)
{
    struct buf lines;

    if (n->fd < 0)
        return;
    buf_reset(&n->said);
    buf_add_str(&n->said, status);
    if (n->loop)
        n->said_us = loop_now_us(n->loop);
    buf_init(&lines, BUF_UNLIMITED);
    buf_addf(&lines, "%sSTATUS=%s\n", state, status);
    say(n, lines.p);
    buf_release(&lines);
}

void notify_ready(struct notify *n, const char *status)
{
    say_status(n, "READY=1\n", status);
}

/* In a message of its own: systemd lengthens the time of the state that it is in, and STOPPING may be what brings it there. */
void notify_stopping(struct notify *n, const char *status, int64_t within_us)
{
    char line[64];

    say_status(n, "STOPPING=1\n", status);
    snprintf(line, sizeof line, "EXTEND_TIMEOUT_USEC=%" PRId64 "\n", within_us);
    say(n, line);
}

void notify_reloading(struct notify *n)
{
    struct timespec now;
    struct buf lines;

    clock_gettime(CLOCK_MONOTONIC, &now); /* which clock it is to be of, sd_notify(3) says */
    buf_init(&lines, BUF_UNLIMITED);
    buf_addf(&lines, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reading the configuration\n",
             (int64_t)now.tv_sec * CLOCK_S + now.tv_nsec / 1000);
    say(n, lines.p);
    buf_release(&lines);
    buf_reset(&n->said);
}

/* ---- while the loop runs ---- */

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

static void tell(void *ctx)
{
    struct notify *n = ctx;
    struct buf now;

    buf_init(&now, BUF_UNLIMITED);
    n->describe(n->ctx, &now);
    if (!slice_eq(buf_slice(&now), buf_slice(&n->said)))
        say_status(n, "", now.p);
    buf_release(&now);
}

void notify_follow(struct notify *n, struct loop *loop, void (*describe)(void *ctx, struct buf *status), void *ctx)
{
    n->loop = loop;
    n->describe = describe;
    n->ctx = ctx;
    n->said_us = loop_now_us(loop); /* READY was said right before */
}

void notify_changed(void *notify)
{
    struct notify *n = notify;
    int64_t next;

    if (n->fd < 0 || !n->describe || loop_timer_is_set(&n->status_timer))
        return;
    next = n->said_us + NOTIFY_STATUS_US;
    if (loop_now_us(n->loop) >= next)
        tell(n);
    else
        loop_timer_set(n->loop, &n->status_timer, next, tell, n);
}
