/*
 * player: one client on one connection: what it asks, how it sends it, and when and how it leaves are drawn once, from the
 * run's dice. It judges every answer as it comes: unreadable bytes, or a whole answer that is not the right one, fail the test.
 */
#ifndef CHAOS_PLAYER_H
#define CHAOS_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "letter.h"
#include "reader.h"

#define PLAYER_LETTERS 3

struct pollfd;

/* How a client leaves. */
enum player_exit { EXIT_NONE, EXIT_CLOSE, EXIT_RESET, EXIT_HALF, EXIT_STOPS_READING };

/* What became of a client's requests. */
struct player_saw {
    int64_t answered; /* rightly and whole */
    int64_t refused;  /* 4xx of the proxy's own */
    int64_t failed;   /* 5xx */
    int64_t cut;      /* the connection ended before the answer did */
    int64_t left;     /* did not wait for it */
};

struct player {
    int fd; /* -1: not yet, or no longer */
    bool over;
    int id;
    uint64_t seed; /* of the run, for messages */
    int64_t start_us, patience_us, left_us;
    bool patient; /* stays for ever, and wants every answer */
    bool lost;    /* may be told that there is no such provider (404) */

    const struct letter *letters[PLAYER_LETTERS];
    struct letter_form form;
    size_t n, writing, reading; /* letters: all, in `out` so far, answered so far */
    bool pipelined;

    struct buf out;
    size_t sent, step, wait_at; /* wait_at: where it waits for 100 Continue */
    int64_t next_us;

    enum player_exit exit;
    size_t exit_sent, exit_received; /* leaves after so many bytes of either */
    bool half, deaf, was_reset;

    size_t received;
    struct player_saw saw;
    struct buf *ids; /* borrowed; NULL: nobody wants them */
    struct reader reader;
    struct rng rng;
};

/* What the whole run may do. */
struct player_rules {
    bool calm;          /* nothing goes wrong upstream; players that stay must get the right answers */
    bool lost;          /* upstreams come and go: 404 is an answer */
    struct buf *ids;    /* of answers that a row must be there for: a line each; NULL: not kept */
    int64_t start_us;   /* of the run */
    int64_t patience_us; /* the longest that an impatient one stays */
};

void player_init(struct player *p, int id, uint64_t seed, const struct letters *letters, const struct player_rules *rules,
                 struct rng *rng);
void player_release(struct player *p);

/* In a process of its own, which must not go on as the test does: it ends with PLAYER_FAILED. */
#define PLAYER_FAILED 70
void player_fails_alone(void);

/* One line: what it did. */
void player_print(const struct player *p, FILE *out);

/* Adds what to wait for: fds has room for one. */
void player_poll(const struct player *p, struct pollfd *fd, int64_t now_us, int64_t *wake_us);

/* Does what is due. */
void player_run(struct player *p, const struct pollfd *fd, int port, int64_t now_us);

#endif
