/*
 * retry: a breaker is open exactly while its budget of the gate is probing. Pauses and probes are set here
 * and nowhere else.
 */
#include "metergate/proxy/retry.h"

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/proxy/hub.h"

/* Those who wait together. */
struct group {
    struct health *health;
    struct budget *budget;   /* of the gate */
    unsigned causes;         /* of retry.for: what opens the breaker */
    const char *kind, *name; /* for the log, */
    const char *down;        /* and what it is when its breaker opens */
};

static struct group upstream_of(const struct call *c)
{
    struct provider *p = c->provider;

    return (struct group){&p->health, p->budget,       CONFIG_RETRY_CONNECT,
                          "upstream", p->config->name, "cannot be reached"};
}

/* Whom a refusal of the whole account is about. */
static struct group account_of(const struct call *c)
{
    struct account *a = c->budget->account;

    return a ? (struct group){&a->health, a->budget, CONFIG_RETRY_CONNECT,
                              "account",  a->label,  "cannot be reached"}
             : upstream_of(c);
}

static struct group model_of(const struct call *c)
{
    struct model_budget *b = c->budget;

    return (struct group){&b->health, b->budget, CONFIG_RETRY_503 | CONFIG_RETRY_529,
                          "model",    b->name,   "is overloaded"};
}

static int64_t now_of(const struct call *c)
{
    return loop_now_us(c->proxy->loop);
}

/* ---- an attempt and its good end ----------------------------------------------------------------------- */

static void keep_apart(struct call *c, const struct group *who)
{
    int64_t gap_us = backoff_gap_us(&who->health->backoff, &c->proxy->random, now_of(c));

    if (gap_us > 0)
        gate_pause(c->proxy->gate, who->budget, now_of(c) + gap_us);
}

void retry_sent(struct call *c)
{
    struct group upstream = upstream_of(c), account, model;

    c->attempt_us = now_of(c);
    c->is_probe = upstream.health->breaker.open;
    if (!c->seated)
        return;
    model = model_of(c);
    account = account_of(c);
    keep_apart(c, &upstream);
    if (account.health != upstream.health)
        keep_apart(c, &account);
    keep_apart(c, &model);
}

/* It works. */
static void close_breaker(struct call *c, const struct group *who)
{
    const struct breaker was = who->health->breaker;

    if (!breaker_answered(&who->health->breaker, c->attempt_us))
        return;
    gate_probe_end(c->proxy->gate, who->budget);
    hub_turn_soon(c->proxy);
    log_warn("%s %s answers again, after %lld ms and %d failures", who->kind,
             log_quote(slice_str(who->name)).text, (long long)((now_of(c) - was.opened_us) / 1000),
             was.failures);
}

void retry_connected(struct call *c)
{
    struct group upstream = upstream_of(c);

    close_breaker(c, &upstream);
}

void retry_answered(struct call *c, int status)
{
    struct group upstream = upstream_of(c), model;

    c->provider->reachable = true;
    retry_connected(c);
    if (status >= 500 || !c->seated) /* another 5xx tells neither that it is well nor that it is overloaded */
        return;
    model = model_of(c);
    close_breaker(c, &model);
    if (status == 429)
        return;
    backoff_answered(&upstream.health->backoff, c->attempt_us);
    backoff_answered(&account_of(c).health->backoff, c->attempt_us);
    backoff_answered(&model.health->backoff, c->attempt_us);
}

/* ---- and its bad ones ---------------------------------------------------------------------------------- */

static unsigned retry_bit(int status)
{
    if (status == 429)
        return CONFIG_RETRY_429;
    return status == 503 ? CONFIG_RETRY_503 : status == 529 ? CONFIG_RETRY_529 : 0;
}

static bool is_retried(const struct call *c, unsigned bit)
{
    return (c->provider->config->retry_for & bit) && !c->proxy->draining;
}

/*
 * Whether a failure without a wait is a reason to hold anybody. A breaker that is open by settings that a
 * reload has taken away is closed by the next failure.
 */
static bool is_held_for(struct call *c, const struct group *who, unsigned bit)
{
    const struct config_upstream *u = c->provider->config;

    if (u->retry_attempts == 1 || !(u->retry_for & who->causes)) {
        who->health->breaker = (struct breaker){0};
        gate_probe_end(c->proxy->gate, who->budget);
        hub_turn_soon(c->proxy);
    }
    return is_retried(c, bit) && u->retry_attempts > 1;
}

