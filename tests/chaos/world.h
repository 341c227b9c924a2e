/*
 * world: the daemon under test with a simulator and a raw provider behind it, and what must be true of them when a run is
 * over. Every check here fails the test with the run's seed and the daemon's log.
 */
#ifndef CHAOS_WORLD_H
#define CHAOS_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "../e2e/fixture.h"
#include "letter.h"
#include "provider.h"

struct db;
struct fault;
struct player;
struct steer;

/* Connections to providers that may stay open. */
#define WORLD_UPSTREAM_MAX 300

/* An upstream that the daemon knows by name; the resolver of tests/shim answers for it. */
#define WORLD_NAME "provider.test"

struct open_files {
    int clients, upstream, other; /* connections of clients, to providers, everything else; other < 0: not known */
};

/* A daemon, and what it has open. */
struct subject {
    struct fixture f; /* simulator: NULL, it is the world's */
    struct open_files at_rest, now; /* before the first call; at the last check */
    int64_t lost;                   /* calls whose rows were in files that somebody removed */
    bool may_lose;                  /* since the last check some may be */
};

struct world {
    struct fixture sim; /* the simulator alone */
    struct subject main; /* lives through all runs */
    struct provider raw;
    int dead_fd, dead_port; /* nobody listens there */
    struct letters letters;
    uint64_t seed;                 /* of this run */
    const struct player *players;  /* of this run, n of them; borrowed */
    size_t n;
    int64_t slowest_abort_us;

    int64_t settle_us;   /* how long it may take until all is at rest */
    int64_t extra_us;    /* an abort may be so much later, in this run: the daemon was not let run */
    int64_t scale;       /* daemon and simulator live so many times faster; 0: the simulator as we do */
    char yaml[4096];     /* in place of the world's own; "" : that */
    struct steer *steer; /* NULL: the daemon runs without the shim */
    bool names;          /* letters go to WORLD_NAME too */
    bool forgets;        /* calls may bear a date so old that what they were charged is no longer kept */
    bool torn;           /* heads go out in pieces: a client that leaves meanwhile leaves half of one at the provider */
    bool may_mount, mounted;
    struct db *lock;     /* on the ledger; NULL: none */
};

/* Providers, daemon and letters for the runs of one fault; only may_mount and scale are kept. False: that fault cannot be made here. */
bool world_init(struct world *w, const struct fault *fault);

/* The daemon, started once more, must find nothing left to do. */
void world_release(struct world *w, const struct fault *fault);

/* A mount namespace of our own, if one may be had. Before there is any thread. */
bool world_may_mount(void);

/* A daemon in front of the world's providers. Stop it with fixture_stop. */
void subject_start(struct world *w, struct subject *s);

/* Another configuration of the same kind, for a SIGHUP. */
void subject_change(struct world *w, struct subject *s, int which);

/*
 * All clients have left: nothing is held, in flight or reserved, every call has one outcome and one row in the ledger, no
 * client's connection and no descriptor is left over. Waits for it, but not for long.
 */
void subject_assert_settled(struct world *w, struct subject *s);

/* Of one that has ended, and is not yet stopped: each call that it logged is in its ledger, once. */
void subject_assert_kept(struct world *w, const struct subject *s);

/* What it has open now. */
struct open_files subject_open_files(const struct subject *s);

/* Its resident memory. */
int64_t subject_rss_bytes(const struct subject *s);

/*
 * The simulator has no call in flight, saw no violation, and each abort within a second of its client's leaving.
 * Forgets what it saw.
 */
void world_assert_provider(struct world *w);

/* Fails the test, with what the players did and the end of the daemon's log. */
void world_fail(const struct world *w, const struct subject *s, const char *what);

/* The test's own time limit for what the daemon does in moments: longer where it runs slowly on purpose (CHAOS_SLOW=N). */
int64_t world_patience_us(void);

#endif
