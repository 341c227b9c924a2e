/* output: the end of the pipe is the end of what is read; a child that outlives it has as long as is left, and
 * is killed then. */
#include "metergate/tool/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metergate/base/clock.h"

#define PIECE 4096

/* Until its end. 0, -ETIMEDOUT, -E2BIG. */
static int read_all(int fd, int64_t end_us, struct buf *out)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ms = (end_us - clock_now_us()) / CLOCK_MS;
        char piece[PIECE];
        ssize_t n;

        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0)
            return -ETIMEDOUT;
        n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        if (buf_append(out, piece, (size_t)n) < 0)
            return -E2BIG;
    }
}

/* Until it has ended, which it may not have with its output. 0, -ETIMEDOUT. */
static int wait_end(pid_t pid, int64_t end_us)
{
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int rc = 0;

    while (p.fd >= 0 && rc == 0) {
        int64_t left_ms = (end_us - clock_now_us()) / CLOCK_MS;

        if (left_ms <= 0)
            rc = -ETIMEDOUT;
        else if (poll(&p, 1, (int)left_ms) > 0)
            break;
    }
    if (p.fd >= 0)
        close(p.fd);
    return rc;
}

static void become(const char *const *argv, int out)
{
    int null = open("/dev/null", O_RDWR);

    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int output_of(const char *const *argv, int64_t timeout_ms, struct buf *out)
{
    int64_t end_us = clock_now_us() + timeout_ms * CLOCK_MS;
    int pipes[2], status = 0, rc;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return 127;
    signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would take the exit status away */
    pid = fork();
    if (pid == 0)
        become(argv, pipes[1]);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return 127;
    }
    rc = read_all(pipes[0], end_us, out);
    close(pipes[0]);
    if (rc == 0)
        rc = wait_end(pid, end_us);
    if (rc < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc < 0)
        return rc;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}
