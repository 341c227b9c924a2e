/*
 * upstream: the pool: when transfers run, in which lane, and how they end. What was measured, and is
 * the reason for the shape (libcurl 7.88.1):
 *
 * - For each new transfer curl scans all connections to the same host. With 3,000 streams in one CURLM a call
 *   costs 778 us, with 64 to a CURLM 98. Hence lanes: CURLMs of at most LANE_TRANSFERS, filled first-fit, so
 *   that the first ones stay hot.
 * - What curl keeps pending is scanned again for each transfer that ends. So nothing is ever queued in curl:
 *   a transfer is added when it has a slot.
 * - Registering and unregistering a kept connection for each request costs a tenth of the CPU. So a sock may
 *   be watched for more than curl wants; when an event shows that, the watch is narrowed.
 *
 * What must always be true:
 * - depth is 0 outside of curl's functions. Transfers start, end and are freed at depth 0 only; pool_leave
 *   finishes what callbacks have left to do as soon as it is.
 * - A transfer is on exactly one of waiting, running, dead; `active` of its lane counts it while it is in
 *   that lane.
 */
#include "upstream_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/log.h"
#include "metergate/base/spare.h"

#define LANE_TRANSFERS       64u
#define TRANSFERS_DEFAULT    4096u
#define CONNECTING_DEFAULT   64u
#define WAITING_ENOUGH       64u
#define STARVED_RETRY_US     (100 * CLOCK_MS)
#define STARVED_SAY_US       (60 * CLOCK_S)
#define MEMORY_ATTEMPTS      20u /* two seconds; what has none then is told so */
#define HEAD_BYTES_DEFAULT   ((size_t)24 * 1024)
#define KEEP_IDLE_US_DEFAULT (60 * CLOCK_S)

static void pool_run(void *ctx);
static void pool_leave(struct upstream_pool *p, struct lane *lane);

static void pool_wants_run(struct upstream_pool *p)
{
    loop_task_queue(p->loop, &p->task, pool_run, p);
}

/* ---- lanes --------------------------------------------------------------------------------------------- */

static void lane_on_timer(void *ctx)
{
    struct lane *lane = ctx;

    lane->due = true;
    pool_wants_run(lane->pool);
}

/* curl says when it wants to be called; 0 ms is the usual answer to a new transfer. */
static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct lane *lane = ctx;
    struct loop *l = lane->pool->loop;

    (void)multi;
    loop_timer_clear(l, &lane->timer);
    if (timeout_ms == 0)
        lane_on_timer(lane);
    else if (timeout_ms > 0)
        loop_timer_set(l, &lane->timer, loop_now_us(l) + timeout_ms * CLOCK_MS, lane_on_timer, lane);
    return 0;
}

static int lane_open(struct lane *lane, struct upstream_pool *p)
{
    lane->pool = p;
    if (lane->multi)
        return 0;
    list_init(&lane->socks);
    lane->multi = curl_multi_init();
    if (!lane->multi)
        return -ENOMEM;
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, sock_on_want);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)LANE_TRANSFERS);
    curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return 0;
}

/* Closes its kept connections and gives its memory back. */
static void lane_close(void *ctx)
{
    struct lane *lane = ctx;
    struct upstream_pool *p = lane->pool;

    MG_ASSERT(lane->active == 0);
    loop_timer_clear(p->loop, &lane->idle_timer);
    if (!lane->multi)
        return;
    p->depth++;
    curl_multi_cleanup(lane->multi);
    p->depth--;
    lane->multi = NULL;
    lane->due = lane->broken = false;
    loop_timer_clear(p->loop, &lane->timer);
    LIST_EACH(&lane->socks, node, next)
    { /* what curl closed by itself */
        struct sock *s = LIST_ENTRY(node, struct sock, socks);

        loop_watch_forget(p->loop, &s->watch);
        list_unlink(&s->socks);
    }
}

/* The first lane with room; NULL: none, or no memory for one. */
static struct lane *pool_find_lane(struct upstream_pool *p)
{
    for (unsigned i = 0; i < p->lane_n; i++)
        if (p->lanes[i].active < LANE_TRANSFERS && !p->lanes[i].broken)
            return lane_open(&p->lanes[i], p) == 0 ? &p->lanes[i] : NULL;
    return NULL;
}

