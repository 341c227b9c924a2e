/*
 * same_numbers: the four places that show what is going on say the same, number by number. The daemon is paused with calls
 * held, one in flight and some that have ended, so that nothing moves but ages. What each place should say is made here of
 * the answer of /-/status; the dashboard is compared in tests/page.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "exposition.h"
#include "metergate/base/err.h"
#include "terminal.h"
#include "tool_fixture.h"
#include "watcher.h"

#define CHAT(model, text)                                                                                    \
    "{\"model\":\"" model "\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"

static const char config[] = FIXTURE_UPSTREAM
    "  spare: {dialect: openai, base_url: $SIMULATOR/v1}\n"
    "models:\n  gpt-4o: {tpm: {max: 30k, per: 1h}, rpd: 50, usd_per_day: 5}\n"
    "  gpt-4o-mini: {concurrent: 2}\n  \"*\": {learn: false}\n"
    "clients:\n  nightly: {usd_per_month: 3, rpd: 700, priority: low}\n"
    "  editor: {priority: high}\n";

#define HELD_CALLS 5

struct scene {
    struct fixture f;
    struct client_async *flying, *held[HELD_CALLS];
    cJSON *status;
};

static struct client_async *start(const struct fixture *f, const char *path, const char *body)
{
    static const char *const headers[] = {"Authorization: Bearer sk-x", NULL};
    char url[160];

    snprintf(url, sizeof url, "%s%s", f->url, path);
    return client_start(&(struct client_call){.url = url, .headers = headers, .body = body});
}

static void end(struct client_async *a, int status)
{
    struct client_reply r = client_finish(a);

    if (r.status != status)
        fail_msg("%d, not %d: %s", r.status, status, r.body.n ? r.body.p : "");
    client_reply_release(&r);
}

static void post(const struct fixture *f, const char *path)
{
    struct client_reply r = fixture_call(f, "POST", path, "");

    assert_int_equal(r.status, 200);
    client_reply_release(&r);
}

/* Ends of every kind, a 429 that was tried again, one call in flight, and five that are held. */
static void scene_start(struct scene *s)
{
    static const char chat4[] = CHAT("gpt-4o", "hello"), held[] = CHAT("gpt-4o-mini", "[[fault=hold]]");
    struct fixture *f = &s->f;

    fixture_start(f, "{\"faults\":[{\"fault\":\"status:429,retry_after_ms:10\",\"model\":\"gpt-4o-mini\",\"next\":1}]}", config);
    end(start(f, "/@nightly/v1/chat/completions", chat4), 200);
    end(start(f, "/@nightly/v1/chat/completions", CHAT("gpt-4o", "hello [[cached=2]]")), 200);
    end(start(f, "/@editor/v1/chat/completions", CHAT("gpt-4o-mini", "hello")), 200);
    end(start(f, "/@editor/v1/chat/completions", CHAT("gpt-4o", "[[fault=status:500]]")), 500);
    end(start(f, "/@editor/v1/chat/completions", CHAT("nobody-knows-its-price", "hello")), 200);
    end(start(f, "/@\"/v1/chat/completions", chat4), 400);
    s->flying = start(f, "/@batch/v1/chat/completions", held);
    fixture_sim_wait(f, "held=1");
    post(f, "/-/pause");
    for (int i = 0; i < HELD_CALLS; i++) {
        s->held[i] = start(f, i < 3 ? "/@nightly/v1/chat/completions" : "/@editor/v1/chat/completions",
                           i < 4 ? chat4 : CHAT("gpt-4o-mini", "hello"));
        fixture_wait_status(f, "held", i + 1);
    }
    s->status = fixture_status(f);
}

static void scene_stop(struct scene *s)
{
    cJSON_Delete(s->status);
    fixture_sim_post(&s->f, "/_sim/release", NULL);
    post(&s->f, "/-/resume");
    end(s->flying, 200);
    for (int i = 0; i < HELD_CALLS; i++)
        end(s->held[i], 200);
    fixture_stop(&s->f);
}


/* ---- what is said ---- */

