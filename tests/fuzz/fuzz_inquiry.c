/* inquiry over any path and query: what is taken lies in its bounds, what is refused is refused in words. */
#include "metergate/proxy/inquiry.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define NOW_US INT64_C(1795903200123456)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_taken(const struct inquiry *q)
{
    MG_ASSERT(q->kind < INQUIRIES && q->by < REPORT_BYS);
    MG_ASSERT(q->limit >= 1 && q->limit <= REPORT_CALLS_MAX);
    MG_ASSERT(q->before_us >= 0 && q->before_id >= 0 && q->id >= 0);
    MG_ASSERT(q->model_count <= INQUIRY_MODELS_MAX && strlen(q->client) < sizeof q->client);
    for (int i = 0; i < q->model_count; i++)
        MG_ASSERT(q->model[i][0] && strlen(q->model[i]) < sizeof q->model[i]);
    if (q->kind == INQUIRY_COMPARE)
        MG_ASSERT(q->model_count >= 2);
    if (q->kind == INQUIRY_COMPARE || q->kind == INQUIRY_USAGE) {
        MG_ASSERT(q->span.since_us < q->span.until_us && q->span.since_us < q->shown_until_us);
        MG_ASSERT(q->span.until_us == q->shown_until_us || q->shown_until_us == NOW_US);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice target = slice_of((const char *)data, n);
    size_t question = slice_find(target, '?');
    struct slice path = slice_head(target, question), query = slice_skip(target, question + 1);
    struct errbuf e = {""};
    struct inquiry q;
    int rc = inquiry_read(path, query, NOW_US, &q, &e);

    MG_ASSERT(rc == 0 || rc == -ENOENT || rc == -EINVAL);
    MG_ASSERT((rc == -EINVAL) == (e.text[0] != '\0'));
    if (rc == 0)
        check_taken(&q);
    return 0;
}
