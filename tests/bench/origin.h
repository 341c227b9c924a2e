/*
 * origin: a provider that costs next to nothing: one process, one epoll, answers made beforehand, over HTTP and over
 * HTTPS. What it does is decided by the request's header `X-Bench`:
 *
 *   (none)        a chat completion of 586 bytes with its usage, or when the path is another one, the same bytes
 *   sse MS N      a stream: N events, one every MS milliseconds, then usage and [DONE]. Each event carries the time at
 *                 which it was written ("t":NANOSECONDS, CLOCK_MONOTONIC)
 *   hold          no answer until a request with `release` has come; then like (none)
 *   release       see there
 */
#ifndef BENCH_ORIGIN_H
#define BENCH_ORIGIN_H

/* Serves on two listening sockets until it is killed. `cert` and `key` are PEM files. Never returns. */
void origin_serve(int plain_fd, int tls_fd, const char *cert, const char *key) __attribute__((noreturn));

#endif
