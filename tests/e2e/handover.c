/* handover: the launcher's arguments are `launch COUNT FD... PROGRAM ARGUMENT...`. */
#include "handover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/net/listener.h"

#define SOCKETS_MAX 8

bool handover_is_launcher(int argc, char **argv)
{
    return argc > 3 && strcmp(argv[1], "launch") == 0;
}

int handover_launch(char **argv)
{
    int count = (int)strtol(argv[2], NULL, 10), fds[SOCKETS_MAX];
    char pid[24];

    for (int i = 0; i < count; i++) /* out of the way first: one may be where another belongs */
        fds[i] = fcntl((int)strtol(argv[3 + i], NULL, 10), F_DUPFD, 20);
    for (int i = 0; i < count; i++)
        dup2(fds[i], 3 + i);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (!getenv("LISTEN_PID"))
        setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", argv[2], 1);
    setenv("LISTEN_FDNAMES", "x", 1);
    execv(argv[3 + count], argv + 3 + count);
    return 127;
}

void handover_start(struct fixture *f, const int *fds, int count)
{
    char count_text[16], fd_text[SOCKETS_MAX][16], program[256];
    const char *argv[SOCKETS_MAX + 8] = {"/proc/self/exe", "launch", count_text};
    int n = 3;

    assert_true(count <= SOCKETS_MAX);
    fixture_program("metergated", program, sizeof program);
    snprintf(count_text, sizeof count_text, "%d", count);
    for (int i = 0; i < count; i++) {
        snprintf(fd_text[i], sizeof fd_text[i], "%d", fds[i]);
        argv[n++] = fd_text[i];
    }
    argv[n++] = program;
    argv[n++] = "-c";
    argv[n] = f->config;
    f->daemon = process_start(argv);
}

int handover_listening(const char *address)
{
    struct net_addr a;
    int fd;

    assert_int_equal(net_addr_parse(slice_str(address), &a), 0);
    fd = socket(a.sa.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a.sa, a.len) < 0 || listen(fd, 128) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}
