/*
 * listener: an address to listen on, as text, and the socket made of it.
 *
 *   127.0.0.1:4283   [::1]:4283   port 0 lets the system choose   unix:/run/metergate/sock
 *
 * A Unix socket is made with the mode given, whatever the umask; a socket file that nobody answers on is replaced,
 * a living one is -EADDRINUSE. The path is unlinked again by listener_release.
 */
#ifndef METERGATE_NET_LISTENER_H
#define METERGATE_NET_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* An address of either family, or of a Unix socket. */
struct net_addr {
    struct sockaddr_storage sa;
    socklen_t len; /* 0: unknown */
};

struct listener {
    int fd; /* readable; -1 when not open. Non-blocking, close-on-exec. */
    struct net_addr addr;
    bool unlink_path; /* private: the socket file is ours */
};

/* Opens and listens. -EINVAL for text that is no address, otherwise -errno; the sentence names the address.
 */
int listener_open(struct listener *ret, const char *text, mode_t unix_mode, struct errbuf *e) MG_MUSTCHECK;

/*
 * Takes over a listening socket made by somebody else (socket activation). On success the descriptor is ours from here on;
 * the path of a Unix socket is not. -ENOTSOCK, -EPROTOTYPE for what is no such socket.
 */
int listener_adopt(struct listener *ret, int fd, struct errbuf *e) MG_MUSTCHECK;

void listener_release(struct listener *ln);

/* Parses the text into an address without opening anything. -EINVAL. */
int net_addr_parse(struct slice text, struct net_addr *ret) MG_MUSTCHECK;

/* As text in the form that net_addr_parse takes. */
struct net_addr_text {
    char text[128];
};
struct net_addr_text net_addr_format(const struct net_addr *a);

/* 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104, or a Unix socket. */
bool net_addr_is_loopback(const struct net_addr *a);

/* The address alone, without its port, as in a URL but without brackets; empty for Unix sockets. */
struct net_addr_text net_addr_host(const struct net_addr *a);

/* 0 for Unix sockets. */
int net_addr_port(const struct net_addr *a);

#endif
