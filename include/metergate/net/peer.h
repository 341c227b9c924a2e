/*
 * peer: who is at the other end of an accepted connection, as the kernel knows him: the local user, and what tells his
 * programs apart.
 *
 * Unix sockets: SO_PEERCRED, whoever called connect. TCP: sock_diag(7), asked for the one socket of this
 * machine that has our two addresses the other way round; no privilege is needed. The user is the one who
 * made that socket. Nothing is answered for another machine or network namespace, nor for a peer who has
 * closed his end.
 */
#ifndef METERGATE_NET_PEER_H
#define METERGATE_NET_PEER_H

#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/net/listener.h"

struct peer {
    uid_t uid;
    uint64_t cgroup; /* TCP: the id of the control group in which the socket was made (cgroup v2); 0: the kernel does not say (before 5.8) */
    uint32_t inode;  /* TCP: the socket's; 0: unknown */
    pid_t pid;       /* Unix: who connected; 0: unknown, or in another namespace of processes */
};

/*
 * Does not wait: the kernel answers while it is asked (some 10 us; the very first question may load its tcp_diag module).
 * 0, or -ENOENT when no local user can be
 * seen, or -errno when the kernel does not let us ask.
 */
int peer_look(int fd, const struct net_addr *peer, const struct net_addr *local, struct peer *ret) MG_MUSTCHECK;

#endif
