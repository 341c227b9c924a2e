/*
 * played: a provider that the test plays by itself, byte for byte, for what no server would say. The daemon of
 * played_start calls it; the fixture's simulator is there for fixture_assert_idle alone.
 */
#ifndef E2E_PLAYED_H
#define E2E_PLAYED_H

#include "fixture.h"

/* How a connection ends once the bytes are out. */
enum played_end {
    PLAYED_CLOSES,
    PLAYED_RESETS, /* what the daemon has not read yet is lost */
};

/* A chat; every request of a test must end in "]}", by which its end is known. */
#define PLAYED_CHAT                                                                                          \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

/* Listens at any port of 127.0.0.1. Close it. */
int played_listen(int *ret_port);

/* Starts the daemon before a listener, which is returned; `options` (", retry: {attempts: 1}") are the upstream's, `more`
 * are further sections of the configuration. */
int played_start(struct fixture *f, const char *options, const char *more);

/* Takes the next connection and reads its request. Close it. */
int played_take(int listener);

void played_end(int fd, enum played_end how);

/* One call, answered with `n` bytes of `answer` and the end. */
struct client_reply played_call(const struct fixture *f, int listener, const char *body, const char *answer, size_t n,
                                enum played_end how);

#endif
