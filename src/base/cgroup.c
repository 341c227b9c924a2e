/*
 * cgroup: the tree is gone through level by level, because anybody who has a subtree of his own can fill it with as many
 * groups as he likes: so he hides at most his own. What waits to be looked at is one buffer of paths with a bound.
 */
#include "metergate/base/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/file.h"

#define MOUNTINFO_MAX ((size_t)1024 * 1024)
#define WAITING_MAX   ((size_t)4 * 1024 * 1024)

/* ---- where ---- */

/* The next word of a line, without it and its blank in *line. */
static struct slice word(struct slice *line)
{
    size_t end = slice_find(*line, ' ');
    struct slice w = slice_head(*line, end);

    *line = slice_skip(*line, end + 1);
    return w;
}

/* \040 and its like. */
static int unescape(struct slice text, char *ret, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '\\' && i + 3 < text.n) {
            c = (char)((text.p[i + 1] - '0') * 64 + (text.p[i + 2] - '0') * 8 + (text.p[i + 3] - '0'));
            i += 3;
        }
        if (n + 1 >= size || c == '\0')
            return -ENOENT;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return 0;
}

int cgroup_mount_in(struct slice mountinfo, char ret[CGROUP_PATH_SIZE])
{
    while (mountinfo.n) {
        size_t end = slice_find(mountinfo, '\n');
        struct slice line = slice_head(mountinfo, end), where = {NULL, 0};

        mountinfo = slice_skip(mountinfo, end + 1);
        /* id parent major:minor root WHERE options [more]... - TYPE source options */
        for (int i = 0; i < 5; i++)
            where = word(&line);
        while (line.n && !slice_eq(word(&line), SLICE("-")))
            ;
        if (where.n && slice_eq(word(&line), SLICE("cgroup2")))
            return unescape(where, ret, CGROUP_PATH_SIZE);
    }
    return -ENOENT;
}

int cgroup_mount(char ret[CGROUP_PATH_SIZE])
{
    struct errbuf unsaid;
    struct buf text;
    int rc;

    buf_init(&text, MOUNTINFO_MAX);
    rc = file_read("/proc/self/mountinfo", &text, &unsaid);
    rc = rc == 0 ? cgroup_mount_in(buf_slice(&text), ret) : -ENOENT;
    buf_release(&text);
    return rc;
}

/* ---- which ---- */

struct search {
    const char *mount;
    uint64_t id;
    struct buf waiting; /* paths below the mount, each with its NUL; those before `at` are done */
    size_t at;
    char *ret;
};

static bool joined(char *ret, const char *a, const char *b, const char *c)
{
    int n = snprintf(ret, CGROUP_PATH_SIZE, "%s%s%s", a, b, c);

    return n > 0 && n < CGROUP_PATH_SIZE;
}

/* Looks at what is in the group `path`, which has no '/' at its end; true when it was found. */
static bool look_into(struct search *s, const char *path)
{
    char full[CGROUP_PATH_SIZE];
    const struct dirent *e;
    bool found = false;
    DIR *d;

    if (!joined(full, s->mount, path, ""))
        return false;
    d = opendir(full);
    while (d && !found && (e = readdir(d)) != NULL) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !joined(full, path, "/", e->d_name))
            continue;
        found = e->d_ino == s->id;
        if (found)
            memcpy(s->ret, full, strlen(full) + 1);
        else if (buf_append(&s->waiting, full, strlen(full) + 1) < 0)
            break; /* too many: the rest of this one is left out */
    }
    if (d)
        closedir(d);
    return found;
}

int cgroup_path(const char *mount, uint64_t id, int64_t until_us, char ret[CGROUP_PATH_SIZE])
{
    struct search s = {.mount = mount, .id = id, .ret = ret};
    char path[CGROUP_PATH_SIZE] = "";
    struct stat st;
    bool found;
    int rc = -ENOENT;

    if (stat(mount, &st) < 0)
        return -ENOENT;
    if (st.st_ino == id) {
        memcpy(ret, "/", sizeof "/");
        return 0;
    }
    buf_init(&s.waiting, WAITING_MAX);
    found = look_into(&s, path);
    while (!found && s.at < s.waiting.n) {
        if (clock_spent_us() > until_us) {
            rc = -ETIMEDOUT;
            break;
        }
        memcpy(path, s.waiting.p + s.at, strlen(s.waiting.p + s.at) + 1); /* the buffer may move */
        s.at += strlen(path) + 1;
        found = look_into(&s, path);
    }
    buf_release(&s.waiting);
    return found ? 0 : rc;
}

int cgroup_of_process(pid_t pid, char ret[CGROUP_PATH_SIZE])
{
    struct errbuf unsaid;
    struct slice left;
    struct buf text;
    char path[64];
    int rc = -ENOENT;

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    buf_init(&text, (size_t)4 * CGROUP_PATH_SIZE);
    if (file_read(path, &text, &unsaid) < 0)
        buf_reset(&text);
    for (left = buf_slice(&text); left.n && rc < 0;) {
        struct slice line = slice_head(left, slice_find(left, '\n'));

        left = slice_skip(left, line.n + 1);
        if (!slice_starts(line, SLICE("0::/")) || line.n - 3 >= CGROUP_PATH_SIZE)
            continue;
        memcpy(ret, line.p + 3, line.n - 3);
        ret[line.n - 3] = '\0';
        rc = 0;
    }
    buf_release(&text);
    return rc;
}
