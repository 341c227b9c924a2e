/*
 * place: a directory of a fuzz target's own that is gone at exit, in memory where the system has such a place: millions of
 * inputs are not for a disk.
 */
#ifndef METERGATE_TESTS_FUZZ_PLACE_H
#define METERGATE_TESTS_FUZZ_PLACE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

static char place[64]; /* its path; empty before place_make */

/* Removes the files in it. */
static inline void place_clear(void)
{
    DIR *d = opendir(place);

    MG_ASSERT(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) { /* cppcheck-suppress readdirCalled */
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

static inline void place_remove(void)
{
    place_clear();
    (void)rmdir(place);
}

/* False: it is there already. */
static inline bool place_make(void)
{
    if (place[0])
        return false;
    snprintf(place, sizeof place, "%s/metergate-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MG_ASSERT(mkdtemp(place) && atexit(place_remove) == 0);
    return true;
}

/* The path of a file in it. */
struct place_path {
    char text[96];
};

static inline struct place_path place_path(const char *name)
{
    struct place_path p;

    snprintf(p.text, sizeof p.text, "%s/%s", place, name);
    return p;
}

/* The file has these bytes, and nothing else. */
static inline void place_write(const char *name, struct slice bytes)
{
    int fd = open(place_path(name).text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MG_ASSERT(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    close(fd);
}

#endif