/* ---- transfers: start and end -------------------------------------------------------------------------- */

static bool pool_has_slot(const struct upstream_pool *p)
{
    return p->stats.active < p->config.max_transfers && p->connecting < p->config.max_connecting &&
           !loop_timer_is_set(&p->starving);
}

bool upstream_is_full(const struct upstream_pool *p)
{
    return p->stats.waiting >= WAITING_ENOUGH;
}

static void pool_launch(struct upstream_pool *p, struct transfer *t)
{
    struct lane *lane = pool_find_lane(p);

    if (!lane) {
        pool_end(t, TRANSFER_MEMORY, "no memory for another connection");
        return;
    }
    p->stats.waiting--;
    p->stats.active++;
    p->stats.started++;
    list_push_back(&p->running, &t->pooled);
    t->lane = lane;
    lane->active++;
    loop_timer_clear(p->loop, &lane->idle_timer);
    transfer_begin(t);
    p->depth++;
    /* It has no other reason. */
    if (curl_multi_add_handle(lane->multi, t->easy) != CURLM_OK)
        t->verdict = TRANSFER_MEMORY;
    p->depth--;
    if (t->verdict != TRANSFER_OK)
        pool_end(t, TRANSFER_MEMORY, "libcurl refused the request");
}

/* Takes it out of wherever it is. At depth 0. */
static void pool_take_out(struct transfer *t)
{
    struct upstream_pool *p = t->pool;
    struct lane *lane = t->lane;

    if (t->state == T_CONNECT)
        p->connecting--;
    list_unlink(&t->pooled);
    if (lane) {
        p->depth++;
        curl_multi_remove_handle(lane->multi, t->easy);
        p->depth--;
        p->stats.active--;
        lane->active--;
        t->lane = NULL;
        if (lane->active == 0)
            loop_timer_set(p->loop, &lane->idle_timer, loop_now_us(p->loop) + (lane->broken ? 0 : p->config.keep_idle_us),
                           lane_close, lane);
        pool_wants_run(p);
    } else {
        p->stats.waiting--;
    }
    if (t->sock)
        t->sock->transfer = NULL;
    t->sock = NULL;
    t->state = T_ENDED;
}

void pool_end(struct transfer *t, enum transfer_result r, const char *why)
{
    const struct transfer_ops *ops = t->ops;

    MG_ASSERT(t->pool->depth == 0);
    pool_take_out(t);
    ops->on_end(t->ctx, t, r, why);
    transfer_free(t);
}

void transfer_abort(struct transfer *t)
{
    struct upstream_pool *p = t->pool;

    if (p->depth == 0) {
        pool_take_out(t);
        transfer_free(t);
        return;
    }
    /* Inside curl: its callbacks fail from now on, and the rest is done when curl has returned. */
    if (t->state == T_CONNECT)
        p->connecting--;
    t->state = T_ENDED;
    list_push_back(&p->dead, &t->pooled);
}

static void pool_on_fed(void *ctx)
{
    pool_wants_run(ctx);
}

/* Nothing was sent: it is started again, first in line. */
static void pool_put_back(struct transfer *t)
{
    pool_take_out(t);
    t->error[0] = '\0';
    t->starved = t->stale = false;
    t->check_at_us = CLOCK_NEVER;
    loop_timer_clear(t->pool->loop, &t->timer);
    t->state = T_WAITING;
    list_push_front(&t->pool->waiting, &t->pooled);
    t->pool->stats.waiting++;
}

/* What is kept for later use. */
static void pool_close_idle(struct upstream_pool *p)
{
    for (unsigned i = 0; i < p->lane_n; i++)
        if (p->lanes[i].multi && p->lanes[i].active == 0)
            lane_close(&p->lanes[i]);
}

void upstream_close_idle(struct upstream_pool *p)
{
    if (p->depth == 0)
        pool_close_idle(p);
}

/*
 * There was no descriptor, or no memory, for its connection. It waits until others may have given theirs back; what is kept for later use
 * is given back now.
 */
