/*
 * names: a number stands in a map as its pointer (it is never 0). When a map is full it is emptied: names
 * that are in use come back within a batch, and no order of use has to be kept.
 */
#include "metergate/ledger/names.h"

#include <stdlib.h>

#include "metergate/base/map.h"

struct names {
    struct db *db;
    struct map texts, prices;
    struct db_stmt *find, *add, *find_price, *add_price;
};

int names_new(struct db *db, struct names **ret)
{
    struct names *n = xcalloc(1, sizeof *n);
    int rc;

    n->db = db;
    map_init(&n->texts);
    map_init(&n->prices);
    *ret = n;
    rc = db_prepare(db, "SELECT id FROM names WHERE text = ?1", &n->find);
    if (rc == DB_OK)
        rc = db_prepare(db, "INSERT INTO names(text) VALUES(?1)", &n->add);
    if (rc == DB_OK)
        rc = db_prepare(db,
                        "SELECT id FROM prices WHERE name = ?1 AND since = ?2 AND input = ?3 AND cached = ?4"
                        " AND cache_write = ?5 AND cache_write_1h = ?6 AND output = ?7",
                        &n->find_price);
    if (rc == DB_OK)
        rc = db_prepare(db,
                        "INSERT INTO prices(name, since, input, cached, cache_write, cache_write_1h, output)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        &n->add_price);
    return rc;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    db_finalize(n->find);
    db_finalize(n->add);
    db_finalize(n->find_price);
    db_finalize(n->add_price);
    map_release(&n->texts);
    map_release(&n->prices);
    free(n);
}

void names_forget(struct names *n)
{
    map_release(&n->texts);
    map_release(&n->prices);
}

static int64_t recall(const struct map *m, struct slice key)
{
    return (int64_t)(intptr_t)map_get(m, key);
}

static void remember(struct map *m, struct slice key, int64_t id)
{
    if (map_count(m) >= NAMES_KEPT)
        map_release(m);
    map_set(m, key, (void *)(intptr_t)id);
}

/* Parameters are bound; DB_ROW with its number when there is one. Resets. */
static int look_up(struct db_stmt *find, int64_t *ret)
{
    int rc = db_step(find);

    if (rc == DB_ROW)
        *ret = db_int(find, 0);
    db_reset(find);
    return rc;
}

int names_id(struct names *n, struct slice text, int64_t *ret)
{
    int64_t id = recall(&n->texts, text);
    int rc = DB_ROW;

    if (id == 0) {
        db_bind_text(n->find, 1, text);
        rc = look_up(n->find, &id);
    }
    if (rc == DB_OK) {
        db_bind_text(n->add, 1, text);
        rc = db_run(n->add);
        id = db_last_rowid(n->db);
    } else if (rc == DB_ROW) {
        rc = DB_OK;
    }
    if (rc != DB_OK)
        return rc;
    remember(&n->texts, text, id);
    *ret = id;
    return DB_OK;
}

static void bind_price(struct db_stmt *s, const struct row_price *p)
{
    db_bind_text(s, 1, slice_of(p->name, strnlen(p->name, sizeof p->name)));
    db_bind_int(s, 2, p->since);
    for (int i = 0; i < RATES; i++)
        db_bind_int(s, 3 + i, p->rates.pico[i]);
}

/* All that makes a price one, as a key: no padding, nothing behind the name's end. */
struct price_key {
    char name[sizeof((struct row_price *)NULL)->name];
    int64_t since;
    int64_t pico[RATES];
};

static struct price_key key_of(const struct row_price *p)
{
    struct price_key k = {.since = p->since};

    memcpy(k.name, p->name, strnlen(p->name, sizeof p->name));
    memcpy(k.pico, p->rates.pico, sizeof k.pico);
    return k;
}

int names_price(struct names *n, const struct row_price *p, int64_t *ret)
{
    struct price_key k = key_of(p);
    struct slice key = slice_of((const char *)&k, sizeof k);
    int64_t id = recall(&n->prices, key);
    int rc = DB_ROW;

    if (id == 0) {
        bind_price(n->find_price, p);
        rc = look_up(n->find_price, &id);
    }
    if (rc == DB_OK) {
        bind_price(n->add_price, p);
        rc = db_run(n->add_price);
        id = db_last_rowid(n->db);
    } else if (rc == DB_ROW) {
        rc = DB_OK;
    }
    if (rc != DB_OK)
        return rc;
    remember(&n->prices, key, id);
    *ret = id;
    return DB_OK;
}
