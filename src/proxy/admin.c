/*
 * admin: Metergate's own endpoints, one row each. They are answered at once, whatever the calls are doing,
 * and never count as calls (but /-/reserve, which is one: reserve.h). A request that came through /@CLIENT is
 * answered alike: base URLs are often probed with GET.
 */
#include <inttypes.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/proxy/cors.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/metrics.h"
#include "metergate/proxy/page.h"
#include "metergate/proxy/price_list.h"

struct answer_text {
    int status;
    const char *content_type;
    struct slice query; /* of the request */
    struct buf body;
};

static void get_root(const struct proxy *p, struct answer_text *a)
{
    (void)p;
    buf_addf(&a->body, "Metergate %s is running; its dashboard is at /-/\n", METERGATE_VERSION);
}

static void get_health(const struct proxy *p, struct answer_text *a)
{
    (void)p;
    buf_add_str(&a->body, "ok\n");
}

static void get_ready(const struct proxy *p, struct answer_text *a)
{
    struct ledger_health h;

    if (p->draining)
        a->status = 503;
    buf_add_str(&a->body, p->draining ? "draining\n" : "ok\n");
    if (p->shortage.on)
        buf_add_str(&a->body, "memory is short: new calls are refused for now\n");
    if (!p->ledger)
        return;
    ledger_health(p->ledger, &h);
    if (!h.ok) /* calls go on: it is no reason to be sent none */
        buf_addf(&a->body, "ledger: %s; %" PRId64 " rows wait in memory\n", h.problem, h.waiting);
}

static void get_status(const struct proxy *p, struct answer_text *a)
{
    a->content_type = "application/json";
    status_write(p, &a->body);
    buf_add_char(&a->body, '\n');
}

static void get_history(const struct proxy *p, struct answer_text *a)
{
    a->content_type = "application/json";
    status_write_history(p, &a->body);
    buf_add_char(&a->body, '\n');
}

static void get_metrics(const struct proxy *p, struct answer_text *a)
{
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(p, &a->body);
}

static void get_prices(const struct proxy *p, struct answer_text *a)
{
    struct errbuf e;

    if (price_list_write(p->config, clock_wall_us(), a->query, &a->body, &e) < 0) {
        a->status = 400;
        buf_addf(&a->body, "%s.\n", e.text);
        return;
    }
    a->content_type = "application/json";
    buf_add_char(&a->body, '\n');
}

static const struct {
    const char *path;
    void (*get)(const struct proxy *p, struct answer_text *a);
} endpoints[] = {
    {"/", get_root},
    {"/healthz", get_health},
    {"/readyz", get_ready},
    {"/metrics", get_metrics},
    {"/-/status", get_status},
    {"/-/history", get_history},
    {"/-/prices", get_prices},
};

void hub_reply(const struct proxy *p, struct exchange *x, int status, const char *content_type, struct slice body)
{
    struct headers h;

    headers_init(&h);
    headers_add(&h, SLICE("Content-Type"), slice_str(content_type));
    headers_add(&h, SLICE("X-Content-Type-Options"), SLICE("nosniff")); /* sentences repeat what was asked: never a page */
    headers_add(&h, SLICE("Cache-Control"), SLICE("no-store"));
    if (status == 405)
        headers_add(&h, SLICE("Allow"), SLICE("GET, HEAD"));
    cors_add(exchange_head(x), &p->guard, &h);
    exchange_reply(x, status, h.v, h.n, body);
    headers_release(&h);
}

static void reply_problem(const struct proxy *p, struct exchange *x, int status, const char *sentence)
{
    struct buf body;

    buf_init(&body, BUF_UNLIMITED);
    buf_addf(&body, "%s\n", sentence);
    hub_reply(p, x, status, "text/plain; charset=utf-8", buf_slice(&body));
    buf_release(&body);
}

void admin_preflight(const struct proxy *p, struct exchange *x)
{
    struct headers h;

    headers_init(&h);
    cors_add(exchange_head(x), &p->guard, &h);
    exchange_reply(x, 204, h.v, h.n, slice_of(NULL, 0));
    headers_release(&h);
}

void admin_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    struct slice method = exchange_head(x)->method;
    struct answer_text a = {.status = 200, .content_type = "text/plain; charset=utf-8", .query = r->query};

    if (control_serve(p, x, r) || estimate_serve(p, x, r) || reserve_serve(p, x, r) || reports_serve(p, x, r) ||
        events_serve(p, x, r) || page_serve(p, x, r) || login_serve(p, x, r))
        return;
    for (size_t i = 0; i < MG_ARRAY_LEN(endpoints); i++) {
        if (!slice_eq(r->path, slice_str(endpoints[i].path)))
            continue;
        if (!slice_eq(method, SLICE("GET")) && !slice_eq(method, SLICE("HEAD"))) {
            reply_problem(p, x, 405, "This address answers GET and HEAD only.");
            return;
        }
        buf_init(&a.body, BUF_UNLIMITED);
        endpoints[i].get(p, &a);
        hub_reply(p, x, a.status, a.content_type, buf_slice(&a.body));
        buf_release(&a.body);
        return;
    }
    reply_problem(p, x, 404,
                  "Metergate has no such address of its own; see /, /healthz, /readyz, /metrics, /-/, /-/status, "
                  "/-/history, /-/events, /-/prices, /-/estimate, /-/reserve, /-/settle, /-/usage, /-/calls and /-/compare.");
}

void admin_body(struct proxy *p, struct exchange *x, int rc)
{
    if (!reserve_settle_body(p, x, rc) && !reports_body(p, x, rc) && !login_body(p, x, rc))
        estimate_body(p, x, rc);
}
