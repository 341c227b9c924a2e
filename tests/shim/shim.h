/* shim: what the files of libshim.so share. Everything does as the system does until the memory is there, and where it says so. */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include "steer.h"

/* The memory; NULL: this program is not steered. */
struct steer *shim_steer(void);

/* The system's own function of that name, found once. */
void *shim_real(void *_Atomic *known, const char *name);

/* Whether one of so many in a thousand is meant now. */
bool shim_dice(struct steer *s, int per_mille);

/* Timers that are armed get their real moments anew: the clock has jumped. */
void shim_rearm(struct steer *s);

/* Declares NAME_real.function, the system's own. */
#define SHIM_REAL(name)                                             \
    static void *_Atomic name##_known;                              \
    union {                                                         \
        void *object;                                               \
        __typeof__(&name) function;                                 \
    } name##_real = {.object = shim_real(&name##_known, #name)}

#endif
