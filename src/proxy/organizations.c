/* organizations: names are all different; those beyond ORGANIZATIONS_MAX are strangers that are not counted. */
#include "metergate/proxy/organizations.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"

void organizations_release(struct organizations *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->names[i]);
    *p = (struct organizations){0};
}

static size_t find(const struct organizations *p, struct slice name)
{
    size_t i = 0;

    while (i < p->n && !slice_eq(name, slice_str(p->names[i])))
        i++;
    return i;
}

static void put_first(struct organizations *p, size_t i)
{
    char *name = p->names[i];

    p->names[i] = p->names[0];
    p->names[0] = name;
}

bool organizations_see(struct organizations *p, struct slice name, const char *from, int64_t now_us)
{
    size_t i;

    if (name.n == 0 || (p->n > 0 && strcmp(p->from, from) != 0))
        return true;
    i = find(p, name);
    if (i == p->n && p->n < ORGANIZATIONS_MAX) {
        p->from = from;
        p->names[p->n++] = xstrndup(name.p, name.n);
    }
    if (i > 0 && i < p->n && now_us - p->first_seen_us >= ORGANIZATIONS_GONE_US) {
        put_first(p, i);
        i = 0;
    }
    if (i == 0)
        p->first_seen_us = now_us;
    return i == 0;
}