/* Every run of blanks is one, so that widths of columns do not matter; each line begins and ends with none. Free it. */
static char *squeezed(const char *text)
{
    char *out = malloc(strlen(text) + 2), *to = out;

    assert_non_null(out);
    *to++ = '\n';
    for (; *text; text++) {
        if (*text != ' ' || (to[-1] != ' ' && to[-1] != '\n'))
            *to++ = *text;
        if (*text == '\n' && to - out > 1 && to[-2] == ' ') {
            to--;
            to[-1] = '\n';
        }
    }
    *to = '\0';
    return out;
}

struct place {
    const char *name;
    char *text; /* squeezed */
};

static void says(const struct place *p, const char *fmt, ...) MG_PRINTF(2, 3);
static void says(const struct place *p, const char *fmt, ...)
{
    char part[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    if (!strstr(p->text, part))
        fail_msg("%s does not say \"%s\":\n%s", p->name, part, p->text);
}

/* 30000 -> "30,000". Good until the fourth call after it. */
static const char *grouped(double v)
{
    static char texts[4][32];
    static unsigned next;
    char *out = texts[next++ % 4], digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRId64, (int64_t)llround(v)), at = 0;

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* The amount of a limit: dollars are cut to six digits. Good until the fourth call after it. */
static const char *amount(const cJSON *node, const char *member, bool money)
{
    static char texts[4][32];
    static unsigned next;
    char *out = texts[next++ % 4];
    int64_t micro = llround(json_number(node, member) * 1e9) / 1000;

    if (!money)
        return grouped(json_number(node, member));
    snprintf(out, sizeof texts[0], "$%" PRId64 ".%06" PRId64, micro / 1000000, micro % 1000000);
    return out;
}

static bool is_money(const cJSON *limit)
{
    return strncmp(json_text(limit, "metric"), "usd_", 4) == 0;
}

/* As in the tables of the tool, up to a minute. Good until the fourth call after it. */
static const char *span(const cJSON *node, const char *path)
{
    static char texts[4][32];
    static unsigned next;
    char *out = texts[next++ % 4];
    int ms = (int)json_number(node, path), tenths = (ms + 50) / 100;

    if (ms < 1000)
        snprintf(out, sizeof texts[0], "%d ms", ms);
    else if (tenths % 10)
        snprintf(out, sizeof texts[0], "%d.%d s", tenths / 10, tenths % 10);
    else
        snprintf(out, sizeof texts[0], "%d s", tenths / 10);
    return out;
}

static int64_t whole(const cJSON *node, const char *path)
{
    return (int64_t)json_number(node, path);
}

/* ---- metergate status ---- */

static void status_limits(const struct place *p, const cJSON *owner)
{
    const cJSON *l;

    cJSON_ArrayForEach(l, json_at(owner, "limits"))
    {
        bool money = is_money(l);
        int64_t window_s = whole(l, "window_s");
        char row[256];

        if (window_s == 0)
            snprintf(row, sizeof row, "-");
        else
            snprintf(row, sizeof row, "%" PRId64 " %s", window_s % 86400 ? window_s / 3600 : window_s / 86400,
                     window_s % 86400 ? "h" : "d");
        says(p, "%s %s %s %s ", json_text(l, "metric"), row, amount(l, "max", money), amount(l, "usable", money));
        says(p, " %s %s %s %s", amount(l, "usable", money), amount(l, "used", money), amount(l, "reserved", money),
             amount(l, "free", money));
    }
}

static void status_totals(const struct place *p, const cJSON *s)
{
    says(p, "\nnow %" PRId64 " held (%" PRId64 " KiB), %" PRId64 " in flight\n", whole(s, "held"),
         (whole(s, "held_bytes") + 1023) / 1024, whole(s, "in_flight"));
    says(p, "\nso far %" PRId64 " calls: %" PRId64 " completed, %" PRId64 " refused, %" PRId64 " cancelled, %" PRId64
         " failed;",
         whole(s, "totals.calls"), whole(s, "totals.completed"), whole(s, "totals.refused"), whole(s, "totals.cancelled"),
         whole(s, "totals.failed"));
    says(p, "429s from providers: %" PRId64 ", retries: %" PRId64 "\n", whole(s, "totals.upstream_429"),
         whole(s, "totals.retries"));
    says(p, "\nhour %" PRId64 " calls, %s tokens, %s + %" PRId64 " unpriced call;"
         " waited %s together, one of them %s\n",
         whole(s, "hour.calls"), grouped(json_number(s, "hour.tokens")), amount(s, "hour.cost_usd", true),
         whole(s, "hour.unpriced"), span(s, "hour.waited_ms"), span(s, "hour.longest_wait_ms"));
}

static void status_agrees(const struct place *p, const cJSON *s)
{
    const cJSON *n, *w;

    status_totals(p, s);
    cJSON_ArrayForEach(n, json_at(s, "budgets"))
    {
        if (whole(n, "held") > 0)
            says(p, "\n%s holds %" PRId64 ": everything is paused\n", json_text(n, "name"), whole(n, "held"));
        says(p, " %" PRId64 " %" PRId64 " %s\n", whole(n, "held"), whole(n, "in_flight"),
             whole(n, "held") > 0 ? "after `metergate resume`" : "-");
        status_limits(p, n);
        cJSON_ArrayForEach(w, json_at(n, "clients"))
            says(p, " %" PRId64 " %s %s ? ? ?\n", whole(w, "held"),
                 strcmp(json_text(w, "name"), "nightly") == 0 ? "3 low" : "1 high", grouped(json_number(w, "tokens")));
    }
    cJSON_ArrayForEach(n, json_at(s, "clients"))
    {
        says(p, "\n%s %" PRId64 " %" PRId64 " %" PRId64 " %s %s\n", json_text(n, "name"), whole(n, "held"),
             whole(n, "in_flight"), whole(n, "calls"), grouped(json_number(n, "tokens")), amount(n, "cost_usd", true));
        status_limits(p, n);
    }
    cJSON_ArrayForEach(n, json_at(s, "upstreams"))
        says(p, "\n%s well %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", json_text(n, "name"),
             whole(n, "connections"), whole(n, "calls"), whole(n, "upstream_429"), whole(n, "retries"),
             whole(n, "connect_failures"));
}

/* ---- metergate top ---- */

static void top_agrees(const struct place *p, const cJSON *s)
{
    const cJSON *n, *l;
    double tokens = json_number(s, "hour.tokens");

    says(p, "\n%" PRId64 " held %" PRId64 " in flight 429s %" PRId64 " refused %" PRId64
         " hour: %" PRId64 " calls %s tokens %s + %" PRId64 " unpriced call\n",
         whole(s, "held"), whole(s, "in_flight"), whole(s, "totals.upstream_429"), whole(s, "totals.refused"),
         whole(s, "hour.calls"), grouped(tokens), amount(s, "hour.cost_usd", true), whole(s, "hour.unpriced"));
    cJSON_ArrayForEach(n, json_at(s, "budgets"))
    {
        says(p, "%s %" PRId64 " %" PRId64 " %s\n", json_text(n, "name"), whole(n, "held"), whole(n, "in_flight"),
             whole(n, "held") > 0 ? "resume resume ? paused" : "- - - -");
        cJSON_ArrayForEach(l, json_at(n, "limits"))
            says(p, "] %s + %s of %s\n", amount(l, "used", is_money(l)), amount(l, "reserved", is_money(l)),
                 amount(l, "usable", is_money(l)));
    }
    cJSON_ArrayForEach(n, json_at(s, "budgets.0.queue"))
        says(p, "%s %s %s %s ", json_text(n, "client"), json_text(n, "priority"), json_text(n, "model"),
             grouped(json_number(n, "tokens")));
    cJSON_ArrayForEach(n, json_at(s, "clients"))
    {
        int thousandths = (int)(json_number(n, "hour.tokens") * 1000 / tokens);
        char share[16];

        snprintf(share, sizeof share, thousandths ? "%d.%d %%" : "-", thousandths / 10, thousandths % 10);
        says(p, "%s %" PRId64 " %" PRId64 " %" PRId64 " %s %s %s\n", json_text(n, "name"), whole(n, "held"), whole(n, "in_flight"),
             whole(n, "calls"), grouped(json_number(n, "tokens")), amount(n, "cost_usd", true), share);
    }
}

/* ---- /metrics ---- */

static void sample(const struct exposition *e, const char *metric, double want, const char *fmt, ...) MG_PRINTF(4, 5);
static void sample(const struct exposition *e, const char *metric, double want, const char *fmt, ...)
{
    char name[64], part[256];
    va_list ap;
    double got;

    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    snprintf(name, sizeof name, "metergate_%s", metric);
    got = exposition_sum(e, name, part);
    if (fabs(got - want) > 1e-9)
        fail_msg("%s{%s} is %.9g, /-/status says %.9g", name, part, got, want);
}

static void metrics_limits(const struct exposition *e, const char *owner, const cJSON *node)
{
    const cJSON *l;

    cJSON_ArrayForEach(l, json_at(node, "limits"))
    {
        const char *metric = json_text(l, "metric");
        bool money = is_money(l);

        if (!money && strcmp(owner, "client") == 0)
            continue; /* of clients /metrics has limits of money alone */
        sample(e, money ? "money_spent_usd" : "limit_used", json_number(l, "used"), "%s=\"%s\",%slimit=\"%s\"", owner,
               json_text(node, "name"), strcmp(owner, "client") == 0 ? "" : "upstream=\"openai\",", metric);
        sample(e, money ? "money_reserved_usd" : "limit_reserved", json_number(l, "reserved"), "%s=\"%s\",%slimit=\"%s\"", owner,
               json_text(node, "name"), strcmp(owner, "client") == 0 ? "" : "upstream=\"openai\",", metric);
        sample(e, money ? "money_max_usd" : "limit_max", json_number(l, "max"), "%s=\"%s\",%slimit=\"%s\"", owner,
               json_text(node, "name"), strcmp(owner, "client") == 0 ? "" : "upstream=\"openai\",", metric);
        if (!money)
            sample(e, "limit_usable", json_number(l, "usable"), "budget=\"%s\",upstream=\"openai\",limit=\"%s\"",
                   json_text(node, "name"), metric);
    }
}

static void metrics_totals(const struct exposition *e, const cJSON *s)
{
    static const char *const outcomes[] = {"completed", "refused", "cancelled", "failed"};

    sample(e, "paused", 1, "%s", "");
    sample(e, "held", json_number(s, "held"), "%s", "");
    sample(e, "held_bytes", json_number(s, "held_bytes"), "%s", "");
    sample(e, "held_max", json_number(s, "process.held_max"), "%s", "");
    sample(e, "in_flight", json_number(s, "in_flight"), "%s", "");
    sample(e, "connections_max", json_number(s, "process.connections_max"), "%s", "");
    sample(e, "calls_total", json_number(s, "totals.calls"), "%s", "");
    sample(e, "dispatched_total", json_number(s, "totals.dispatched"), "%s", "");
    for (size_t i = 0; i < MG_ARRAY_LEN(outcomes); i++) {
        char path[32];

        snprintf(path, sizeof path, "totals.%s", outcomes[i]);
        sample(e, "calls_finished_total", json_number(s, path), "outcome=\"%s\"", outcomes[i]);
    }
    sample(e, "refused_total", json_number(s, "totals.refused"), "%s", "");
    sample(e, "upstream_429_total", json_number(s, "totals.upstream_429"), "%s", "");
    sample(e, "upstream_retries_total", json_number(s, "totals.retries"), "%s", "");
    sample(e, "unpriced_calls_total", json_number(s, "hour.unpriced"), "%s", "");
}

static void metrics_agree(const struct exposition *e, const cJSON *s)
{
    const cJSON *n;

    metrics_totals(e, s);
    cJSON_ArrayForEach(n, json_at(s, "budgets"))
    {
        const char *name = json_text(n, "name");

        sample(e, "budget_held", json_number(n, "held"), "budget=\"%s\"", name);
        sample(e, "budget_in_flight", json_number(n, "in_flight"), "budget=\"%s\"", name);
        sample(e, "budget_paused_seconds", 0, "budget=\"%s\"", name);
        assert_true(isnan(exposition_sum(e, "metergate_budget_next_start_seconds", name)));
        assert_true(isnan(exposition_sum(e, "metergate_budget_last_start_seconds", name)));
        metrics_limits(e, "budget", n);
    }
    cJSON_ArrayForEach(n, json_at(s, "clients"))
    {
        const char *name = json_text(n, "name");

        sample(e, "client_held", json_number(n, "held"), "client=\"%s\"", name);
        sample(e, "client_in_flight", json_number(n, "in_flight"), "client=\"%s\"", name);
        sample(e, "client_calls_total", json_number(n, "calls"), "client=\"%s\"", name);
        sample(e, "client_tokens_total", json_number(n, "tokens"), "client=\"%s\"", name);
        sample(e, "client_cost_usd_total", json_number(n, "cost_usd"), "client=\"%s\"", name);
        metrics_limits(e, "client", n);
    }
    cJSON_ArrayForEach(n, json_at(s, "upstreams"))
    {
        const char *name = json_text(n, "name");

        sample(e, "upstream_reachable", 1, "upstream=\"%s\"", name);
        sample(e, "upstream_calls_total", json_number(n, "calls"), "upstream=\"%s\"", name);
        sample(e, "upstream_429_total", json_number(n, "upstream_429"), "upstream=\"%s\"", name);
        sample(e, "upstream_retries_total", json_number(n, "retries"), "upstream=\"%s\"", name);
        sample(e, "upstream_connect_failures_total", json_number(n, "connect_failures"), "upstream=\"%s\"", name);
    }
}

/* ---- the event ---- */

/* What moves by itself, or by whoever looks. */
static bool moves(const char *name)
{
    static const char *const names[] = {"time_ms", "uptime_s", "waited_ms", "connections", "descriptors"};

    for (size_t i = 0; name && i < MG_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void same_document(const cJSON *a, const cJSON *b)
{
    const cJSON *x = a->child, *y = b->child;

    assert_int_equal(a->type, b->type);
    if (cJSON_IsArray(a) || cJSON_IsObject(a)) {
        for (; x && y; x = x->next, y = y->next) {
            if (x->string)
                assert_string_equal(x->string, y->string);
            if (!moves(x->string))
                same_document(x, y);
        }
        assert_ptr_equal(x, y); /* both at their end */
    } else if (!cJSON_Compare(a, b, true)) {
        fail_msg("%s differs", a->string ? a->string : "a member");
    }
}

/* ---- */

static void test_numbers__paused_with_held_calls__are_the_same_in_all_places(void **state)
{
    struct place text = {.name = "metergate status"}, live = {.name = "metergate top"};
    struct exposition e;
    struct terminal *t;
    struct watcher w;
    struct outcome o;
    struct scene s;
    cJSON *event;

    (void)state;
    scene_start(&s);
    watcher_start(&w, &s.f, "", "");
    watcher_wait(&w, "\n\n", 1);
    event = watcher_event(&w, "status", 0);
    same_document(s.status, event);
    exposition_fetch(&s.f, &e);
    metrics_agree(&e, s.status);
    o = TOOL("status", "--url", s.f.url);
    assert_int_equal(o.status, 0);
    text.text = squeezed(o.out);
    status_agrees(&text, s.status);
    t = terminal_start((const char *const[]){tool_path(), "top", "--url", s.f.url, NULL}, "xterm", 60, 160);
    terminal_wait(t, "p resume"); /* its last line */
    live.text = squeezed(terminal_text(t));
    top_agrees(&live, s.status);
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    free(live.text);
    free(text.text);
    outcome_release(&o);
    exposition_release(&e);
    cJSON_Delete(event);
    watcher_stop(&w);
    scene_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_numbers__paused_with_held_calls__are_the_same_in_all_places, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
