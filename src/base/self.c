/* self: /proc/self/stat is one line; its second field, the program's name, may hold blanks and brackets, so fields are
 * counted from the last bracket on. */
#include "metergate/base/self.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/base/clock.h"

/* What stands behind the program's name. */
static void read_stat(const char *fields, struct self_figures *ret)
{
    uint64_t virtual_bytes;
    int64_t resident_pages;
    long threads;

    if (sscanf(fields, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %*u %" SCNu64 " %" SCNd64,
               &threads, &virtual_bytes, &resident_pages) != 3)
        return;
    ret->threads = threads;
    ret->virtual_bytes = (int64_t)virtual_bytes;
    ret->resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
}

/* Since Linux 6.2 the folder's size is their number; before it they have to be counted. */
int64_t self_descriptors(void)
{
    struct stat st;
    int64_t n = -3; /* ".", "..", and the one that it is read by */
    DIR *d;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return st.st_size;
    d = opendir("/proc/self/fd");
    if (!d)
        return -1;
    while (readdir(d)) /* cppcheck-suppress readdirCalled */
        n++;
    closedir(d);
    return n;
}

void self_read(struct self_figures *ret)
{
    char line[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    const char *end;
    struct rusage used;
    struct rlimit files;

    *ret = (struct self_figures){-1, -1, -1, -1, -1, -1};
    if (f) {
        end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (end)
            read_stat(end + 1, ret);
        fclose(f);
    }
    if (getrusage(RUSAGE_SELF, &used) == 0)
        ret->cpu_us = ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec) * CLOCK_S + used.ru_utime.tv_usec +
                      used.ru_stime.tv_usec;
    ret->descriptors = self_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        ret->descriptors_max = (int64_t)files.rlim_cur;
}
