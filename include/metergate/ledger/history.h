/*
 * history: reads back what scopes were charged (table charges), through a connection of its own.
 */
#ifndef METERGATE_LEDGER_HISTORY_H
#define METERGATE_LEDGER_HISTORY_H

#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/ledger.h"

/*
 * All scopes whose text begins with `prefix` (ASCII, not empty) and that were charged after the second
 * `from_s`, in the order of their texts, each with its charges, oldest first. Waits for others' locks for
 * busy_ms at the most. A code of db.h, and *e when it is not DB_OK; what was given until then is right.
 */
int history_read(const char *path, int busy_ms, struct slice prefix, int64_t from_s, ledger_scope_charged *give,
                 void *arg, struct errbuf *e) MG_MUSTCHECK;

/* Its statement: for the test that it reads no table from end to end. */
extern const char history_sql[];

#endif
