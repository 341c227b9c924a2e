/*
 * control: what a test and the daemon under it share: which allocations of the daemon fail. The test maps the file that
 * MG_FAULTS names and writes to it; shim.c, preloaded into the daemon, reads it at each allocation.
 */
#ifndef FAULTS_CONTROL_H
#define FAULTS_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

/* In this order: `on` last when it is armed, first when it is disarmed. */
struct faults {
    atomic_int on;
    atomic_int trace;     /* each failure writes where it was to stderr */
    _Atomic int64_t seen;  /* allocations since it was armed */
    _Atomic int64_t from;  /* the first that fails; 0: none by number */
    _Atomic int64_t row;   /* how many from there on */
    _Atomic int64_t every; /* besides, each that is a multiple of this; 0: none */
    _Atomic int64_t above; /* besides, all of more bytes than this; 0: none */
    _Atomic int64_t failed;
    char where[160]; /* of the first that failed: library and function that asked */
};

#endif
