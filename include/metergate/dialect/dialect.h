/*
 * dialect: what differs between the providers' interfaces, as one table of functions a provider.
 *
 * Everything here is pure: bytes in, facts or bytes out; no clock, no sockets, no state between calls. All
 * text is borrowed, and every span is an offset into the body that it was read from, so the body must stay
 * where it is as long as its facts are used. All functions may run in a worker thread.
 *
 * The life of a call, as the proxy uses it:
 *     classify -> read -> count (in a worker when the body is big) -> splice -> ... held, sent ...
 *     answer_new / answer_feed / answer_finish (answer.h) while the answer passes
 *     verdict_judge (verdict.h) for an answer of status >= 400; refuse (refusal.h) for our own errors
 */
#ifndef METERGATE_DIALECT_DIALECT_H
#define METERGATE_DIALECT_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/tokens/calibration.h"

struct answer;
struct refusal;
struct sse_event;
struct sse_fate;
struct tap_path;
struct tap_value;

/* What a method and path ask for. All but the first two are metered. */
enum endpoint {
    ENDPOINT_PASSED,      /* not throttled, streamed both ways */
    ENDPOINT_RETRIEVE,    /* likewise, but a stored response may stand in the answer: responses/ID */
    ENDPOINT_CHAT,        /* chat/completions */
    ENDPOINT_COMPLETIONS, /* completions, the older form */
    ENDPOINT_EMBEDDINGS,
    ENDPOINT_RESPONSES,
    ENDPOINT_MESSAGES, /* Anthropic's */
    ENDPOINT_GENERATE, /* Gemini's generateContent and streamGenerateContent */
    ENDPOINT_EMBED,    /* Gemini's embedContent and batchEmbedContents */
    ENDPOINT_INVOKE, /* a model without countable text (images, audio, moderations): one request, no tokens */
    ENDPOINT_RESERVE, /* no provider's: Metergate's own /-/reserve, the rest of whose call goes another way */
    ENDPOINTS
};

/* A short name for logs and the ledger: "chat", "passed". */
const char *endpoint_name(enum endpoint e);

static inline bool endpoint_metered(enum endpoint e)
{
    return e > ENDPOINT_RETRIEVE;
}

/* What a call's `stream_options` says about usage. */
enum usage_wish {
    USAGE_UNSAID,    /* absent, null, or an object without include_usage: may be spliced */
    USAGE_REFUSED,   /* include_usage is false (or no boolean): left alone */
    USAGE_WANTED,    /* include_usage is true: the client gets the chunk */
    USAGE_AMBIGUOUS, /* a key that decides it stands twice, or stream_options is no object: left alone */
};

/* A place in the body. */
struct span {
    size_t at, n;
};

#define DIALECT_MODEL_MAX 256

/* Bodies above this belong to a worker thread. */
#define DIALECT_INLINE_BYTES ((size_t)64 << 10)

/* A body may say more than these; no provider takes it, and products of them fit an int64 with room to spare.
 */
#define DIALECT_TOKENS_MAX INT64_C(1000000000)
#define DIALECT_N_MAX      INT64_C(100000)

/* What a call builds on that the provider keeps: its tokens are not in the body. */
enum reference {
    REFERENCE_NONE,
    REFERENCE_RESPONSE,     /* previous_response_id: all that response took and gave is input again */
    REFERENCE_CONVERSATION, /* likewise, by the name of the conversation */
    REFERENCE_PROMPT,       /* a stored prompt: its own text comes on top of what the body says */
};

#define DIALECT_ID_MAX 128

/* What is given to `read`. All borrowed for the time of the call. */
struct dialect_input {
    enum endpoint endpoint;    /* a metered one */
    struct slice path, query;  /* as they came */
    struct slice content_type; /* of the body, or empty */
    struct slice body;         /* without its content coding */
};

