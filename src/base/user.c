/* user: the file is read anew for each question; whoever asks often keeps the answer. */
#include "metergate/base/user.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>

/* An entry with more text than this is skipped. */
#define ENTRY_MAX 4096

/* Calls `take` for every user until it returns true. */
static int find(bool (*take)(const struct passwd *user, void *ctx), void *ctx)
{
    FILE *f = fopen("/etc/passwd", "re");
    struct passwd user = {0}, *got;
    char text[ENTRY_MAX];
    int rc, found = -ENOENT;

    if (!f)
        return -ENOENT;
    while (found < 0 && ((rc = fgetpwent_r(f, &user, text, sizeof text, &got)) == 0 || rc == ERANGE)) {
        if (rc == 0 && take(got, ctx))
            found = 0;
    }
    fclose(f);
    return found;
}

struct by_name {
    struct slice name;
    uid_t uid;
};

static bool has_name(const struct passwd *user, void *ctx)
{
    struct by_name *q = ctx;

    q->uid = user->pw_uid;
    return slice_eq(q->name, slice_str(user->pw_name));
}

int user_uid(struct slice name, uid_t *ret)
{
    struct by_name q = {.name = name};
    int rc = find(has_name, &q);

    if (rc == 0)
        *ret = q.uid;
    return rc;
}

struct group_of {
    uid_t uid;
    gid_t gid;
};

static bool has_group(const struct passwd *user, void *ctx)
{
    struct group_of *q = ctx;

    q->gid = user->pw_gid;
    return user->pw_uid == q->uid;
}

int user_gid(uid_t uid, gid_t *ret)
{
    struct group_of q = {.uid = uid};
    int rc = find(has_group, &q);

    if (rc == 0)
        *ret = q.gid;
    return rc;
}

struct by_uid {
    uid_t uid;
    char *name;
};

static bool has_uid(const struct passwd *user, void *ctx)
{
    const struct by_uid *q = ctx;
    struct slice name = slice_str(user->pw_name);

    if (user->pw_uid != q->uid || name.n == 0 || name.n >= USER_NAME_SIZE)
        return false;
    memcpy(q->name, name.p, name.n + 1);
    return true;
}

int user_name(uid_t uid, char ret[USER_NAME_SIZE])
{
    struct by_uid q = {uid, ret};

    return find(has_uid, &q);
}
