/* lease: an open lease is in by_id and on by_age, one that is not open in neither. All last equally long, so
 * until_us grows along by_age. */
#include "metergate/proxy/lease.h"

#include "metergate/base/err.h"
#include "metergate/base/secret.h"

void leases_init(struct leases *ls)
{
    *ls = (struct leases){0};
    map_init(&ls->by_id);
    list_init(&ls->by_age);
}

void leases_release(struct leases *ls)
{
    MG_ASSERT(list_empty(&ls->by_age));
    map_release(&ls->by_id);
}

void lease_init(struct lease *l)
{
    *l = (struct lease){0};
    list_init(&l->age);
}

void leases_open(struct leases *ls, struct lease *l, int64_t now_us)
{
    MG_ASSERT(!list_linked(&l->age));
    secret_random_hex(l->id, LEASE_ID_BYTES); /* an id that could be guessed would be anybody's to settle */
    l->until_us = now_us + LEASE_US;
    map_set(&ls->by_id, slice_str(l->id), l);
    list_push_back(&ls->by_age, &l->age);
}

struct lease *leases_find(const struct leases *ls, struct slice id)
{
    return map_get(&ls->by_id, id);
}

static struct lease *oldest(const struct leases *ls)
{
    struct list *first = list_first(&ls->by_age);

    return first ? LIST_ENTRY(first, struct lease, age) : NULL;
}

struct lease *leases_due(const struct leases *ls, int64_t now_us)
{
    struct lease *l = oldest(ls);

    return l && l->until_us <= now_us ? l : NULL;
}

int64_t leases_due_us(const struct leases *ls)
{
    const struct lease *l = oldest(ls);

    return l ? l->until_us : CLOCK_NEVER;
}

void leases_close(struct leases *ls, struct lease *l)
{
    if (!list_linked(&l->age))
        return;
    map_remove(&ls->by_id, slice_str(l->id));
    list_unlink(&l->age);
}

size_t leases_count(const struct leases *ls)
{
    return map_count(&ls->by_id);
}

const char *lease_end_name(enum lease_end end)
{
    static const char *const names[LEASE_ENDS] = {"settled", "refused", "expired", "unclaimed"};

    return names[end];
}
