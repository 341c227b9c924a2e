/*
 * embeddings: POST .../embeddings. Vectors are short and made of exact binary fractions, so that they are the same as
 * decimals and as base64.
 */
#include <inttypes.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "chat_request.h"
#include "exchange.h"
#include "handlers.h"
#include "tally.h"

#define DIMENSIONS 8

static int64_t tally_input(struct slice model, const cJSON *input)
{
    const cJSON *item;
    int64_t n = 0;

    if (cJSON_IsString(input))
        return tally_text(model, slice_str(input->valuestring));
    cJSON_ArrayForEach(item, input)
        n += cJSON_IsNumber(item) ? 1 : tally_input(model, item);
    return n;
}

/* A text, or a list of texts, or token numbers, or a list of lists of them. */
static int count_inputs(const cJSON *input)
{
    const cJSON *first = cJSON_IsArray(input) ? input->child : NULL;

    return first && !cJSON_IsNumber(first) ? cJSON_GetArraySize(input) : 1;
}

static void add_vector(struct buf *out, int index, bool base64)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[DIMENSIONS * 4 + 1] = {0};

    buf_addf(out, "%s{\"object\":\"embedding\",\"index\":%d,\"embedding\":", index ? "," : "", index);
    if (!base64) {
        for (int i = 0; i < DIMENSIONS; i++)
            buf_addf(out, "%s%.6f", i ? "," : "[", (double)(index + i + 1) / 64);
        buf_add_str(out, "]}");
        return;
    }
    for (int i = 0; i < DIMENSIONS; i++) {
        float v = (float)(index + i + 1) / 64;

        memcpy(bytes + (size_t)i * 4, &v, 4);
    }
    buf_add_char(out, '"');
    for (int i = 0; i < DIMENSIONS * 4; i += 3) {
        unsigned v = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | (i + 2 < DIMENSIONS * 4 ? bytes[i + 2] : 0u);

        buf_addf(out, "%c%c%c%c", digits[v >> 18 & 63], digits[v >> 12 & 63], digits[v >> 6 & 63],
                 i + 2 < DIMENSIONS * 4 ? digits[v & 63] : '=');
    }
    buf_add_str(out, "\"}");
}

static void answer_embeddings(struct exchange *x, const cJSON *json, const cJSON *input, struct slice model)
{
    const cJSON *format = chat_request_member(json, "encoding_format");
    bool base64 = cJSON_IsString(format) && strcmp(format->valuestring, "base64") == 0;
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&out, "{\"object\":\"list\",\"data\":[");
    for (int i = 0; i < count_inputs(input); i++)
        add_vector(&out, i, base64);
    buf_add_str(&out, "],\"model\":");
    audit_quote(&out, model);
    buf_addf(&out, ",\"usage\":{\"prompt_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64 "}}", x->used.input, x->used.input);
    exchange_json(x, 200, buf_slice(&out));
    buf_release(&out);
}

void embeddings_serve(struct exchange *x)
{
    cJSON *json = cJSON_ParseWithLength(x->body.kept.p ? x->body.kept.p : "", x->body.kept.n);
    const cJSON *model = chat_request_member(json, "model"), *input = chat_request_member(json, "input");
    struct demand demand = {0};
    struct slice name;

    if ((!cJSON_IsString(model) && exchange_deployment(x).n == 0) || !input) {
        if (exchange_admit(x, SLICE(""), NULL))
            exchange_error(x, 400, "invalid_request_error", NULL, NULL, "'model' and 'input' are required properties");
        cJSON_Delete(json);
        return;
    }
    name = exchange_deployment(x).n ? exchange_deployment(x) : slice_str(model->valuestring);
    demand.input = tally_input(name, input);
    demand.chars = demand.input * 4;
    if (exchange_admit(x, name, &demand)) {
        x->used.input = demand.input;
        answer_embeddings(x, json, input, name);
    }
    cJSON_Delete(json);
}
