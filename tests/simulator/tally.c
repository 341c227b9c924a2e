/* tally: a content that is a list of parts counts its texts; images and audio count nothing here. */
#include "tally.h"

#include "model.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "metergate/tokens/count.h"
#include "metergate/tokens/encoding.h"

int64_t tally_text(struct slice model, struct slice text)
{
    return tokens_count(encoding_for_model(model.p, model.n).encoding, text.p, text.n);
}

static int64_t tally_string(struct slice model, const cJSON *node)
{
    return cJSON_IsString(node) ? tally_text(model, slice_str(node->valuestring)) : 0;
}

static int64_t tally_content(struct slice model, const cJSON *content)
{
    const cJSON *part;
    int64_t n = tally_string(model, content);

    if (cJSON_IsArray(content))
        cJSON_ArrayForEach(part, content)
            n += tally_string(model, cJSON_GetObjectItemCaseSensitive(part, "text"));
    return n;
}

static int64_t tally_message(struct slice model, const cJSON *message)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(message, "name");

    return 3 + tally_string(model, cJSON_GetObjectItemCaseSensitive(message, "role")) +
           tally_content(model, cJSON_GetObjectItemCaseSensitive(message, "content")) +
           (cJSON_IsString(name) ? 1 + tally_string(model, name) : 0);
}

int64_t tally_chat(struct slice model, const struct cJSON *request)
{
    const cJSON *message, *tools = cJSON_GetObjectItemCaseSensitive(request, "tools");
    int64_t n = 3;

    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(request, "messages"))
        n += tally_message(model, message);
    if (tools) {
        char *text = cJSON_PrintUnformatted(tools);

        n += tally_text(model, slice_str(text));
        free(text);
    }
    return n;
}

int64_t tally_as(const struct model_config *config, int64_t tokens, uint64_t seed)
{
    int64_t percent = config->tokenizer_percent ? config->tokenizer_percent : 100;
    int64_t most = config->noise_percent * 100, noise = 0; /* of 10,000 */

    if (most > 0)
        noise = (int64_t)((seed * UINT64_C(0x9e3779b97f4a7c15) >> 33) % (uint64_t)(2 * most + 1)) - most;
    return (tokens * percent * (10000 + noise) + 500000) / 1000000;
}
