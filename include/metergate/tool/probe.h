/*
 * probe: one free question to each provider, through the daemon, as its own programs would ask it: which
 * models there are.
 *
 * The user's key goes only where his programs would send it: to the first upstream of its dialect, and over a
 * connection that nobody can listen to. Everywhere else the question is asked without a key, which the
 * daemon's own takes the place of.
 */
#ifndef METERGATE_TOOL_PROBE_H
#define METERGATE_TOOL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/tool/client.h"

#define PROBES_MAX 16

struct probe {
    const struct client *client;
    char *name; /* of the upstream, safe to show; owned */
    const struct probe_kind *kind;
    const char *key;         /* the variable whose value is sent; NULL: none */
    const char *missing_key; /* the variable that would have been taken, had it been set; NULL: none */
    struct buf path;         /* owned */
    int rc;                  /* of client_call */
    struct client_answer answer;
    struct errbuf error;
    int64_t took_us;
    int64_t wall_us; /* our clock when the answer was there */
};

struct probes {
    struct probe v[PROBES_MAX]; /* readable */
    size_t n;                   /* readable */
    size_t left_out; /* readable: upstreams of which too many are configured, or of an unknown dialect */
};

/* Asks those of `status` (tool/doc.h), all at once; takes 30 s at the most. Release them. */
void probes_ask(struct probes *p, const struct client *client, struct slice status);
void probes_release(struct probes *p);

#endif
