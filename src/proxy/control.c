/*
 * control: what changes the running daemon: POST /-/pause, /-/resume, /-/reload. A program on this machine
 * may, a web page may not, whatever `allow` says: these endpoints are nobody's base URL. The one exception is our own
 * dashboard, which proves itself by the secret that only it can read (page.h), and may pause and resume.
 */
#include "metergate/proxy/proxy.h"

#include <errno.h>

#include "metergate/base/json.h"
#include "metergate/base/log.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/page.h"

static void reply_json(struct exchange *x, int status, const struct buf *body)
{
    const struct http_header h[] = {
        {SLICE("Content-Type"), SLICE("application/json")},
        {SLICE("Cache-Control"), SLICE("no-store")},
    };

    exchange_reply(x, status, h, MG_ARRAY_LEN(h), buf_slice(body));
}

static void set_paused(struct proxy *p, struct exchange *x, bool paused)
{
    struct json_writer w;
    struct buf body;

    if (paused != gate_is_stopped(p->gate))
        log_info("%s", paused ? "paused: calls are held until metergate resume" : "resumed");
    if (paused)
        gate_stop(p->gate);
    else
        gate_resume(p->gate);
    hub_turn_soon(p);
    hub_changed(p);
    buf_init(&body, BUF_UNLIMITED);
    json_init(&w, &body);
    json_object_begin(&w);
    json_member_bool(&w, "paused", paused);
    json_object_end(&w);
    buf_add_char(&body, '\n');
    reply_json(x, 200, &body);
    buf_release(&body);
}

static void pause_all(struct proxy *p, struct exchange *x)
{
    set_paused(p, x, true);
}

static void resume_all(struct proxy *p, struct exchange *x)
{
    set_paused(p, x, false);
}

static void write_lines(struct json_writer *w, const char *key, struct slice lines)
{
    json_key(w, key);
    json_array_begin(w);
    while (lines.n) {
        struct slice line = slice_head(lines, slice_find(lines, '\n'));

        json_str(w, line);
        lines = slice_skip(lines, line.n + 1);
    }
    json_array_end(w);
}

static void reload_all(struct proxy *p, struct exchange *x)
{
    struct buf said, body;
    struct json_writer w;
    int rc;

    MG_ASSERT(p->reload);
    buf_init(&said, BUF_UNLIMITED);
    buf_init(&body, BUF_UNLIMITED);
    rc = p->reload(p->reload_ctx, &said);
    json_init(&w, &body);
    json_object_begin(&w);
    json_member_bool(&w, "reloaded", rc == 0);
    write_lines(&w, rc == 0 ? "warnings" : "problems", buf_slice(&said));
    json_object_end(&w);
    buf_add_char(&body, '\n');
    reply_json(x, rc == 0 ? 200 : rc == -ESHUTDOWN ? 503 : 400, &body);
    buf_release(&body);
    buf_release(&said);
}

static const struct {
    const char *path;
    bool of_page; /* the dashboard may do it */
    void (*post)(struct proxy *p, struct exchange *x);
} commands[] = {
    {"/-/pause", true, pause_all},
    {"/-/resume", true, resume_all},
    {"/-/reload", false, reload_all},
};

void hub_refuse_method(struct exchange *x)
{
    const struct http_header h[] = {
        {SLICE("Allow"), SLICE("POST")},
        {SLICE("Content-Type"), SLICE("text/plain; charset=utf-8")},
    };

    exchange_reply(x, 405, h, MG_ARRAY_LEN(h), SLICE("This address answers POST only.\n"));
}

/* No browser sends a POST without Origin, but for old ones; of these those of today's kind say Sec-Fetch-Site. */
static bool is_program(const struct exchange *x)
{
    struct slice site = exchange_header(x, SLICE("Sec-Fetch-Site"));

    return !exchange_header(x, SLICE("Origin")).p && (!site.p || slice_eq(site, SLICE("same-origin")));
}

static bool is_from_here(const struct proxy *p, const struct exchange *x, bool of_page)
{
    if (!net_addr_is_loopback(exchange_peer(x)))
        return false;
    return is_program(x) || (of_page && page_has_sent(&p->page_secret, exchange_head(x)));
}

static void refuse_stranger(struct proxy *p, struct exchange *x)
{
    const struct refusal r = {
        .reason = REFUSAL_ORIGIN,
        .detail = SLICE(
            "Only a program on the daemon's own machine may do this (loopback or a Unix socket, no Origin "
            "header), and its dashboard may pause and resume: use the metergate command there, or load the "
            "dashboard again."),
    };

    p->totals.refused[REFUSAL_ORIGIN]++;
    log_warn("refused a command from %s", net_addr_format(exchange_peer(x)).text);
    refuse_reply(p, x, NULL, &r);
}

bool control_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        if (!slice_eq(r->path, slice_str(commands[i].path)))
            continue;
        if (!slice_eq(exchange_head(x)->method, SLICE("POST")))
            hub_refuse_method(x);
        else if (!is_from_here(p, x, commands[i].of_page))
            refuse_stranger(p, x);
        else
            commands[i].post(p, x);
        return true;
    }
    return false;
}

void proxy_on_reload(struct proxy *p, int (*reload)(void *ctx, struct buf *said), void *ctx)
{
    p->reload = reload;
    p->reload_ctx = ctx;
}
