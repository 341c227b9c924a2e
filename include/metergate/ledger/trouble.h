/*
 * trouble: something that does not work now and is tried again, later and later; and what the operator is
 * told of it: once when it begins, then once a minute, and once when it is over.
 */
#ifndef METERGATE_LEDGER_TROUBLE_H
#define METERGATE_LEDGER_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLE_RETRY_MS     1000  /* first wait; it doubles */
#define TROUBLE_RETRY_MAX_MS 30000
#define TROUBLE_SOON_MS      250   /* for what passes by itself: somebody else's lock */
#define TROUBLE_LOG_MS       60000

/* Zeroed: there is none. */
struct trouble {
    bool on;            /* readable */
    int64_t retry_us;   /* readable: when to try again */
    char problem[256];  /* readable: a sentence */
    int64_t wait_ms;    /* private, as the rest */
    int64_t logged_us;  /* 0: never */
    bool told;          /* that it is on */
};

/* It failed, now. `soon`: it passes by itself. */
void trouble_set(struct trouble *t, int64_t now_us, bool soon, const char *problem);

/* Whether it is time to log it; then it counts as logged. */
bool trouble_tell(struct trouble *t, int64_t now_us);

/* It works. True: it was on, and the operator was told so. */
bool trouble_clear(struct trouble *t);

#endif
