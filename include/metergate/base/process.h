/*
 * process: other processes, as /proc shows them. One that has ended, belongs to somebody else, or is hidden (hidepid,
 * ProtectProc) is not there. It reads many small files: not for the loop's thread.
 */
#ifndef METERGATE_BASE_PROCESS_H
#define METERGATE_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/client_name.h"

/* What is looked for: a process of that user that has this socket open. */
struct process_wanted {
    uid_t uid;
    uint32_t inode; /* the socket's (fstat, sock_diag) */
};

/* Which descriptor of from..to the socket is in that process; -1: none, or it is another user's. */
int process_descriptor(pid_t pid, const struct process_wanted *w, int from, int to);

/*
 * One that has it open among those that `procs`, a file of process numbers (cgroup.procs), lists; NULL: among all; and as which
 * descriptor. 0 when none was found, or not before `until_us` (clock_spent_us).
 */
pid_t process_find(const char *procs, const struct process_wanted *w, int64_t until_us, int *ret_fd);

/* What it runs (program.h), if it is that user's. False, and "", when that cannot be seen. */
bool process_program(pid_t pid, uid_t uid, char ret[CLIENT_NAME_SIZE]);

#endif
