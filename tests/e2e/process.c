/* process: `log` grows under the lock until the pipe ends; the child is reaped exactly once, by whoever sees its end first. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"

struct process {
    pid_t pid;
    int pidfd;
    int out_fd;
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t grown;
    struct buf log;
    bool ended; /* the pipe has */
    bool reaped;
    int status;
};

static void *read_log(void *arg)
{
    struct process *p = arg;
    char piece[4096];

    for (;;) {
        ssize_t n = read(p->out_fd, piece, sizeof piece);

        if (n < 0 && errno == EINTR)
            continue;
        pthread_mutex_lock(&p->lock);
        if (n > 0)
            buf_add(&p->log, piece, (size_t)n);
        else
            p->ended = true;
        pthread_cond_broadcast(&p->grown);
        pthread_mutex_unlock(&p->lock);
        if (n <= 0)
            return NULL;
    }
}

static void child(const char *const *argv, int out_fd)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL); /* a shell's background jobs ignore them */
    signal(SIGQUIT, SIG_DFL);
    dup2(out_fd, STDOUT_FILENO);
    dup2(out_fd, STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

struct process *process_start(const char *const *argv)
{
    struct process *p = xcalloc(1, sizeof *p);
    pthread_condattr_t attr;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->grown, &attr);
    pthread_condattr_destroy(&attr);
    buf_init(&p->log, BUF_UNLIMITED);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        child(argv, fds[1]);
    close(fds[1]);
    p->out_fd = fds[0];
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    assert_true(p->pidfd >= 0);
    assert_int_equal(pthread_create(&p->reader, NULL, read_log, p), 0);
    return p;
}

pid_t process_pid(const struct process *p)
{
    return p->pid;
}

void process_signal(struct process *p, int signo)
{
    if (!p->reaped)
        kill(p->pid, signo);
}

size_t process_log_mark(struct process *p)
{
    size_t n;

    pthread_mutex_lock(&p->lock);
    n = p->log.n;
    pthread_mutex_unlock(&p->lock);
    return n;
}

bool process_wait_log(struct process *p, size_t mark, const char *text, int64_t timeout_ms)
{
    struct timespec until;
    bool found = false;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&p->lock);
    for (;;) {
        found = p->log.n > mark && memmem(p->log.p + mark, p->log.n - mark, text, strlen(text)) != NULL;
        if (found || p->ended || pthread_cond_timedwait(&p->grown, &p->lock, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

char *process_log(struct process *p)
{
    char *copy;

    pthread_mutex_lock(&p->lock);
    copy = xstrndup(p->log.n ? p->log.p : "", p->log.n);
    pthread_mutex_unlock(&p->lock);
    return copy;
}

int process_wait_exit(struct process *p, int64_t timeout_ms)
{
    struct pollfd end = {.fd = p->pidfd, .events = POLLIN};

    if (!p->reaped) {
        if (poll(&end, 1, (int)timeout_ms) <= 0)
            return -1;
        assert_int_equal(waitpid(p->pid, &p->status, 0), p->pid);
        p->reaped = true;
    }
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

void process_free(struct process *p)
{
    if (!p)
        return;
    if (!p->reaped) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &p->status, 0);
    }
    pthread_join(p->reader, NULL);
    close(p->out_fd);
    close(p->pidfd);
    buf_release(&p->log);
    pthread_cond_destroy(&p->grown);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
