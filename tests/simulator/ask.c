/* ask: the prompt is hashed as it was gathered, so that the same question has the same answer through any
 * proxy. */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "exchange.h"
#include "tally.h"

#define DEFAULT_OUT 16

/* Members in which text for the model may stand. */
static bool is_text_member(const char *name)
{
    static const char *const names[] = {"text",         "content",  "parts",  "input",
                                        "instructions", "thinking", "output", "prompt",
                                        "arguments",    "message",  "summary"};

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void gather(struct ask *a, const cJSON *node)
{
    const cJSON *child;

    if (cJSON_IsString(node)) {
        buf_add_str(&a->r.prompt, node->valuestring);
        buf_add_char(&a->r.prompt, '\n');
        a->input += tally_text(slice_str(a->model), slice_str(node->valuestring));
        a->r.chars += (int64_t)strlen(node->valuestring);
    } else if (cJSON_IsArray(node)) {
        cJSON_ArrayForEach(child, node)
        {
            a->input += cJSON_IsNumber(child) ? 1 : 0; /* a token by its number */
            gather(a, child);
        }
    } else if (cJSON_IsObject(node)) {
        cJSON_ArrayForEach(child, node) if (is_text_member(child->string)) gather(a, child);
    }
}

const cJSON *ask_at(const struct ask *a, const char *path)
{
    const cJSON *node = a->r.json;
    struct slice rest = slice_str(path);

    while (node && rest.n) {
        struct slice step = slice_head(rest, slice_find(rest, '.'));
        char name[64];

        snprintf(name, sizeof name, "%.*s", (int)step.n, step.p);
        node = chat_request_member(node, name);
        rest = slice_skip(rest, step.n + 1);
    }
    return node;
}

static bool refuse(struct exchange *x, const char *param, const char *message)
{
    if (exchange_admit(x, SLICE(""), NULL))
        exchange_error(x, 400, "invalid_request_error", param, NULL, "%s", message);
    return false;
}

bool ask_read(struct ask *a, struct exchange *x, struct slice model, const char *const *prompts)
{
    struct slice body = buf_slice(&x->body.kept);
    const char *end = NULL;
    struct chat_fault why;
    const cJSON *named;

    *a = (struct ask){.r = {.n = 1, .max_tokens = -1, .out = -1}};
    buf_init(&a->r.prompt, BUF_UNLIMITED);
    buf_init(&a->piece, BUF_UNLIMITED);
    a->r.json = body.n ? cJSON_ParseWithLengthOpts(body.p, body.n + 1, &end, true) : NULL;
    if (!cJSON_IsObject(a->r.json))
        return refuse(x, NULL, "The body of the request is not a JSON object.");
    named = chat_request_member(a->r.json, "model");
    if (!model.n && cJSON_IsString(named))
        model = slice_str(named->valuestring);
    if (model.n == 0 || model.n >= sizeof a->model)
        return refuse(x, "model", "model: Field required");
    memcpy(a->model, model.p, model.n);
    for (; *prompts; prompts++)
        gather(a, ask_at(a, *prompts));
    if (chat_request_obey(&a->r, &x->plan, &why) < 0)
        return refuse(x, why.param, why.message);
    a->r.stream = cJSON_IsTrue(chat_request_member(a->r.json, "stream"));
    a->seed = prose_seed(slice_str(a->model), buf_slice(&a->r.prompt));
    a->input = tally_as(settings_model(&x->sim->settings, a->model), a->input, a->seed);
    return true;
}

void ask_release(struct ask *a)
{
    chat_request_release(&a->r);
    buf_release(&a->piece);
}

struct demand ask_demand(const struct ask *a)
{
    return (struct demand){.input = a->input,
                           .cached = chat_request_used(&a->r, a->input).cached,
                           .chars = a->r.chars,
                           .max_output = a->r.max_tokens > 0 ? a->r.max_tokens : 0};
}

void ask_decide(struct ask *a, struct exchange *x)
{
    int64_t bound = a->r.max_tokens, tokens = a->r.out;

    if (tokens < 0)
        tokens = x->call.config.out > 0             ? x->call.config.out
                 : bound > 0 && bound < DEFAULT_OUT ? bound
                                                    : DEFAULT_OUT;
    a->full = bound > 0 && tokens >= bound;
    a->tokens = a->full ? bound : tokens;
    x->used = chat_request_used(&a->r, a->input);
}

void ask_begin(struct ask *a)
{
    prose_init(&a->prose, slice_str(a->model), a->seed, a->tokens, a->r.unicode);
}

bool ask_next(struct ask *a, struct exchange *x, struct slice *ret)
{
    bool first = a->prose.first;
    struct slice words;
    int64_t tokens;

    if (!prose_next(&a->prose, &words, &tokens))
        return false;
    x->used.output += tokens;
    buf_reset(&a->piece);
    if (a->as_json && first)
        buf_add_str(&a->piece, "{\"text\":\"");
    buf_add_slice(&a->piece, words);
    if (a->as_json && a->prose.left == 0)
        buf_add_str(&a->piece, "\"}");
    *ret = buf_slice(&a->piece);
    return true;
}

void ask_text(struct ask *a, struct exchange *x, struct buf *out)
{
    struct slice piece;

    ask_begin(a);
    while (ask_next(a, x, &piece))
        buf_add_slice(out, piece);
}