/* What a metered call says. Plain data; spans are offsets into the body, of length 0 where absent. */
struct dialect_request {
    enum endpoint endpoint;
    char model[DIALECT_MODEL_MAX]; /* decoded, NUL-terminated; empty only when `read` failed */
    bool stream;
    bool background;    /* the answer comes at once, the output later (responses) */
    int64_t max_tokens; /* the largest bound that is given for one answer's output; 0: none */
    int64_t n;          /* answers asked for, at least 1 */
    enum usage_wish usage_wish;
    struct span stream_options;
    struct span prompt; /* what is counted: messages, prompt, input, contents, */
    struct span system, tools, functions, response_format; /* and what stands beside them */
    enum reference reference;
    char refers_to[DIALECT_ID_MAX]; /* NUL-terminated; empty without a reference, or when it is longer */
    size_t close_at;                /* where the `}` that ends the body's object stands */
};

/*
 * What counting a body gave. Plain data. `input_tokens` are the sum of the parts by what is published; what was learned
 * of the model since makes another sum (tokens/calibration.h). `characters` are the Unicode code points of the messages' text,
 * decoded; images and JSON's punctuation are left out: it is the least that a provider can mean that
 * estimates by characters.
 */
struct request_count {
    int64_t input_tokens;
    struct token_parts parts; /* parts.exact false: images, tools, unknown models, ... took part, and it is an estimate */
    int64_t characters;
    int64_t messages;
};

/* One change to a body: `cut_bytes` bytes at `at` give way to `insert` (static text). */
struct splice {
    size_t at;
    size_t cut_bytes;
    struct slice insert;
};

struct dialect {
    const char *name; /* as the configuration writes it */

    /*
     * `path` is without its query, with or without the upstream's prefix, and plain: decoded, in lower case,
     * without a slash at its end (proxy/path.h).
     */
    enum endpoint (*classify)(struct slice method, struct slice path);

    /*
     * Reads the few fields that steer the call; of a field that stands twice the last one counts. The whole
     * body is checked to be JSON. -EBADMSG when it cannot be read or nothing names a model; *ret_why then is
     * a static sentence for the log, and *ret says the endpoint, and the model if the path names it. The
     * caller forwards such a body as it is and charges its bytes. Linear in the body; up to
     * DIALECT_INLINE_BYTES it is cheap enough for the loop's thread.
     */
    int (*read)(const struct dialect_input *in, struct dialect_request *ret, const char **ret_why);

    /*
     * Counts the tokens of a body that `read` could read. Linear in the body, several times slower than
     * reading it. -EBADMSG when there is nothing to count (the caller charges its bytes then).
     */
    int (*count)(struct slice body, const struct dialect_request *r, struct request_count *ret);

    /*
     * The change that makes the provider report usage in the stream; false: the body goes out as it came.
     * NULL: a provider of this dialect always reports it.
     */
    bool (*splice)(struct slice body, const struct dialect_request *r, struct splice *ret);

    /*
     * For answer.c: what an event of a stream says, and what becomes of it when usage is hidden (sse.h). NULL: all
     * that it may say stands at `event_paths` of its data, for `value`, and it leaves as it came.
     */
    void (*event)(struct answer *a, const struct sse_event *e, bool hide_usage, struct sse_fate *ret);
    const struct tap_path *event_paths;
    size_t event_paths_n;

    /* For answer.c: the values worth taking out of a plain answer (tap.h), and what one of them says. */
    const struct tap_path *paths;
    size_t paths_n;
    void (*value)(struct answer *a, const struct tap_value *v);

    /* Appends the body of a refusal; its content type is application/json. */
    void (*refuse)(const struct refusal *r, struct buf *out);

    bool unlimited; /* nothing limits its calls but the upstream's max_concurrent */

    /* The header that carries a key to the provider, and what stands before the key in it. */
    const char *key_header, *key_prefix;
};

/* The dialect of that configuration name, or NULL. */
const struct dialect *dialect_by_name(struct slice name);

/*
 * The dialect that a provider of dialect `d` speaks at this plain path: OpenAI's under Gemini's
 * /v1beta/openai and under Ollama's /v1.
 */
const struct dialect *dialect_spoken(const struct dialect *d, struct slice path);

/* The body after the change. -E2BIG, -ENOMEM. */
int splice_apply(const struct splice *sp, struct slice body, struct buf *out) MG_MUSTCHECK;

/* How much longer (or shorter) the body gets. */
static inline int64_t splice_growth_bytes(const struct splice *sp)
{
    return (int64_t)sp->insert.n - (int64_t)sp->cut_bytes;
}

#endif
