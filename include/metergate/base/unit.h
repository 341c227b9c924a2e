/*
 * unit: the systemd unit or container that a control group stands for, as a name. Pure.
 *
 *   /system.slice/nightly.service                                          nightly
 *   /system.slice/system-backup.slice/backup@ana.service                   backup_ana
 *   /user.slice/user-1000.slice/user@1000.service/app.slice/X.service      X
 *   .../app-gnome-org.example.Editor-1234.scope                            org.example.Editor
 *   /system.slice/docker-<64 hexadecimal digits>.scope, /docker/<64 ...>   docker-<the first 12>
 *   /machine.slice/systemd-nspawn@box.service/payload/system.slice/X.service   X
 *   a session, a terminal, the manager of a user, init.scope, /             none
 *
 * The innermost unit counts, because it is the one that was meant by who started it.
 */
#ifndef METERGATE_BASE_UNIT_H
#define METERGATE_BASE_UNIT_H

#include <stdbool.h>

#include "metergate/base/client_name.h"
#include "metergate/base/slice.h"

struct unit {
    char name[CLIENT_NAME_SIZE]; /* as client_name_make makes it; "": no unit */
    bool is_general; /* it says little of what runs in it (cron.service, run-u12.service): a program's name says more */
};

/* `path` is below the root of the hierarchy (cgroup_path), and may be anything. */
struct unit unit_of_cgroup(struct slice path);

#endif
