/*
 * self: what the kernel says of this process, for its own figures. A few system calls that take some ten microseconds
 * together; nothing is kept open.
 */
#ifndef METERGATE_BASE_SELF_H
#define METERGATE_BASE_SELF_H

#include <stdint.h>

/* Each is -1 where it cannot be known. */
struct self_figures {
    int64_t cpu_us;          /* user and system, all threads */
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t threads;
    int64_t descriptors;     /* open ones, about: the one that counts them may be among them */
    int64_t descriptors_max; /* the soft limit; -1 without one as well */
};

void self_read(struct self_figures *ret);

/* The number of open ones alone. */
int64_t self_descriptors(void);

#endif
