/* row: names of its enums, and request ids. */
#include "metergate/ledger/row.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/err.h"

void row_id_text(int64_t id, char ret[ROW_ID_SIZE])
{
    uint64_t u = (uint64_t)id;

    snprintf(ret, ROW_ID_SIZE, "mg-%07" PRIx64 "-%" PRIu64, u >> ROW_NUMBER_BITS & ((1u << ROW_RUN_BITS) - 1),
             u & ((UINT64_C(1) << ROW_NUMBER_BITS) - 1));
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int row_id_read(const char *text, size_t n, int64_t *ret)
{
    uint64_t number = 0;
    uint32_t run = 0;
    size_t i = 3;

    if (n < sizeof "mg-0000000-1" - 1 || n >= ROW_ID_SIZE || memcmp(text, "mg-", 3) != 0 || text[10] != '-')
        return -EINVAL;
    for (; i < 10; i++) {
        if (hex(text[i]) < 0)
            return -EINVAL;
        run = run << 4 | (uint32_t)hex(text[i]);
    }
    for (i = 11; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (text[11] == '0' || number >> ROW_NUMBER_BITS)
        return -EINVAL;
    *ret = row_id(run, number);
    return 0;
}

void row_scope_of_budget(const char *upstream, const char *account, const char *kind, const char *name, struct buf *out)
{
    buf_addf(out, "budget:%s/%s/%s/%s", upstream, account, kind, name);
}

void row_budget_scope(const struct ledger_row *r, struct buf *out)
{
    if (r->budget_scope[0])
        row_scope_of_budget(r->upstream, r->account, r->budget_scope, r->budget, out);
}

void row_client_scope(const struct ledger_row *r, struct buf *out)
{
    if (r->client[0])
        buf_addf(out, "client:%s", r->client);
}

const char *row_outcome_name(enum row_outcome o)
{
    static const char *const names[ROW_OUTCOMES] = {"completed", "refused", "cancelled", "failed"};

    MG_ASSERT(o < ROW_OUTCOMES);
    return names[o];
}

const char *row_source_name(enum row_source s)
{
    static const char *const names[ROW_SOURCES] = {"none", "provider", "counted", "estimated"};

    MG_ASSERT(s < ROW_SOURCES);
    return names[s];
}

const char *row_whose_name(enum row_whose w)
{
    static const char *const names[ROW_WHOSES] = {"budget", "upstream", "account", "client", ""};

    MG_ASSERT(w < ROW_WHOSES);
    return names[w];
}
