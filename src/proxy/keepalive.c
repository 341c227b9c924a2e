/*
 * keepalive: a call is on `fresh` from when it is HELD until the gate was asked, and then on `told` while it is HELD and
 * may be told, or was not yet looked at. told_us grows along `told`. The timer is set for the first of them or earlier;
 * it is not moved when calls leave.
 */
#include "metergate/proxy/keepalive.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "metergate/proxy/hub.h"

/* So many a turn: a 102 costs a system call. */
#define TOLD_PER_TURN 128

/* An interval of 1 us would be a busy loop. */
#define INTERVAL_LEAST_US (10 * CLOCK_MS)

/*
 * Who skips a 102. Each was tried on 2026-11-24, by two calls in a row with four 102s before each 200, the
 * versions behind the rows. NULL: whatever it is.
 */
static const struct {
    const char *agent;          /* glob */
    const char *lang, *runtime; /* x-stainless-lang, x-stainless-runtime */
} known[] = {
    {"*", "js", "node"}, /* openai 7.57, @anthropic-ai/sdk 1.12, @langchain/openai 1.5, on Node.js 20 */
    {"*", "python", "CPython"},             /* openai 3.54 (async too), anthropic 2.12 */
    {"ai/* runtime/node.js/*", NULL, NULL}, /* ai 6.0 with @ai-sdk/openai 3.0 */
    {"node", NULL, NULL},                   /* fetch of Node.js 20 */
    {"undici", NULL, NULL},                 /* 7.30 */
    {"curl/*", NULL, NULL},                 /* 7.88 */
    {"python-httpx/*", NULL, NULL},         /* 0.28 */
    {"python-httpx2/*", NULL, NULL},        /* 2.16 */
    {"Python/* aiohttp/*", NULL, NULL},     /* 3.14 */
};

/* Who takes it for the answer, whatever a glob of the configuration says. */
static const char *const breaking[] = {"python-requests/*", "python-urllib*", "Python-urllib*"};

/* A program in between, which 102 would reach first. */
static const char *const between[] = {"via", "forwarded", "x-forwarded-for", "x-real-ip"};

/* ---- who may be told
 * ------------------------------------------------------------------------------------------ */

static bool matches(const char *glob, struct slice text)
{
    char copy[256];

    if (text.n >= sizeof copy)
        return false;
    memcpy(copy, text.n ? text.p : "", text.n);
    copy[text.n] = '\0';
    return fnmatch(glob, copy, 0) == 0;
}

static struct slice header(const struct http_head *head, const char *name)
{
    return http_header_get(head->headers, head->header_count, slice_str(name));
}

static bool is_known(const struct http_head *head, struct slice agent)
{
    struct slice lang = header(head, "x-stainless-lang"), runtime = header(head, "x-stainless-runtime");

    for (size_t i = 0; i < MG_ARRAY_LEN(known); i++) {
        if (known[i].lang &&
            !(slice_eq(lang, slice_str(known[i].lang)) && slice_eq(runtime, slice_str(known[i].runtime))))
            continue;
        if (matches(known[i].agent, agent))
            return true;
    }
    return false;
}

bool keepalive_may_tell(const struct http_head *head, const struct config_strings *more)
{
    struct slice agent = header(head, "user-agent");

    if (head->minor < 1)
        return false;
    for (size_t i = 0; i < MG_ARRAY_LEN(between); i++) {
        if (header(head, between[i]).p)
            return false;
    }
    for (size_t i = 0; i < MG_ARRAY_LEN(breaking); i++) {
        if (matches(breaking[i], agent))
            return false;
    }
    for (size_t i = 0; i < more->n; i++) {
        if (matches(more->v[i], agent))
            return true;
    }
    return is_known(head, agent);
}

/* ---- when
 * ------------------------------------------------------------------------------------------------------ */

static int64_t interval_us(const struct proxy *p)
{
    int64_t us = p->config->queue.keepalive_us;

    return us > 0 && us < INTERVAL_LEAST_US ? INTERVAL_LEAST_US : us;
}

static struct call *first(const struct keepalive *k)
{
    return list_empty(&k->told) ? NULL : LIST_ENTRY(list_first(&k->told), struct call, told);
}

static void tell(struct call *c)
{
    struct proxy *p = c->proxy;
    int rc;

    list_unlink(&c->told);
    if (!keepalive_may_tell(exchange_head(c->x), &p->config->queue.keepalive_agents))
        return;
    rc = exchange_interim(c->x, 102);
    if (rc == -EPIPE) { /* what is half sent cannot be followed by anything */
        exchange_abort(c->x);
        call_on_gone(c);
        return;
    }
    if (rc == 0)
        p->keepalive.sent++;
    if (rc == 0 || rc == -EAGAIN) {
        c->told_us = loop_now_us(p->loop);
        list_push_back(&p->keepalive.told, &c->told);
    }
}

static void on_timer(void *ctx)
{
    struct proxy *p = ctx;
    int64_t due_us = loop_now_us(p->loop) - interval_us(p);

    for (int i = 0; i < TOLD_PER_TURN; i++) {
        struct call *c = first(&p->keepalive);

        if (!c || c->told_us > due_us)
            break;
        tell(c);
    }
    keepalive_rearm(p);
}

void keepalive_rearm(struct proxy *p)
{
    const struct call *c = first(&p->keepalive);
    int64_t us = interval_us(p);

    if (c && us > 0)
        loop_timer_set(p->loop, &p->keepalive.timer, c->told_us + us, on_timer, p);
    else
        loop_timer_clear(p->loop, &p->keepalive.timer);
}

void keepalive_begin(struct call *c)
{
    list_push_back(&c->proxy->keepalive.fresh, &c->told);
}

struct call *keepalive_admit(struct proxy *p)
{
    struct keepalive *k = &p->keepalive;
    struct call *c;

    if (list_empty(&k->fresh))
        return NULL;
    c = LIST_ENTRY(list_first(&k->fresh), struct call, told);
    c->told_us = loop_now_us(p->loop);
    list_push_back(&k->told, &c->told);
    if (!loop_timer_is_set(&k->timer))
        keepalive_rearm(p);
    return c;
}

void keepalive_end(struct call *c)
{
    list_unlink(&c->told);
}

void keepalive_init(struct keepalive *k)
{
    *k = (struct keepalive){0};
    list_init(&k->fresh);
    list_init(&k->told);
}

void keepalive_release(struct proxy *p)
{
    loop_timer_clear(p->loop, &p->keepalive.timer);
}
