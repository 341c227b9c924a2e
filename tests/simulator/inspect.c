/*
 * inspect: every function that is not static takes the lock; foreign use is charged up to now before
 * anything is told of it.
 */
#include "inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "sim.h"

struct counters {
    int64_t arrivals, completed, aborted, n429, in_flight, refused;
};

static struct counters count_all(const struct sim *s)
{
    struct counters c = {0};

    for (const struct account *a = s->accounts.first; a; a = a->next) {
        c.arrivals += a->arrivals.count;
        c.completed += a->arrivals.completed;
        c.aborted += a->arrivals.aborted;
        c.n429 += a->arrivals.n429;
        c.in_flight += a->arrivals.in_flight;
        c.refused += a->model ? a->model->refused : 0;
    }
    return c;
}

static bool holds(const struct sim *s, const struct inspect_condition *c)
{
    struct counters n = count_all(s);

    return n.arrivals >= c->arrivals && n.completed >= c->completed && n.aborted >= c->aborted &&
           n.n429 >= c->n429 && s->down.attempts >= c->attempts && s->violations.count >= c->violations &&
           (c->held < 0 || (int64_t)s->n_held == c->held) &&
           (c->in_flight < 0 || n.in_flight == c->in_flight) &&
           (c->connections < 0 || s->connections_now == c->connections);
}

static void print_counters(const struct sim *s, struct buf *out)
{
    struct counters n = count_all(s);

    buf_addf(out,
             "\"arrivals\":%" PRId64 ",\"completed\":%" PRId64 ",\"aborted\":%" PRId64 ",\"n429\":%" PRId64
             ",\"refused\":%" PRId64 ",\"in_flight\":%" PRId64 ",\"peak_in_flight\":%" PRId64,
             n.arrivals, n.completed, n.aborted, n.n429, n.refused, n.in_flight, s->peak_in_flight);
    buf_addf(out,
             ",\"held\":%zu,\"connections_opened\":%" PRId64 ",\"connections\":%" PRId64
             ",\"n_violations\":%" PRId64,
             s->n_held, s->connections_opened, s->connections_now, s->violations.count);
    buf_addf(out, ",\"down\":{\"mode\":\"%s\",\"times\":%" PRId64 ",\"attempts\":%" PRId64 "}",
             down_mode_name(down_mode(&s->down, clock_now_us())), s->down.times, s->down.attempts);
}

bool inspect_wait(struct sim *s, const struct inspect_condition *c, int64_t timeout_us, struct buf *out)
{
    struct timespec until;
    bool ok;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_us / CLOCK_S;
    until.tv_nsec += timeout_us % CLOCK_S * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!holds(s, c) && !s->stopping && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
        ;
    ok = holds(s, c);
    buf_addf(out, "{\"ok\":%s,", ok ? "true" : "false");
    print_counters(s, out);
    buf_add_char(out, '}');
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* ---- the audit ---- */

static void print_limits(const struct limits *l, int64_t span_ms, struct buf *out)
{
    static const char *const names[LIMITS_COUNTED] = {"requests", "tokens", "input", "output"};
    int64_t span_us = (span_ms > 0 ? span_ms : l->config.window_ms) * CLOCK_MS;

    buf_addf(out, "\"window_ms\":%" PRId64, l->config.window_ms);
    for (int i = 0; i < LIMITS_COUNTED; i++)
        buf_addf(out, ",\"peak_%s\":%" PRId64 ",\"%s\":%" PRId64, names[i],
                 charges_peak(&l->counted[i], span_us), names[i], charges_total(&l->counted[i]));
}

static void print_account(const struct account *a, struct buf *out, int64_t limit, int64_t span_ms,
                          int64_t start_us)
{
    const struct model *m = a->model;

    buf_add_char(out, '{');
    if (m) {
        print_limits(&m->limits, span_ms, out);
        buf_addf(out, ",\"foreign_tokens\":%" PRId64 ",\"refused\":%" PRId64 ",\"organization\":\"%s\",\"bill\":",
                 m->foreign_tokens, m->refused, a->organization.name);
        bill_print(&a->bill, out);
        buf_add_char(out, ',');
    }
    arrivals_print(&a->arrivals, out, limit, start_us);
    buf_add_char(out, '}');
}

/* With scope "key" the names of accounts say whose they are. */
static void print_name(struct buf *out, const char *name, const char *organization)
{
    char whose[MODEL_NAME_MAX + 64];

    snprintf(whose, sizeof whose, "%s%s%s", name, organization ? "@" : "", organization ? organization : "");
    audit_quote(out, slice_str(whose));
    buf_add_char(out, ':');
}

static void print_pools(const struct sim *s, int64_t span_ms, struct buf *out)
{
    for (const struct pool *p = s->accounts.pools; p; p = p->next) {
        print_name(out, p->name, p->of_key ? p->organization : NULL);
        buf_add_char(out, '{');
        print_limits(&p->limits, span_ms, out);
        buf_addf(out, ",\"in_flight\":%" PRId64 "}%s", p->limits.in_flight, p->next ? "," : "");
    }
}

void inspect_audit(struct sim *s, int64_t limit, int64_t span_ms, struct buf *out)
{
    pthread_mutex_lock(&s->lock);
    accounts_look_at_all(&s->accounts, clock_now_us());
    buf_add_char(out, '{');
    print_counters(s, out);
    buf_addf(out, ",\"start_us\":%" PRId64 ",\"violations\":", s->start_us);
    violations_print(&s->violations, out);
    buf_add_str(out, ",\"models\":{");
    for (const struct account *a = s->accounts.first->next; a; a = a->next) {
        print_name(out, a->model->name, a->of_key ? a->organization.name : NULL);
        print_account(a, out, limit, span_ms, s->start_us);
        if (a->next)
            buf_add_char(out, ',');
    }
    buf_add_str(out, "},\"pools\":{");
    print_pools(s, span_ms, out);
    buf_add_str(out, "},\"other\":");
    print_account(s->accounts.first, out, limit, span_ms, s->start_us);
    buf_add_char(out, '}');
    pthread_mutex_unlock(&s->lock);
}
