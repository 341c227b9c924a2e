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

#include "metergate/base/clock.h"
#include "metergate/base/program.h"

/* Of a command line; nobody's name stands behind that. */
#define CMDLINE_MAX 4096

static bool is_of(pid_t pid, uid_t uid)
{
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return stat(path, &st) == 0 && st.st_uid == uid;
}

bool process_has(pid_t pid, const struct process_wanted *w, int64_t until_us)
{
    char path[32], want[32], link[32];
    const struct dirent *e;
    bool found = false;
    ssize_t n;
    DIR *d;

    if (!is_of(pid, w->uid))
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    snprintf(want, sizeof want, "socket:[%u]", (unsigned)w->inode);
    d = opendir(path);
    /* a worker's thread: the loop's time is none of its */
    while (d && !found && clock_now_us() <= until_us && (e = readdir(d)) != NULL) {
        n = readlinkat(dirfd(d), e->d_name, link, sizeof link);
        found = n > 0 && slice_eq(slice_of(link, (size_t)n), slice_str(want));
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

static pid_t find_among_all(const struct process_wanted *w, int64_t until_us)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    pid_t found = 0;

    while (d && !found && (e = readdir(d)) != NULL) {
        pid_t pid = pid_in(slice_str(e->d_name));

        if (clock_now_us() > until_us)
            break;
        if (pid && process_has(pid, w, until_us))
            found = pid;
    }
    if (d)
        closedir(d);
    return found;
}

pid_t process_find(const char *procs, const struct process_wanted *w, int64_t until_us)
{
    char *line = NULL;
    size_t size = 0;
    pid_t found = 0;
    ssize_t n;
    FILE *f;

    if (!procs)
        return find_among_all(w, until_us);
    f = fopen(procs, "re");
    while (f && !found && (n = getline(&line, &size, f)) > 0 && clock_now_us() <= until_us) {
        pid_t pid = pid_in(slice_head(slice_str(line), slice_find(slice_str(line), '\n')));

        if (pid && process_has(pid, w, until_us))
            found = pid;
    }
    free(line);
    if (f)
        fclose(f);
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
