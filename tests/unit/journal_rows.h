/*
 * journal_rows: rows whose every figure follows from their number, and a directory for a journal. A row that was mixed of
 * two, or cut, is not one of these.
 */
#ifndef METERGATE_TESTS_UNIT_JOURNAL_ROWS_H
#define METERGATE_TESTS_UNIT_JOURNAL_ROWS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/ledger/journal.h"

static char dir[64];
static char file[80]; /* the journal in it */

static inline int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/metergate-journal-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/journal", dir);
    return 0;
}

/* Counts the files in the directory that begin so, and removes all. */
static inline int clear_dir(const char *prefix)
{
    DIR *d = opendir(dir);
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d)) != NULL;) { /* cppcheck-suppress readdirCalled */
        if (e->d_name[0] == '.')
            continue;
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
        (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    return n;
}

static inline int remove_dir(void **state)
{
    (void)state;
    clear_dir("");
    return rmdir(dir);
}

static inline void fill(struct ledger_row *r, int64_t id, int attempts)
{
    r->id = id;
    r->kind = ROW_CALL;
    r->t_us = 1000000 + id;
    snprintf(r->client, sizeof r->client, "client-%d", (int)(id % 7));
    snprintf(r->upstream, sizeof r->upstream, "openai");
    snprintf(r->budget, sizeof r->budget, "gpt-4o-%d", (int)(id % 5));
    snprintf(r->model, sizeof r->model, "model-%lld", (long long)id);
    snprintf(r->endpoint, sizeof r->endpoint, "chat");
    snprintf(r->reason, sizeof r->reason, "reason-%d", attempts);
    r->outcome = ROW_COMPLETED;
    r->status = 200;
    r->attempts = attempts;
    r->usage.input = 3 * id % 100000;
    r->usage.output = 5 * id % 100000;
    r->source = ROW_BY_PROVIDER;
    r->cost_nano = 7 * id;
    snprintf(r->price.name, sizeof r->price.name, "gpt-4o");
    r->price.rates.pico[RATE_INPUT] = 2500000;
    r->total_us = 11 * id;
    r->first_byte_us = -1;
    r->charge.on_arrival[METRIC_TOKENS] = 13 * id % 100000;
    r->hold_count = 1;
    snprintf(r->hold[0].what, sizeof r->hold[0].what, "tpm");
    r->hold[0].to_us = 17 * id;
}

static inline bool is_filled(const struct ledger_row *r)
{
    struct ledger_row *want = calloc(1, sizeof *want);
    bool is;

    if (!want)
        return false;
    fill(want, r->id, r->attempts);
    is = memcmp(want, r, sizeof *want) == 0;
    free(want);
    return is;
}

static inline struct ledger_row *take_filled(struct journal *j, int64_t id, int attempts)
{
    struct ledger_row *r = journal_take(j);

    if (r)
        fill(r, id, attempts);
    return r;
}

static inline struct ledger_row *open_row(struct journal *j, int64_t id, int attempts)
{
    struct ledger_row *r = take_filled(j, id, attempts);

    journal_open(j, r);
    return r;
}

static inline bool end_row(struct journal *j, int64_t id, int attempts)
{
    return journal_end(j, take_filled(j, id, attempts));
}

/* What recovery gave. */
enum { FOUND_MAX = 20000 };
struct found {
    size_t n;
    size_t refuse_at; /* 1: the first; 0: none is refused */
    bool spoilt;      /* one of them is not what fill makes */
    struct {
        int64_t id;
        int attempts;
        bool open;
    } v[FOUND_MAX];
};
static struct found found;

static inline bool note(void *arg, const struct ledger_row *row, bool open)
{
    struct found *f = arg;

    if (f->n + 1 == f->refuse_at)
        return false;
    f->spoilt |= !is_filled(row) || f->n == FOUND_MAX;
    if (f->n < FOUND_MAX) {
        f->v[f->n].id = row->id;
        f->v[f->n].attempts = row->attempts;
        f->v[f->n++].open = open;
    }
    return true;
}

/* A journal on the directory; what it found is in `found`. NULL: *ret_rc says why not. */
static inline struct journal *attach_new(int *ret_rc, struct errbuf *e)
{
    struct journal *j = journal_new();

    found.n = 0;
    found.spoilt = false;
    *ret_rc = journal_attach(j, dir, note, &found, e);
    if (*ret_rc == 0)
        return j;
    journal_free(j);
    return NULL;
}

#endif
