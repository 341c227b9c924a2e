/*
 * server: listens, and gives each connection a thread that serves one request after the other until either
 * side has enough. The provider can be down (down.h) while the control address stays.
 */
#ifndef SIMULATOR_SERVER_H
#define SIMULATOR_SERVER_H

#include <pthread.h>
#include <stdint.h>

#include "down.h"
#include "listener.h"
#include "metergate/base/err.h"
#include "metergate/base/list.h"

struct sim;
struct ssl_ctx_st;

struct server {
    struct sim *sim;          /* borrowed */
    struct ssl_ctx_st *tls;   /* borrowed; NULL: plain */
    struct listener provider; /* readable: its address */
    struct listener control;  /* readable: its address; "" when there is none */
    enum down_mode mode;      /* private: how it is */
    pthread_mutex_t lock;     /* private: guards what follows */
    pthread_cond_t all_gone;  /* private */
    struct list connections;  /* private */
    int64_t threads;          /* private */
    int64_t connections_ever; /* private */
};

/*
 * Listens on "ADDR:PORT" (IPv4, or [IPv6]:PORT), 0 for any free port, and on `control` (NULL: on nothing)
 * for /_sim/ alone, without TLS. 0, or a negative code with the reason; close it either way.
 */
int server_open(struct server *s, struct sim *sim, const char *listen_on, const char *control, struct ssl_ctx_st *tls,
                struct errbuf *e) MG_MUSTCHECK;

/*
 * Accepts until `stop_fd` is readable, down and up as the sim is told; then ends every connection and waits
 * for their threads.
 */
void server_run(struct server *s, int stop_fd);

void server_close(struct server *s);

#endif
