/*
 * store_inside: the connection and its statements, for the two halves of the store: what is a transaction,
 * what is a row.
 */
#ifndef METERGATE_LEDGER_STORE_INSIDE_H
#define METERGATE_LEDGER_STORE_INSIDE_H

#include "metergate/ledger/db.h"
#include "metergate/ledger/names.h"
#include "metergate/ledger/store.h"
#include "metergate/ledger/sums.h"
#include "metergate/ledger/tidy.h"

enum store_statement {
    STORE_ADD_CALL,
    STORE_ADD_HOLD,
    STORE_FIND_CALL,
    STORE_CHANGE_CALL,
    STORE_TAKE_COST,
    STORE_FIND_FACT,
    STORE_ADD_FACT,
    STORE_STATEMENTS
};

struct store {
    struct db *db;
    struct names *names;
    struct sums *sums;
    struct tidy *tidy;
    struct db_stmt *run[STORE_STATEMENTS];
};

/* Inside a transaction: the row, but for the sums, which wait for sums_write. A code of db.h. */
int store_write_row(struct store *s, const struct ledger_row *r) MG_MUSTCHECK;

#endif