/* One more of its attempts is used up; false: it was the last. */
static bool spend(struct call *c)
{
    c->attempts_spent++;
    return c->attempts_spent < c->provider->config->retry_attempts;
}

static void hold_back(struct call *c, const struct group *who, int64_t until_us, struct retry_wait *ret)
{
    int64_t now = now_of(c);

    gate_pause(c->proxy->gate, who->budget, until_us);
    hub_turn_soon(c->proxy);
    *ret = (struct retry_wait){.until_us = until_us, .told_us = until_us - now};
}

static void wait_as_named(struct call *c, const struct group *who, int64_t wait_us, struct retry_wait *ret)
{
    struct health *h = who->health;
    int64_t until_us = backoff_named(&h->backoff, &c->proxy->random, c->attempt_us, now_of(c), wait_us);

    hold_back(c, who, until_us, ret);
    if (ret->told_us > wait_us && ret->told_us - wait_us <= CLOCK_S)
        ret->told_us = wait_us; /* the rest is jitter */
    if (h->breaker.open)
        gate_probe(c->proxy->gate, who->budget, until_us, BREAKER_PATIENCE_US);
}

static void wait_unnamed(struct call *c, const struct group *who, struct retry_wait *ret)
{
    struct backoff *b = &who->health->backoff;

    hold_back(c, who, backoff_refused(b, &c->proxy->random, c->attempt_us, now_of(c)), ret);
}

/*
 * One failure more of those that open the breaker. A call that passes through is not held: what it finds
 * counts while the breaker is closed, and may close an open one, but does not keep the next probe waiting.
 */
static void count_failure(struct call *c, const struct group *who)
{
    struct breaker *b = &who->health->breaker;
    bool was_open = b->open;

    if ((was_open && !c->seated) || !breaker_failed(b, &c->proxy->random, c->attempt_us, now_of(c)))
        return;
    gate_probe(c->proxy->gate, who->budget, b->probe_us, BREAKER_PATIENCE_US);
    hub_turn_soon(c->proxy);
    if (!was_open)
        log_warn("%s %s %s (%d failures in a row): its calls are held, and one goes now and then to see",
                 who->kind, log_quote(slice_str(who->name)).text, who->down, b->failures);
}

/* Whoever waits for it waits: for the next probe, or with backoff. */
static void wait_after_failure(struct call *c, const struct group *who, struct retry_wait *ret)
{
    const struct breaker *b = &who->health->breaker;
    int64_t now = now_of(c);

    count_failure(c, who);
    if (!b->open) {
        wait_unnamed(c, who, ret);
        return;
    }
    ret->until_us = b->probe_us > now ? b->probe_us : now;
    ret->told_us = ret->until_us - now;
}

bool retry_after_answer(struct call *c, int status, const struct verdict *v, struct retry_wait *ret)
{
    unsigned bit = retry_bit(status);
    struct group who;

    if (!v->retry_may_help || !c->seated)
        return false;
    who = v->scope == VERDICT_ACCOUNT ? account_of(c) : model_of(c);
    if (is_retried(c, bit) && v->wait_known && v->wait_us > 0) { /* "at once" is not a wait */
        wait_as_named(c, &who, v->wait_us, ret);
        return true;
    }
    if (!is_held_for(c, &who, bit))
        return false;
    if (status == 429)
        wait_unnamed(c, &who, ret);
    else
        wait_after_failure(c, &who, ret);
    return spend(c);
}

void retry_after_error_inside(struct call *c)
{
    int status = c->answer && c->status < 300 ? answer_error_status(c->answer) : 0;
    struct provider_answer a = {.status = status, .wall_us = clock_wall_us()};
    struct retry_wait wait;
    struct verdict v;

    if (status == 0)
        return;
    a.body = answer_error_object(c->answer);
    verdict_judge(&a, &v);
    if (retry_after_answer(c, status, &v, &wait))
        log_info("%s an error inside the answer: %s; the next calls wait %lld ms", c->id, v.reason,
                 (long long)((wait.until_us - now_of(c)) / 1000));
}

bool retry_after_failure(struct call *c, bool connected, struct retry_wait *ret)
{
    struct group who = upstream_of(c);

    if (!connected)
        c->provider->reachable = false;
    if (!is_held_for(c, &who, CONFIG_RETRY_CONNECT))
        return false;
    if (!c->seated) {
        count_failure(c, &who);
        return false;
    }
    wait_after_failure(c, &who, ret);
    return (c->is_probe && !connected) || spend(c);
}
