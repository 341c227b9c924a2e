/* errand: `call` is not NULL in every state but IDLE; `lease` is kept from the grant to the call that settles it. */
#include "errand.h"

#include <stdio.h>
#include <string.h>

#include "../e2e/client.h"
#include "../e2e/fixture.h"
#include "metergate/base/clock.h"

static struct client_async *begin(const struct fixture *f, const char *path, const char *body)
{
    char url[128];
    struct client_call call = {.url = url, .body = body};

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(&call);
}

static void take_lease(struct errand *e, const struct client_reply *r)
{
    const char *at = r->status == 200 && r->body.n ? strstr(r->body.p, "\"lease\":\"") : NULL;

    if (!at)
        return;
    e->granted++;
    snprintf(e->lease, sizeof e->lease, "%.*s", (int)strcspn(at + 9, "\""), at + 9);
}

static void begin_next(struct errand *e, const struct fixture *f, struct rng *rng, int64_t now_us)
{
    char body[256];

    if (e->lease[0] && rng_chance(rng, 70)) {
        snprintf(body, sizeof body, "{\"lease\":\"%s\",%s}", e->lease,
                 rng_chance(rng, 90) ? "\"input_tokens\":90,\"output_tokens\":10" : "\"status\":429,\"retry_after\":1");
        e->state = ERRAND_SETTLES;
        e->call = begin(f, "/-/settle", body);
        e->settled++;
    } else if (rng_chance(rng, 80)) {
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"tokens\":%d}", rng_chance(rng, 50) ? "gpt-4o-mini" : "free",
                 (int)rng_range(rng, 1, 500));
        e->state = ERRAND_RESERVES;
        e->call = begin(f, "/-/reserve", body);
    } else {
        e->state = ERRAND_LISTENS;
        e->call = begin(f, "/-/events", NULL);
        e->until_us = now_us + rng_range(rng, 50, 2000) * CLOCK_MS;
        e->listened++;
    }
    if (e->state != ERRAND_RESERVES)
        e->lease[0] = '\0'; /* settled, or forgotten: it ends by itself */
}

static void finish(struct errand *e, struct rng *rng, int64_t now_us)
{
    struct client_reply r = client_finish(e->call);

    e->call = NULL;
    if (e->state == ERRAND_RESERVES)
        take_lease(e, &r);
    client_reply_release(&r);
    e->state = ERRAND_IDLE;
    e->until_us = now_us + rng_range(rng, 10, 600) * CLOCK_MS;
}

void errand_run(struct errand *e, const struct fixture *f, struct rng *rng, bool go_on, int64_t now_us)
{
    if (e->state == ERRAND_LISTENS && (now_us >= e->until_us || !go_on))
        client_leave(e->call);
    if (e->call && (client_ended(e->call) || (e->state == ERRAND_LISTENS && (now_us >= e->until_us || !go_on))))
        finish(e, rng, now_us);
    else if (!e->call && go_on && now_us >= e->until_us)
        begin_next(e, f, rng, now_us);
}

void errand_stop(struct errand *e)
{
    struct client_reply r;

    if (!e->call)
        return;
    client_leave(e->call);
    r = client_finish(e->call);
    client_reply_release(&r);
    e->call = NULL;
    e->state = ERRAND_IDLE;
}
