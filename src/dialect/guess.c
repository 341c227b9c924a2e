/* guess: the members decide, and the dialect that they point to reads the body. */
#include "metergate/dialect/guess.h"

#include <errno.h>
#include <string.h>

#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/openai.h"

enum { F_MODEL, F_MESSAGES, F_SYSTEM, F_CONTENTS, F_CONTENT, F_REQUESTS, F_INPUT, F_PROMPT, FIELDS };

static bool says(const char *model, const char *part)
{
    return strstr(model, part) != NULL;
}

/* What the body is; its path only says what the dialect asks it for. */
static int choose(const struct field f[FIELDS], const char *model, struct guess *ret,
                  struct dialect_input *in)
{
    *ret = (struct guess){.dialect = &dialect_openai};
    if (f[F_CONTENTS].times || f[F_REQUESTS].times || f[F_CONTENT].times) {
        ret->dialect = &dialect_gemini;
        in->path = f[F_CONTENTS].times ? SLICE("/v1beta/models/x:generateContent")
                                       : SLICE("/v1beta/models/x:embedContent");
        in->endpoint = f[F_CONTENTS].times ? ENDPOINT_GENERATE : ENDPOINT_EMBED;
    } else if (f[F_MESSAGES].times) {
        bool anthropic = f[F_SYSTEM].times || says(model, "claude");

        ret->dialect = anthropic ? &dialect_anthropic : &dialect_openai;
        in->endpoint = anthropic ? ENDPOINT_MESSAGES : ENDPOINT_CHAT;
    } else if (f[F_INPUT].times) {
        in->endpoint = says(model, "embed") ? ENDPOINT_EMBEDDINGS : ENDPOINT_RESPONSES;
    } else if (f[F_PROMPT].times) {
        in->endpoint = ENDPOINT_COMPLETIONS;
    } else {
        return -EBADMSG;
    }
    return 0;
}

int guess_read(struct slice body, struct slice model, struct guess *ret, const char **ret_why)
{
    struct field f[FIELDS] = {
        [F_MODEL] = {.name = "model"},     [F_MESSAGES] = {.name = "messages"},
        [F_SYSTEM] = {.name = "system"},   [F_CONTENTS] = {.name = "contents"},
        [F_CONTENT] = {.name = "content"}, [F_REQUESTS] = {.name = "requests"},
        [F_INPUT] = {.name = "input"},     [F_PROMPT] = {.name = "prompt"},
    };
    struct dialect_input in = {.path = SLICE("/"), .body = body};
    char name[DIALECT_MODEL_MAX] = "";
    size_t plural = sizeof "models/" - 1;

    if (fields_read(body, f, FIELDS, NULL) < 0) {
        *ret_why = "it is not a JSON object";
        return -EBADMSG;
    }
    if (model.n >= sizeof name || (model.n == 0 && field_text(body, &f[F_MODEL], name, sizeof name) < 0)) {
        *ret_why = "it names no model";
        return -EBADMSG;
    }
    if (model.n)
        memcpy(name, model.p, model.n);
    if (strncmp(name, "models/", plural) == 0)
        memmove(name, name + plural, strlen(name) - plural + 1);
    if (choose(f, name, ret, &in) < 0) {
        *ret_why = "it is no request that is counted: it has neither messages, input, prompt nor contents";
        return -EBADMSG;
    }
    /* a body without a model of its own is read as if it had this one */
    if (ret->dialect->read(&in, &ret->request, ret_why) < 0 && f[F_MODEL].times)
        return -EBADMSG;
    memcpy(ret->request.model, name, sizeof name);
    return 0;
}

const struct dialect *guess_of_model(struct slice model)
{
    if (slice_starts(model, SLICE("claude")))
        return &dialect_anthropic;
    return slice_starts(model, SLICE("gemini")) ? &dialect_gemini : &dialect_openai;
}
