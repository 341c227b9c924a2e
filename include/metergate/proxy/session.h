/*
 * session: who has shown a token on the login page, and may look at the dashboard from then on. The browser keeps a random
 * text, never the token: cookies of 127.0.0.1 go to every port of the machine. That is why a session is also that of the user
 * who logged in: what another user's server on another port is sent opens nothing to him. Here is only a digest of the text, in
 * memory: a restart ends all sessions. Pure but for the random text.
 */
#ifndef METERGATE_PROXY_SESSION_H
#define METERGATE_PROXY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/clock.h"
#include "metergate/base/secret.h"
#include "metergate/base/slice.h"

struct config;

#define SESSIONS_MAX  100 /* at one time; the oldest ends for one more, */
#define SESSIONS_EACH 20  /* and of these with one token the oldest of them: who logs in often ends nobody else's */
#define SESSION_US    (INT64_C(12) * 3600 * CLOCK_S)
#define SESSION_BYTES 32
#define SESSION_SIZE  (2 * SESSION_BYTES + 1)

/* Of a user who is on another machine, or cannot be seen. */
#define SESSION_USER_UNSEEN INT64_C(-1)

struct session {
    struct secret_fingerprint digest; /* of the browser's text */
    struct secret_fingerprint token;  /* that was shown */
    int64_t user;                     /* who showed it: a user of this machine; SESSION_USER_UNSEEN */
    int64_t until_us;                 /* 0: there is none here */
};

/* A zeroed one has none. */
struct sessions {
    struct session v[SESSIONS_MAX]; /* private */
};

/* Begins one for that user, who has shown that token; the text for the browser goes to `ret`. */
void sessions_begin(struct sessions *s, const struct secret_fingerprint *token, int64_t user, int64_t now_us,
                    char ret[SESSION_SIZE]);

/* Whether that text is of a session of that user that has not ended. In a time that does not depend on which, or how nearly. */
bool sessions_has(const struct sessions *s, struct slice text, int64_t user, int64_t now_us);

/* Ends it, if there is such a one. */
void sessions_end(struct sessions *s, struct slice text);

/* Ends those whose token is no client's in that configuration. */
void sessions_keep(struct sessions *s, const struct config *config);

#endif
