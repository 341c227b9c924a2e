/* bill: every call that ended is in exactly one of answered, refused, failed and cut. */
#include "bill.h"

#include <inttypes.h>

#include "metergate/base/buf.h"

void bill_add(struct bill *b, const struct tariff *own, const char *model, const struct used *u, int status,
              bool whole)
{
    int64_t nano;

    b->refused += status == 429;
    b->failed += status >= 400 && status != 429;
    if (status >= 400)
        return;
    if (whole)
        b->answered++;
    else
        b->cut++;
    b->used.input += u->input;
    b->used.cached += u->cached;
    b->used.written += u->written;
    b->used.written_1h += u->written_1h;
    b->used.output += u->output;
    b->used.reasoning += u->reasoning;
    if (tariff_cost(own, model, u, &nano))
        b->cost_nano += nano;
    else
        b->unpriced++;
}

void bill_was_cut(struct bill *b, int status)
{
    if (status >= 400)
        return;
    b->answered--;
    b->cut++;
}

void bill_print(const struct bill *b, struct buf *out)
{
    const struct used *u = &b->used;

    buf_addf(out, "{\"answered\":%" PRId64 ",\"refused\":%" PRId64 ",\"failed\":%" PRId64 ",\"cut\":%" PRId64,
             b->answered, b->refused, b->failed, b->cut);
    buf_addf(out,
             ",\"input\":%" PRId64 ",\"cached\":%" PRId64 ",\"cache_write\":%" PRId64
             ",\"cache_write_1h\":%" PRId64 ",\"output\":%" PRId64 ",\"reasoning\":%" PRId64,
             u->input, u->cached, u->written + u->written_1h, u->written_1h, u->output, u->reasoning);
    buf_addf(out, ",\"cost_nano\":%" PRId64 ",\"unpriced\":%" PRId64 "}", b->cost_nano, b->unpriced);
}
