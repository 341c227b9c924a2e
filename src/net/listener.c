/*
 * listener: an open listener has fd >= 0 and its real address (a chosen port included); any other has fd -1.
 */
#include "metergate/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* ---- addresses as text --------------------------------------------------------------------------------- */

static int parse_unix(struct slice path, struct net_addr *ret)
{
    struct net_addr a = {.len = 0};
    struct sockaddr_un *un = (struct sockaddr_un *)&a.sa;

    if (!path.n || path.n >= sizeof un->sun_path || memchr(path.p, '\0', path.n))
        return -EINVAL;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    *ret = a;
    return 0;
}

/* "HOST:PORT" or "[HOST]:PORT" into its two parts. */
static int split_port(struct slice text, struct slice *ret_host, in_port_t *ret_port)
{
    size_t colon = text.n;
    int64_t port;

    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (!colon || slice_int64(slice_skip(text, colon), &port) < 0 || port > 65535)
        return -EINVAL;
    *ret_host = slice_head(text, colon - 1);
    *ret_port = htons((uint16_t)port);
    return 0;
}

static int parse_inet(struct slice text, struct net_addr *ret)
{
    struct net_addr a = {.len = 0};
    char host[INET6_ADDRSTRLEN];
    struct slice h;
    in_port_t port;
    int rc = split_port(text, &h, &port);
    bool v6;

    if (rc < 0)
        return rc;
    v6 = h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']';
    if (v6)
        h = slice_of(h.p + 1, h.n - 2);
    if (h.n >= sizeof host)
        return -EINVAL;
    memcpy(host, h.p, h.n);
    host[h.n] = '\0';
    if (v6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        a.len = sizeof *in6;
        rc = inet_pton(AF_INET6, host, &in6->sin6_addr);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;

        in->sin_family = AF_INET;
        in->sin_port = port;
        a.len = sizeof *in;
        rc = inet_pton(AF_INET, host, &in->sin_addr);
    }
    if (rc != 1)
        return -EINVAL;
    *ret = a;
    return 0;
}

int net_addr_parse(struct slice text, struct net_addr *ret)
{
    static const char prefix[] = "unix:";

    if (slice_starts(text, SLICE("unix:")))
        return parse_unix(slice_skip(text, sizeof prefix - 1), ret);
    return parse_inet(text, ret);
}

struct net_addr_text net_addr_host(const struct net_addr *a)
{
    struct net_addr_text t = {""};

    if (a->len && a->sa.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, t.text, sizeof t.text);
    else if (a->len && a->sa.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&a->sa)->sin_addr, t.text, sizeof t.text);
    return t;
}

struct net_addr_text net_addr_format(const struct net_addr *a)
{
    struct net_addr_text t = {"unknown"}, host = net_addr_host(a);

    if (a->len == 0)
        return t;
    if (a->sa.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
        size_t head = offsetof(struct sockaddr_un, sun_path);

        /* A client's end has no name; the kernel then gives only the family. */
        snprintf(t.text, sizeof t.text, "unix:%.*s", a->len > head ? (int)(a->len - head) : 0, un->sun_path);
    } else if (a->sa.ss_family == AF_INET6) {
        snprintf(t.text, sizeof t.text, "[%.100s]:%d", host.text, net_addr_port(a));
    } else if (a->sa.ss_family == AF_INET) {
        snprintf(t.text, sizeof t.text, "%.100s:%d", host.text, net_addr_port(a));
    }
    return t;
}

static bool v4_is_loopback(const unsigned char octets[4])
{
    return octets[0] == 127;
}

bool net_addr_is_loopback(const struct net_addr *a)
{
    if (a->len == 0)
        return false;
    if (a->sa.ss_family == AF_UNIX)
        return true;
    if (a->sa.ss_family == AF_INET)
        return v4_is_loopback((const unsigned char *)&((const struct sockaddr_in *)&a->sa)->sin_addr);
    if (a->sa.ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&a->sa)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && v4_is_loopback(&in6->s6_addr[12]));
    }
    return false;
}

