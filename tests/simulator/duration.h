/*
 * duration: lengths of time as OpenAI writes them, which is how Go prints a time.Duration: `9ms`, `1s`, `9.816s`,
 * `6m0s`, `2h7m1.233s`. Rounded to the millisecond, as the samples are.
 */
#ifndef SIMULATOR_DURATION_H
#define SIMULATOR_DURATION_H

#include <stdint.h>

struct buf;

/* Appends; `us` >= 0. */
void duration_print(struct buf *out, int64_t us);

#endif
