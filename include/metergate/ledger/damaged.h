/*
 * damaged: a database that cannot be read any more, and what stands beside it (-wal, -shm), get another name,
 * so that a new one can be begun and somebody may look at the old one later: "sqlite3 NAME .recover".
 */
#ifndef METERGATE_LEDGER_DAMAGED_H
#define METERGATE_LEDGER_DAMAGED_H

#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"

/*
 * PATH becomes PATH.damaged-20261128T101500Z, by the wall clock; the new name is appended. 0 too when there
 * is no such file; -errno, -EEXIST when there is one of that second already. Its connections are closed
 * before.
 */
int damaged_set_aside(const char *path, int64_t wall_us, struct buf *ret_name) MG_MUSTCHECK;

#endif
