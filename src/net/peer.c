/*
 * peer: a wrong user is worse than none, so an answer counts only when it is about the very socket that was
 * asked for and a process still has that socket open:
 * - the kernel falls back to a listener on the same port where the connection is gone;
 * - it reports user 0 for sockets in TIME_WAIT and for those whose process has closed them (their inode is 0
 * then);
 * - a connection of ours that was reset may have a successor with the same addresses.
 */
#include "metergate/net/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

/* One end of a connection in the form of inet_diag: IPv4 takes the first word. */
struct end {
    int family;
    __be16 port;
    __be32 address[4];
    __u32 interface; /* of a link-local address; 0: none */
};

static int read_end(const struct net_addr *a, struct end *ret)
{
    struct end e = {.family = a->len ? a->sa.ss_family : AF_UNSPEC};

    if (e.family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sa;

        e.port = in->sin_port;
        memcpy(&e.address[0], &in->sin_addr, sizeof in->sin_addr);
    } else if (e.family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sa;

        e.port = in6->sin6_port;
        e.interface = in6->sin6_scope_id;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) { /* its own end may be an IPv4 socket */
            e.family = AF_INET;
            memcpy(&e.address[0], &in6->sin6_addr.s6_addr[12], 4);
        } else {
            memcpy(e.address, &in6->sin6_addr, sizeof in6->sin6_addr);
        }
    } else {
        return -ENOENT;
    }
    *ret = e;
    return 0;
}

/* From the peer's side: his end is the source. */
static struct question make_question(const struct end *peer, const struct end *local)
{
    struct question q = {
        .head = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = (__u8)peer->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u},
    };

    q.body.id.idiag_sport = peer->port;
    q.body.id.idiag_dport = local->port;
    q.body.id.idiag_if = peer->interface;
    memcpy(q.body.id.idiag_src, peer->address, sizeof peer->address);
    memcpy(q.body.id.idiag_dst, local->address, sizeof local->address);
    q.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    q.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return q;
}

static bool is_about(const struct inet_diag_msg *m, const struct question *q)
{
    size_t n = m->idiag_family == AF_INET ? 4 : 16;

    return m->idiag_family == q->body.sdiag_family && m->id.idiag_sport == q->body.id.idiag_sport &&
           m->id.idiag_dport == q->body.id.idiag_dport &&
           memcmp(m->id.idiag_src, q->body.id.idiag_src, n) == 0 &&
           memcmp(m->id.idiag_dst, q->body.id.idiag_dst, n) == 0 && m->idiag_inode != 0;
}

/* What a kernel may say of a socket, of which one attribute is read. */
struct answer {
    struct nlmsghdr head;
    struct inet_diag_msg body;
    char attributes[512];
};

/* The attribute that every answer has since Linux 5.8; 0 when it is not there. */
static uint64_t cgroup_in(const struct answer *a, size_t n)
{
    const char *p = a->attributes;
    size_t left = n - offsetof(struct answer, attributes);

    while (left >= sizeof(struct rtattr)) {
        struct rtattr attribute;
        uint64_t id;

        memcpy(&attribute, p, sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > left)
            return 0;
        if (attribute.rta_type == INET_DIAG_CGROUP_ID && attribute.rta_len == RTA_LENGTH(sizeof id)) {
            memcpy(&id, p + RTA_LENGTH(0), sizeof id);
            return id;
        }
        if (RTA_ALIGN(attribute.rta_len) >= left)
            return 0;
        left -= RTA_ALIGN(attribute.rta_len);
        p += RTA_ALIGN(attribute.rta_len);
    }
    return 0;
}

static int ask(const struct question *q, struct peer *ret)
{
    struct answer answer = {.head = {0}};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), rc = -ENOENT;
    ssize_t n = -1;

    if (fd < 0)
        return -errno;
    if (send(fd, q, sizeof *q, 0) == (ssize_t)sizeof *q)
        n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0)
        rc = -errno;
    else if ((size_t)n >= offsetof(struct answer, attributes) && answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
             is_about(&answer.body, q))
        rc = 0;
    close(fd);
    if (rc == 0)
        *ret = (struct peer){.uid = answer.body.idiag_uid, .inode = answer.body.idiag_inode, .cgroup = cgroup_in(&answer, (size_t)n)};
    return rc;
}

/* Our own end still has its peer. */
static bool is_connected(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof info;

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
           (info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_CLOSE_WAIT);
}

static int look_unix(int fd, struct peer *ret)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret = (struct peer){.uid = cred.uid, .pid = cred.pid > 0 ? cred.pid : 0};
    return 0;
}

int peer_look(int fd, const struct net_addr *peer, const struct net_addr *local, struct peer *ret)
{
    struct question q;
    struct end from, to;
    struct peer found;
    int rc;

    if (local->len && local->sa.ss_family == AF_UNIX)
        return look_unix(fd, ret);
    if (read_end(peer, &from) < 0 || read_end(local, &to) < 0 || from.family != to.family)
        return -ENOENT;
    q = make_question(&from, &to);
    rc = ask(&q, &found);
    if (rc < 0)
        return rc;
    if (!is_connected(fd))
        return -ENOENT;
    *ret = found;
    return 0;
}
