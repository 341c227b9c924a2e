/*
 * sim: accounts are never removed while the process lives, so a call may keep its account without the lock. The first
 * account has no model. held[] has each wire at most once, and only while its thread is inside sim_hold.
 */
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "wire.h"

void sim_init(struct sim *s)
{
    pthread_condattr_t attr;

    *s = (struct sim){.start_us = clock_now_us()};
    settings_init(&s->settings);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->accounts = xcalloc(1, sizeof *s->accounts);
}

void sim_release(struct sim *s)
{
    struct account *next;

    for (struct account *a = s->accounts; a; a = next) {
        next = a->next;
        arrivals_release(&a->arrivals);
        model_free(a->model);
        free(a);
    }
    violations_release(&s->violations);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

static void lock(struct sim *s)
{
    pthread_mutex_lock(&s->lock);
}

static void unlock(struct sim *s)
{
    pthread_mutex_unlock(&s->lock);
}

static void unlock_changed(struct sim *s)
{
    pthread_cond_broadcast(&s->changed);
    unlock(s);
}

/* The account of a model's name, made when it is new. With the lock. */
static struct account *account_of(struct sim *s, struct slice model)
{
    char name[MODEL_NAME_MAX];
    const char *key;
    struct account *a, *last = s->accounts;

    if (model.n == 0)
        return s->accounts;
    snprintf(name, sizeof name, "%.*s", (int)(model.n < sizeof name ? model.n : sizeof name - 1), model.p);
    key = settings_account(&s->settings, name);
    for (a = s->accounts->next; a; last = a, a = a->next)
        if (strcmp(a->model->name, key) == 0)
            return a;
    if (s->n_accounts == SIM_ACCOUNTS)
        return s->accounts;
    a = xcalloc(1, sizeof *a);
    a->model = model_new(key, settings_model(&s->settings, name));
    last->next = a;
    s->n_accounts++;
    return a;
}

int sim_configure(struct sim *s, const struct cJSON *json, struct errbuf *e)
{
    int rc;

    lock(s);
    rc = settings_merge(&s->settings, json, e);
    for (struct account *a = s->accounts->next; a && rc == 0; a = a->next)
        model_configure(a->model, settings_model(&s->settings, a->model->name));
    unlock(s);
    return rc;
}

static int64_t let_go_locked(struct sim *s, int64_t n)
{
    size_t k = n < 0 || (uint64_t)n > s->n_held ? s->n_held : (size_t)n;

    for (size_t i = 0; i < k; i++)
        wire_wake(s->held[i]);
    s->n_held -= k;
    memmove(s->held, s->held + k, s->n_held * sizeof s->held[0]);
    return (int64_t)k;
}

void sim_reset(struct sim *s)
{
    lock(s);
    s->settings.n_faults = 0;
    for (struct account *a = s->accounts; a; a = a->next) {
        arrivals_reset(&a->arrivals);
        if (a->model)
            model_reset(a->model);
    }
    violations_release(&s->violations);
    s->connections_opened = 0;
    s->peak_in_flight = 0;
    s->start_us = clock_now_us();
    (void)let_go_locked(s, -1);
    unlock_changed(s);
}

void sim_charge(struct sim *s, struct slice model, int64_t tokens)
{
    struct account *a;

    lock(s);
    a = account_of(s, model);
    if (a->model)
        model_charge(a->model, tokens, clock_now_us());
    unlock(s);
}

/* ---- a call's way through ---- */

/* Settings are checked when they are read: a fault's text is always good. */
static void plan_add_checked(struct plan *plan, const char *text)
{
    int rc = plan_add(plan, slice_str(text), NULL);

    MG_ASSERT(rc == 0);
}

void sim_plan_connection(struct sim *s, struct slice path, struct plan *plan)
{
    lock(s);
    for (size_t i = 0; i < s->settings.n_faults; i++) {
        struct fault *f = &s->settings.faults[i];

        if (fault_is_early(f) && fault_takes(f, SLICE(""), path))
            plan_add_checked(plan, f->text);
    }
    unlock(s);
}

static void plan_call(struct sim *s, struct slice model, struct slice path, struct arrival *arrival, struct plan *plan)
{
    for (size_t i = 0; i < s->settings.n_faults; i++) {
        struct fault *f = &s->settings.faults[i];
        size_t n = strlen(arrival->fault);

        if (fault_is_early(f) || !fault_takes(f, model, path))
            continue;
        plan_add_checked(plan, f->text);
        snprintf(arrival->fault + n, sizeof arrival->fault - n, "%s%s", n ? "," : "", f->text);
    }
}

static int64_t in_flight(const struct sim *s)
{
    int64_t n = 0;

    for (const struct account *a = s->accounts; a; a = a->next)
        n += a->arrivals.in_flight;
    return n;
}

void sim_arrive(struct sim *s, struct slice model, struct slice path, const struct demand *demand, struct arrival *arrival,
                struct plan *plan, struct call *ret)
{
    struct account *a;
    int64_t n;

    lock(s);
    a = account_of(s, model);
    *ret = (struct call){.account = a,
                         .arrival = arrival,
                         .retry_after = s->settings.retry_after,
                         .retry_after_ms = s->settings.retry_after_ms,
                         .obfuscation = s->settings.obfuscation};
    plan_call(s, model, path, arrival, plan);
    if (a->model) {
        ret->config = a->model->config;
        if (plan->status >= 0) {
            model_count_request(a->model, arrival->t_us);
        } else {
            ret->verdict = model_arrive(a->model, demand, arrival->t_us, &ret->claim);
            ret->claimed = ret->verdict.kind == VERDICT_ADMITTED;
        }
        arrival->input = demand->input;
        arrival->charged = ret->claimed ? ret->claim.charged[METRIC_TOKENS] : 0;
    }
    arrivals_add(&a->arrivals, arrival);
    n = in_flight(s);
    if (n > s->peak_in_flight)
        s->peak_in_flight = n;
    unlock_changed(s);
}

static void settle(struct call *call, int64_t input, int64_t output, int status)
{
    struct arrival *arrival = call->arrival;

    if (call->settled)
        return;
    call->settled = true;
    arrival->end_us = clock_now_us();
    arrival->status = status;
    arrival->output = output;
    if (call->claimed)
        model_finish(call->account->model, &call->claim, input, output, arrival->end_us);
    arrivals_end(&call->account->arrivals, arrival);
}

void sim_produce(struct sim *s, struct call *call, int64_t output)
{
    lock(s);
    if (call->claimed)
        model_produce(call->account->model, &call->claim, output, clock_now_us());
    unlock(s);
}

void sim_settle(struct sim *s, struct call *call, int64_t input, int64_t output, int status)
{
    lock(s);
    settle(call, input, output, status);
    unlock_changed(s);
}

void sim_finish(struct sim *s, struct call *call, int64_t input, int64_t output, int status, bool aborted)
{
    lock(s);
    settle(call, input, output, status);
    arrivals_close(&call->account->arrivals, call->arrival, aborted);
    call->arrival = NULL;
    unlock_changed(s);
}

void sim_print_limits(struct sim *s, const struct call *call, enum speech speech, struct buf *out)
{
    struct model *m = call->account->model;

    lock(s);
    if (m && s->settings.rate_limit_headers && speech == SPEECH_ANTHROPIC)
        model_print_anthropic_headers(m, out, clock_now_us(), clock_wall_us());
    else if (m && s->settings.rate_limit_headers && speech == SPEECH_AZURE)
        model_print_azure_headers(m, out, clock_now_us());
    else if (m && s->settings.rate_limit_headers && speech == SPEECH_OPENAI)
        model_print_headers(m, out, clock_now_us());
    unlock(s);
}

bool sim_key_is_good(struct sim *s, struct slice key)
{
    bool good;

    lock(s);
    good = s->settings.n_api_keys == 0;
    for (size_t i = 0; i < s->settings.n_api_keys && !good; i++)
        good = slice_eq(key, slice_str(s->settings.api_keys[i]));
    unlock(s);
    return good;
}

static void print_model(const char *name, enum speech speech, struct buf *out)
{
    if (speech == SPEECH_GEMINI) {
        buf_addf(out, "{\"name\":\"models/%s\",\"supportedGenerationMethods\":[\"generateContent\"]}", name);
        return;
    }
    buf_add_str(out, "{\"id\":");
    audit_quote(out, slice_str(name));
    if (speech == SPEECH_ANTHROPIC)
        buf_addf(out, ",\"type\":\"model\",\"display_name\":\"%s\",\"created_at\":\"2026-01-01T00:00:00Z\"}", name);
    else
        buf_add_str(out, ",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"simulator\"}");
}

void sim_print_models(struct sim *s, enum speech speech, struct buf *out)
{
    lock(s);
    for (size_t i = 0; i < s->settings.n_models; i++) {
        buf_add_str(out, i ? "," : "");
        print_model(s->settings.models[i].name, speech, out);
    }
    unlock(s);
}

/* ---- connections ---- */

void sim_connection_opened(struct sim *s)
{
    lock(s);
    s->connections_now++;
    unlock_changed(s);
}

void sim_connection_is(struct sim *s, bool provider)
{
    lock(s);
    if (provider)
        s->connections_opened++;
    else
        s->connections_now--;
    unlock_changed(s);
}

void sim_connection_closed(struct sim *s, bool provider)
{
    lock(s);
    if (provider)
        s->connections_now--;
    unlock_changed(s);
}

int64_t sim_keepalive_us(struct sim *s, int64_t *ret_max_calls)
{
    int64_t us;

    lock(s);
    us = s->settings.keepalive_ms ? s->settings.keepalive_ms * CLOCK_MS : -1;
    *ret_max_calls = s->settings.max_calls;
    unlock(s);
    return us;
}

void sim_violation(struct sim *s, const char *text)
{
    lock(s);
    violations_add(&s->violations, text);
    unlock_changed(s);
}

/* ---- for tests ---- */

bool sim_hold(struct sim *s, struct wire *w)
{
    enum wire_event event;
    bool released = true;

    lock(s);
    if (s->n_held == SIM_HELD) {
        unlock(s);
        return false;
    }
    s->held[s->n_held++] = w;
    unlock_changed(s);
    event = wire_pause(w, -1);
    lock(s);
    for (size_t i = 0; i < s->n_held; i++) {
        if (s->held[i] != w)
            continue;
        s->n_held--;
        memmove(s->held + i, s->held + i + 1, (s->n_held - i) * sizeof s->held[0]);
        released = false;
        break;
    }
    unlock_changed(s);
    return released && event != WIRE_GONE;
}

int64_t sim_let_go(struct sim *s, int64_t n)
{
    int64_t gone;

    lock(s);
    gone = let_go_locked(s, n);
    unlock_changed(s);
    return gone;
}

struct counters {
    int64_t arrivals, completed, aborted, n429, in_flight;
};

static struct counters count_all(const struct sim *s)
{
    struct counters c = {0};

    for (const struct account *a = s->accounts; a; a = a->next) {
        c.arrivals += a->arrivals.count;
        c.completed += a->arrivals.completed;
        c.aborted += a->arrivals.aborted;
        c.n429 += a->arrivals.n429;
        c.in_flight += a->arrivals.in_flight;
    }
    return c;
}

static bool holds(const struct sim *s, const struct sim_condition *c)
{
    struct counters n = count_all(s);

    return n.arrivals >= c->arrivals && n.completed >= c->completed && n.aborted >= c->aborted &&
           s->violations.count >= c->violations && (c->held < 0 || (int64_t)s->n_held == c->held) &&
           (c->in_flight < 0 || n.in_flight == c->in_flight) &&
           (c->connections < 0 || s->connections_now == c->connections);
}

static void print_counters(const struct sim *s, struct buf *out)
{
    struct counters n = count_all(s);

    buf_addf(out,
             "\"arrivals\":%" PRId64 ",\"completed\":%" PRId64 ",\"aborted\":%" PRId64 ",\"n429\":%" PRId64
             ",\"in_flight\":%" PRId64 ",\"peak_in_flight\":%" PRId64,
             n.arrivals, n.completed, n.aborted, n.n429, n.in_flight, s->peak_in_flight);
    buf_addf(out, ",\"held\":%zu,\"connections_opened\":%" PRId64 ",\"connections\":%" PRId64 ",\"n_violations\":%" PRId64,
             s->n_held, s->connections_opened, s->connections_now, s->violations.count);
}

bool sim_wait(struct sim *s, const struct sim_condition *c, int64_t timeout_us, struct buf *out)
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
    lock(s);
    while (!holds(s, c) && !s->stopping && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
        ;
    ok = holds(s, c);
    buf_addf(out, "{\"ok\":%s,", ok ? "true" : "false");
    print_counters(s, out);
    buf_add_char(out, '}');
    unlock(s);
    return ok;
}

void sim_stop(struct sim *s)
{
    lock(s);
    s->stopping = true;
    unlock_changed(s);
}

static void print_account(const struct account *a, struct buf *out, int64_t limit, int64_t start_us)
{
    const struct model *m = a->model;
    int64_t span_us;

    buf_add_char(out, '{');
    if (m) {
        span_us = m->config.window_ms * CLOCK_MS;
        buf_addf(out,
                 "\"window_ms\":%" PRId64 ",\"peak_requests\":%" PRId64 ",\"peak_tokens\":%" PRId64 ",\"tokens\":%" PRId64
                 ",\"refused\":%" PRId64 ",",
                 m->config.window_ms, charges_peak(&m->requests, span_us), charges_peak(&m->tokens, span_us),
                 charges_total(&m->tokens), m->refused);
    }
    arrivals_print(&a->arrivals, out, limit, start_us);
    buf_add_char(out, '}');
}

void sim_print_audit(struct sim *s, int64_t limit, struct buf *out)
{
    lock(s);
    buf_add_char(out, '{');
    print_counters(s, out);
    buf_addf(out, ",\"start_us\":%" PRId64 ",\"violations\":", s->start_us);
    violations_print(&s->violations, out);
    buf_add_str(out, ",\"models\":{");
    for (const struct account *a = s->accounts->next; a; a = a->next) {
        audit_quote(out, slice_str(a->model->name));
        buf_add_char(out, ':');
        print_account(a, out, limit, s->start_us);
        if (a->next)
            buf_add_char(out, ',');
    }
    buf_add_str(out, "},\"other\":");
    print_account(s->accounts, out, limit, s->start_us);
    buf_add_char(out, '}');
    unlock(s);
}
