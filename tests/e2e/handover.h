/*
 * handover: a daemon that is given its listening sockets, as systemd does between fork and exec. The test program is its own launcher:
 *
 *     int main(int argc, char **argv)
 *     {
 *         if (handover_is_launcher(argc, argv))
 *             return handover_launch(argv);
 */
#ifndef E2E_HANDOVER_H
#define E2E_HANDOVER_H

#include <stdbool.h>

#include "fixture.h"

bool handover_is_launcher(int argc, char **argv);

/* Does not return, but where the program cannot be started. */
int handover_launch(char **argv);

/* Starts the daemon with the fixture's configuration, as it is, and these sockets (at most 8), which stay the test's as well. */
void handover_start(struct fixture *f, const int *fds, int count);

/* A socket that listens at that address (net/listener.h), without close-on-exec; -1 when the machine has no such address. */
int handover_listening(const char *address);

#endif
