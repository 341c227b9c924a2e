/*
 * writer: takes ended rows out of the journal and puts them into the database, in a thread of its own: at
 * most WRITER_ROWS in one transaction, and what ends within WRITER_COLLECT_MS of each other together. Between
 * batches it tidies.
 *
 * What fails is tried again (trouble.h); rows wait in the journal meanwhile, in their order. A damaged
 * database is set aside and a new one begun, once a minute at the most. A row that the database will not take
 * though it takes others is dropped, logged and counted as lost. A database that somebody removed or replaced
 * is noticed before the next batch.
 */
#ifndef METERGATE_LEDGER_WRITER_H
#define METERGATE_LEDGER_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/ledger/arrears.h"
#include "metergate/ledger/journal.h"
#include "metergate/ledger/ledger.h"
#include "metergate/ledger/store.h"

#define WRITER_ROWS       1000
#define WRITER_COLLECT_MS 50
#define WRITER_BUSY_MS    250  /* patience with others' locks */
#define WRITER_LAST_MS    2000 /* what writer_free waits for */
#define WRITER_TIDY_MS    60000

struct writer;

/*
 * Opens DIR/ledger.db, puts what DIR/journal holds of an earlier process into it, and keeps the journal's
 * slots there. Never NULL; what does not work is tried again by the thread. The journal is borrowed until
 * writer_free.
 */
struct writer *writer_new(const char *dir, struct journal *j, int64_t retention_us);

/* Until writer_start: the database, for other things at the start; NULL: it could not be opened. */
struct store *writer_store(struct writer *w);

/*
 * What rows that an earlier process left were charged, if they could not be put into the database by writer_new. The
 * writer's own; it does not change.
 */
struct arrears *writer_arrears(struct writer *w);

/* Starts the thread; all signals are blocked in it. */
void writer_start(struct writer *w);

/* Writes what waits, for WRITER_LAST_MS at the most. NULL is fine. */
void writer_free(struct writer *w);

/* Any thread, from here on. */

/* The first row waits (journal_end). */
void writer_wake(struct writer *w);

/* All that waits now is in the database (or was given up); false: not within wait_ms. */
bool writer_flush(struct writer *w, int wait_ms);

void writer_keep_for(struct writer *w, int64_t retention_us);
void writer_health(struct writer *w, struct ledger_health *ret);

#endif
