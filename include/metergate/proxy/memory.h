/*
 * memory: what later calls may build on that only the provider keeps: how many tokens stand behind the id of a
 * response, of a conversation or of a stored prompt; and the responses that are made in the background, whose
 * usage is known when somebody asks for them.
 *
 * Bounded: MEMORY_MAX ids, of which the one that was longest not told goes first, and as many background
 * responses, each for MEMORY_BACKGROUND_US; what is forgotten stays at its estimate. Belongs to the loop's thread.
 */
#ifndef METERGATE_PROXY_MEMORY_H
#define METERGATE_PROXY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/list.h"
#include "metergate/base/map.h"
#include "metergate/base/slice.h"
#include "metergate/dialect/dialect.h"
#include "metergate/net/loop.h"

struct call;
struct proxy;
struct usage;

#define MEMORY_MAX           10000
#define MEMORY_BACKGROUND_US (INT64_C(3600) * 1000000)

struct memory {
    struct map by_id;       /* private: kind and id -> struct fact */
    struct list by_age;     /* private: the same, told last at the end */
    struct map background;  /* private: id -> struct background */
    struct list backgrounds; /* private: the same, oldest first */
    struct loop_timer old;   /* private: not later than the oldest of them is given up */
};

void memory_init(struct memory *m);

/* Everything is forgotten; background responses stay at their estimate. */
void memory_release(struct memory *m, struct proxy *p);

/* Tokens that come on top of what the call's body says; -1: not known. 0 without a reference. */
int64_t memory_referred_tokens(const struct memory *m, const struct dialect_request *r);

/* A call has ended with the usage that the provider reported: what may be referred to later. */
void memory_learn(struct memory *m, const struct call *c, const struct usage *u);

/*
 * A background call's first answer has come, without usage: takes over what its attempt holds. False: it is
 * none, and the caller closes the attempt.
 */
bool memory_take_background(struct memory *m, struct call *c);

/* Somebody was shown the response of this id, with its usage. */
void memory_saw_response(struct memory *m, struct proxy *p, struct slice id, const struct usage *u);

/* For a reload's sweep: marks the budgets that background responses hold. */
void memory_name_budgets(const struct memory *m);

#endif
