/*
 * exchange: one request that was read whole, on its way to an answer. Handlers (chat, embed, files) are given one;
 * exchange_admit is the single place where a request becomes an arrival, exchange_run the single one where it ends.
 */
#ifndef SIMULATOR_EXCHANGE_H
#define SIMULATOR_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "answer.h"
#include "body.h"
#include "fault.h"
#include "request.h"
#include "sim.h"

struct exchange {
    enum speech speech; /* readable */
    struct sim *sim;
    const struct request *request;
    struct body body;
    struct plan plan;
    struct answer answer;
    struct arrival *arrival; /* until it is admitted */
    struct call call;
    bool arrived;           /* the call is in the audit */
    struct buf error_details; /* of a Google error: `,"details":[...]` */
    struct used used;       /* for the settling: what was read and what was produced so far */
};

/*
 * Serves one request whose head was read: its body, its answer. Afterwards the connection may be used again unless
 * *ret_close; *ret_reset says how to close it. 0; -EBADMSG with a violation in `e`; -EPIPE when the client left while it
 * was sending.
 */
int exchange_run(struct sim *sim, struct wire *wire, const struct request *r, int64_t connection, bool *ret_close,
                 bool *ret_reset, struct errbuf *e) MG_MUSTCHECK;

/* ---- for handlers ---- */

/*
 * The request arrives: for a model with what it asks for, or for none. True when it is to be served; otherwise it has its
 * answer already (a fault's error status, a 429).
 */
bool exchange_admit(struct exchange *x, struct slice model, const struct demand *demand);

/* An answer in JSON. */
void exchange_json(struct exchange *x, int status, struct slice json);

/* NAME of /openai/deployments/NAME/..., or empty. */
struct slice exchange_deployment(const struct exchange *x);

/* An error in the shape of its speech; `param` and `code` may be NULL, and OpenAI alone shows them. */
void exchange_error(struct exchange *x, int status, const char *type, const char *param, const char *code, const char *fmt, ...)
    MG_PRINTF(6, 7);

#endif
