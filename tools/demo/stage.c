/*
 * stage: each program has a thread of ours that reads its output, so that it never waits for us. The programs
 * have process groups of their own: Ctrl-C reaches the demo alone, which then ends them. They also die with
 * the thread that started them (PDEATHSIG), should the demo be killed.
 *
 * Signals are blocked in every thread but the watchman's, who waits for them.
 */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/buf.h"

#define START_TIMEOUT_S 10
#define END_TIMEOUT_MS  5000
#define LOG_MAX         ((size_t)1 << 20)
#define WORDS_MAX       16 /* of a command */

struct program {
    _Atomic pid_t pid; /* 0: not running; the watchman reads it */
    int out_fd;
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t grown;
    struct buf log; /* guarded */
    bool ended;     /* guarded: it closed its output */
};

struct stage {
    struct program simulator, daemon;
    char dir[256], config[280], state[280];
    char provider_url[64], daemon_url[64];
    unsigned limit_s;
    pthread_t watchman;
};

/* ---- one program
 * -------------------------------------------------------------------------------------------------- */

static void *read_log(void *arg)
{
    struct program *p = arg;
    char chunk[4096];
    ssize_t n;

    for (;;) {
        n = read(p->out_fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        pthread_mutex_lock(&p->lock);
        if (n > 0 && buf_append(&p->log, chunk, (size_t)n) < 0)
            buf_reset(&p->log); /* too much was said to be kept; the newest matters */
        p->ended = n <= 0;
        pthread_cond_broadcast(&p->grown);
        pthread_mutex_unlock(&p->lock);
        if (n <= 0)
            return NULL;
    }
}

/* In the child. `out_fd` becomes its output; -1: it writes where we do. */
MG_NORETURN static void become(const char *const *argv, int out_fd)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (out_fd >= 0) {
        dup2(out_fd, STDOUT_FILENO);
        dup2(out_fd, STDERR_FILENO);
    }
    execv(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void program_start(struct program *p, const char *const *argv)
{
    int fds[2];

    MG_ASSERT(pipe2(fds, O_CLOEXEC) == 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->grown, NULL);
    buf_init(&p->log, LOG_MAX);
    p->pid = fork();
    MG_ASSERT(p->pid >= 0);
    if (p->pid == 0)
        become(argv, fds[1]);
    close(fds[1]);
    p->out_fd = fds[0];
    MG_ASSERT(pthread_create(&p->reader, NULL, read_log, p) == 0);
}

/* The port in "listening on 127.0.0.1:PORT", or 0 as long as that is not there whole. */
static int find_port(const struct buf *log)
{
    static const char words[] = "listening on 127.0.0.1:";
    const char *at = log->n ? strstr(log->p, words) : NULL;
    char *end;
    long port;

    if (!at)
        return 0;
    port = strtol(at + sizeof words - 1, &end, 10);
    return *end && port > 0 && port < 65536 ? (int)port : 0;
}

static int program_wait_port(struct program *p, const char *name, struct errbuf *e)
{
    struct timespec until;
    int port = 0, rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += START_TIMEOUT_S;
    pthread_mutex_lock(&p->lock);
    while ((port = find_port(&p->log)) == 0 && !p->ended && rc == 0)
        rc = pthread_cond_timedwait(&p->grown, &p->lock, &until);
    if (port == 0)
        err_set(e, "%s did not start; it said:\n%s", name, p->log.n ? p->log.p : "(nothing)");
    pthread_mutex_unlock(&p->lock);
    return port;
}

/* Its exit status; -1 when it had to be killed or ended by a signal. */
static int program_end(struct program *p)
{
    struct pollfd end = {.events = POLLIN};
    int status = -1;

    if (p->pid == 0)
        return -1;
    end.fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    kill(p->pid, SIGTERM);
    if (end.fd < 0 || poll(&end, 1, END_TIMEOUT_MS) <= 0)
        kill(p->pid, SIGKILL);
    if (end.fd >= 0)
        close(end.fd);
    waitpid(p->pid, &status, 0);
    p->pid = 0;
    pthread_join(p->reader, NULL);
    close(p->out_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void program_release(struct program *p)
{
    program_end(p);
    buf_release(&p->log);
}

/* ---- signals
 * ------------------------------------------------------------------------------------------------------- */

static void program_kill(const struct program *p)
{
    pid_t pid = p->pid;

    if (pid == 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0); /* fails when another thread is at it, and then it is as dead */
}

static void remove_files(const struct stage *s)
{
    static const char *const state[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "journal", "learned.jsonl"};
    char path[sizeof s->state + 32];

    for (size_t i = 0; i < MG_ARRAY_LEN(state); i++) {
        snprintf(path, sizeof path, "%s/%s", s->state, state[i]);
        unlink(path);
    }
    rmdir(s->state);
    unlink(s->config);
    rmdir(s->dir);
}

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/* The other threads may be anywhere, in a call that takes seconds: so the whole process ends here. */
static void *watch(void *arg)
{
    struct stage *s = arg;
    struct timespec limit = {.tv_sec = s->limit_s};
    sigset_t set;
    int signo;

    watched_signals(&set);
    signo = sigtimedwait(&set, NULL, &limit);
    program_kill(&s->simulator);
    program_kill(&s->daemon);
    remove_files(s);
    if (signo > 0)
        _exit(128 + signo);
    dprintf(STDERR_FILENO, "metergate-demo: not over after %u s: something is wrong\n", s->limit_s);
    _exit(EXIT_FAILURE);
}

static void start_watchman(struct stage *s)
{
    MG_ASSERT(pthread_create(&s->watchman, NULL, watch, s) == 0);
}

/* ---- both
 * ----------------------------------------------------------------------------------------------------------
 */

/* The programs are beside this one. */
static void path_of(const char *name, char *out, size_t size)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    snprintf(out, size, "%s/%s", slash ? self : "build/release/bin", name);
}

static int write_config(struct stage *s, const char *models, struct errbuf *e)
{
    FILE *f = fopen(s->config, "we");
    int rc = -EIO;

    if (f) {
        rc = fprintf(f,
                     "listen: [127.0.0.1:0]\nstate_dir: %s\nheadroom: 0%%\nupstreams:\n"
                     "  openai: {dialect: openai, base_url: %s/v1}\n%s",
                     s->state, s->provider_url, models) < 0
                 ? -EIO
                 : 0;
        if (fclose(f) != 0)
            rc = -EIO;
    }
    if (rc < 0)
        err_set(e, "cannot write %s: %s", s->config, strerror(errno));
    return rc;
}

static int start_simulator(struct stage *s, const char *settings, struct errbuf *e)
{
    char path[600];
    const char *const argv[] = {path, "--listen", "127.0.0.1:0", "--config", settings, NULL};
    int port;

    path_of("metergate-simulator", path, sizeof path);
    program_start(&s->simulator, argv);
    port = program_wait_port(&s->simulator, "metergate-simulator", e);
    snprintf(s->provider_url, sizeof s->provider_url, "http://127.0.0.1:%d", port);
    return port ? 0 : -EIO;
}

static int start_daemon(struct stage *s, const char *models, struct errbuf *e)
{
    char path[600];
    const char *const argv[] = {path, "--config", s->config, NULL};
    int port;

    path_of("metergated", path, sizeof path);
    if (write_config(s, models, e) < 0)
        return -EIO;
    program_start(&s->daemon, argv);
    port = program_wait_port(&s->daemon, "metergated", e);
    snprintf(s->daemon_url, sizeof s->daemon_url, "http://127.0.0.1:%d", port);
    return port ? 0 : -EIO;
}

struct stage *stage_new(const char *simulator_settings, const char *daemon_models, unsigned limit_s,
                        struct errbuf *e)
{
    struct stage *s = xcalloc(1, sizeof *s);
    const char *tmpdir = getenv("TMPDIR");
    sigset_t set;

    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->limit_s = limit_s;
    snprintf(s->dir, sizeof s->dir, "%s/metergate-demo-XXXXXX", tmpdir && *tmpdir ? tmpdir : "/tmp");
    if (!mkdtemp(s->dir)) {
        err_set(e, "cannot make the directory %s: %s", s->dir, strerror(errno));
        free(s);
        return NULL;
    }
    snprintf(s->config, sizeof s->config, "%s/metergate.yaml", s->dir);
    snprintf(s->state, sizeof s->state, "%s/state", s->dir);
    start_watchman(s);
    if (start_simulator(s, simulator_settings, e) < 0 || start_daemon(s, daemon_models, e) < 0) {
        stage_free(s);
        return NULL;
    }
    return s;
}

const char *stage_provider_url(const struct stage *s)
{
    return s->provider_url;
}

const char *stage_daemon_url(const struct stage *s)
{
    return s->daemon_url;
}

void stage_show(const struct stage *s, const char *const *words)
{
    char path[600];
    const char *argv[WORDS_MAX + 2] = {path};
    size_t n = 1;
    pid_t pid;

    for (; *words && n < WORDS_MAX - 1; words++)
        argv[n++] = *words;
    argv[n++] = "--url";
    argv[n] = s->daemon_url;

    path_of("metergate", path, sizeof path);
    pid = fork();
    if (pid == 0)
        become(argv, -1);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

int stage_end(struct stage *s)
{
    int status = program_end(&s->daemon);

    program_end(&s->simulator);
    return status;
}

void stage_show_log(struct stage *s)
{
    pthread_mutex_lock(&s->daemon.lock);
    if (s->daemon.log.n)
        fwrite(s->daemon.log.p, 1, s->daemon.log.n, stderr);
    pthread_mutex_unlock(&s->daemon.lock);
}

void stage_free(struct stage *s)
{
    if (!s)
        return;
    pthread_cancel(s->watchman); /* waits in sigtimedwait, which is a cancellation point */
    pthread_join(s->watchman, NULL);
    program_release(&s->daemon);
    program_release(&s->simulator);
    remove_files(s);
    free(s);
}
