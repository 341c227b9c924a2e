/*
 * fault: a kind of thing that goes wrong around the daemon. What it draws comes from the run's dice alone, and what it does it has
 * undone when the end of the run is checked.
 */
#ifndef CHAOS_FAULT_H
#define CHAOS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run;
struct world;

struct fault {
    const char *name;
    const char *what; /* in the table */
    int64_t runs;     /* in `make test` */
    bool steers;      /* wants the shim (tests/shim) */

    /* Before and after all runs; each may be NULL. False: it cannot be made here. */
    bool (*prepare)(struct world *w);
    void (*finish)(struct world *w);
    void (*configure)(struct world *w); /* writes w->yaml, once the providers' ports are known; NULL: the world's own */

    void (*draw)(struct run *run);               /* what this run will be like; sets run->due_us */
    void (*act)(struct run *run, int64_t now_us); /* run->due_us has come; sets it anew; may be NULL */
    void (*mend)(struct run *run);               /* everybody has left: all is well again; may be NULL */
};

extern const struct fault fault_any, fault_disk, fault_files, fault_clock, fault_names, fault_signals, fault_config,
    fault_descriptors, fault_calls, fault_kills;

/* All of them, `n` set. */
const struct fault *const *faults(size_t *ret_n);

#endif
