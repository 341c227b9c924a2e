/*
 * control: the paths under /_sim/, the tests' own entrance. Its requests are held to the same HTTP rules and appear in no audit.
 */
#ifndef SIMULATOR_CONTROL_H
#define SIMULATOR_CONTROL_H

#include <stdbool.h>

#include "metergate/base/err.h"

struct request;
struct sim;
struct wire;

bool control_wants(const struct request *r);

/* Serves one request whose head was read. 0; -EBADMSG with a violation; -EPIPE. */
int control_run(struct sim *sim, struct wire *wire, const struct request *r, struct errbuf *e) MG_MUSTCHECK;

#endif
