/*
 * listener: an address where connections are accepted, that can be deaf for a while: connecting is refused
 * then, and the port stays its own.
 */
#ifndef SIMULATOR_LISTENER_H
#define SIMULATOR_LISTENER_H

#include <sys/socket.h>

#include "metergate/base/err.h"

struct listener {
    int fd;           /* readable: accept from it; -1 while it is deaf or closed */
    int keeper_fd;    /* private: bound to the port and never listening, so that nobody else gets it */
    char address[64]; /* readable: ADDR:PORT as bound */
    struct sockaddr_storage bound; /* private */
    socklen_t bound_bytes;         /* private */
};

/*
 * Listens on "ADDR:PORT" (IPv4, or [IPv6]:PORT), 0 for any free port. 0, or a negative code with the
 * reason; release it either way.
 */
int listener_open(struct listener *l, const char *listen_on, struct errbuf *e) MG_MUSTCHECK;
void listener_release(struct listener *l);

/* Connections that nobody has accepted yet are reset. */
void listener_deafen(struct listener *l);

/* Listens again on the same port. Nothing when it does. 0, or a negative code. */
int listener_hear(struct listener *l) MG_MUSTCHECK;

#endif
