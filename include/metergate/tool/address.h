/*
 * address: where the daemon is: "http://127.0.0.1:4283" without a slash at the end, or
 * "unix:/run/metergate.sock".
 */
#ifndef METERGATE_TOOL_ADDRESS_H
#define METERGATE_TOOL_ADDRESS_H

#include <stdbool.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define ADDRESS_DEFAULT "http://127.0.0.1:4283"

#define ADDRESS_SIZE 1024

struct address {
    char text[ADDRESS_SIZE]; /* readable; a URL may have a name and a password in it */
};

/* What people are shown of it: "***" stands in the place of a name and a password. */
struct address_shown {
    char text[ADDRESS_SIZE + 4];
};
struct address_shown address_shown(const struct address *a);

/* `given` (an option's value, may be NULL), else $METERGATE_URL, else the default. -EINVAL with a sentence.
 */
int address_find(struct address *a, const char *given, struct errbuf *e) MG_MUSTCHECK;

/* The socket's path, or NULL for a URL. */
const char *address_unix_path(const struct address *a);

/* The host of a URL, without the brackets of an IPv6 address. Borrowed from `a`. */
struct slice address_host(const struct address *a);

#endif
