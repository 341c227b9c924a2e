/* invoke: what runs a model without countable text: images, audio, moderations. One request each, no tokens.
 */
#include <string.h>

#include "ask.h"
#include "exchange.h"
#include "handlers.h"

/* The text of the part named "model" of a form: enough for the forms that clients send. */
static struct slice form_model(const struct exchange *x)
{
    static const char mark[] = "name=\"model\"\r\n\r\n";
    struct slice body = buf_slice(&x->body.kept), value;
    const char *at = body.n ? memmem(body.p, body.n, mark, sizeof mark - 1) : NULL;

    if (!at)
        return SLICE("");
    value = slice_skip(body, (size_t)(at - body.p) + sizeof mark - 1);
    return slice_head(value, slice_find(value, '\r'));
}

/* Admits it; the model of a JSON body, or of a form, or none at all. */
static bool admit(struct exchange *x)
{
    static const char *const none[] = {NULL};
    const struct slice *type = request_header(x->request, SLICE("content-type"));
    static const struct demand nothing;
    struct slice model = exchange_deployment(x);
    struct ask a;
    bool ok;

    if (type && slice_starts(*type, SLICE("multipart/form-data")))
        return exchange_admit(x, model.n ? model : form_model(x), &nothing);
    if (slice_ends(x->request->path, SLICE("/moderations")) && model.n == 0)
        model = SLICE("omni-moderation-latest");
    ok = ask_read(&a, x, model, none) && exchange_admit(x, slice_str(a.model), &nothing);
    ask_release(&a);
    return ok;
}

void images_serve(struct exchange *x)
{
    if (admit(x))
        exchange_json(
            x, 200,
            SLICE("{\"created\":1700000000,\"data\":[{\"b64_json\":\"iVBORw0KGgo=\"}],\"usage\":{\"input_"
                  "tokens\":10,"
                  "\"output_tokens\":4160,\"total_tokens\":4170,\"input_tokens_details\":{\"text_tokens\":10,"
                  "\"image_tokens\":0}}}"));
}

void speech_serve(struct exchange *x)
{
    if (admit(x))
        answer_whole(&x->answer, 200, "audio/mpeg",
                     SLICE("ID3\x04\x00\x00\x00\x00\x00\x00\xFF\xFB not really a song"));
}

void transcription_serve(struct exchange *x)
{
    if (admit(x))
        exchange_json(x, 200,
                      SLICE("{\"text\":\"The water is held at the "
                            "gate.\",\"usage\":{\"type\":\"duration\",\"seconds\":3}}"));
}

void moderation_serve(struct exchange *x)
{
    if (admit(x))
        exchange_json(
            x, 200,
            SLICE("{\"id\":\"modr-1\",\"model\":\"omni-moderation-latest\",\"results\":[{\"flagged\":false,"
                  "\"categories\":{},\"category_scores\":{},\"category_applied_input_types\":{}}]}"));
}
