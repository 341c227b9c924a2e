/* files: what passes a proxy unmetered: uploads, downloads, lists, and any path that nobody knows. */
#include <inttypes.h>

#include "exchange.h"
#include "handlers.h"

void models_serve(struct exchange *x)
{
    struct buf out;

    if (!exchange_admit(x, SLICE(""), NULL))
        return;
    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&out, x->speech == SPEECH_GEMINI ? "{\"models\":[" : "{\"object\":\"list\",\"data\":[");
    sim_print_models(x->sim, x->speech, &out);
    buf_add_str(&out, x->speech == SPEECH_ANTHROPIC ? "],\"has_more\":false,\"first_id\":null,\"last_id\":null}" : "]}");
    exchange_json(x, 200, buf_slice(&out));
    buf_release(&out);
}

void files_upload(struct exchange *x)
{
    struct buf out;

    if (!exchange_admit(x, SLICE(""), NULL))
        return;
    buf_init(&out, BUF_UNLIMITED);
    buf_addf(&out,
             "{\"id\":\"file-%.24s\",\"object\":\"file\",\"bytes\":%" PRId64
             ",\"created_at\":1700000000,\"filename\":\"upload\",\"purpose\":\"batch\",\"sha256\":\"%s\"}",
             x->body.sha256, x->body.bytes, x->body.sha256);
    exchange_json(x, 200, buf_slice(&out));
    buf_release(&out);
}

void files_download(struct exchange *x)
{
    static const char line[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";
    int64_t left = request_query_int(x->request, "bytes", 1024);
    struct buf block;

    if (!exchange_admit(x, SLICE(""), NULL))
        return;
    buf_init(&block, BUF_UNLIMITED);
    for (int i = 0; i < 1024; i++)
        buf_add(&block, line, sizeof line - 1);
    answer_begin(&x->answer, 200, "application/octet-stream");
    for (; left > 0 && x->answer.state == ANSWER_OPEN; left -= (int64_t)block.n)
        answer_piece(&x->answer, slice_head(buf_slice(&block), (size_t)left));
    answer_end(&x->answer);
    buf_release(&block);
}

void echo_serve(struct exchange *x)
{
    struct buf out;

    if (!exchange_admit(x, SLICE(""), NULL))
        return;
    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&out, "{\"object\":\"echo\",\"method\":");
    audit_quote(&out, x->request->method);
    buf_add_str(&out, ",\"target\":");
    audit_quote(&out, x->request->target);
    buf_addf(&out, ",\"bytes\":%" PRId64 ",\"sha256\":\"%s\"}", x->body.bytes, x->body.sha256);
    exchange_json(x, 200, buf_slice(&out));
    buf_release(&out);
}
