/* status_process: the process that answers. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status_inside.h"

/* One by one; -1 where there is no /proc. */
static int64_t count_files(const char *dir)
{
    DIR *d = opendir(dir);
    int64_t n = -3; /* ".", "..", and the one that it is read by */

    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Linux 6.2 tells the number as the size of the directory; before that it was 0. */
static int64_t open_descriptors(void)
{
    struct stat st;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return st.st_size;
    return count_files("/proc/self/fd");
}

void status_write_process(struct json_writer *w, const struct proxy *p)
{
    json_key(w, "process");
    json_object_begin(w);
    json_member_int(w, "pid", getpid());
    json_member_str(w, "user", slice_str(p->user));
    status_member_text(w, "config", p->config->path);
    status_member_text(w, "state_dir", p->state_dir.n ? p->state_dir.p : NULL);
    json_member_int(w, "descriptors", open_descriptors());
    json_member_int(w, "descriptors_max", (int64_t)p->capacity.descriptors);
    json_member_int(w, "connections", front_stats(p->front).connections);
    json_member_int(w, "connections_max", p->capacity.connections);
    json_member_int(w, "held_max", p->config->queue.max_requests);
    json_object_end(w);
}
