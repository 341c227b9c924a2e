/* letter: a letter's answer is set in letters_init and never changes. */
#include "letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../e2e/fixture.h"
#include "metergate/base/err.h"

static struct letter *add(struct letters *l, enum letter_to to, const char *method, const char *target)
{
    struct letter *it = &l->list[l->n++];

    assert_true(l->n <= LETTERS_MAX);
    *it = (struct letter){.to = to, .method = method, .status = 200};
    snprintf(it->target, sizeof it->target, "%s", target);
    buf_init(&it->body, BUF_UNLIMITED);
    buf_init(&it->answer, BUF_UNLIMITED);
    return it;
}

/* A chat of about so many bytes, to be answered with `out` tokens. */
static struct letter *add_chat(struct letters *l, enum letter_to to, const char *model, bool stream, int out, size_t bytes)
{
    static const char *const prefixes[] = {"", "/raw", "/dead", "/named", ""};
    char target[64];
    struct letter *it;

    /* the query tells the raw provider what to answer, before it has the body */
    snprintf(target, sizeof target, "%s/v1/chat/completions%s", prefixes[to], to == LETTER_TO_RAW && stream ? "?stream" : "");
    it = add(l, to, "POST", target);
    buf_addf(&it->body, "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%d [[out=%d]]", model,
             stream ? "true" : "false", (int)l->n, out);
    while (it->body.n < bytes)
        buf_add_str(&it->body, " the quick brown fox jumps over the lazy dog");
    buf_add_str(&it->body, "\"}]}");
    if (to == LETTER_TO_RAW)
        buf_add_str(&it->answer, stream ? LETTER_RAW_STREAM : LETTER_RAW_JSON);
    return it;
}

static void add_upload(struct letters *l, const char *method, const char *target, size_t bytes)
{
    struct letter *it = add(l, strncmp(target, "/raw/", 5) == 0 ? LETTER_TO_RAW : LETTER_TO_SIMULATOR, method, target);

    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&it->body, (char)('a' + i * 31 % 26));
    if (it->to == LETTER_TO_RAW)
        buf_add_str(&it->answer, LETTER_RAW_JSON);
}

static void ask(const struct fixture *f, struct letter *it)
{
    static const char *const key[] = {"Authorization: Bearer sk-test", NULL};
    char url[160];
    struct client_call call = {.method = it->method, .url = url, .headers = key, .body = it->body.p, .body_bytes = it->body.n};
    struct client_reply r;

    snprintf(url, sizeof url, "%s%s", f->simulator_url, it->target);
    r = client_run(&call);
    assert_int_equal(r.error, 0);
    it->status = r.status;
    buf_add_slice(&it->answer, buf_slice(&r.body));
    client_reply_release(&r);
}

/* More than one of each kind: half of all clients shall meet it. */
static void add_named(struct letters *l, const struct fixture *f)
{
    size_t first = l->n;

    for (int i = 0; i < 3; i++) {
        add_chat(l, LETTER_TO_NAMED, "gpt-named", false, 5 + i, 0);
        add_chat(l, LETTER_TO_NAMED, "gpt-named", true, 20 + i, 2000);
        add(l, LETTER_TO_NAMED, "GET", "/named/v1/files/f/content?bytes=1000");
    }
    for (size_t i = first; i < l->n; i++)
        ask(f, &l->list[i]);
}

