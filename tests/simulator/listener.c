/*
 * listener: Linux lets several sockets be bound to one port, all with SO_REUSEADDR, as long as none of them
 * listens while another binds; it hands out no port that has such a socket. keeper_fd is bound first and
 * for as long as the listener lives.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/slice.h"

#define BACKLOG 4096

static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n, struct errbuf *e)
{
    struct slice all = slice_str(text);
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    size_t colon = all.n;
    char host[64];
    int64_t port;
    int ok;

    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    memset(ret, 0, sizeof *ret);
    if (colon <= 1 || colon > sizeof host || slice_int64(slice_skip(all, colon), &port) < 0 || port > 65535) {
        err_set(e, "%s is not ADDR:PORT", text);
        return -EINVAL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - 1), text);
    if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *ret_n = sizeof *in6;
        ok = inet_pton(AF_INET6, host + 1, &in6->sin6_addr);
    } else {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        *ret_n = sizeof *in;
        ok = inet_pton(AF_INET, host, &in->sin_addr);
    }
    if (ok != 1)
        err_set(e, "%s is not an address", host);
    return ok == 1 ? 0 : -EINVAL;
}

/* A socket that is bound to l->bound. A negative code, or the socket. */
static int bound_socket(const struct listener *l)
{
    int on = 1, rc, fd = socket(l->bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&l->bound, l->bound_bytes) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

static void print_address(struct listener *l)
{
    char host[48] = "", port[8] = "";

    getnameinfo((struct sockaddr *)&l->bound, l->bound_bytes, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(l->address, sizeof l->address, l->bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int listener_open(struct listener *l, const char *listen_on, struct errbuf *e)
{
    int rc;

    *l = (struct listener){.fd = -1, .keeper_fd = -1};
    rc = parse_address(listen_on, &l->bound, &l->bound_bytes, e);
    if (rc < 0)
        return rc;
    rc = l->keeper_fd = bound_socket(l);
    if (rc >= 0) {
        getsockname(l->keeper_fd, (struct sockaddr *)&l->bound, &l->bound_bytes);
        print_address(l);
        rc = listener_hear(l);
    }
    if (rc < 0)
        err_set(e, "cannot listen on %s: %s", listen_on, strerror(-rc));
    return rc;
}

void listener_release(struct listener *l)
{
    listener_deafen(l);
    if (l->keeper_fd >= 0)
        close(l->keeper_fd);
    l->keeper_fd = -1;
}

void listener_deafen(struct listener *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

int listener_hear(struct listener *l)
{
    int fd, rc;

    if (l->fd >= 0)
        return 0;
    fd = bound_socket(l);
    if (fd < 0)
        return fd;
    if (listen(fd, BACKLOG) < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    l->fd = fd;
    return 0;
}
