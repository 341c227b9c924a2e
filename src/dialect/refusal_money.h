/* refusal_money: the sentence of a call that there is no money for. Private to dialect/. */
#ifndef METERGATE_DIALECT_REFUSAL_MONEY_H
#define METERGATE_DIALECT_REFUSAL_MONEY_H

#include "metergate/dialect/refusal.h"

/* Appends it, of a REFUSAL_BUDGET_USD with a metric, and max_nano or `unpriced`. */
void refusal_money_sentence(const struct refusal *r, struct buf *out);

#endif
