/* line: the easy handle is in the multi handle exactly while `busy`. */
#include "metergate/tool/line.h"

#include <errno.h>
#include <stdlib.h>

#include "client_inside.h"
#include "metergate/base/clock.h"

#define FDS_MAX 4

struct line {
    const struct client *client; /* borrowed */
    CURLM *multi;
    struct transfer transfer;
    bool busy;
};

struct line *line_new(const struct client *c)
{
    struct line *l = xcalloc(1, sizeof *l);

    l->client = c;
    l->multi = curl_multi_init();
    l->transfer.handle = curl_easy_init();
    MG_ASSERT(l->multi && l->transfer.handle);
    return l;
}

/* What curl said of the question, which leaves the multi handle. */
static int end(struct line *l, CURLcode rc, struct client_answer *ret, struct errbuf *e)
{
    curl_multi_remove_handle(l->multi, l->transfer.handle);
    l->busy = false;
    return transfer_finish(&l->transfer, l->client, rc, ret, e);
}

void line_free(struct line *l)
{
    struct client_answer unused;
    struct errbuf unsaid;

    if (!l)
        return;
    if (l->busy)
        (void)!end(l, CURLE_ABORTED_BY_CALLBACK, &unused, &unsaid);
    curl_easy_cleanup(l->transfer.handle);
    curl_multi_cleanup(l->multi);
    free(l);
}

void line_ask(struct line *l, const struct client_request *r)
{
    MG_ASSERT(!l->busy);
    transfer_prepare(&l->transfer, l->client, r);
    MG_ASSERT(curl_multi_add_handle(l->multi, l->transfer.handle) == CURLM_OK);
    l->busy = true;
}

bool line_busy(const struct line *l)
{
    return l->busy;
}

/* -EAGAIN while it goes on. */
static int advance(struct line *l, struct client_answer *ret, struct errbuf *e)
{
    int running, left;
    CURLMsg *m;

    if (!l->busy)
        return -EAGAIN;
    curl_multi_perform(l->multi, &running);
    m = curl_multi_info_read(l->multi, &left);
    return m && m->msg == CURLMSG_DONE ? end(l, m->data.result, ret, e) : -EAGAIN;
}

/* Whether any of them is ready: asked of the kernel, since curl tells of few of poll's events. */
static bool look(struct pollfd *fds, size_t n)
{
    return poll(fds, (nfds_t)n, 0) > 0;
}

int line_wait(struct line *l, struct pollfd *fds, size_t n, int64_t timeout_ms, struct client_answer *ret,
              struct errbuf *e)
{
    int64_t until_us = clock_now_us() + timeout_ms * CLOCK_MS, left_ms = timeout_ms;
    struct curl_waitfd others[FDS_MAX] = {{0}};

    MG_ASSERT(n <= FDS_MAX && timeout_ms >= 0);
    for (size_t i = 0; i < n; i++)
        others[i] = (struct curl_waitfd){.fd = fds[i].fd, .events = CURL_WAIT_POLLIN};
    for (;;) {
        int rc = advance(l, ret, e);
        bool ready = look(fds, n);

        if (rc != -EAGAIN || ready || left_ms <= 0)
            return rc;
        curl_multi_poll(l->multi, others, (unsigned)n, (int)(left_ms < 60000 ? left_ms : 60000), NULL);
        left_ms = (until_us - clock_now_us() + CLOCK_MS - 1) / CLOCK_MS;
    }
}