void letters_init(struct letters *l, const struct fixture *f, bool names)
{
    struct letter *it;

    l->n = 0;
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o", false, 5, 0);
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o", true, 20, 0);
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o-mini", false, 100, 2000);
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o-mini", true, 60, 500);
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o", false, 5, 100000);
    add_chat(l, LETTER_TO_SIMULATOR, "gpt-4o", true, 5, 300000);
    add_chat(l, LETTER_TO_SIMULATOR, "free", true, 3000, 0);
    add_chat(l, LETTER_TO_SIMULATOR, "free", false, 20, 70000);
    add_upload(l, "POST", "/v1/chat/completions", 400); /* not JSON: the provider's to judge */
    add_upload(l, "POST", "/v1/files", 0);
    add_upload(l, "POST", "/v1/files", 10);
    add_upload(l, "POST", "/v1/files", 100000);
    add_upload(l, "POST", "/v1/files", 2000000);
    add_upload(l, "PUT", "/v1/things", 5000);
    add(l, LETTER_TO_SIMULATOR, "GET", "/v1/files/f/content?bytes=0");
    add(l, LETTER_TO_SIMULATOR, "GET", "/v1/files/f/content?bytes=1000");
    add(l, LETTER_TO_SIMULATOR, "GET", "/v1/files/f/content?bytes=200000");
    add(l, LETTER_TO_SIMULATOR, "GET", "/v1/files/f/content?bytes=3000000");
    add(l, LETTER_TO_SIMULATOR, "DELETE", "/v1/files/f");
    it = add(l, LETTER_TO_SIMULATOR, "GET", "/v1/models");
    it->any_body = true; /* grows with the models that were asked for */
    it = add(l, LETTER_TO_SIMULATOR, "HEAD", "/v1/models");
    it->any_body = true;
    for (size_t i = 0; i < l->n; i++)
        ask(f, &l->list[i]);
    if (names)
        add_named(l, f);
    add(l, LETTER_TO_DAEMON, "GET", "/-/status")->any_body = true;
    add(l, LETTER_TO_DAEMON, "HEAD", "/")->any_body = true;
    add_chat(l, LETTER_TO_RAW, "gpt-raw", false, 5, 0);
    add_chat(l, LETTER_TO_RAW, "gpt-raw", true, 5, 0);
    add_chat(l, LETTER_TO_RAW, "gpt-raw", true, 5, 80000);
    add_upload(l, "POST", "/raw/v1/files", 300000);
    add_upload(l, "GET", "/raw/v1/things", 0);
    add_chat(l, LETTER_TO_DEAD, "gpt-dead", false, 5, 0);
    add(l, LETTER_TO_DEAD, "GET", "/dead/v1/things");
}

void letters_add_own(struct letters *l)
{
    static const char *const paths[] = {"/metrics",      "/-/usage",   "/-/usage?by=hour", "/-/calls", "/-/history", "/-/",
                                        "/-/usage?by=model", "/-/status", "/healthz"};
    struct letter *it;

    for (size_t i = 0; i < MG_ARRAY_LEN(paths); i++)
        add(l, LETTER_TO_DAEMON, "GET", paths[i])->any_body = true;
    for (int i = 0; i < 2; i++) {
        it = add(l, LETTER_TO_DAEMON, "POST", "/-/estimate");
        it->any_body = true;
        buf_addf(&it->body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"how long?\"}]}",
                 i ? "gpt-4o" : "gpt-4o-mini");
        it = add(l, LETTER_TO_SIMULATOR, "POST", "/v1/embeddings");
        it->any_body = true;
        buf_addf(&it->body, "{\"model\":\"text-embedding-3-%s\",\"input\":\"a text to be embedded\"}", i ? "small" : "large");
    }
}

void letters_release(struct letters *l)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_release(&l->list[i].body);
        buf_release(&l->list[i].answer);
    }
    l->n = 0;
}

const struct letter *letters_pick(const struct letters *l, struct rng *rng, bool sound)
{
    const struct letter *it;

    do
        it = &l->list[rng_range(rng, 0, (int64_t)l->n - 1)];
    while (sound && (it->to == LETTER_TO_RAW || it->to == LETTER_TO_DEAD || it->to == LETTER_TO_NAMED));
    return it;
}

static void write_chunks(struct slice body, struct rng *rng, struct buf *out)
{
    while (body.n) {
        size_t n = (size_t)rng_range(rng, 1, rng_chance(rng, 50) ? 40 : 60000);
        struct slice piece = slice_head(body, n);

        /* one byte a chunk would make megabytes of framing */
        if (body.n > 100000 && n < 1000)
            continue;
        buf_addf(out, "%zx\r\n", piece.n);
        buf_add_slice(out, piece);
        buf_add_str(out, "\r\n");
        body = slice_skip(body, piece.n);
    }
    buf_add_str(out, "0\r\n\r\n");
}

void letter_write(const struct letter *l, const struct letter_form *form, struct rng *rng, struct buf *out, size_t *ret_body)
{
    bool has_body = l->body.n > 0 || strcmp(l->method, "POST") == 0;

    buf_addf(out, "%s %s HTTP/1.%d\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-test\r\nX-Chaos: %d\r\n", l->method, l->target,
             form->minor, form->id);
    if (form->id % 2)
        buf_add_str(out, "Metergate-Client: odd\r\n");
    if (form->close)
        buf_add_str(out, "Connection: close\r\n");
    if (form->expect)
        buf_add_str(out, "Expect: 100-continue\r\n");
    if (has_body && form->chunked)
        buf_add_str(out, "Transfer-Encoding: chunked\r\n");
    else if (has_body)
        buf_addf(out, "Content-Length: %zu\r\n", l->body.n);
    buf_add_str(out, "\r\n");
    *ret_body = out->n;
    if (has_body && form->chunked)
        write_chunks(buf_slice(&l->body), rng, out);
    else
        buf_add_slice(out, buf_slice(&l->body));
}
