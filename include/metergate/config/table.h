/*
 * table: every option of the configuration file, one row each: where it is stored, its default and bounds,
 * whether a reload applies it, whether this version acts on it, and what it is for. The reader, the printer,
 * config_override, docs/configuration.md and the test of conf/metergate.yaml all go by these rows.
 *
 * A row's path is written with dots, and `*` for a name that the operator chooses: "queue.max_wait",
 * "upstreams.*.timeout.connect". Rows of one mapping stand together, in the order in which they are
 * documented and printed.
 */
#ifndef METERGATE_CONFIG_TABLE_H
#define METERGATE_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

enum table_type {
    TABLE_DURATION,   /* int64_t, microseconds */
    TABLE_SIZE,       /* int64_t, bytes */
    TABLE_COUNT,      /* int64_t */
    TABLE_SHARE,      /* int64_t, thousandths; written as a percentage */
    TABLE_USD,        /* int64_t, millionths of a dollar */
    TABLE_BOOL,       /* bool */
    TABLE_CHOICE,     /* an enum: the place of the word in `choices` */
    TABLE_CHOICES,    /* unsigned: bit i is word i of `choices` */
    TABLE_TEXT,       /* char *, owned */
    TABLE_PATH,       /* char *, owned: absolute (~/ replaced), or "", or the word of `choices` */
    TABLE_URL,        /* char *, owned; `choices` are its schemes */
    TABLE_NAME,       /* char *, owned; NULL when unset: the name of an upstream */
    TABLE_ENV,        /* char *, owned; NULL when unset: where a credential is, never the credential */
    TABLE_FILE,       /* (likewise) */
    TABLE_CREDENTIAL, /* (likewise) */
    TABLE_HOSTS,      /* struct config_strings: values of a Host header, with or without a port */
    TABLE_ORIGINS,    /* struct config_strings: values of an Origin header */
    TABLE_GLOBS,      /* struct config_strings */
    TABLE_LISTEN,     /* struct config_listens */
    TABLE_USER,       /* char *, owned: a local user who exists, by name or number, or "" */
    TABLE_USERS,      /* struct config_users: names or numbers of local users who exist */
    TABLE_LIMIT,      /* a count or {max, per}: put among the limits of the model or client */
    TABLE_MONEY       /* dollars or {max, per}: put among the money limits of the model or client, nano-dollars */
};

/* The struct that `offset` counts in: what the first part of the path names. */
enum table_home {
    TABLE_IN_CONFIG,
    TABLE_IN_UPSTREAM,
    TABLE_IN_MODEL,
    TABLE_IN_CLIENT,
    TABLE_IN_PRICE
};

enum table_status {
    TABLE_WORKS,
    TABLE_LATER /* accepted, with a warning that it has no effect yet */
};

struct table_row {
    const char *path;
    enum table_type type;
    enum table_home home;
    size_t offset;
    const char *fallback; /* the default as it would be written; NULL: unset, the help says what then holds */
    const char *min;      /* bounds as they would be written; NULL: the type's own */
    const char *max;
    const char *choices; /* "fair|fifo" */
    enum table_status status;
    const char *idle; /* a value that asks for nothing, and so needs neither warning nor error; or NULL */
    bool restart;     /* a reload does not apply it; of TABLE_IN_CONFIG alone */
    int metric;       /* of a limit: enum metric */
    const char *span; /* of a limit: its window when `per` is not given; NULL: it has none */
    const char *help; /* one sentence, without its full stop */
};

/* All rows; *ret_n is their number. */
const struct table_row *table_rows(size_t *ret_n);

/* The row of that exact path, or NULL. */
const struct table_row *table_find(struct slice path);

/* True when some row lies below the path: "queue", "upstreams.*.timeout". */
bool table_is_section(struct slice path);

/*
 * The key nearest to `key` among those that may stand in the section ("" is the top level), when it is at
 * most two edits away and nearer than half its length; else an empty slice. Static.
 */
struct slice table_nearest(struct slice section, struct slice key);

/* Appends the keys that may stand in the section: "level, format"; NAME is one that the operator chooses. */
void table_name_keys(struct slice section, struct buf *out);

/* Edits (insert, delete, replace, swap of neighbours) between the two, at most `limit` + 1. Case is ignored.
 */
unsigned table_distance(struct slice a, struct slice b, unsigned limit);

#endif
