/*
 * oracle: the same promises as the gate's, kept the naive way: one list of every charge that was ever made,
 * summed anew for each question. It shares no code with src/gate but the plain structs of its headers, so
 * where the two agree, two independent readings of the rules agree.
 *
 * The rules, in one place:
 *   - a charge whose arrival at the provider is not known counts; one that arrived at `a` counts until
 *     a + span;
 *   - what is charged at the end counts, as reserved, until the end, and then from the end for a span;
 *   - a call fits a limit when sum + need <= usable, or, if need > usable, sum + need <= max; need is cut to
 *     max;
 *   - `small` may pass `head` when the head's first moment stays what it is; when that moment is not known,
 *     when there is room for both at any moment. `small` is taken to be at the provider a minute later at
 *     the latest, and its output never.
 */
#ifndef METERGATE_TESTS_SIM_ORACLE_H
#define METERGATE_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/gate/gate.h"

struct oracle *oracle_new(void);
void oracle_free(struct oracle *o);

/* The limits of a budget from now on; those of the same metric and span keep their charges. */
void oracle_budget(struct oracle *o, const struct budget *b, int headroom_permille,
                   const struct limit *limits, size_t n);
void oracle_pause(struct oracle *o, const struct budget *b, int64_t until_us);

/* What happened. */
void oracle_dispatch(struct oracle *o, const struct ticket *t, int64_t now_us);
void oracle_sent(struct oracle *o, const struct ticket *t, int64_t now_us);
void oracle_close(struct oracle *o, const struct ticket *t, int64_t now_us, const struct cost *final);

/* Drops charges that can count no more. */
void oracle_forget(struct oracle *o, int64_t now_us);

/* What limit `i` of a budget holds at t_us, as known now: of charges with a time, and of those without. */
int64_t oracle_used(const struct oracle *o, const struct budget *b, size_t i, int64_t t_us);
int64_t oracle_reserved(const struct oracle *o, const struct budget *b, size_t i);
int64_t oracle_usable(const struct oracle *o, const struct budget *b, size_t i);

/* The first moment from now_us on at which the call fits all its limits; CLOCK_NEVER: an event decides. */
int64_t oracle_earliest(const struct oracle *o, const struct ticket *t, int64_t now_us);

/* Whether `small` may go at x_us although `head` waits until head_us. */
bool oracle_passes(const struct oracle *o, const struct ticket *head, const struct ticket *small,
                   int64_t x_us, int64_t head_us);

/* Whether an older `head` of another queue keeps `other` back at x_us: it waits for a budget that they share,
 * and would wait longer. */
bool oracle_bars(const struct oracle *o, const struct ticket *head, const struct ticket *other, int64_t x_us);

/* The next moment after t_us at which anything changes by itself; CLOCK_NEVER. */
int64_t oracle_next_change(const struct oracle *o, int64_t t_us);

#endif
