/*
 * sim: held[] has each wire at most once, and only while its thread is inside sim_hold.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "headers.h"
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
    accounts_init(&s->accounts);
    s->down.until_us = DOWN_FOR_EVER;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MG_ASSERT(s->wake_fd >= 0);
}

void sim_release(struct sim *s)
{
    accounts_release(&s->accounts);
    close(s->wake_fd);
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

int sim_configure(struct sim *s, const struct cJSON *json, struct errbuf *e)
{
    int rc;

    lock(s);
    rc = settings_merge(&s->settings, json, e);
    if (rc == 0)
        accounts_configure(&s->accounts, &s->settings, clock_now_us());
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
    accounts_reset(&s->accounts);
    s->down.times = s->down.attempts = 0;
    violations_release(&s->violations);
    s->connections_opened = 0;
    s->peak_in_flight = 0;
    s->start_us = clock_now_us();
    (void)let_go_locked(s, -1);
    unlock_changed(s);
}

void sim_charge(struct sim *s, struct slice model, struct slice key, int64_t tokens)
{
    int64_t now_us = clock_now_us();
    struct account *a;

    lock(s);
    a = accounts_find(&s->accounts, &s->settings, model, key);
    accounts_look(&s->accounts, a, now_us);
    if (a->model)
        model_charge_foreign(a->model, tokens, 0, 0, now_us);
    unlock(s);
}

void sim_start_foreign(struct sim *s, struct slice model, struct slice key)
{
    struct account *a;

    lock(s);
    a = accounts_find(&s->accounts, &s->settings, model, key);
    if (a->model)
        model_start_foreign(a->model, clock_now_us());
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

/* What the limits say, or what it costs not to come to them. */
static void ask_limits(struct sim *s, struct account *a, const struct demand *demand, const struct plan *plan, bool down,
                       struct call *ret)
{
    struct arrival *arrival = ret->arrival;

    accounts_look(&s->accounts, a, arrival->t_us);
    ret->config = a->model->config;
    if (plan->status < 0) {
        ret->verdict = model_arrive(a->model, demand, arrival->t_us, &ret->claim);
        ret->claimed = ret->verdict.kind == VERDICT_ADMITTED;
    } else if (!down) {
        model_count_request(a->model, arrival->t_us);
    }
    arrival->input = demand->input;
    arrival->charged = ret->claimed ? ret->claim.charged[METRIC_TOKENS] : 0;
}

void sim_arrive(struct sim *s, struct slice model, struct slice key, struct slice path, const struct demand *demand,
                struct arrival *arrival, struct plan *plan, struct call *ret)
{
    struct account *a;
    int64_t n;
    bool down;

    lock(s);
    a = accounts_find(&s->accounts, &s->settings, model, key);
    *ret = (struct call){.account = a,
                         .arrival = arrival,
                         .organization = a->organization,
                         .retry_after = s->settings.retry_after,
                         .retry_after_ms = s->settings.retry_after_ms,
                         .obfuscation = s->settings.obfuscation};
    down = down_mode(&s->down, clock_now_us()) == DOWN_503;
    if (down) {
        s->down.attempts++;
        plan_add_checked(plan, "status:503");
        snprintf(arrival->fault, sizeof arrival->fault, "down");
    } else {
        plan_call(s, model, path, arrival, plan);
    }
    if (a->model)
        ask_limits(s, a, demand, plan, down, ret);
    arrivals_add(&a->arrivals, arrival);
    n = accounts_in_flight(&s->accounts);
    if (n > s->peak_in_flight)
        s->peak_in_flight = n;
    unlock_changed(s);
}

static void settle(struct sim *s, struct call *call, const struct used *used, int status, bool whole)
{
    struct arrival *arrival = call->arrival;
    struct account *a = call->account;

    if (call->settled)
        return;
    call->settled = true;
    arrival->end_us = clock_now_us();
    arrival->status = status;
    arrival->output = used->output;
    accounts_look(&s->accounts, a, arrival->end_us);
    if (call->claimed)
        model_finish(a->model, &call->claim, used->input, used->output, arrival->end_us);
    if (a->model)
        bill_add(&a->bill, &a->model->config.tariff, a->model->name, used, status, whole);
    arrivals_end(&a->arrivals, arrival);
}

void sim_produce(struct sim *s, struct call *call, int64_t output)
{
    int64_t now_us = clock_now_us();

    lock(s);
    accounts_look(&s->accounts, call->account, now_us);
    if (call->claimed)
        model_produce(call->account->model, &call->claim, output, now_us);
    unlock(s);
}

void sim_settle(struct sim *s, struct call *call, const struct used *used, int status)
{
    lock(s);
    settle(s, call, used, status, true);
    unlock_changed(s);
}

void sim_finish(struct sim *s, struct call *call, const struct used *used, int status, enum sim_end end)
{
    lock(s);
    if (call->settled && end != SIM_END_WHOLE && call->account->model)
        bill_was_cut(&call->account->bill, status);
    settle(s, call, used, status, end == SIM_END_WHOLE);
    arrivals_close(&call->account->arrivals, call->arrival, end == SIM_END_LEFT);
    call->arrival = NULL;
    unlock_changed(s);
}

/* What the model is configured with, else what is usual where that language is spoken. */
static enum family family_of(const struct model *m, enum speech speech)
{
    static const enum family usual[] = {[SPEECH_OPENAI] = FAMILY_OPENAI,
                                        [SPEECH_AZURE] = FAMILY_AZURE,
                                        [SPEECH_ANTHROPIC] = FAMILY_ANTHROPIC,
                                        [SPEECH_GEMINI] = FAMILY_NONE};

    return m->config.headers == FAMILY_AUTO ? usual[speech] : m->config.headers;
}

void sim_print_limits(struct sim *s, const struct call *call, enum speech speech, struct buf *out)
{
    struct model *m = call->account->model;
    int64_t now_us = clock_now_us();

    if (!m)
        return;
    lock(s);
    accounts_look(&s->accounts, call->account, now_us);
    headers_print(m, family_of(m, speech), &call->organization, s->settings.rate_limit_headers, now_us, clock_wall_us(), out);
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

void sim_stop(struct sim *s)
{
    lock(s);
    s->stopping = true;
    unlock_changed(s);
}

/* ---- being down ---- */

static void wake_server(struct sim *s)
{
    eventfd_write(s->wake_fd, 1);
}

void sim_go_down(struct sim *s, enum down_mode mode, int64_t ms, bool cut)
{
    int64_t order;

    lock(s);
    down_begin(&s->down, mode, ms, cut, clock_now_us());
    order = ++s->down_asked;
    wake_server(s);
    while (s->down_done < order && !s->stopping)
        pthread_cond_wait(&s->changed, &s->lock);
    unlock(s);
}

enum down_mode sim_down_mode(struct sim *s, int64_t *ret_until_us, bool *ret_cut, int64_t *ret_order)
{
    enum down_mode mode;
    eventfd_t n;

    lock(s);
    (void)eventfd_read(s->wake_fd, &n);
    mode = down_mode(&s->down, clock_now_us());
    *ret_until_us = mode == DOWN_UP ? DOWN_FOR_EVER : s->down.until_us;
    *ret_cut = s->down.cut;
    *ret_order = s->down_asked;
    unlock(s);
    return mode;
}

void sim_down_obeyed(struct sim *s, int64_t order)
{
    lock(s);
    if (s->down_done == order) {
        unlock(s);
        return;
    }
    s->down_done = order;
    unlock_changed(s);
}

void sim_down_attempt(struct sim *s)
{
    lock(s);
    s->down.attempts++;
    unlock_changed(s);
}
