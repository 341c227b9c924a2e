/*
 * inspect: what tests ask of the provider: to wait until something has happened, and for the audit. Each
 * takes the lock of struct sim itself.
 */
#ifndef SIMULATOR_INSPECT_H
#define SIMULATOR_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct sim;

/* What a test waits for; -1: not asked. The counters count since the last reset. */
struct inspect_condition {
    int64_t arrivals, completed, aborted, violations, n429, attempts; /* at least */
    int64_t held, in_flight, connections;                             /* exactly */
};

/* Whether the condition came true in time. Either way the counters are appended as a JSON object. */
bool inspect_wait(struct sim *s, const struct inspect_condition *c, int64_t timeout_us, struct buf *out);

/*
 * The audit as JSON, with the last `limit` arrivals of each account. Peaks are those of any span of
 * `span_ms`; 0: of each account's own window.
 */
void inspect_audit(struct sim *s, int64_t limit, int64_t span_ms, struct buf *out);

#endif
