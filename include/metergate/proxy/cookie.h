/*
 * cookie: the pairs of a Cookie header. Pure.
 * Source: RFC 6265 4.2.1 (what user agents send: NAME=VALUE, separated by "; ").
 */
#ifndef METERGATE_PROXY_COOKIE_H
#define METERGATE_PROXY_COOKIE_H

#include <stdbool.h>

#include "metergate/base/slice.h"

/* The name of our own. A browser sends it to every port of the machine that set it, so others may set one, too. */
#define COOKIE_NAME "metergate"

/* Takes the next pair off *rest, without the blanks around it; false when none is left. Empty ones are skipped. */
bool cookie_next(struct slice *rest, struct slice *ret_pair);

/* Whether a pair is ours; then its value goes to *ret_value. */
bool cookie_is_ours(struct slice pair, struct slice *ret_value);

/* Whether one of ours is among the pairs of a header. */
bool cookie_has_ours(struct slice header);

/* The header without ours, written to `to`, which has room for 2 * header.n bytes; empty when nothing else is in it. */
struct slice cookie_without_ours(struct slice header, char *to);

#endif
