/*
 * names: the numbers that texts and prices have in the database (tables names and prices). What has none yet
 * is given one. The latest NAMES_KEPT are remembered; whoever rolls a transaction back must say so
 * (names_forget), because the numbers that were given in it are nobody's then.
 *
 * Functions return a code of db.h. Belongs to the connection, and is freed before it is closed.
 */
#ifndef METERGATE_LEDGER_NAMES_H
#define METERGATE_LEDGER_NAMES_H

#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/row.h"

#define NAMES_KEPT 4096

struct names;

/* *ret is set even when the code is not DB_OK; free it. */
int names_new(struct db *db, struct names **ret) MG_MUSTCHECK;
void names_free(struct names *n); /* NULL is fine */

/* Numbers are > 0. Inside a transaction: may write. */
int names_id(struct names *n, struct slice text, int64_t *ret) MG_MUSTCHECK;
int names_price(struct names *n, const struct row_price *p, int64_t *ret) MG_MUSTCHECK;

void names_forget(struct names *n);

#endif
