/*
 * seat: what a counted call will cost, and its place in the queue.
 */
#ifndef METERGATE_PROXY_SEAT_H
#define METERGATE_PROXY_SEAT_H

struct call;

/*
 * The call is COUNTING and its figures are known: estimates its use and takes a seat in the gate (HELD), or refuses it:
 * `draining`, `too-large`, `max-wait` or `queue-full`.
 */
void seat_take(struct call *c);

#endif
