/*
 * json: all JSON that we write, and the small documents that we read whole (status answers, provider error
 * bodies, stream events). Request bodies are not read here: base/scan reads them in place.
 *
 * Writer: calls come in the order of the text; commas are put in by the writer. The caller's buffer must be
 * large enough for what it chooses to write (a failure to append is a bug and aborts, as in buf_add). Nothing
 * is indented.
 *
 *     struct json_writer w;
 *     json_init(&w, &out);
 *     json_object_begin(&w);
 *     json_key(&w, "held");
 *     json_int(&w, 3);              -> {"held":3}
 *     json_object_end(&w);
 *
 * Reader: a document is owned by whoever called json_parse; every node and every text inside it is borrowed
 * and lives until json_free of the document. All accessors accept NULL (and a node of another type) and then
 * find nothing, so a path may be asked for without a check at each step.
 */
#ifndef METERGATE_BASE_JSON_H
#define METERGATE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* ---- writer ---- */

#define JSON_DEPTH_MAX 60

struct json_writer {
    struct buf *out;  /* borrowed */
    uint64_t objects; /* private: bit d is set when level d is an object */
    unsigned depth;   /* private */
    bool comma;       /* private: a value stands before the next one */
    bool keyed;       /* private: a key waits for its value */
};

void json_init(struct json_writer *w, struct buf *out);

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);

/* The name of the next value of an object. */
void json_key(struct json_writer *w, const char *key);
void json_key_slice(struct json_writer *w, struct slice key);

/* Escaped; a byte that is not part of valid UTF-8 becomes U+FFFD. */
void json_str(struct json_writer *w, struct slice s);
void json_int(struct json_writer *w, int64_t v);

/* `digits` after the point (0..9), trailing zeros kept; NaN and infinities become null. */
void json_double(struct json_writer *w, double v, int digits);
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);

/* A value that is JSON already, copied as it is. */
void json_raw(struct json_writer *w, struct slice json);

/* Key and value in one line. */
void json_member_str(struct json_writer *w, const char *key, struct slice s);
void json_member_int(struct json_writer *w, const char *key, int64_t v);
void json_member_double(struct json_writer *w, const char *key, double v, int digits);
void json_member_bool(struct json_writer *w, const char *key, bool v);

/* The inside of a JSON string, without its quotes: for text that is put together by hand. */
void json_escape(struct buf *out, struct slice s);

/* ---- reader ---- */

#define JSON_TEXT_MAX ((size_t)1 << 20)

struct json; /* a node; the document is its outermost node */

/* From now on documents are made of memory that the spare helps out with (spare.h). Before there is a second thread. */
void json_use_spare(void);

/*
 * One JSON value with nothing but white space around it. -E2BIG over JSON_TEXT_MAX, -EINVAL when it is not
 * JSON (or nests deeper than 1,000), -ENOMEM. A document costs up to about 35 times its text in memory.
 */
int json_parse(struct slice text, struct json **ret) MG_MUSTCHECK;
void json_free(struct json *doc);

/* Member of an object by its exact name (the first, if it stands there twice), or NULL. */
const struct json *json_get(const struct json *node, const char *key);

/* Members by names with dots between, array elements by number: "error.message", "choices.0.delta". */
const struct json *json_path(const struct json *node, const char *path);

/* Children of an array or object, in order. */
const struct json *json_first(const struct json *node);
const struct json *json_next(const struct json *child);
/* NOLINTBEGIN(bugprone-macro-parentheses): `child` is the name of the variable */
#define JSON_EACH(parent, child)                                                                             \
    for (const struct json *child = json_first(parent); child; child = json_next(child))
/* NOLINTEND(bugprone-macro-parentheses) */

/* The member's name; empty for array elements and the document. */
struct slice json_name(const struct json *node);

bool json_is_object(const struct json *node);
bool json_is_array(const struct json *node);
bool json_is_null(const struct json *node);

/*
 * -ENOENT when node is NULL, -EINVAL for another type. An integer must be whole and within +-2^53 (-ERANGE):
 * JSON numbers are doubles here. A string that contains \u0000 is cut there.
 */
int json_as_int64(const struct json *node, int64_t *ret) MG_MUSTCHECK;
int json_as_double(const struct json *node, double *ret) MG_MUSTCHECK;
int json_as_bool(const struct json *node, bool *ret) MG_MUSTCHECK;
int json_as_str(const struct json *node, struct slice *ret) MG_MUSTCHECK;

#endif
