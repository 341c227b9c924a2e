/*
 * steer: the memory by which a test steers a program that runs with the shim (libshim.so, preloaded): its clocks, its resolver, and
 * which system calls fail. The test makes it and changes it at any moment; programs started between steer_on and steer_off obey it.
 *
 *     boot = boot0 + (real boot - boot0) * scale + boot_add       mono: likewise, without boot_add: it stands still in a suspend
 *     wall = wall0 + (boot - boot0) + wall_add
 */
#ifndef SHIM_STEER_H
#define SHIM_STEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STEER_ENV "METERGATE_TEST_STEER" /* the file that is the memory */

/* Calls that can be made to fail. */
enum steer_call { STEER_ACCEPT, STEER_SOCKET, STEER_CONNECT, STEER_CALLS };

#define STEER_ANSWERS   8
#define STEER_ADDRESSES 4

/* What the resolver may say of the name. */
struct steer_answer {
    int error; /* EAI_...; 0: the addresses */
    bool hangs; /* says nothing as long as this is its answer */
    char address[STEER_ADDRESSES][48];
    int n;
};

struct steer {
    _Atomic uint32_t turn; /* moves with each jump: those that sleep look at the clock again */
    int64_t scale;         /* how many times faster than real */
    int64_t boot0_us, mono0_us, wall0_us;
    _Atomic int64_t boot_add_us, wall_add_us;

    _Atomic int error[STEER_CALLS], error_per_mille[STEER_CALLS]; /* an errno, and how often */
    _Atomic int short_per_mille; /* reads and writes of one byte */
    _Atomic int eintr_per_mille;
    _Atomic uint64_t dice;

    char name[64]; /* the one that is ours to resolve */
    struct steer_answer answers[STEER_ANSWERS]; /* written before any program runs */
    _Atomic int answer;                         /* the one that holds */
    _Atomic int asked;                          /* how often it was */
};

/* The clocks of a program that is steered. */
int64_t steer_boot_us(const struct steer *s);
int64_t steer_wall_us(const struct steer *s);

/* ---- the test's side ---- */

/* Whether programs of this build can run with the shim: those with a sanitizer cannot. */
bool steer_can(void);

/* New memory; NULL: it cannot be had. */
struct steer *steer_new(int64_t scale);
void steer_free(struct steer *s);

/* Programs started from now on run with the shim; no longer. */
void steer_on(const struct steer *s);
void steer_off(void);

/* A suspend: boot and wall clock go on by so much at once, the monotonic one does not. */
void steer_suspend(struct steer *s, int64_t us);

/* The wall clock is off by so much from now on. */
void steer_set_wall(struct steer *s, int64_t add_us);

/* Nothing fails any more, and names are resolved by answer 0. Clocks stay as they are. */
void steer_calm(struct steer *s);

#endif
