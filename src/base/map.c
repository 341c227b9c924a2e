/* map: uthash behind functions, so that its macros stay in one file. */
#include "metergate/base/map.h"

#include <stdlib.h>

#include "metergate/base/err.h"

/* Left alone, it ends the process when there is no memory. */
#define uthash_malloc(size) xmalloc(size)
#include <uthash.h>

struct map_entry {
    UT_hash_handle hh;
    void *value;
    size_t n;
    char key[];
};

void map_init(struct map *m)
{
    m->head = NULL;
}

static struct map_entry *find(const struct map *m, struct slice key)
{
    struct map_entry *e = NULL;

    HASH_FIND(hh, m->head, key.p, key.n, e);
    return e;
}

static void drop(struct map *m, struct map_entry *e)
{
    HASH_DELETE(hh, m->head, e);
    free(e);
}

void map_release(struct map *m)
{
    while (m->head)
        drop(m, m->head);
}

void map_release_values(struct map *m)
{
    while (m->head) {
        free(m->head->value);
        drop(m, m->head);
    }
}

void *map_get(const struct map *m, struct slice key)
{
    struct map_entry *e = find(m, key);

    return e ? e->value : NULL;
}

void map_set(struct map *m, struct slice key, void *value)
{
    struct map_entry *e = find(m, key);

    MG_ASSERT(value != NULL);
    if (e) {
        e->value = value;
        return;
    }
    e = xmalloc(sizeof *e + key.n + 1);
    e->value = value;
    e->n = key.n;
    if (key.n)
        memcpy(e->key, key.p, key.n);
    e->key[key.n] = '\0';
    HASH_ADD_KEYPTR(hh, m->head, e->key, e->n, e);
}

void map_remove(struct map *m, struct slice key)
{
    struct map_entry *e = find(m, key);

    if (e)
        drop(m, e);
}

size_t map_count(const struct map *m)
{
    return HASH_COUNT(m->head);
}

void map_each(const struct map *m, void (*each)(void *arg, struct slice key, void *value), void *arg)
{
    for (struct map_entry *e = m->head; e; e = e->hh.next)
        each(arg, slice_of(e->key, e->n), e->value);
}
