/*
 * clock: the only clocks. The loop samples clock_now_us once a turn and hands it down as `now_us`; nobody below
 * the loop asks for the time (design: "Time is read once a turn").
 */
#ifndef METERGATE_BASE_CLOCK_H
#define METERGATE_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_MS INT64_C(1000)
#define CLOCK_S  INT64_C(1000000)

/* Far in the future: "never". Adding a span of years to a real time still stays below it. */
#define CLOCK_NEVER (INT64_MAX / 2)

/* Microseconds of CLOCK_BOOTTIME: monotonic, and counting while the machine sleeps, so that windows age. */
int64_t clock_now_us(void);

/* Microseconds since the epoch: for rows and log lines that people read, never for decisions. */
int64_t clock_wall_us(void);

/* Microseconds that this thread has worked: what bounds a worker's search, however busy the machine is. */
int64_t clock_spent_us(void);

#endif
