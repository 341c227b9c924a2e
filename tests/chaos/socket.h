/* socket: the few calls that players and the raw provider share. */
#ifndef CHAOS_SOCKET_H
#define CHAOS_SOCKET_H

#include <stdbool.h>

/* A socket on a port of 127.0.0.1 that the kernel chose; without `listens`, connections to it are refused. */
int socket_listen(bool listens, int *ret_port);

/* Closes by FIN, or by RST. */
void socket_end(int fd, bool reset);

#endif
