/*
 * calls: chat calls as scripts make them, each in a thread of its own, and the questions about them
 * afterwards.
 */
#ifndef DEMO_CALLS_H
#define DEMO_CALLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/json.h"
#include "metergate/tool/client.h"

struct call {
    /* to be set; the rest zero */
    const char *script; /* who calls: the name in the path, /@script/v1/... */
    bool direct;        /* to the provider itself, where there are no names */
    const char *model;
    int64_t input_tokens, max_tokens;
    void (*on_end)(struct call *c); /* in the call's thread; may be NULL */

    /* readable after call_join, and in on_end */
    int status; /* HTTP; 0: no answer, `failure` says why */
    int64_t took_us;
    int64_t output_tokens; /* as the provider reported */
    char message[512];     /* of an error */
    struct errbuf failure;
    struct client_answer answer;

    const struct client *client; /* private */
    pthread_t thread;            /* private */
    bool running;                /* private: started and not joined */
};

void call_start(struct call *c, const struct client *client);

/* Waits for the end; may be asked again. */
void call_join(struct call *c);

/* Waits for so long; false when it has not ended by then. */
bool call_join_within(struct call *c, int64_t ms);

/* Frees what the call keeps; it may be started again. */
void call_release(struct call *c);

/* Metergate-Queued-Ms of the answer, 0 when it has none. */
int64_t call_queued_ms(const struct call *c);

/* GET or POST of a control path. NULL, and the story does not hold, when there is no answer 200 with JSON. */
struct json *ask(const struct client *client, const char *path, bool post);

/* The number at that path of names; 0 when there is none. */
int64_t ask_number(const struct json *doc, const char *path);

/* The element of an array of objects whose `name` is that. NULL when there is none. */
const struct json *ask_named(const struct json *array, const char *name);

#endif
