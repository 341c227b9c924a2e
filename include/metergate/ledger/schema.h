/*
 * schema: the tables of ledger.db, and how a file of an older version gets there. The version is SQLite's user_version.
 *
 *   names     texts that many rows share: clients, models, ...
 *   prices    rates that calls were billed by, each once
 *   calls     one row a call, by the number of its id
 *   holds     what kept a call waiting, in order
 *   hours     sums of calls by hour and all that reports ask for; they stay when the calls are gone
 *   charges   what limits were charged: sums by scope and time, the coarser the older (store.h)
 *
 * Money is nano-dollars, rates picodollars a token; times are microseconds since 1970 (t_us), seconds (until_s) or hours
 * (hour).
 */
#ifndef METERGATE_LEDGER_SCHEMA_H
#define METERGATE_LEDGER_SCHEMA_H

#include "metergate/base/err.h"
#include "metergate/ledger/db.h"

#define SCHEMA_VERSION 1

/*
 * Makes what is missing, in one transaction. A file of a newer version than this program's: DB_READONLY with a sentence,
 * nothing is touched. Else the code of the statement that failed, with db_problem's words.
 */
int schema_prepare(struct db *db, struct errbuf *e) MG_MUSTCHECK;

#endif