int net_addr_port(const struct net_addr *a)
{
    if (a->len && a->sa.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
    if (a->len && a->sa.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
    return 0;
}

/* ---- sockets ------------------------------------------------------------------------------------------- */

/* A socket file that nobody listens on is left over from a crash and may go. */
static void unlink_if_dead(const struct net_addr *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
    struct stat st;
    int fd;

    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0 && errno == ECONNREFUSED)
        unlink(un->sun_path);
    close(fd);
}

static int bind_unix(struct listener *ln, mode_t mode)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&ln->addr.sa;
    mode_t old;
    int rc;

    unlink_if_dead(&ln->addr);
    /* The mode must hold from the first moment; chmod after bind would leave a gap. */
    old = umask(0777 & ~mode);
    rc = bind(ln->fd, (const struct sockaddr *)&ln->addr.sa, ln->addr.len);
    umask(old);
    if (rc < 0)
        return -errno;
    ln->unlink_path = true;
    return chmod(un->sun_path, mode) < 0 ? -errno : 0;
}

static int bind_inet(struct listener *ln)
{
    int one = 1;

    if (setsockopt(ln->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        return -errno;
    /* [::1] and 127.0.0.1 are two listeners; a v6 one must not take the v4 port along. */
    if (ln->addr.sa.ss_family == AF_INET6 &&
        setsockopt(ln->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0)
        return -errno;
    if (bind(ln->fd, (const struct sockaddr *)&ln->addr.sa, ln->addr.len) < 0)
        return -errno;
    return 0;
}

static int listener_start(struct listener *ln, mode_t mode)
{
    int family = ln->addr.sa.ss_family;
    int rc;

    ln->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ln->fd < 0)
        return -errno;
    rc = family == AF_UNIX ? bind_unix(ln, mode) : bind_inet(ln);
    if (rc < 0)
        return rc;
    if (listen(ln->fd, LISTEN_BACKLOG) < 0)
        return -errno;
    if (family == AF_UNIX) /* the path as given, not cut by the kernel */
        return 0;
    ln->addr.len = sizeof ln->addr.sa;
    return getsockname(ln->fd, (struct sockaddr *)&ln->addr.sa, &ln->addr.len) < 0 ? -errno : 0;
}

int listener_open(struct listener *ret, const char *text, mode_t unix_mode, struct errbuf *e)
{
    struct listener ln = {.fd = -1};
    int rc = net_addr_parse(slice_str(text), &ln.addr);

    if (rc < 0) {
        err_set(e, "%.100s is not an address to listen on (want 127.0.0.1:PORT, [::1]:PORT or unix:PATH)",
                text);
        return rc;
    }
    rc = listener_start(&ln, unix_mode);
    if (rc < 0) {
        err_set(e, "cannot listen on %.100s: %s", text, strerror(-rc));
        listener_release(&ln);
        return rc;
    }
    *ret = ln;
    return 0;
}

/* An inherited socket may have come with neither. */
static int make_ours(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static bool is_stream(int fd)
{
    int type = 0, domain = 0;
    socklen_t type_n = sizeof type, domain_n = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_n) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_n) == 0 &&
           (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX);
}

int listener_adopt(struct listener *ret, int fd, struct errbuf *e)
{
    struct listener ln = {.fd = fd};
    int listening = 0;
    socklen_t len = sizeof listening;

    ln.addr.len = sizeof ln.addr.sa;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening) {
        err_set(e, "descriptor %d is not a listening socket", fd);
        return -ENOTSOCK;
    }
    if (!is_stream(fd)) {
        err_set(e, "descriptor %d is no TCP socket, nor a Unix socket for streams", fd);
        return -EPROTOTYPE;
    }
    if (getsockname(fd, (struct sockaddr *)&ln.addr.sa, &ln.addr.len) < 0 || make_ours(fd) < 0) {
        err_set(e, "descriptor %d cannot be used: %s", fd, strerror(errno));
        return -errno;
    }
    *ret = ln;
    return 0;
}

void listener_release(struct listener *ln)
{
    if (ln->fd < 0)
        return;
    close(ln->fd);
    if (ln->unlink_path)
        unlink(((const struct sockaddr_un *)&ln->addr.sa)->sun_path);
    ln->fd = -1;
    ln->unlink_path = false;
}
