/*
 * origin: an entry of `groups` is there once the control group was searched for; its unit never changes, because the id of a group
 * is not used again while the machine runs. A connection is told its origin once.
 */
#include "metergate/proxy/origin.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/cgroup.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/base/holders.h"
#include "metergate/net/exchange.h"

struct group {
    struct unit unit;
    int64_t until_us; /* then it is looked for again */
    char *procs;      /* the file that lists its processes; NULL: it was not found */
};

void origins_init(struct origins *o)
{
    map_init(&o->groups);
    o->holders = holders_new();
}

static void free_group(void *arg, struct slice key, void *value)
{
    (void)arg;
    (void)key;
    free(((struct group *)value)->procs);
    free(value);
}

static void forget(struct origins *o)
{
    map_each(&o->groups, free_group, NULL);
    map_release(&o->groups);
}

void origins_release(struct origins *o)
{
    forget(o);
    holders_free(o->holders);
}

static struct slice key_of(const uint64_t *id)
{
    return slice_of((const char *)id, sizeof *id);
}

static struct group *group_of(const struct origins *o, uint64_t id, int64_t now_us)
{
    struct group *g = id ? map_get(&o->groups, key_of(&id)) : NULL;

    return g && now_us < g->until_us ? g : NULL;
}

/* Root sees all; and /proc shows a user his own. */
static bool may_see_programs_of(uid_t uid)
{
    uid_t us = geteuid();

    return us == 0 || us == uid;
}

/* Whether the unit is all the answer. */
static bool is_enough(const struct unit *u)
{
    return u->name[0] && !u->is_general;
}

bool origin_of(const struct origins *o, const struct exchange *x, int64_t now_us, struct slice *ret)
{
    const struct group *g;
    struct peer who;

    *ret = SLICE("");
    if (exchange_origin(x, ret) || exchange_peer_who(x, &who) < 0)
        return true;
    if (who.pid) /* a Unix socket */
        return false;
    g = group_of(o, who.cgroup, now_us);
    if (g && (is_enough(&g->unit) || !may_see_programs_of(who.uid))) {
        *ret = slice_str(g->unit.name);
        return true;
    }
    return !who.cgroup && !(who.inode && may_see_programs_of(who.uid));
}

struct origin_search *origin_search_new(const struct origins *o, const struct exchange *x, int64_t now_us)
{
    struct origin_search *s = xcalloc(1, sizeof *s);
    const struct group *g;

    s->holders = o->holders;
    if (exchange_peer_who(x, &s->peer) < 0) /* then there is nothing to search for */
        return s;
    s->may_see_programs = may_see_programs_of(s->peer.uid);
    g = group_of(o, s->peer.cgroup, now_us);
    s->has_unit = g != NULL;
    if (g) {
        s->unit = g->unit;
        s->procs = g->procs ? xstrdup(g->procs) : NULL;
    }
    return s;
}

void origin_search_free(struct origin_search *s)
{
    if (s)
        free(s->procs);
    free(s);
}

/* ---- in a worker's thread ---- */

/* The unit, and the file that lists the processes of the control group. */
static void find_unit(struct origin_search *s)
{
    char mount[CGROUP_PATH_SIZE], path[CGROUP_PATH_SIZE];
    struct buf procs;
    int rc;

    s->has_unit = true;
    if (s->peer.pid) {
        if (cgroup_of_process(s->peer.pid, path) == 0)
            s->unit = unit_of_cgroup(slice_str(path));
        return;
    }
    if (!s->peer.cgroup || cgroup_mount(mount) < 0)
        return;
    rc = cgroup_path(mount, s->peer.cgroup, clock_spent_us() + ORIGIN_GROUP_US, path);
    s->timed_out = rc == -ETIMEDOUT;
    if (rc < 0)
        return;
    s->unit = unit_of_cgroup(slice_str(path));
    buf_init(&procs, BUF_UNLIMITED);
    buf_addf(&procs, "%s%s/cgroup.procs", mount, path);
    s->procs = buf_take(&procs, NULL);
}

static bool find_program(const struct origin_search *s, char ret[CLIENT_NAME_SIZE])
{
    const struct process_wanted wanted = {.uid = s->peer.uid, .inode = s->peer.inode};
    pid_t pid = s->peer.pid;

    if (!pid && wanted.inode)
        pid = holders_find(s->holders, s->procs, &wanted);
    return pid && process_program(pid, wanted.uid, ret);
}

void origin_search(struct origin_search *s)
{
    char program[CLIENT_NAME_SIZE];
    bool found;

    if (!s->has_unit)
        find_unit(s);
    found = !is_enough(&s->unit) && s->may_see_programs && find_program(s, program);
    memcpy(s->name, found ? program : s->unit.name, sizeof s->name);
}

/* ---- and back ---- */

static void keep_group(struct origins *o, const struct origin_search *s, int64_t now_us)
{
    struct group *g = map_get(&o->groups, key_of(&s->peer.cgroup));

    if (!g) {
        if (map_count(&o->groups) == ORIGIN_GROUPS_MAX)
            forget(o);
        g = xcalloc(1, sizeof *g);
        map_set(&o->groups, key_of(&s->peer.cgroup), g);
    }
    if (!g->procs && s->procs)
        g->procs = xstrdup(s->procs);
    g->unit = s->unit;
    g->until_us = s->timed_out ? now_us + ORIGIN_AGAIN_US : CLOCK_NEVER;
}

void origin_learn(struct origins *o, struct exchange *x, const struct origin_search *s, int64_t now_us)
{
    if (s->peer.cgroup)
        keep_group(o, s, now_us);
    if (x)
        exchange_set_origin(x, s->name);
}
