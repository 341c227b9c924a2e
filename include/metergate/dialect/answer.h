/*
 * answer: reads an answer while it passes, in pieces of any size, without holding it.
 *
 * Feed every byte of the body in order; what the client is to get comes out. Memory is bounded whatever the
 * provider sends: one stream event of up to ANSWER_EVENT_MAX bytes (a longer one passes unread), and at most
 * ANSWER_TEXT_MAX bytes of text kept for counting.
 *
 *   JSON      usage is found wherever the object is, also in an answer of 50 MB; every byte passes at once,
 *             unchanged
 *   SSE       each event leaves as soon as it is complete. With hide_usage the extra usage chunk is dropped and
 *             `"usage":null` members are cut from the others; all other bytes stay as they are, whatever the
 *             line ends. Without hide_usage every byte passes at once, unchanged
 *   unknown   told by its first byte; what is neither passes unread
 *
 * A compressed body (Content-Encoding) always passes at once, unchanged, and a decoded copy is read in its place
 * (decode.h: gzip, deflate and zstd; what is coded otherwise passes unread). Nothing can be taken out of compressed
 * bytes without compressing them anew, so hide_usage is off for it: the client of a spliced request sees the
 * usage chunk that it did not ask for. Decoding may give up; the bytes pass all the same, and what was read until
 * then counts.
 */
#ifndef METERGATE_DIALECT_ANSWER_H
#define METERGATE_DIALECT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"
#include "metergate/gate/profile.h"

struct answer; /* opaque */

#define ANSWER_EVENT_MAX ((size_t)1 << 20)
#define ANSWER_TEXT_MAX  ((size_t)1 << 20)

struct answer_conf {
    const struct dialect *dialect;
    const char *model;             /* borrowed for answer_new alone: whose encoding counts the text */
    bool stream;                   /* the request said stream: true */
    bool hide_usage;               /* the request was spliced */
    struct slice content_type;     /* of the answer; empty when it has none */
    struct slice content_encoding; /* of the answer; empty when it has none */
};

/* Never NULL. answer_free(NULL) is fine. */
struct answer *answer_new(const struct answer_conf *conf);
void answer_free(struct answer *a);

/* False: what is fed comes out unchanged and at once, so the caller may forward its own bytes and pass out =
 * NULL. */
bool answer_rewrites(const struct answer *a);

/* Takes the next bytes of the body and appends what the client gets to `out`. -ENOMEM, -E2BIG (out's
 * maximum). */
int answer_feed(struct answer *a, struct slice in, struct buf *out) MG_MUSTCHECK;

/* The body has ended: an event without its blank line is completed as it is. Call it once. -ENOMEM, -E2BIG.
 */
int answer_finish(struct answer *a, struct buf *out) MG_MUSTCHECK;

/* ---- what was seen, at any moment; final after answer_finish
 * ------------------------------------------------- */

/* The usage that the provider reported, tier included; the last report wins. False: none. */
bool answer_usage(const struct answer *a, struct usage *ret);

/* As which kind of call the provider served it, for when no usage came; standard when it did not say. */
enum usage_tier answer_tier(const struct answer *a);

/*
 * Whether text came after that report and the end did not: what it says of output is too little. Anthropic's first event
 * reports all of the input and one token of output; Gemini's usage comes with each event, after its text.
 */
bool answer_usage_is_behind(const struct answer *a);

/*
 * Tokens of the answer's text seen so far (content, refusals, reasoning, tool calls), for when no usage came.
 * Exact where the encoding is known and the text was not cut; text beyond ANSWER_TEXT_MAX counts as a quarter
 * of its bytes. Costs a count over the kept text: ask once.
 */
int64_t answer_counted_output(struct answer *a);

/* Tokens of output that were surely produced so far: what was reported, else a quarter of the text's bytes. */
int64_t answer_produced(const struct answer *a);

/* Whether a compressed body was read no further: it is not of its coding, or too much comes out of it (decode.h). */
bool answer_gave_up(const struct answer *a);

/* Whether the stream said its last word ([DONE], message_stop, ...), or the JSON value was complete. */
bool answer_complete(const struct answer *a);

/*
 * Whether it was read and was not complete: a JSON value without its end, a stream without its last word. Never of
 * a compressed body: its client's own decoder tells whether it was cut, and ours may have given up.
 */
bool answer_lacks_end(const struct answer *a);

/* The id by which a later call may refer to this answer, NUL-terminated; NULL when there is none. */
const char *answer_id(const struct answer *a);

/* An error inside an answer of status 200: its code (or type), NUL-terminated, at most 63 bytes; NULL when
 * none. */
const char *answer_error(const struct answer *a);

/*
 * The status that this error would have had, had it come before the answer's head: 429, 503, 529 by its code; 0: another
 * one, or none. And the object that it is, at most the first 4 KiB, as verdict_judge reads it; empty: it was none.
 */
int answer_error_status(const struct answer *a);
struct slice answer_error_object(const struct answer *a);

/* ---- for the dialects: what their `event` and `value` say of what they were shown
 * ----------------------------- */

/* Output text of choice `index` as it stands inside its JSON string, escapes and all; `left_out` bytes more
 * of it came but were not kept. */
void answer_saw_text(struct answer *a, int64_t index, struct slice inside, size_t left_out);
void answer_saw_usage(struct answer *a, const struct usage *u); /* its tier is not looked at */
void answer_saw_tier(struct answer *a, enum usage_tier tier);
void answer_saw_error(struct answer *a, struct slice code);
void answer_saw_error_body(struct answer *a, struct slice object);
void answer_saw_done(struct answer *a);
void answer_saw_id(struct answer *a, struct slice id);

/* Shows the dialect's `value` what these paths lead to in one event's JSON. */
void answer_tap(struct answer *a, struct slice json, const struct tap_path *paths, size_t n);

/* answer_saw_text for a value that is a string; another one says nothing. */
void answer_saw_string(struct answer *a, const struct tap_value *v);

/* answer_saw_error for a value that is an object, by its member of that name; another one says nothing. */
void answer_saw_error_object(struct answer *a, const struct tap_value *v, const char *member);

/* The inside of a string that may lack its closing quote, as a tap tells it; empty for another value. */
struct slice answer_inside(const struct tap_value *v);

#endif
