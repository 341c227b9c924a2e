/* ollama: one row. Each line of an answer is a JSON text of its own, which a tap reads one after the other.
 */
#include "metergate/dialect/ollama.h"

#include <errno.h>

#include "metergate/base/scan_text.h"
#include "metergate/dialect/answer.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/openai_parts.h"
#include "metergate/dialect/tap.h"
#include "metergate/gate/profile.h"

static enum endpoint classify(struct slice method, struct slice path)
{
    static const char *const invoke[] = {"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"};

    for (size_t i = 0; i < MG_ARRAY_LEN(invoke); i++)
        if (slice_eq(method, SLICE("POST")) && slice_ends(path, slice_str(invoke[i])))
            return ENDPOINT_INVOKE;
    return ENDPOINT_PASSED;
}

static int read_request(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why)
{
    struct field model = {.name = "model"};

    *ret = (struct dialect_request){.endpoint = in->endpoint, .n = 1};
    *ret_why = "the body names no model";
    if (fields_read(in->body, &model, 1, &ret->close_at) < 0)
        return -EBADMSG;
    return field_text(in->body, &model, ret->model, sizeof ret->model);
}

static int count_request(struct slice body, const struct dialect_request *r, struct request_count *ret)
{
    (void)body;
    (void)r;
    *ret = (struct request_count){.parts.exact = true};
    return 0;
}

enum { TAKE_INPUT, TAKE_OUTPUT, TAKE_ERROR };

static const struct tap_path paths[] = {
    {.steps = {"prompt_eval_count"}, .what = TAKE_INPUT, .max_bytes = 32, .scalar = true},
    {.steps = {"eval_count"}, .what = TAKE_OUTPUT, .max_bytes = 32, .scalar = true},
    {.steps = {"error"}, .what = TAKE_ERROR, .max_bytes = 256},
};

static void value(struct answer *a, const struct tap_value *v)
{
    struct usage u = {0};
    int64_t n;

    if (v->what == TAKE_ERROR) {
        answer_saw_error(a, answer_inside(v));
        return;
    }
    if (scan_int64(v->raw, &n) < 0 || n < 0 || n > DIALECT_TOKENS_MAX)
        return;
    answer_usage(a, &u);
    if (v->what == TAKE_INPUT)
        u.input = n;
    else
        u.output = n;
    answer_saw_usage(a, &u);
}

const struct dialect dialect_ollama = {
    .name = "ollama",
    .classify = classify,
    .read = read_request,
    .count = count_request,
    .event_paths = paths,
    .event_paths_n = MG_ARRAY_LEN(paths),
    .paths = paths,
    .paths_n = MG_ARRAY_LEN(paths),
    .value = value,
    .refuse = openai_refuse,
    .unlimited = true,
    .key_header = "Authorization",
    .key_prefix = "Bearer ",
};
