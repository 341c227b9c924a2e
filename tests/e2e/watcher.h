/*
 * watcher: a client of /-/events: what it was told so far, and waiting for more. HTTP/1.0, so that the bytes are the
 * stream's own. Everything here fails the test when it does not get what it wants.
 */
#ifndef E2E_WATCHER_H
#define E2E_WATCHER_H

#include <stdbool.h>

#include "fixture.h"

struct watcher {
    int fd;
    struct buf told; /* head and all */
};

/* GET of /-/events with that query ("" or "?history=1") and more header lines ("Name: value\r\n" each). */
void watcher_start(struct watcher *w, const struct fixture *f, const char *query, const char *headers);
void watcher_stop(struct watcher *w);

/* Waits until the text was told so many times, or until the stream has ended. */
void watcher_wait(struct watcher *w, const char *text, int times);
void watcher_wait_end(struct watcher *w);

int watcher_count(const struct watcher *w, const char *text);

/* The data of the n-th event of that name, from 0. cJSON_Delete it. */
struct cJSON *watcher_event(const struct watcher *w, const char *name, int n);

#endif
