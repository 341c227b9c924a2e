/*
 * user: the local users, as /etc/passwd has them. Other directories (LDAP, sssd, systemd-homed) are not
 * asked: they may take seconds to answer, and the loop's thread asks here. A user who is known only there is
 * a number to us.
 */
#ifndef METERGATE_BASE_USER_H
#define METERGATE_BASE_USER_H

#include <stddef.h>
#include <sys/types.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* The longest name, with its NUL, that is found. */
#define USER_NAME_SIZE 65

/* Each: 0, or -ENOENT when there is no such user. */
int user_uid(struct slice name, uid_t *ret) MG_MUSTCHECK;

/* The user's own group. */
int user_gid(uid_t uid, gid_t *ret) MG_MUSTCHECK;
int user_name(uid_t uid, char ret[USER_NAME_SIZE]) MG_MUSTCHECK;

#endif
