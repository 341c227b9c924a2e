/*
 * damaged: the database first. If the process dies before the log has its new name, SQLite finds a log
 * without a database, and removes it; the other way round it would find a database that lacks its log.
 */
#include "metergate/ledger/damaged.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/clock.h"

static const char *const parts[] = {"", "-wal", "-shm"};

static int rename_part(const char *path, const char *to, const char *part)
{
    struct buf old, new;
    int rc;

    buf_init(&old, BUF_UNLIMITED);
    buf_init(&new, BUF_UNLIMITED);
    buf_addf(&old, "%s%s", path, part);
    buf_addf(&new, "%s%s", to, part);
    rc = rename(old.p, new.p) < 0 && errno != ENOENT ? -errno : 0;
    buf_release(&old);
    buf_release(&new);
    return rc;
}

int damaged_set_aside(const char *path, int64_t wall_us, struct buf *ret_name)
{
    time_t s = (time_t)(wall_us / CLOCK_S);
    char when[32];
    struct tm tm;
    int rc = 0;
    struct buf to;

    gmtime_r(&s, &tm);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
    buf_init(&to, BUF_UNLIMITED);
    buf_addf(&to, "%s.damaged-%s", path, when);
    if (access(to.p, F_OK) == 0)
        rc = -EEXIST;
    for (size_t i = 0; i < MG_ARRAY_LEN(parts) && rc == 0; i++)
        rc = rename_part(path, to.p, parts[i]);
    if (rc == 0)
        buf_add_slice(ret_name, buf_slice(&to));
    buf_release(&to);
    return rc;
}
