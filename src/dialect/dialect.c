/* dialect: the rows that there are, and what is the same for all of them. */
#include "metergate/dialect/dialect.h"

#include <string.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/ollama.h"
#include "metergate/dialect/openai.h"

const struct dialect *dialect_by_name(struct slice name)
{
    static const struct dialect *const all[] = {&dialect_openai, &dialect_anthropic, &dialect_gemini,
                                                &dialect_azure, &dialect_ollama};

    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++)
        if (slice_eq(name, slice_str(all[i]->name)))
            return all[i];
    return NULL;
}

const char *endpoint_name(enum endpoint e)
{
    static const char *const names[ENDPOINTS] = {
        [ENDPOINT_PASSED] = "passed",
        [ENDPOINT_RETRIEVE] = "retrieve",
        [ENDPOINT_CHAT] = "chat",
        [ENDPOINT_COMPLETIONS] = "completions",
        [ENDPOINT_EMBEDDINGS] = "embeddings",
        [ENDPOINT_RESPONSES] = "responses",
        [ENDPOINT_MESSAGES] = "messages",
        [ENDPOINT_GENERATE] = "generate",
        [ENDPOINT_EMBED] = "embed",
        [ENDPOINT_INVOKE] = "invoke",
        [ENDPOINT_RESERVE] = "reserve",
    };

    return names[e];
}

const struct dialect *dialect_spoken(const struct dialect *d, struct slice path)
{
    if (d == &dialect_gemini && memmem(path.p, path.n, "/openai/", 8))
        return &dialect_openai;
    if (d == &dialect_ollama && slice_starts(path, SLICE("/v1/")))
        return &dialect_openai;
    return d;
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
