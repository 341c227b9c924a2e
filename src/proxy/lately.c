/* lately: a ring; the rows of the calls oldest .. count - 1 are whole, but for the last one while it is being filled. */
#include "metergate/proxy/lately.h"

#include <stddef.h>
#include <string.h>

struct ledger_row *lately_add(struct lately *r)
{
    struct ledger_row *row = &r->row[r->count++ % LATELY_MAX];

    memset(row, 0, sizeof *row);
    return row;
}

uint64_t lately_oldest(const struct lately *r)
{
    return r->count > LATELY_MAX ? r->count - LATELY_MAX : 0;
}

const struct ledger_row *lately_get(const struct lately *r, uint64_t n)
{
    return n < r->count && n >= lately_oldest(r) ? &r->row[n % LATELY_MAX] : NULL;
}

bool lately_find(const struct lately *r, int64_t id, uint64_t *ret_n)
{
    for (uint64_t n = lately_oldest(r); n < r->count; n++) {
        if (r->row[n % LATELY_MAX].id == id) {
            *ret_n = n;
            return true;
        }
    }
    return false;
}

void lately_correct(struct lately *r, const struct ledger_row *correction)
{
    struct ledger_row *row;
    uint64_t n;

    if (!lately_find(r, correction->id, &n))
        return;
    row = &r->row[n % LATELY_MAX];
    row->usage = correction->usage;
    row->source = correction->source;
    row->cost_nano = correction->cost_nano;
    row->price = correction->price;
}
