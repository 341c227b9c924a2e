/*
 * cgroup: control groups of version 2, as the file system shows them. Nothing here needs a privilege. It reads files and
 * directories, which may take milliseconds: not for the loop's thread.
 */
#ifndef METERGATE_BASE_CGROUP_H
#define METERGATE_BASE_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* A path that would be longer is not found. */
#define CGROUP_PATH_SIZE 4096

/* Where the cgroup2 hierarchy is mounted, by a /proc/PID/mountinfo (man 5 proc). -ENOENT. Pure. */
int cgroup_mount_in(struct slice mountinfo, char ret[CGROUP_PATH_SIZE]) MG_MUSTCHECK;

/* The same of this process. -ENOENT: version 1 alone, or none. */
int cgroup_mount(char ret[CGROUP_PATH_SIZE]) MG_MUSTCHECK;

/*
 * The path below `mount`, "/" for itself, of the group with that id, which is the inode number of its directory. Groups that lie
 * nearer to the root are looked at first, and none after `until_us` (clock_spent_us). -ENOENT when there is none, -ETIMEDOUT.
 */
int cgroup_path(const char *mount, uint64_t id, int64_t until_us, char ret[CGROUP_PATH_SIZE]) MG_MUSTCHECK;

/* The path of the group that the process is in. -ENOENT when it cannot be seen, or is in none of version 2. */
int cgroup_of_process(pid_t pid, char ret[CGROUP_PATH_SIZE]) MG_MUSTCHECK;

#endif
