/* process: numbers of processes are used again, so whose one is, is looked at each time. */
#include "metergate/base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/program.h"

/* More than these are not looked at. */
#define PROCESSES_MAX ((size_t)100000)

/* Of a command line; nobody's name stands behind that. */
#define CMDLINE_MAX 4096

static bool is_of(pid_t pid, uid_t uid)
{
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return stat(path, &st) == 0 && st.st_uid == uid;
}

/* The link of /proc that an open socket is. */
static struct slice link_of(const struct process_wanted *w, char room[32])
{
    snprintf(room, 32, "socket:[%u]", (unsigned)w->inode);
    return slice_str(room);
}

static bool leads_to(int dir, const char *name, struct slice want)
{
    char link[32];
    ssize_t n = readlinkat(dir, name, link, sizeof link);

    return n > 0 && slice_eq(slice_of(link, (size_t)n), want);
}

int process_descriptor(pid_t pid, const struct process_wanted *w, int from, int to)
{
    char path[32], room[32];
    struct slice want = link_of(w, room);

    if (!is_of(pid, w->uid))
        return -1;
    for (int fd = from < 0 ? 0 : from; fd <= to; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        if (leads_to(AT_FDCWD, path, want))
            return fd;
    }
    return -1;
}

/* -1: it has not, or not before time is over. */
static int descriptor_of(pid_t pid, const struct process_wanted *w, int64_t until_us)
{
    char path[32], room[32];
    struct slice want = link_of(w, room);
    const struct dirent *e;
    int found = -1;
    DIR *d;

    if (!is_of(pid, w->uid))
        return -1;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    d = opendir(path);
    while (d && found < 0 && clock_spent_us() <= until_us && (e = readdir(d)) != NULL) {
        int64_t fd;

        if (leads_to(dirfd(d), e->d_name, want) && slice_int64(slice_str(e->d_name), &fd) == 0)
            found = (int)fd;
    }
    if (d)
        closedir(d);
    return found;
}

/* 0: it is no number of a process. */
static pid_t pid_in(struct slice text)
{
    int64_t n;

    return slice_int64(text, &n) == 0 && n > 0 && n <= INT32_MAX ? (pid_t)n : 0;
}

static void add_pid(struct buf *pids, struct slice text)
{
    pid_t pid = pid_in(text);

    if (pid && pids->n < PROCESSES_MAX * sizeof pid)
        buf_add(pids, &pid, sizeof pid);
}

static void list_all(struct buf *pids)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        add_pid(pids, slice_str(e->d_name));
    if (d)
        closedir(d);
}

static void list_of(const char *procs, struct buf *pids)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    FILE *f = fopen(procs, "re");

    while (f && (n = getline(&line, &size, f)) > 0)
        add_pid(pids, slice_of(line, line[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n));
    free(line);
    if (f)
        fclose(f);
}

static int higher_first(const void *a, const void *b)
{
    pid_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? 1 : x > y ? -1 : 0;
}

pid_t process_find(const char *procs, const struct process_wanted *w, int64_t until_us, int *ret_fd)
{
    pid_t found = 0, pid;
    struct buf pids;

    buf_init(&pids, BUF_UNLIMITED);
    if (procs)
        list_of(procs, &pids);
    else
        list_all(&pids);
    /* who calls was started lately, as a rule, and has a high number */
    if (pids.n)
        qsort(pids.p, pids.n / sizeof pid, sizeof pid, higher_first);
    for (size_t i = 0; i < pids.n / sizeof pid && !found && clock_spent_us() <= until_us; i++) {
        int fd;

        memcpy(&pid, pids.p + i * sizeof pid, sizeof pid);
        fd = descriptor_of(pid, w, until_us);
        if (fd < 0)
            continue;
        found = pid;
        *ret_fd = fd;
    }
    buf_release(&pids);
    return found;
}

bool process_program(pid_t pid, uid_t uid, char ret[CLIENT_NAME_SIZE])
{
    char path[32], cmdline[CMDLINE_MAX];
    ssize_t n = -1;
    int fd;

    ret[0] = '\0';
    if (!is_of(pid, uid))
        return false;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, cmdline, sizeof cmdline);
        close(fd);
    }
    return n > 0 && program_name_of_cmdline(slice_of(cmdline, (size_t)n), ret);
}
