/*
 * store: ledger.db, to be written: the one connection that does. A batch of rows is one transaction: all of it is kept,
 * or nothing.
 *
 *   ROW_CALL        a row of calls and its holds, its sums in hours, its charges; nothing at all when a call of that id
 *                   is there already, so that a batch may be written twice
 *   ROW_ATTEMPT     its charges
 *   ROW_CORRECTION  changes the row of calls, its hour by the difference, and what its scopes were charged in money;
 *                   nothing when the call is not there
 *
 * Charges: what counts on arrival stands in the slot of charge.sent_us (0: of t_us), what counts at the end and the
 * cost in that of t_us, for the budget and for the client. A slot is a second, named by its end: until_s.
 * A correction that adds to the cost counts when it came; one that takes from it is taken from where the cost stands.
 *
 * Functions return a code of db.h, and set *e when it is not DB_OK: what SQLite says, for people.
 */
#ifndef METERGATE_LEDGER_STORE_H
#define METERGATE_LEDGER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/ledger/row.h"

struct store;

/* Opens or makes it, waits for others' locks for busy_ms at the most, here and later. *ret only with DB_OK. */
int store_open(const char *path, int busy_ms, struct store **ret, struct errbuf *e) MG_MUSTCHECK;
void store_close(struct store *s); /* NULL is fine */

/* What is in the log goes into the database, as far as can be: somebody removed the log's file, and with the last
 * connection it will be gone. */
void store_settle(struct store *s);

/* All n rows, or none of them. */
int store_write(struct store *s, const struct ledger_row *const *rows, size_t n, struct errbuf *e) MG_MUSTCHECK;

/* Whether a row can be written at all: writes one, and takes it back. */
int store_try(struct store *s, struct errbuf *e) MG_MUSTCHECK;

/* One step of tidying (tidy.h), in a transaction of its own. */
int store_tidy(struct store *s, int64_t now_us, int64_t retention_us, bool *ret_more, struct errbuf *e) MG_MUSTCHECK;

/* A fact that is kept by name; appends its value, and makes `value` it when there is none yet. */
int store_fact(struct store *s, const char *name, struct slice value, struct buf *out, struct errbuf *e) MG_MUSTCHECK;

/* The statements, NULL behind the last one: for the test that none of them reads a table from end to end. */
extern const char *const store_sql[];

#endif
