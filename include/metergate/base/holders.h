/*
 * holders: which process has a socket open, for who asks often. The kernel has no answer to that but to look at all descriptors of
 * all processes; a program with thousands of connections would be looked through for each of them. So the places where the last ones
 * were found are tried first: the next socket of a program is near its last one.
 *
 * For several threads at a time. It looks at /proc: not for the loop's thread.
 */
#ifndef METERGATE_BASE_HOLDERS_H
#define METERGATE_BASE_HOLDERS_H

#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/process.h"

struct holders;

/* How much work (clock_spent_us) looking for one may be; and for how long a user is left alone for whom that was not enough. */
#define HOLDERS_LOOK_US  INT64_C(50000)
#define HOLDERS_LEAVE_US INT64_C(1000000)

struct holders *holders_new(void);
void holders_free(struct holders *h);

/* As process_find; where `procs` does not list it, among all. 0: none was found. */
pid_t holders_find(struct holders *h, const char *procs, const struct process_wanted *w);

#endif
