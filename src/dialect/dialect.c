/* dialect: the rows that there are, and what is the same for all of them. */
#include "metergate/dialect/dialect.h"

#include "metergate/dialect/openai.h"

const struct dialect *dialect_by_name(struct slice name)
{
    static const struct dialect *const all[] = {&dialect_openai};

    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++)
        if (slice_eq(name, slice_str(all[i]->name)))
            return all[i];
    return NULL;
}

const char *endpoint_name(enum endpoint e)
{
    return e == ENDPOINT_CHAT ? "chat" : "passed";
}

int splice_apply(const struct splice *sp, struct slice body, struct buf *out)
{
    size_t after = sp->at + sp->cut_bytes;
    int rc;

    MG_ASSERT(after <= body.n);
    rc = buf_append(out, body.p, sp->at);
    if (rc == 0)
        rc = buf_append(out, sp->insert.p, sp->insert.n);
    if (rc == 0)
        rc = buf_append(out, body.p + after, body.n - after);
    return rc;
}
