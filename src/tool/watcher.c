/*
 * watcher: what must be true of it, since nobody asked for a second process:
 * - The program never sees it: it is the child of a child that has ended (so init's, or a subreaper's),
 * leaves no zombie, and inherits none of the program's descriptors but stderr. Where orphans would become
 * children of the program itself (it is process 1 of a container, or a subreaper) there is none.
 * - It ends with the program: the pidfd was opened by the program's own process before anybody could be born
 * or die. So a pipe that stderr is ends when the program's does.
 * - It stays in the program's process group: what stops, continues or kills a job does it to both. Ctrl-C
 * alone is the program's to answer.
 * - It never blocks on stderr, nor has its group stopped by it: a line that would have to wait is left out.
 */
#include "metergate/tool/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/line.h"
#include "metergate/tool/notice.h"

#define EVERY_MS   1000
#define TIMEOUT_MS 3000

struct watcher {
    struct pollfd end; /* of the program */
    struct line *line;
    const char *client;
    struct notice notice;
};

static bool ended(struct watcher *w)
{
    return w->end.revents != 0;
}

/* A terminal may stop whoever writes to it in the background (stty tostop): all of the group, so the
 * program. */
static bool would_stop(void)
{
    struct termios modes;

    return tcgetattr(STDERR_FILENO, &modes) == 0 && (modes.c_lflag & TOSTOP) &&
           tcgetpgrp(STDERR_FILENO) != getpgrp();
}

/* Whole lines in one write, or none. False when stderr is of no use any more. */
static bool say(struct slice lines)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (!lines.n || would_stop() || poll(&room, 1, 0) <= 0)
        return true;
    if (!(room.revents & POLLOUT) || room.revents & (POLLERR | POLLNVAL))
        return false;
    return write(STDERR_FILENO, lines.p, lines.n) >= 0 || errno == EAGAIN || errno == EINTR;
}

/* One question, its answer, and what is to be said of it. */
static bool ask(struct watcher *w)
{
    static const struct client_request request = {.path = "/-/status", .timeout_ms = TIMEOUT_MS};
    struct client_answer answer;
    struct errbuf unsaid;
    struct buf lines;
    bool goes_on = true;
    int rc;

    line_ask(w->line, &request);
    do
        rc = line_wait(w->line, &w->end, 1, TIMEOUT_MS, &answer, &unsaid);
    while (rc == -EAGAIN && !ended(w));
    if (rc < 0)
        return true; /* the daemon is away, and may come back */
    buf_init(&lines, BUF_UNLIMITED);
    if (answer.status == 200 && doc_check(buf_slice(&answer.body)))
        notice_look(&w->notice, buf_slice(&answer.body), w->client, clock_now_us(), &lines);
    goes_on = say(buf_slice(&lines));
    buf_release(&lines);
    client_answer_release(&answer);
    return goes_on;
}

MG_NORETURN static void watch(int pidfd, const struct address *a, const struct secret *token,
                              const char *client)
{
    struct watcher w = {.end = {.fd = pidfd, .events = POLLIN}, .client = client};
    struct client_answer unused;
    struct client daemon;
    struct errbuf unsaid;

    client_init(&daemon, a, token);
    w.line = line_new(&daemon);
    do
        (void)!line_wait(w.line, &w.end, 1, EVERY_MS, &unused, &unsaid);
    while (!ended(&w) && ask(&w) && !ended(&w));
    _exit(0);
}

/* ---- its birth ---- */

/* None is blocked, and what is ignored is what the program ignores (nohup), besides those that a terminal
 * sends to all of its foreground. */
static void reset_signals(void)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Descriptors: /dev/null, /dev/null, stderr, `pidfd` as 3, and no other. False when that cannot be. */
static bool settle_descriptors(int pidfd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    pidfd = fcntl(pidfd, F_DUPFD, 3); /* it may be one of the first three, where they were closed */
    return null >= 0 && pidfd >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
           (pidfd == 3 || dup2(pidfd, 3) == 3) && close_range(4, ~0U, 0) == 0 && chdir("/") == 0;
}

/* Whether orphans of this process, and of the program that it becomes, would be its own children. */
static bool gets_orphans(void)
{
    int subreaper = 0;

    return getpid() == 1 || prctl(PR_GET_CHILD_SUBREAPER, &subreaper) < 0 || subreaper;
}

void watcher_start(const struct address *a, const struct secret *token, const char *client)
{
    int pidfd = gets_orphans() ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t child;

    if (pidfd < 0)
        return;
    child = fork();
    if (child == 0) {
        if (fork() == 0) {
            reset_signals();
            if (settle_descriptors(pidfd))
                watch(3, a, token, client);
        }
        _exit(0);
    }
    close(pidfd);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}
