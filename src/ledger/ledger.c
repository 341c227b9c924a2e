/*
 * ledger: the journal and its writer under one roof; rows go straight to the journal. The writer ends before
 * the journal.
 */
#include "metergate/ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/ledger/db.h"
#include "metergate/ledger/history.h"
#include "metergate/ledger/journal.h"
#include "metergate/ledger/store.h"
#include "metergate/ledger/writer.h"

#define SALT_BYTES 32

struct ledger {
    char *dir; /* owned */
    struct journal *j;
    struct writer *w;
    unsigned char salt[SALT_BYTES];
    bool salt_is_kept;
};

/* ---- salt ---- */

static void salt_text(const unsigned char salt[SALT_BYTES], char ret[2 * SALT_BYTES + 1])
{
    for (size_t i = 0; i < SALT_BYTES; i++)
        snprintf(ret + 2 * i, 3, "%02x", salt[i]);
}

static bool salt_read(struct slice text, unsigned char ret[SALT_BYTES])
{
    unsigned char salt[SALT_BYTES];

    if (text.n != 2 * sizeof salt)
        return false;
    for (size_t i = 0; i < sizeof salt; i++) {
        int high = slice_hex_digit(text.p[2 * i]), low = slice_hex_digit(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        salt[i] = (unsigned char)(high << 4 | low);
    }
    memcpy(ret, salt, sizeof salt);
    return true;
}

/* That of the database, or what we have made becomes it. */
static void find_salt(struct ledger *l)
{
    char made[2 * SALT_BYTES + 1];
    struct errbuf e;
    struct buf kept;

    MG_ASSERT(getentropy(l->salt, sizeof l->salt) == 0);
    if (!writer_store(l->w))
        return;
    salt_text(l->salt, made);
    buf_init(&kept, BUF_UNLIMITED);
    l->salt_is_kept = store_fact(writer_store(l->w), "salt", slice_str(made), &kept, &e) == DB_OK &&
                      salt_read(buf_slice(&kept), l->salt);
    buf_release(&kept);
}

bool ledger_salt(struct ledger *l, unsigned char ret[32])
{
    memcpy(ret, l->salt, sizeof l->salt);
    return l->salt_is_kept;
}

/* ---- opening ---- */

struct ledger *ledger_open(const char *dir, int64_t retention_us)
{
    struct ledger *l = xcalloc(1, sizeof *l);

    l->dir = xstrdup(dir);
    l->j = journal_new();
    l->w = writer_new(dir, l->j, retention_us);
    find_salt(l);
    writer_start(l->w);
    return l;
}

void ledger_keep_for(struct ledger *l, int64_t retention_us)
{
    writer_keep_for(l->w, retention_us);
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    writer_free(l->w);
    journal_free(l->j);
    free(l->dir);
    free(l);
}

const char *ledger_dir(const struct ledger *l)
{
    return l->dir;
}

/* ---- rows ---- */

struct ledger_row *ledger_take(struct ledger *l)
{
    return journal_take(l->j);
}

void ledger_begin(struct ledger *l, struct ledger_row *r)
{
    journal_open(l->j, r);
}

void ledger_end(struct ledger *l, struct ledger_row *r)
{
    if (journal_end(l->j, r))
        writer_wake(l->w);
}

void ledger_drop(struct ledger *l, struct ledger_row *r)
{
    journal_drop(l->j, r);
}

/* ---- figures ---- */

void ledger_health(struct ledger *l, struct ledger_health *ret)
{
    writer_health(l->w, ret);
}

bool ledger_flush(struct ledger *l, int wait_ms)
{
    return writer_flush(l->w, wait_ms);
}

/* ---- history ---- */

/* Who asked, and what the database does not know. */
struct asked {
    struct arrears *arrears;
    int64_t from_us;
    ledger_scope_charged *give;
    void *arg;
};

static void give_all(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    const struct asked *a = arg;

    arrears_join(a->arrears, scope, v, n, a->from_us, a->give, a->arg);
}

void ledger_history(struct ledger *l, struct slice prefix, int64_t span_us, ledger_scope_charged *give, void *arg)
{
    struct asked asked = {writer_arrears(l->w), clock_wall_us() - span_us, give, arg};
    struct errbuf e = {""};
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/ledger.db", l->dir);
    arrears_begin(asked.arrears);
    if (history_read(path.p, LEDGER_PATIENCE_MS, prefix, asked.from_us / CLOCK_S, give_all, &asked, &e) != DB_OK)
        log_error("ledger: what was charged before cannot be read (%s): %s", e.text, path.p);
    arrears_give(asked.arrears, prefix, asked.from_us, give, arg);
    buf_release(&path);
}
