/*
 * scan: a pull scanner over JSON text in place (RFC 8259, strict).
 *
 * It copies nothing, allocates nothing and does not recurse: nesting costs one bit a level, and more than
 * SCAN_MAX_DEPTH levels are an error. Every byte is looked at once, so a whole document costs linear time
 * whatever is in it. The text is borrowed and must outlive the scanner; every span that it tells is an offset
 * into that text, so that a caller can cut and insert bytes there.
 *
 *     struct scan s;
 *     struct scan_value key, value;
 *     scan_init(&s, body);
 *     if (scan_enter(&s, SCAN_OBJECT))
 *         while (scan_member(&s, &key))
 *             if (scan_is(&s, &key, "model"))
 *                 value = scan_value(&s);
 *             else
 *                 scan_value(&s);            // every member is read or entered exactly once
 *     if (scan_end(&s) < 0)
 *         ... s.error says why, s.at says where; nothing read so far may be trusted
 *
 * Errors are sticky: after one, every function answers "nothing more" and scan_end tells. Using the functions
 * out of turn (a member that is neither read nor entered, an element asked of an object) is a bug and
 * asserts.
 *
 * Duplicate keys are shown, each in its turn. Who looks for a key keeps the last one: that is what the
 * parsers behind the providers' interfaces do (Python's json and orjson, JavaScript's JSON.parse, Go's
 * encoding/json).
 *
 * Bytes above 0x7F inside strings are taken as they are; scan_decode (scan_text.h) replaces what is not UTF-8
 * by U+FFFD.
 */
#ifndef METERGATE_BASE_SCAN_H
#define METERGATE_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define SCAN_MAX_DEPTH 512

enum scan_type {
    SCAN_NONE, /* no value: an error, or the end of the text */
    SCAN_OBJECT,
    SCAN_ARRAY,
    SCAN_STRING,
    SCAN_NUMBER,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NULL,
};

/* Where a value stands in the text. Plain data. */
struct scan_value {
    enum scan_type type;
    bool escaped; /* a string with a backslash in it */
    size_t at;    /* offset of its first byte (the quote, the brace) */
    size_t n;     /* bytes, quotes and braces included */
};

struct scan {
    struct slice text;   /* borrowed */
    size_t at;           /* readable: offset of the next byte; of the fault after an error */
    const char *error;   /* readable: NULL, or the fault in words (static text) */
    unsigned depth;      /* readable: how many objects and arrays are open */
    unsigned char state; /* private */
    unsigned char object[SCAN_MAX_DEPTH / 8]; /* private: one bit a level, set for an object */
};

void scan_init(struct scan *s, struct slice text);

/* The type of the value that comes next, without reading it; SCAN_NONE after an error. */
enum scan_type scan_peek(struct scan *s);

/* Reads the next value whole, whatever is inside it. Type SCAN_NONE after an error. */
struct scan_value scan_value(struct scan *s);

/*
 * Steps into the next value if it is of the type asked for (SCAN_OBJECT or SCAN_ARRAY). If it is of another
 * type it is read whole instead and the answer is false, so the caller needs no else. False after an error.
 */
bool scan_enter(struct scan *s, enum scan_type type);

/* Inside an object: the next key (a string value), whose value must be read or entered next. False at the end
 * of the object, which is then left, or after an error. */
bool scan_member(struct scan *s, struct scan_value *ret_key);

/* Inside an array: whether there is another element, which must be read or entered next. False at the end of
 * the array, which is then left, or after an error. */
bool scan_element(struct scan *s);

/* After the outermost value: nothing but white space may follow. 0; -EBADMSG when anything was wrong
 * (s->error). */
int scan_end(struct scan *s) MG_MUSTCHECK;

/* The bytes of a value as they stand; of a string without its quotes. */
struct slice scan_text(const struct scan *s, const struct scan_value *v);
struct slice scan_inside(struct slice text, const struct scan_value *v);

#endif
