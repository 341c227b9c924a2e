/*
 * tap: takes a few values out of a JSON text that passes in pieces of any size, without holding it.
 *
 * It follows strings and nesting only: a text that is not JSON yields nothing useful and does no harm. Memory
 * is the value being taken (bounded per path) and a few hundred bytes. Several texts one after the other
 * (JSON lines, or the empty lines that some providers send while a call waits) are each looked into.
 */
#ifndef METERGATE_DIALECT_TAP_H
#define METERGATE_DIALECT_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define TAP_LEVELS  7  /* paths have at most so many steps */
#define TAP_KEY_MAX 24 /* and keys of at most so many bytes */

/* One value worth taking. The steps are keys, or "*" for every element of an array; NULL after the last. */
struct tap_path {
    const char *steps[TAP_LEVELS + 1];
    int what;         /* told to the handler */
    size_t max_bytes; /* of a longer value so many bytes are taken */
    bool scalar;      /* the value may be a number, true, false or null; else only strings, objects and arrays are */
};

/* A value found on its way. Borrowed for the time of the call. */
struct tap_value {
    int what;
    int64_t index; /* of the first "*" of its path; 0 when it has none */
    struct slice
        raw; /* as JSON writes it: of a string with its opening quote, and the closing one if it was whole */
    size_t left_out; /* bytes of it that were not taken */
};

typedef void (*tap_handler)(void *arg, const struct tap_value *v);

struct tap_level {
    int64_t index; /* of the current element; -1 in an object */
    size_t key_n;  /* over TAP_KEY_MAX: a key that no path has */
    char key[TAP_KEY_MAX];
};

struct tap {
    const struct tap_path *paths; /* all private */
    size_t paths_n;
    tap_handler handler;
    void *arg;
    struct buf taken;              /* the value being taken */
    const struct tap_path *taking; /* its path, or NULL */
    unsigned taking_depth;         /* of the level that it stands in */
    size_t left_out;
    unsigned depth;
    bool in_string, escape, key_due, in_key;
    bool scalars;   /* some path wants them: nobody else pays for looking at each number of an embedding */
    bool in_scalar; /* `taking` is one */
    struct tap_level level[TAP_LEVELS + 1]; /* level[d]: what is inside the d-th open container; [0] unused */
    unsigned char object[512 / 8];          /* one bit a level */
    bool lost;                              /* nested deeper than that: nothing more is looked at */
    bool whole;                             /* a text has ended and nothing but white space came since */
};

/* `paths` must outlive the tap. */
void tap_init(struct tap *t, const struct tap_path *paths, size_t n, tap_handler handler, void *arg);
void tap_release(struct tap *t);

/* The next bytes of the text. -ENOMEM. */
int tap_feed(struct tap *t, struct slice in) MG_MUSTCHECK;

/* The text has ended: a value that was cut off is told with what there is of it. */
void tap_finish(struct tap *t);

/* Whether the text (the last of them) was complete. */
static inline bool tap_whole(const struct tap *t)
{
    return t->whole;
}

#endif
