/* chat_request: everything points into `json` or `prompt` and lives until chat_request_release. */
#include "chat_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

const struct cJSON *chat_request_member(const struct cJSON *object, const char *name)
{
    const cJSON *node, *found = NULL;

    if (cJSON_IsObject(object))
        cJSON_ArrayForEach(node, object)
            if (strcmp(node->string, name) == 0)
                found = node;
    return found && !cJSON_IsNull(found) ? found : NULL;
}

static int refuse(struct chat_fault *why, const char *param, const char *code, const char *fmt, ...) MG_PRINTF(4, 5);

static int refuse(struct chat_fault *why, const char *param, const char *code, const char *fmt, ...)
{
    va_list ap;

    why->param = param;
    why->code = code;
    va_start(ap, fmt);
    vsnprintf(why->message, sizeof why->message, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static void gather(struct chat_request *r, const cJSON *content)
{
    const cJSON *part;

    if (cJSON_IsString(content)) {
        buf_add_str(&r->prompt, content->valuestring);
        buf_add_char(&r->prompt, '\n');
        for (const char *c = content->valuestring; *c; c++)
            r->chars += (*c & 0xc0) != 0x80;
    } else if (cJSON_IsArray(content)) {
        cJSON_ArrayForEach(part, content)
            gather(r, chat_request_member(part, "text"));
    }
}

static int read_tier(struct chat_request *r, struct slice value, struct chat_fault *why)
{
    static const char *const tiers[] = {"flex", "batch", "priority"};

    for (size_t i = 0; i < MG_ARRAY_LEN(tiers); i++)
        if (slice_eq(value, slice_str(tiers[i]))) {
            r->tier = tiers[i];
            return 0;
        }
    return refuse(why, "messages", NULL, "[[tier=NAME]] wants flex, batch or priority");
}

/* Obeys what stands between [[ and ]]; prompts may have such brackets for reasons of their own. */
static int directive(struct chat_request *r, struct slice text, struct plan *plan, struct chat_fault *why)
{
    const struct {
        const char *name;
        int64_t *at;
    } counts[] = {{"out", &r->out},
                  {"cached", &r->cached},
                  {"written", &r->written},
                  {"written_1h", &r->written_1h},
                  {"reasoning", &r->reasoning}};
    struct slice key = slice_head(text, slice_find(text, '=')), value = slice_skip(text, key.n + 1);
    struct errbuf e;

    for (size_t i = 0; i < MG_ARRAY_LEN(counts); i++)
        if (slice_eq(key, slice_str(counts[i].name)))
            return slice_int64(value, counts[i].at) < 0
                       ? refuse(why, "messages", NULL, "[[%s=N]] wants a number", counts[i].name)
                       : 0;
    if (slice_eq(key, SLICE("tier")))
        return read_tier(r, value, why);
    if (slice_eq(key, SLICE("fault")))
        return plan_add(plan, value, &e) < 0 ? refuse(why, "messages", NULL, "%s", e.text) : 0;
    if (slice_eq(text, SLICE("tool")))
        r->wants_tool = true;
    if (slice_eq(text, SLICE("unicode")))
        r->unicode = true;
    return 0;
}

/* Of `wanted` what is left of *room, and takes it. */
static int64_t take(int64_t wanted, int64_t *room)
{
    int64_t n = wanted < *room ? wanted : *room;

    n = n > 0 ? n : 0;
    *room -= n;
    return n;
}

struct used chat_request_used(const struct chat_request *r, int64_t input)
{
    struct used u = {.input = input, .output = r->reasoning, .reasoning = r->reasoning, .tier = r->tier};
    int64_t room = input - 1;

    u.cached = take(r->cached, &room);
    u.written = take(r->written, &room);
    u.written_1h = take(r->written_1h, &room);
    return u;
}

int chat_request_obey(struct chat_request *r, struct plan *plan, struct chat_fault *why)
{
    const char *at = r->prompt.n ? r->prompt.p : "";

    while ((at = strstr(at, "[[")) != NULL) {
        const char *end = strstr(at, "]]");
        int rc;

        if (!end)
            break;
        rc = directive(r, slice_of(at + 2, (size_t)(end - at - 2)), plan, why);
        if (rc < 0)
            return rc;
        at += 2;
    }
    return 0;
}

static int read_count(const cJSON *json, const char *name, int64_t most, int64_t *ret, struct chat_fault *why)
{
    const cJSON *node = chat_request_member(json, name);

    if (!node)
        return 0;
    if (!cJSON_IsNumber(node) || node->valuedouble < 1 || node->valuedouble > (double)most)
        return refuse(why, NULL, "invalid_type", "Invalid value for '%s'.", name);
    *ret = (int64_t)node->valuedouble;
    return 0;
}

static int read_stream(struct chat_request *r, struct chat_fault *why)
{
    const cJSON *stream = chat_request_member(r->json, "stream");
    const cJSON *options = chat_request_member(r->json, "stream_options");

    if (stream && !cJSON_IsBool(stream))
        return refuse(why, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean.");
    r->stream = cJSON_IsTrue(stream);
    r->has_stream_options = options != NULL;
    if (options && !r->stream)
        return refuse(why, "stream_options", NULL,
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (options && !cJSON_IsObject(options))
        return refuse(why, "stream_options", "invalid_type", "Invalid type for 'stream_options': expected an object.");
    r->include_usage = cJSON_IsTrue(chat_request_member(options, "include_usage"));
    r->obfuscation = !cJSON_IsFalse(chat_request_member(options, "include_obfuscation"));
    return 0;
}

int chat_request_read(struct chat_request *r, struct slice body, struct slice deployment, struct plan *plan,
                      struct chat_fault *why)
{
    const cJSON *messages, *message, *model, *tool;
    const char *end = NULL;

    *r = (struct chat_request){.n = 1, .max_tokens = -1, .out = -1};
    buf_init(&r->prompt, BUF_UNLIMITED);
    /* the body is followed by a NUL; with `require_null_terminated` nothing else may follow the JSON */
    r->json = body.n ? cJSON_ParseWithLengthOpts(body.p, body.n + 1, &end, true) : NULL;
    if (!cJSON_IsObject(r->json))
        return refuse(why, NULL, NULL,
                      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
                      "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)");
    model = chat_request_member(r->json, "model");
    if (deployment.n == 0 && (!cJSON_IsString(model) || !model->valuestring[0]))
        return refuse(why, NULL, NULL, "you must provide a model parameter");
    r->model = deployment.n ? xstrndup(deployment.p, deployment.n) : xstrndup(model->valuestring, strlen(model->valuestring));
    messages = chat_request_member(r->json, "messages");
    if (!cJSON_IsArray(messages) || cJSON_GetArraySize(messages) == 0)
        return refuse(why, "messages", "missing_required_parameter", "Missing required parameter: 'messages'.");
    cJSON_ArrayForEach(message, messages)
        gather(r, chat_request_member(message, "content"));
    tool = chat_request_member(
        chat_request_member(cJSON_GetArrayItem(chat_request_member(r->json, "tools"), 0), "function"), "name");
    r->tool = cJSON_IsString(tool) ? tool->valuestring : NULL;
    if (read_stream(r, why) < 0 || read_count(r->json, "n", 128, &r->n, why) < 0 ||
        read_count(r->json, "max_tokens", 1000000, &r->max_tokens, why) < 0 ||
        read_count(r->json, "max_completion_tokens", 1000000, &r->max_tokens, why) < 0)
        return -EINVAL;
    return chat_request_obey(r, plan, why);
}

void chat_request_release(struct chat_request *r)
{
    free(r->model);
    cJSON_Delete(r->json);
    buf_release(&r->prompt);
}
