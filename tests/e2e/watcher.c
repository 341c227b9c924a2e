/* watcher: `told` is NUL-terminated text. */
#include "watcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "metergate/base/clock.h"

void watcher_start(struct watcher *w, const struct fixture *f, const char *query, const char *headers)
{
    struct buf request;

    buf_init(&request, BUF_UNLIMITED);
    buf_init(&w->told, BUF_UNLIMITED);
    buf_addf(&request, "GET /-/events%s HTTP/1.0\r\nHost: localhost\r\n%s\r\n", query, headers);
    w->fd = raw_connect(f->port);
    raw_send_text(w->fd, request.p);
    buf_release(&request);
}

void watcher_stop(struct watcher *w)
{
    close(w->fd);
    buf_release(&w->told);
}

int watcher_count(const struct watcher *w, const char *text)
{
    int n = 0;

    for (const char *at = w->told.n ? w->told.p : ""; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    return n;
}

/* False at the end of the stream. */
static bool read_more(struct watcher *w, int64_t until_us)
{
    struct pollfd wait = {.fd = w->fd, .events = POLLIN};
    int64_t left_ms = (until_us - clock_now_us()) / 1000;
    char piece[65536];
    ssize_t n;

    if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0)
        fail_msg("nothing more came after: %s", w->told.n ? w->told.p : "");
    n = recv(w->fd, piece, sizeof piece, 0);
    if (n > 0)
        buf_add(&w->told, piece, (size_t)n);
    return n > 0;
}

void watcher_wait(struct watcher *w, const char *text, int times)
{
    int64_t until_us = clock_now_us() + FIXTURE_TIMEOUT_MS * INT64_C(1000);

    while (watcher_count(w, text) < times) {
        if (!read_more(w, until_us))
            fail_msg("the stream has ended without \"%s\": %s", text, w->told.n ? w->told.p : "");
    }
}

void watcher_wait_end(struct watcher *w)
{
    int64_t until_us = clock_now_us() + FIXTURE_TIMEOUT_MS * INT64_C(1000);

    while (read_more(w, until_us))
        continue;
}

struct cJSON *watcher_event(const struct watcher *w, const char *name, int n)
{
    char line[64];
    const char *at = w->told.p;
    cJSON *json;

    snprintf(line, sizeof line, "event: %s\ndata: ", name);
    do {
        at = strstr(at, line);
        assert_non_null(at);
        at += strlen(line);
    } while (n-- > 0);
    json = cJSON_ParseWithLength(at, strcspn(at, "\n"));
    assert_non_null(json);
    return json;
}
