/*
 * letter: the requests that chaos sends, each with the answer that is right for it. The simulator's answers depend on the
 * request alone, so they are asked for once, directly, before anything goes wrong; a whole answer that differs is a bug.
 */
#ifndef CHAOS_LETTER_H
#define CHAOS_LETTER_H

#include <stdbool.h>
#include <stddef.h>

#include "../sim/rng.h"
#include "metergate/base/buf.h"

struct fixture;

#define LETTERS_MAX 60

/* Who answers. */
enum letter_to {
    LETTER_TO_SIMULATOR,
    LETTER_TO_RAW,   /* the provider of provider.h, which breaks what the simulator cannot */
    LETTER_TO_DEAD,  /* nobody listens there */
    LETTER_TO_NAMED, /* the simulator, by a name that does not always lead there */
    LETTER_TO_DAEMON /* the daemon itself */
};

struct letter {
    enum letter_to to;
    const char *method;
    char target[64];
    struct buf body;
    int status;        /* of the right answer */
    struct buf answer; /* its body */
    bool any_body;     /* the body is not known beforehand */
};

struct letters {
    struct letter list[LETTERS_MAX];
    size_t n;
};

/* How a letter is put into bytes. */
struct letter_form {
    int minor;       /* of HTTP/1.minor */
    bool chunked;    /* the body in chunks of random sizes */
    bool expect;     /* Expect: 100-continue */
    bool close;      /* Connection: close */
    int id;          /* X-Chaos, which the simulator's audit shows */
};

/* Writes all letters, and asks the simulator for the right answers. `names`: some go to LETTER_TO_NAMED. */
void letters_init(struct letters *l, const struct fixture *f, bool names);

/* And some that the daemon answers by itself: estimates, reports, metrics, the page; and embeddings. After letters_init. */
void letters_add_own(struct letters *l);
void letters_release(struct letters *l);

/* Any letter; when `sound`, one that only the simulator or the daemon answers. */
const struct letter *letters_pick(const struct letters *l, struct rng *rng, bool sound);

/* Appends the request's bytes; *ret_body is where in `out` its body begins. */
void letter_write(const struct letter *l, const struct letter_form *form, struct rng *rng, struct buf *out, size_t *ret_body);

/* The bodies of the raw provider's answers: the right ones. */
#define LETTER_RAW_JSON                                                                                                     \
    "{\"id\":\"chatcmpl-raw\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"              \
    "\"assistant\",\"content\":\"as it was in the beginning\"},\"finish_reason\":\"stop\"}],\"usage\":{"                    \
    "\"prompt_tokens\":9,\"completion_tokens\":6,\"total_tokens\":15}}"
#define LETTER_RAW_EVENT(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define LETTER_RAW_STREAM                                                                                                   \
    LETTER_RAW_EVENT("is now") LETTER_RAW_EVENT(" and ever") LETTER_RAW_EVENT(" shall be") "data: [DONE]\n\n"

#endif
