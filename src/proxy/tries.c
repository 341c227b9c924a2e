/* tries: an entry without failures is free. A name that is longer than its place is cut, at the same byte each time. */
#include "metergate/proxy/tries.h"

#include <string.h>

static struct slice cut(struct slice who)
{
    return slice_head(who, sizeof ((struct tries_of *)0)->who - 1);
}

static const struct tries_of *find(const struct tries *t, struct slice who)
{
    for (size_t i = 0; i < TRIES_WHO_MAX; i++) {
        if (t->v[i].failures && slice_eq(slice_str(t->v[i].who), cut(who)))
            return &t->v[i];
    }
    return NULL;
}

int64_t tries_wait_us(const struct tries *t, struct slice who, int64_t now_us)
{
    const struct tries_of *of = find(t, who);
    int64_t left_us = of ? of->since_us + TRIES_SPAN_US - now_us : 0;

    return of && of->failures >= TRIES_MAX && left_us > 0 ? left_us : 0;
}

static struct tries_of *oldest(struct tries *t)
{
    struct tries_of *found = &t->v[0];

    for (size_t i = 0; i < TRIES_WHO_MAX && found->failures; i++) {
        if (!t->v[i].failures || t->v[i].since_us < found->since_us)
            found = &t->v[i];
    }
    return found;
}

void tries_failed(struct tries *t, struct slice who, int64_t now_us)
{
    struct tries_of *of = (struct tries_of *)find(t, who);

    if (!of) {
        of = oldest(t);
        *of = (struct tries_of){0};
        memcpy(of->who, cut(who).p ? cut(who).p : "", cut(who).n);
    }
    if (of->failures == 0 || now_us - of->since_us >= TRIES_SPAN_US) {
        of->failures = 0;
        of->since_us = now_us;
    }
    of->failures++;
}
