/*
 * ledger: what every call used and cost, kept in a directory: DIR/ledger.db (SQLite) and DIR/journal (journal.h). The
 * loop writes rows into slots; one thread of its own puts them into the database, many in one transaction. Nothing here
 * ever waits for the disk in the loop's thread, but ledger_open.
 *
 * When the disk is full, the files cannot be written, are locked or damaged, calls go on: rows wait in their slots, the
 * writer tries again (after WRITER_RETRY_MS, longer and longer up to WRITER_RETRY_MAX_MS), ledger_health says what is
 * wrong, and the log does, once a minute. A damaged database is set aside as ledger.db.damaged-20261128T101500Z and a
 * new one begun. What waits for longer than there is room is counted as lost.
 *
 * A row is in the database at most LEDGER_DELAY_MS after it ended, and after a kill -9 none is missing.
 */
#ifndef METERGATE_LEDGER_LEDGER_H
#define METERGATE_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/slice.h"
#include "metergate/ledger/row.h"

#define LEDGER_DELAY_MS    100
#define LEDGER_PATIENCE_MS 5000 /* with who has the database locked at the start: what is not known then is granted again */

struct ledger;

/*
 * Opens what is in the directory (which exists), puts what the journal still holds into the database, and starts the
 * writer. Never NULL: whatever is wrong is in ledger_health, and is tried again. Block signals first: it starts a thread.
 * Rows older than retention_us are removed from time to time.
 */
struct ledger *ledger_open(const char *dir, int64_t retention_us);

/* Another `retention` from now on. */
void ledger_keep_for(struct ledger *l, int64_t retention_us);

/* Writes what waits, for WRITER_LAST_MS at the most; the rest stays in the journal. NULL is fine. */
void ledger_close(struct ledger *l);

const char *ledger_dir(const struct ledger *l);

/* ---- rows: the loop's thread ---- */

/* A zeroed row to be filled; NULL: there is no room, it is counted, and the call goes on without. */
struct ledger_row *ledger_take(struct ledger *l);

/* An attempt is about to be sent: if the process dies now, this row counts as it stands. */
void ledger_begin(struct ledger *l, struct ledger_row *r);

/* The row is final: it will be in the database. */
void ledger_end(struct ledger *l, struct ledger_row *r);

/* Nothing is to be kept of it; of a row that was begun: its final one has been given to ledger_end. */
void ledger_drop(struct ledger *l, struct ledger_row *r);

/* ---- figures: any thread ---- */

struct ledger_health {
    bool ok;           /* the database takes rows, and the journal is a file */
    char problem[256]; /* when it is not: "the disk is full", with the file it is about */
    int64_t waiting;   /* rows that are not in the database yet */
    int64_t written;   /* since the start */
    int64_t lost;      /* since the start: for want of room */
    int64_t recovered; /* at the start: rows that the process before left in the journal */
};
void ledger_health(struct ledger *l, struct ledger_health *ret);

/*
 * Waits until all rows that ended before now are in the database, for wait_ms at the most; false when they are not. For
 * reports; not in the loop's thread.
 */
bool ledger_flush(struct ledger *l, int wait_ms);

/* ---- what was charged before this start: right after ledger_open ---- */

/* What a scope was charged until a moment. */
struct ledger_charged {
    int64_t until_us; /* wall clock: nothing of it came later than this */
    int64_t amount[METRICS]; /* requests, tokens, input, output */
    int64_t cost_nano;
};

/*
 * A scope is a text: row_budget_scope, row_client_scope. Gives all that were charged in the last span_us (the future
 * included, if the clock was stepped back), by rows of the journal too that cannot be written now, whose text begins with `prefix`, each with its charges, oldest first. Nothing
 * when the database cannot be read; while somebody has it locked, that is waited for, for LEDGER_PATIENCE_MS.
 */
typedef void ledger_scope_charged(void *arg, struct slice scope, const struct ledger_charged *v, size_t n);
void ledger_history(struct ledger *l, struct slice prefix, int64_t span_us, ledger_scope_charged *give, void *arg);

/* A text of 32 random bytes, in hexadecimal, that is made once and kept in the database: of use for names that the next
 * run is to know again. False: it could not be kept; then it is of this run alone. */
bool ledger_salt(struct ledger *l, unsigned char ret[32]);

#endif