static void pool_starve(struct transfer *t)
{
    struct upstream_pool *p = t->pool;
    int64_t now = loop_now_us(p->loop);

    if (!p->starved_said_us || now - p->starved_said_us > STARVED_SAY_US) {
        log_warn("no descriptors or memory for connections to providers: calls wait until some are free");
        p->starved_said_us = now;
    }
    pool_put_back(t);
    pool_close_idle(p);
    loop_timer_set(p->loop, &p->starving, now + STARVED_RETRY_US, pool_on_fed, p);
}

static void pool_reap(struct lane *lane)
{
    CURLMsg *msg;
    int left;

    while (lane->multi && (msg = curl_multi_info_read(lane->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode code = msg->data.result; /* the message dies with the handle */
        const char *why;
        enum transfer_result r;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
        if (t->state == T_ENDED)
            continue; /* it is in `dead` */
        if ((t->starved && t->sends == 0) || (transfer_lacks_memory(t, code) && t->starvations++ < MEMORY_ATTEMPTS)) {
            pool_starve(t);
            continue;
        }
        if (t->stale) {
            pool_put_back(t); /* curl has closed the connection: what was aborted is not kept */
            continue;
        }
        r = transfer_judge(t, code, &why);
        pool_end(t, r, why);
    }
}

/* curl was left, after it had driven `lane` (or none): what its callbacks could not do. */
static void pool_leave(struct upstream_pool *p, struct lane *lane)
{
    MG_ASSERT(p->depth == 0);
    while (!list_empty(&p->dead)) {
        struct transfer *t = LIST_ENTRY(list_first(&p->dead), struct transfer, pooled);

        pool_take_out(t);
        transfer_free(t);
    }
    if (lane)
        pool_reap(lane);
    if (!list_empty(&p->waiting) && pool_has_slot(p))
        pool_wants_run(p);
    if (p->owes_room && !upstream_is_full(p)) {
        p->owes_room = false;
        p->config.on_room(p->config.ctx);
    }
}

/* A transfer of `lane` that curl may not be looking at any more; NULL: none. */
static struct transfer *lane_find_unwatched(const struct lane *lane)
{
    LIST_EACH(&lane->pool->running, node, next)
    {
        struct transfer *t = LIST_ENTRY(node, struct transfer, pooled);

        if (t->lane == lane && (t->state == T_CONNECT || (t->sock && !t->sock->want && !t->recv_paused)))
            return t;
    }
    return NULL;
}

/*
 * An allocation has failed inside curl. If it was one with which curl notes that a descriptor has to do with a transfer, then 7.88
 * leaves the descriptor unwatched, and a table without columns for its number behind, the next entry of which is a division by zero.
 * Nothing says whether it was. So the lane is done with: it opens no descriptor any more, and is closed after its last transfer. Who
 * could be unwatched leaves it at once: those at their connection begin anew, those with an unwatched one end.
 */
static void lane_give_up(struct lane *lane)
{
    struct transfer *t;

    lane->broken = true;
    while ((t = lane_find_unwatched(lane)) != NULL) {
        if (t->state == T_CONNECT && t->starvations++ < MEMORY_ATTEMPTS)
            pool_starve(t);
        else if (t->state == T_CONNECT)
            pool_end(t, TRANSFER_MEMORY, "there was no memory for a connection");
        else
            pool_end(t, t->head.done ? TRANSFER_CUT : TRANSFER_PROTOCOL, "there was no memory to read the answer");
    }
    if (lane->active == 0)
        lane_close(lane);
}

void lane_drive(struct lane *lane, curl_socket_t fd, int what)
{
    int64_t refusals = spare_refusals();
    int running;

    lane->pool->depth++;
    curl_multi_socket_action(lane->multi, fd, what, &running);
    lane->pool->depth--;
    pool_leave(lane->pool, lane);
    if (refusals != spare_refusals())
        lane_give_up(lane);
}

void pool_unpause(struct transfer *t)
{
    list_push_back(&t->pool->unpaused, &t->unpaused);
    pool_wants_run(t->pool);
}

static void pool_run(void *ctx)
{
    struct upstream_pool *p = ctx;

    while (!list_empty(&p->waiting) && pool_has_slot(p))
        pool_launch(p, LIST_ENTRY(list_first(&p->waiting), struct transfer, pooled));
    while (!list_empty(&p->unpaused)) {
        struct transfer *t = LIST_ENTRY(list_first(&p->unpaused), struct transfer, unpaused);
        struct lane *lane = t->lane;
        int64_t refusals = spare_refusals();

        list_unlink(&t->unpaused);
        if (t->state == T_ENDED || !lane)
            continue;
        p->depth++;
        transfer_unpause(t);
        p->depth--;
        if (refusals != spare_refusals())
            lane_give_up(lane);
    }
    pool_leave(p, NULL);
    for (unsigned i = 0; i < p->lane_n; i++) {
        if (!p->lanes[i].due)
            continue;
        p->lanes[i].due = false;
        lane_drive(&p->lanes[i], CURL_SOCKET_TIMEOUT, 0);
    }
}

int transfer_start(struct upstream_pool *p, const struct transfer_request *request,
                   const struct transfer_ops *ops, void *ctx, struct transfer **ret)
{
    struct transfer *t = xcalloc(1, sizeof *t);
    int rc;

    list_init(&t->pooled);
    list_init(&t->unpaused);
    t->pool = p;
    t->ops = ops;
    t->ctx = ctx;
    rc = transfer_prepare(t, request);
    if (rc < 0) {
        transfer_free(t);
        return rc;
    }
    list_push_back(&p->waiting, &t->pooled);
    p->stats.waiting++;
    p->owes_room = p->config.on_room && upstream_is_full(p);
    pool_wants_run(p);
    *ret = t;
    return 0;
}

/* ---- birth and death ----------------------------------------------------------------------------------- */

static struct upstream_config pool_fill(const struct upstream_config *given)
{
    struct upstream_config c = *given;

    c.max_transfers = c.max_transfers ? c.max_transfers : TRANSFERS_DEFAULT;
    c.max_connecting = c.max_connecting ? c.max_connecting : CONNECTING_DEFAULT;
    c.max_head_bytes = c.max_head_bytes ? c.max_head_bytes : HEAD_BYTES_DEFAULT;
    c.keep_idle_us = c.keep_idle_us ? c.keep_idle_us : KEEP_IDLE_US_DEFAULT;
    return c;
}

int upstream_pool_new(struct loop *l, const struct upstream_config *config, struct upstream_pool **ret,
                      struct errbuf *e)
{
    struct upstream_pool *p = xcalloc(1, sizeof *p);

    p->loop = l;
    p->config = pool_fill(config);
    list_init(&p->waiting);
    list_init(&p->running);
    list_init(&p->unpaused);
    list_init(&p->dead);
    /* Counted by curl: as many cleanups as inits. */
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, spare_malloc, free, spare_realloc, spare_strdup, spare_calloc) != CURLE_OK) {
        err_set(e, "libcurl does not start");
        free(p);
        return -ENOMEM;
    }
    p->share = curl_share_init();
    if (!p->share) {
        err_set(e, "libcurl has no memory");
        curl_global_cleanup();
        free(p);
        return -ENOMEM;
    }
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    p->lane_n = (p->config.max_transfers + LANE_TRANSFERS - 1) / LANE_TRANSFERS;
    p->lanes = xcalloc(p->lane_n, sizeof p->lanes[0]);
    *ret = p;
    return 0;
}

static void pool_abort_all(struct list *transfers)
{
    while (!list_empty(transfers))
        transfer_abort(LIST_ENTRY(list_first(transfers), struct transfer, pooled));
}

void upstream_pool_free(struct upstream_pool *p)
{
    if (!p)
        return;
    MG_ASSERT(p->depth == 0);
    pool_abort_all(&p->waiting);
    pool_abort_all(&p->running);
    for (unsigned i = 0; i < p->lane_n; i++)
        if (p->lanes[i].pool)
            lane_close(&p->lanes[i]);
    loop_task_clear(p->loop, &p->task);
    loop_timer_clear(p->loop, &p->starving);
    curl_share_cleanup(p->share);
    for (int fd = 0; fd < p->sock_cap; fd++)
        free(p->socks[fd]);
    free(p->socks);
    free(p->lanes);
    free(p);
    curl_global_cleanup();
}

struct upstream_stats upstream_stats(const struct upstream_pool *p)
{
    return p->stats;
}
