/* patience: the timer of a call is set only while it is HELD, and only for clients that have a timer of their
 * own. */
#include "metergate/proxy/patience.h"

#include "metergate/base/clock.h"
#include "metergate/proxy/hub.h"

#define JS_TOTAL_US     (600 * CLOCK_S)
#define NODE_SILENCE_US (300 * CLOCK_S)
#define MARGIN_US       (30 * CLOCK_S)

static struct slice header(const struct http_head *head, const char *name)
{
    return http_header_get(head->headers, head->header_count, slice_str(name));
}

/* The duration in that header, in seconds; `otherwise` when there is none. */
static int64_t named_us(const struct http_head *head, const char *name, int64_t otherwise)
{
    int64_t us;

    return slice_duration_us(header(head, name), &us) == 0 && us > 0 ? us : otherwise;
}

static int64_t timer_us(const struct http_head *head, bool told)
{
    struct slice lang = header(head, "x-stainless-lang");
    int64_t us = CLOCK_NEVER;

    if (slice_eq(lang, SLICE("js"))) {
        us = named_us(head, "x-stainless-timeout", JS_TOTAL_US);
        if (!told && us > NODE_SILENCE_US)
            us = NODE_SILENCE_US;
    } else if (slice_eq(lang, SLICE("python")) && !told) {
        us = named_us(head, "x-stainless-read-timeout", named_us(head, "x-stainless-timeout", CLOCK_NEVER));
    }
    return us;
}

int64_t patience_us(const struct http_head *head, bool told)
{
    int64_t us = timer_us(head, told);

    if (us == CLOCK_NEVER)
        return us;
    return us - (us / 4 < MARGIN_US ? us / 4 : MARGIN_US);
}

static void on_timer(void *ctx)
{
    struct call *c = ctx;
    struct refusal r = {
        .reason = REFUSAL_MAX_WAIT,
        .detail = SLICE("The call is still held, and your client's own time limit is near: send it again "
                        "within two minutes and it keeps its place."),
        .wait_us = CLOCK_S,
    };

    places_keep(&c->proxy->places, c);
    call_name_what_binds(c, &r);
    call_refuse(c, &r);
}

void patience_begin(struct call *c)
{
    const struct config *config = c->proxy->config;
    const struct http_head *head = exchange_head(c->x);
    int64_t us;

    if (!header(head, "x-stainless-lang").p)
        return;
    us = patience_us(head, config->queue.keepalive_us > 0 &&
                               keepalive_may_tell(head, &config->queue.keepalive_agents));
    if (us < CLOCK_NEVER)
        loop_timer_set(c->proxy->loop, &c->patience, c->arrived_us + us, on_timer, c);
}

void patience_end(struct call *c)
{
    loop_timer_clear(c->proxy->loop, &c->patience);
}
