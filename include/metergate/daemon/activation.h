/*
 * activation: the sockets that a service manager hands over (sd_listen_fds(3)): $LISTEN_FDS descriptors from
 * number 3 on, meant for the process $LISTEN_PID.
 */
#ifndef METERGATE_DAEMON_ACTIVATION_H
#define METERGATE_DAEMON_ACTIVATION_H

#include "metergate/base/err.h"

#define ACTIVATION_FIRST_FD 3

/*
 * *ret_count descriptors are ours from here on, close-on-exec; 0 when there are none or they are meant for
 * another process. The variables are gone from the environment afterwards: call it before any thread starts.
 * -EINVAL with a sentence when they make no sense.
 */
int activation_take(int *ret_count, struct errbuf *e) MG_MUSTCHECK;

#endif
