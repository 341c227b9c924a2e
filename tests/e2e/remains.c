/* remains: a mapping may go while it is looked at; what cannot be read has nothing in it. */
#include "remains.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define PIECE       ((size_t)1 << 20)
#define TEXT_MAX    256
#define WAIT_MS     20000
#define MAPPING_MAX ((unsigned long)1 << 30) /* nothing of ours is larger; a sanitizer's shadow is */

static int open_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool remains_can_be_seen(pid_t pid)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)pid;
    return false;
#else
    int fd = open_of(pid, "mem");

    if (fd >= 0)
        close(fd);
    return fd >= 0;
#endif
}

bool remains_can_be_locked(void)
{
    static char page[4096];
    bool can = mlock(page, sizeof page) == 0;

    if (can)
        (void)munlock(page, sizeof page);
    return can;
}

struct mapping {
    unsigned long from, to;
    char name[128];
};

/* Piece by piece, each with the end of the one before. */
static int count_in(int mem, const struct mapping *m, const char *text, bool show)
{
    size_t n = strlen(text), kept = 0;
    char *bytes = xmalloc(PIECE + TEXT_MAX);
    int found = 0;

    for (unsigned long at = m->from; at < m->to;) {
        size_t want = m->to - at < PIECE ? m->to - at : PIECE;
        ssize_t got = pread(mem, bytes + kept, want, (off_t)at);
        const char *p = bytes, *end;

        if (got <= 0)
            break;
        end = bytes + kept + got;
        while ((p = memmem(p, (size_t)(end - p), text, n)) != NULL) {
            if (show)
                print_error("a copy at %#lx, in %lx-%lx %s\n", at - kept + (size_t)(p - bytes), m->from, m->to, m->name);
            found++;
            p++;
        }
        at += (unsigned long)got;
        kept = (size_t)(end - bytes) < n - 1 ? (size_t)(end - bytes) : n - 1;
        memmove(bytes, end - kept, kept);
    }
    free(bytes);
    return found;
}

int remains_of(pid_t pid, const char *text, bool locked, bool show)
{
    FILE *maps = fdopen(open_of(pid, "smaps"), "r");
    int mem = open_of(pid, "mem"), found = 0;
    struct mapping m = {0};
    bool writable = false, can_lock = remains_can_be_locked();
    char line[512];

    assert_true(maps && mem >= 0 && strlen(text) > 8 && strlen(text) < TEXT_MAX);
    while (fgets(line, sizeof line, maps)) {
        struct mapping next = {0};
        char rights[8];
        bool is_locked = strstr(line, " dd") && (strstr(line, " lo") || !can_lock);

        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %127s", &next.from, &next.to, rights, next.name) >= 3) {
            m = next;
            writable = rights[0] == 'r' && rights[1] == 'w';
        } else if (strncmp(line, "VmFlags:", 8) == 0 && writable && is_locked == locked && m.to - m.from <= MAPPING_MAX) {
            found += count_in(mem, &m, text, show);
        }
    }
    fclose(maps);
    close(mem);
    return found;
}

void remains_wait_none(pid_t pid, const char *text, const char *what)
{
    int64_t end_us = clock_now_us() + WAIT_MS * CLOCK_MS;

    while (remains_of(pid, text, false, false) > 0) {
        if (clock_now_us() > end_us)
            fail_msg("%s: %d copies are left", what, remains_of(pid, text, false, true));
        poll(NULL, 0, 20);
    }
}
