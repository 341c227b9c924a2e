/*
 * charges: what a provider has counted, in the order of time: the exact memory behind a rolling window and behind the
 * audit. Nothing here reads a clock.
 *
 * A charge counts in every span that contains its moment: spans are half open, (end - span, end], so two charges
 * exactly one span apart never share one.
 */
#ifndef SIMULATOR_CHARGES_H
#define SIMULATOR_CHARGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct charge {
    int64_t at_us;
    uint64_t id;
    int64_t amount;
};

struct charges {
    struct charge *v; /* readable: sorted by at_us, then by id */
    size_t n;         /* readable */
    size_t cap;       /* private */
    uint64_t last_id; /* private */
};

/* Names one charge, to correct it later. */
struct charge_ref {
    int64_t at_us;
    uint64_t id;
};

void charges_init(struct charges *c);
void charges_release(struct charges *c);

/* Adds at its place in time, which may lie before others that are there. */
struct charge_ref charges_add(struct charges *c, int64_t at_us, int64_t amount);

/* The index of a charge, or -1 when it has been forgotten. */
int64_t charges_index(const struct charges *c, struct charge_ref ref);

/* The index of the first charge after `at_us`; n when there is none. */
size_t charges_after(const struct charges *c, int64_t at_us);

/* Forgets the first k charges. */
void charges_drop_head(struct charges *c, size_t k);

/* The highest sum that any span of this length contains: exact. */
int64_t charges_peak(const struct charges *c, int64_t span_us);

int64_t charges_total(const struct charges *c);

#endif
