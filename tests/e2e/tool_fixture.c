/*
 * tool_fixture: a program's streams are files in memory, so that nothing has to be read while it runs. The
 * fake server is one thread that answers one connection after the other; closing its socket ends it.
 */
#include "tool_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/err.h"

const char *program_path(const char *name)
{
    static char path[512];
    const char *bin = getenv("MG_BIN");

    snprintf(path, sizeof path, "%s/%s", bin ? bin : "build/release/bin", name);
    return path;
}

const char *tool_path(void)
{
    return program_path("metergate");
}

static int memory_file(const char *text)
{
    int fd = memfd_create("stream", MFD_CLOEXEC);
    size_t n = text ? strlen(text) : 0;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text ? text : "", n), (ssize_t)n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static char *take_file(int fd, size_t *ret_n)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text;

    assert_true(size >= 0);
    text = xcalloc(1, (size_t)size + 1);
    assert_int_equal(pread(fd, text, (size_t)size, 0), (ssize_t)size);
    close(fd);
    *ret_n = (size_t)size;
    return text;
}

struct outcome tool_run_program(const char *const *argv, const char *input)
{
    int in = memory_file(input), out = memory_file(NULL), err = memory_file(NULL), status;
    struct outcome o = {0};
    size_t err_n;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(255);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(in);
    o.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    o.out = take_file(out, &o.out_n);
    o.err = take_file(err, &err_n);
    return o;
}

struct outcome tool_shell(const char *script)
{
    const char *argv[] = {"/bin/sh", "-euc", script, tool_path(), NULL}; /* $0 is the tool */

    return tool_run_program(argv, NULL);
}

void outcome_release(struct outcome *o)
{
    free(o->out);
    free(o->err);
}

void text_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

int text_lines(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

int tool_environment(void **state)
{
    (void)state;
    unsetenv("METERGATE_URL");
    unsetenv("METERGATE_TOKEN");
    unsetenv("OPENAI_API_KEY");
    unsetenv("ENABLE_TOOL_SEARCH");
    unsetenv("NO_PROXY");
    unsetenv("no_proxy");
    return setenv("http_proxy", "http://127.0.0.1:1", 1);
}

/* ---- the fake server
 * --------------------------------------------------------------------------------------------- */

struct fake_server {
    const struct fake_answer *answers;
    pthread_t thread;
    int fd;
    char url[64];
};

/* Returns the socket. */
static int bind_somewhere(int *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &n), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static const struct fake_answer *find_answer(const struct fake_server *s, const char *request)
{
    static const struct fake_answer none = {"", 404, "{\"error\":\"not here\"}"};

    const char *path = request + strcspn(request, " ") + 1; /* whatever the method */

    for (const struct fake_answer *a = s->answers; a->path; a++) {
        size_t n = strlen(a->path);

        if (strncmp(path, a->path, n) == 0 && path[n] == ' ')
            return a;
    }
    return &none;
}

static void serve(const struct fake_server *s, int fd)
{
    char request[4096] = "", head[256];
    const struct fake_answer *a;
    size_t n = 0, sent = 0, size;
    ssize_t k;

    while (!strstr(request, "\r\n\r\n")) {
        k = read(fd, request + n, sizeof request - 1 - n);
        if (k <= 0)
            return;
        n += (size_t)k;
        request[n] = '\0';
    }
    a = find_answer(s, request);
    size = strlen(a->body);
    k = snprintf(head, sizeof head,
                 "HTTP/1.1 %d Something\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", a->status,
                 size);
    if (send(fd, head, (size_t)k, MSG_NOSIGNAL) != k)
        return;
    while (sent < size && (k = send(fd, a->body + sent, size - sent, MSG_NOSIGNAL)) > 0)
        sent += (size_t)k;
}

static void *serve_all(void *arg)
{
    const struct fake_server *s = arg;

    for (;;) {
        int fd = accept(s->fd, NULL, NULL);

        if (fd < 0)
            return NULL;
        serve(s, fd);
        close(fd);
    }
}

struct fake_server *fake_server_start(const struct fake_answer *answers)
{
    struct fake_server *s = xcalloc(1, sizeof *s);
    int port;

    s->answers = answers;
    s->fd = bind_somewhere(&port);
    assert_int_equal(listen(s->fd, 16), 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_all, s), 0);
    return s;
}

const char *fake_server_url(const struct fake_server *s)
{
    return s->url;
}

void fake_server_stop(struct fake_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    free(s);
}

const char *unanswered_url(void)
{
    static char url[64];
    static int fd = -1; /* bound and not listening: refused, and nobody else can have the port */
    int port;

    if (fd < 0) {
        fd = bind_somewhere(&port);
        snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    }
    return url;
}
