/* calls: what a thread writes of its call is read by others only after call_join. */
#include "calls.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "narrator.h"
#include "prompt.h"

#define CALL_TIMEOUT_MS 45000

static void read_answer(struct call *c)
{
    struct json *doc = NULL;
    struct slice message;

    c->status = c->answer.status;
    if (json_parse(buf_slice(&c->answer.body), &doc) < 0)
        return;
    c->output_tokens = ask_number(doc, "usage.completion_tokens");
    if (json_as_str(json_path(doc, "error.message"), &message) == 0)
        snprintf(c->message, sizeof c->message, "%.*s", (int)message.n, message.p);
    json_free(doc);
}

static void *run(void *arg)
{
    static const char *const headers[] = {"Authorization: Bearer sk-demo", NULL};
    struct call *c = arg;
    struct client_request r = {.headers = headers, .timeout_ms = CALL_TIMEOUT_MS};
    char path[128];
    int64_t start_us;
    struct buf body;

    snprintf(path, sizeof path, "%s%s/v1/chat/completions", c->direct ? "" : "/@",
             c->direct ? "" : c->script);
    buf_init(&body, BUF_UNLIMITED);
    prompt_body(&body, c->model, c->input_tokens, c->max_tokens);
    r.path = path;
    r.body = buf_slice(&body);
    start_us = clock_now_us();
    if (client_call(c->client, &r, &c->answer, &c->failure) == 0)
        read_answer(c);
    c->took_us = clock_now_us() - start_us;
    buf_release(&body);
    if (c->on_end)
        c->on_end(c);
    return NULL;
}

void call_start(struct call *c, const struct client *client)
{
    c->client = client;
    c->running = true;
    MG_ASSERT(pthread_create(&c->thread, NULL, run, c) == 0);
}

void call_join(struct call *c)
{
    if (c->running)
        pthread_join(c->thread, NULL);
    c->running = false;
}

bool call_join_within(struct call *c, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (c->running)
        c->running = pthread_timedjoin_np(c->thread, NULL, &until) != 0;
    return !c->running;
}

void call_release(struct call *c)
{
    client_answer_release(&c->answer);
    c->status = 0;
    c->message[0] = c->failure.text[0] = '\0';
}

int64_t call_queued_ms(const struct call *c)
{
    int64_t ms = 0;

    return slice_int64(client_answer_header(&c->answer, "Metergate-Queued-Ms"), &ms) < 0 ? 0 : ms;
}

struct json *ask(const struct client *client, const char *path, bool post)
{
    const struct client_request r = {.path = path, .post = post};
    struct client_answer answer;
    struct json *doc = NULL;
    struct errbuf e;

    if (client_call(client, &r, &answer, &e) < 0) {
        narrator_check(false, "%s", e.text);
        return NULL;
    }
    if (answer.status != 200 || json_parse(buf_slice(&answer.body), &doc) < 0) {
        narrator_check(false, "%s%s is answered %d", address_shown(&client->address).text, path, answer.status);
        doc = NULL;
    }
    client_answer_release(&answer);
    return doc;
}

int64_t ask_number(const struct json *doc, const char *path)
{
    int64_t v = 0;

    return json_as_int64(json_path(doc, path), &v) < 0 ? 0 : v;
}

const struct json *ask_named(const struct json *array, const char *name)
{
    JSON_EACH(array, node)
    {
        struct slice text;

        if (json_as_str(json_get(node, "name"), &text) == 0 && slice_eq(text, slice_str(name)))
            return node;
    }
    return NULL;
}
