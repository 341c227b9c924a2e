/*
 * query: the parameters of a target's query, for Metergate's own endpoints (a provider's are never looked
 * into). Escapes are decoded (RFC 3986 2.1); a '+' stands for itself, so that a time of another zone can be
 * written as it is.
 */
#ifndef METERGATE_PROXY_QUERY_H
#define METERGATE_PROXY_QUERY_H

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* One parameter, decoded into buffers that are the caller's; without '=' its value is empty. */
struct query_pair {
    struct buf name, value;
};

void query_pair_init(struct query_pair *q);
void query_pair_release(struct query_pair *q);

/*
 * Takes the next parameter off *rest. 1; 0 when none is left; -EINVAL, with a sentence that names the
 * parameter, when it has a '%' without two hexadecimal digits, a control character, or bytes that are not
 * UTF-8. Empty ones ("a=1&&b=2") are skipped.
 */
int query_next(struct slice *rest, struct query_pair *ret, struct errbuf *e) MG_MUSTCHECK;

#endif
