/*
 * lease_text: what the bodies of POST /-/reserve and POST /-/settle say. Pure.
 *
 *   {"model":"gpt-4o","tokens":1200,"max_wait":30}
 *   {"model":"gpt-4o","input_tokens":1000,"output_tokens":200}
 *   {"lease":"ID","input_tokens":1010,"output_tokens":154}
 *   {"lease":"ID","status":429,"retry_after":2}
 *
 * A body of a program that was written for it: what is not understood is refused and named, so that no
 * misspelt member is silently left out. null is as good as absent.
 */
#ifndef METERGATE_PROXY_LEASE_TEXT_H
#define METERGATE_PROXY_LEASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"
#include "metergate/gate/profile.h"
#include "metergate/proxy/lease.h"

/* A body is at most this long. */
#define LEASE_TEXT_MAX ((size_t)8 << 10)

#define LEASE_UPSTREAM_MAX 128

struct lease_wish {
    char model[DIALECT_MODEL_MAX];     /* never empty; without Gemini's "models/" */
    char upstream[LEASE_UPSTREAM_MAX]; /* empty: that of the model */
    int64_t input, output; /* tokens, 0..DIALECT_TOKENS_MAX; all of it is input where only a sum is given */
    int64_t max_wait_us;   /* -1: not said */
};

struct lease_report {
    char id[LEASE_ID_SIZE]; /* empty: it cannot be one */
    struct usage usage;     /* 0..DIALECT_TOKENS_MAX */
    bool refused;           /* the provider answered 429, and nothing was used */
    int64_t retry_after_us; /* what it asked for then; -1: nothing */
};

/* -EBADMSG with the rest of a sentence that begins with "The body is no reservation: ". */
int lease_wish_read(struct slice body, struct lease_wish *ret, struct errbuf *e) MG_MUSTCHECK;

/* -EBADMSG with the rest of a sentence that begins with "The body settles no lease: ". */
int lease_report_read(struct slice body, struct lease_report *ret, struct errbuf *e) MG_MUSTCHECK;

#endif
