/* azure: OpenAI's row with another place for the model and another header for the key. */
#include "metergate/dialect/azure.h"

#include <errno.h>
#include <string.h>

#include "metergate/dialect/openai_parts.h"
#include "metergate/dialect/path_model.h"

/* The path decides; what a body of a deployment says of its model is ignored by Azure. */
static int read_request(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    char deployment[DIALECT_MODEL_MAX];
    bool named = path_model_azure(in->path, deployment) == 0;
    int rc = openai_read_unnamed(in, ret, ret_why);

    if (named)
        memcpy(ret->model, deployment, sizeof deployment);
    if (rc == 0 && !ret->model[0]) {
        *ret_why = "neither the path nor the body names a model";
        return -EBADMSG;
    }
    return rc;
}

const struct dialect dialect_azure = {
    .name = "azure",
    .classify = openai_classify,
    .read = read_request,
    .count = openai_count,
    .splice = openai_splice,
    .event = openai_event,
    .paths = openai_paths,
    .paths_n = OPENAI_PATHS,
    .value = openai_value,
    .refuse = openai_refuse,
    .key_header = "api-key",
    .key_prefix = "",
};
