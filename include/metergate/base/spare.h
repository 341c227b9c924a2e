/*
 * spare: memory that is kept back for the moment at which there is none. When an allocation fails that nobody can do
 * without, the spare goes back to the system, and the allocation is tried again; the loop then finds that it is gone, takes no
 * new load, and takes the spare back as soon as that can be. Until then the process goes on with what it has.
 *
 * It is address space and a promise of the system, nothing is written to it: it costs no RAM. What fails in
 * practice is just these two (a limit of the process, a system that does not overcommit).
 *
 * All functions may be called from any thread; spare_keep once, before there is a second one.
 */
#ifndef METERGATE_BASE_SPARE_H
#define METERGATE_BASE_SPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"

/* Keeps so many bytes back from now on, instead of those before. False: there are not as many; it is as if they had been used. */
bool spare_keep(size_t bytes) MG_MUSTCHECK;

/* It was used, and is not there again. Cheap: one load. */
bool spare_is_gone(void);

/*
 * Takes it back, if twice as much could be had: who took the last byte would have to give it back at once. True: it is there
 * (also when it was there before).
 */
bool spare_retake(void);

/* How often it was used since the start. */
int64_t spare_uses(void);

/*
 * After the attempt'th failure (0, 1, ...) of something that needs memory. True: try again, because the spare was given back, or,
 * for a tenth of a second in all, because a moment has passed in which other threads may have freed some. Keeps errno.
 */
bool spare_again(unsigned attempt);

/* One line to stderr, and abort: even the spare did not help. Allocates nothing. */
MG_NORETURN void spare_out_of_memory(void);

/*
 * malloc and its family for what may fail, libraries that can be told what to use among it: a block of up to 32 KiB is tried
 * again with the help of the spare, once. NULL when there is no memory all the same, which spare_refusals counts.
 */
void *spare_malloc(size_t n) __attribute__((malloc));
void *spare_calloc(size_t count, size_t size) __attribute__((malloc));
void *spare_realloc(void *p, size_t n);
char *spare_strdup(const char *s) __attribute__((malloc));

/* How many of these failed since the start: what a library reports meanwhile may be that alone. */
int64_t spare_refusals(void);

#endif
