/*
 * inquiry: what a request asks of the ledger, read from its path and query. Pure; nothing of the request is
 * kept.
 *
 *   /-/usage?by=&since=&until=                 sums; by model, and of 24 hours, if not said otherwise
 *   /-/calls?limit=&client=&model=&before=     calls, the latest first; 100 of them
 *   /-/calls/now?limit=&client=&model=         calls that are not over; of memory, not of the ledger
 *   /-/calls/ID                                one
 *   /-/compare?model=A&model=B&since=&until=   2 to 10 models, over 30 days
 *
 * A parameter that is empty is one that was not given.
 */
#ifndef METERGATE_PROXY_INQUIRY_H
#define METERGATE_PROXY_INQUIRY_H

#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/ledger/report.h"

enum inquiry_kind { INQUIRY_USAGE, INQUIRY_CALLS, INQUIRY_NOW, INQUIRY_CALL, INQUIRY_COMPARE, INQUIRIES };

#define INQUIRY_MODELS_MAX 10

struct inquiry {
    enum inquiry_kind kind;
    int64_t now_us;

    /* USAGE, COMPARE. Without `until` the span has no end, so that a call that was just answered is in it
     * though a clock was stepped; what is shown as its end is now. */
    enum report_by by;
    struct report_span span;
    int64_t shown_until_us;

    int model_count; /* COMPARE: 2 or more; CALLS, NOW: 0 or 1 */
    char model[INQUIRY_MODELS_MAX][257];

    /* CALLS, NOW: as in struct report_filter; when before_id is set, before_us is not known yet */
    char client[65];
    int64_t limit, before_us, before_id;

    int64_t id; /* CALL */
};

/*
 * -ENOENT: the path is none of these (whatever `now_us` and the query are). -EINVAL: it is, but something is
 * wrong with it or with a parameter; the sentence names it and says what it takes. Then ret->kind is set.
 */
int inquiry_read(struct slice path, struct slice query, int64_t now_us, struct inquiry *ret,
                 struct errbuf *e) MG_MUSTCHECK;

#endif
