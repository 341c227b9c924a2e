/*
 * chat_request: what a chat/completions request asks for, and what its prompt tells the simulator to do: directives in
 * double brackets, anywhere in the messages, `[[out=12]] [[cached=900]] [[tool]] [[unicode]] [[fault=latency_ms:50]]`,
 * and what it says that it used: `[[written=50]] [[written_1h=50]] [[reasoning=20]] [[tier=flex]]`.
 */
#ifndef SIMULATOR_CHAT_REQUEST_H
#define SIMULATOR_CHAT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "tariff.h"

struct cJSON;

struct chat_request {
    struct cJSON *json; /* owned */
    char *model;        /* owned */
    const char *tool;   /* name of the first tool, or NULL; borrowed from json */
    bool stream, has_stream_options, include_usage, obfuscation;
    int64_t n;
    int64_t max_tokens; /* -1: not given */
    int64_t chars;      /* of the prompt: code points */
    struct buf prompt;  /* all text of the messages, for the directives and the seed */
    int64_t out;        /* [[out=N]], or -1 */
    int64_t cached;     /* [[cached=N]]: so much of the prompt comes from a cache */
    int64_t written, written_1h; /* and so much goes into one, for five minutes, for an hour */
    int64_t reasoning;  /* [[reasoning=N]]: tokens that nobody sees, before the answer */
    const char *tier;   /* [[tier=NAME]], static text, or NULL */
    bool wants_tool, unicode;
};

/* What is wrong with a request, in the provider's words. */
struct chat_fault {
    char message[400];
    const char *param; /* static text or NULL */
    const char *code;  /* static text or NULL */
};

/* `deployment`, unless it is empty, is the model, whatever the body says. 0; -EINVAL with the fault in `why`; r->model is set when it could be read. Either way release it. Directives about faults
 * go into the plan. */
int chat_request_read(struct chat_request *r, struct slice body, struct slice deployment, struct plan *plan,
                      struct chat_fault *why) MG_MUSTCHECK;
void chat_request_release(struct chat_request *r);

/*
 * What a call with so many tokens of input has used before its first word: of the input never all comes from a cache or
 * goes into one, as the end of a prompt is always read; what was thought is output already.
 */
struct used chat_request_used(const struct chat_request *r, int64_t input);

/* Obeys the directives in r->prompt, for requests of other dialects. 0; -EINVAL. */
int chat_request_obey(struct chat_request *r, struct plan *plan, struct chat_fault *why) MG_MUSTCHECK;

/* The last member of that name, as the providers' own parsers take it; NULL when there is none. */
const struct cJSON *chat_request_member(const struct cJSON *object, const char *name);

#endif
