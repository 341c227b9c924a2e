/*
 * breaker: whether somebody is down, and when to look again.
 *
 *              5 failures in a row, or 3 in 5 s or more
 *     CLOSED  ------------------------------------------>  OPEN
 *        ^                                                   | at probe_us one attempt goes, the probe; when
 *        '---------------------------------------------------'  it fails, the next goes later: 0.5..1 s, 1..2 s,
 *              an attempt that was sent since is answered       ... 15..30 s
 *
 * Three in 5 s are for connections that fail slowly (10 s each), when five would take a minute. Answers to
 * what was sent before it opened do not close it: a long answer that began in good times says nothing of now.
 * A probe that is not answered for BREAKER_PATIENCE_US may be followed by another, because an answer may take
 * minutes.
 *
 * Pure: time and chance are handed in. A zeroed struct is closed. Who may go while it is open is the gate's
 * to say (gate_probe).
 */
#ifndef METERGATE_GATE_BREAKER_H
#define METERGATE_GATE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/prng.h"

#define BREAKER_FAILURES    5
#define BREAKER_SLOW        3
#define BREAKER_SLOW_US     (INT64_C(5) * 1000000)
#define BREAKER_MAX_US      (INT64_C(30) * 1000000)
#define BREAKER_PATIENCE_US (INT64_C(15) * 1000000)

/* Readable. */
struct breaker {
    bool open;
    int failures;      /* in a row */
    int64_t first_us;  /* when the first of these was known */
    int64_t opened_us; /* while open: since when */
    int64_t probe_us;  /* while open: when the next attempt goes */
    int waits;         /* private: since it opened */
    int64_t known_us;  /* private: when the failure was known that the last wait is for */
};

/* An attempt that was sent at sent_us has failed, now. True: it is open, and probe_us is new. */
bool breaker_failed(struct breaker *b, struct prng *random, int64_t sent_us, int64_t now_us);

/* One that was sent at sent_us has not. True: it was open, and is closed. */
bool breaker_answered(struct breaker *b, int64_t sent_us);

#endif
