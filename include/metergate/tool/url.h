/*
 * url: the parts of an address that somebody put into a variable. What stands before an '@' of its host may
 * be a password: it is skipped, and in none of the parts.
 */
#ifndef METERGATE_TOOL_URL_H
#define METERGATE_TOOL_URL_H

#include <stdbool.h>

#include "metergate/base/slice.h"

/* Borrowed from the text. */
struct url {
    bool tls;
    struct slice host; /* without brackets; never empty */
    int port;          /* 80 or 443 where none is named */
    struct slice path; /* "" or "/...", without slashes at its end, query and fragment */
};

/* -EINVAL for what is neither http nor https, or has no host or an impossible port. */
int url_read(struct slice text, struct url *ret) MG_MUSTCHECK;

/* localhost, 127.0.0.0/8, ::1. */
bool url_host_is_loopback(struct slice host);

/* Whether both lead to the same listener: one port, and one host or this machine by two of its names. */
bool url_same_place(const struct url *a, const struct url *b);

#endif
