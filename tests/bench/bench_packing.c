/*
 * bench_packing: how much of a limit a full queue uses, against providers that enforce it: hundreds of calls
 * at once, at headroom 0, until all are answered. (Beside somebody else, of whom only answers tell, it is 5
 * %.) The bound is what nobody can beat: whole windows that the tokens need, but one. A window is two seconds
 * instead of a minute, so what a call's way takes counts thirty times as much as it would.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "crowd.h"
#include "metergate/base/json.h"
#include "rig.h"

enum { LIMIT = 30000, WINDOW_MS = 2000, WINDOWS = 6 };

struct row {
    const char *what;
    const char *limiter;  /* the provider's */
    const char *upstream; /* the daemon's */
    const char *limits;   /* of the provider and (named the same) of the daemon */
    const char *path;
    int least, most; /* tokens of a call */
    int out;         /* of them, in the answer */
    bool half;       /* is all there is: somebody else takes the other one; then at headroom 5 % */
    bool by_charge;  /* the provider keeps what it charges on arrival, whatever was used */
};

static const struct row rows[] = {
    {"rolling window, calls of at most 1 %", "\"limiter\":\"rolling\"",
     "openai: {base_url: $SIMULATOR/v1, counting: actual}", "tpm", NULL, 60, 300, 10, false, false},
    {"rolling window, 0.2 % to 10 %", "\"limiter\":\"rolling\"",
     "openai: {base_url: $SIMULATOR/v1, counting: actual}", "tpm", NULL, 60, 3000, 10, false, false},
    {"token bucket, charged on arrival, at most 1 %", "\"limiter\":\"bucket\",\"charging\":\"openai\"",
     "openai: {base_url: $SIMULATOR/v1, counting: openai}", "tpm", NULL, 60, 300, 20, false, true},
    {"token bucket, charged on arrival, 0.2 % to 10 %", "\"limiter\":\"bucket\",\"charging\":\"openai\"",
     "openai: {base_url: $SIMULATOR/v1, counting: openai}", "tpm", NULL, 60, 3000, 20, false, true},
    {"Anthropic's input tokens, at most 1 %", "\"limiter\":\"bucket\"", "anthropic: {base_url: $SIMULATOR}",
     "itpm", "/v1/messages", 60, 300, 10, false, false},
    {"Anthropic's input tokens, 0.2 % to 10 %", "\"limiter\":\"bucket\"", "anthropic: {base_url: $SIMULATOR}",
     "itpm", "/v1/messages", 60, 3000, 10, false, false},
    {"rolling window of which somebody else takes half",
     "\"limiter\":\"rolling\",\"foreign\":{\"tokens\":750,\"every_ms\":100}",
     "openai: {base_url: $SIMULATOR/v1, counting: actual}", "tpm", NULL, 60, 300, 10, true, false},
    {"token bucket of which somebody else takes half",
     "\"limiter\":\"bucket\",\"charging\":\"openai\",\"foreign\":{\"tokens\":750,\"every_ms\":100}",
     "openai: {base_url: $SIMULATOR/v1, counting: openai}", "tpm", NULL, 60, 300, 20, true, true},
};

/* As many requests as fill so many windows. Their sizes are about as wanted: the provider says what they
 * were. */
static void make_requests(struct requests *rs, const struct row *row)
{
    uint64_t random = 88172645463325252u;
    int64_t tokens = 0;

    buf_init(&rs->bytes, BUF_UNLIMITED);
    rs->n = 0;
    rs->at = xcalloc((size_t)WINDOWS * LIMIT / (size_t)row->least + 2, sizeof rs->at[0]);
    while (tokens < (int64_t)WINDOWS * LIMIT) {
        int64_t want = row->least + (int64_t)(random >> 20) % (row->most - row->least - 20 + 1);
        struct text_chat chat = {.model = row->path ? "claude-x" : "gpt-4o",
                                 .path = row->path,
                                 .body_bytes = 200 + (size_t)(want - row->out) * 19 / 5,
                                 .max_tokens = row->out};

        text_add_chat(&rs->bytes, &chat, &random);
        rs->at[++rs->n] = rs->bytes.n;
        tokens += want;
    }
}

static void collect(void *ctx, const char *p, size_t n)
{
    buf_add(ctx, p, n);
}

static int64_t number(const struct json *of, const char *name)
{
    const struct json *node = json_get(of, name);
    int64_t v;

    if (!node || json_as_int64(node, &v) < 0)
        rig_fail("the audit has no %s", name);
    return v;
}

struct seen {
    int64_t arrivals, refused, tokens, first_us, last_us;
    int64_t refused_later; /* after the first window */
};

/* What the provider says that it saw. */
static struct seen ask_audit(const struct rig *r, const struct row *row)
{
    static const char ask[] = "GET /_sim/audit?arrivals=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct seen s = {.first_us = INT64_MAX};
    const struct json *model;
    struct json *audit;
    struct buf text;
    struct conn c;

    buf_init(&text, BUF_UNLIMITED);
    conn_open(&c, r->simulator_port);
    conn_send(&c, ask, sizeof ask - 1);
    while (conn_turn(&c, collect, &text) == CONN_MORE)
        rig_wait_ms(1);
    conn_close(&c);
    if (json_parse(buf_slice(&text), &audit) < 0)
        rig_fail("the audit is no JSON");
    model = json_get(json_get(audit, "models"), row->path ? "claude-x" : "gpt-4o");
    s.refused = number(audit, "n429");
    JSON_EACH (json_get(model, "list"), call) {
        int64_t at_us = number(call, "t_us");

        s.arrivals++;
        s.refused_later += number(call, "status") == 429 && at_us - s.first_us > WINDOW_MS * INT64_C(1000);
        s.tokens += row->by_charge ? number(call, "charged")
                    : row->path    ? number(call, "input")
                                   : number(call, "input") + number(call, "output");
        s.first_us = at_us < s.first_us ? at_us : s.first_us;
        s.last_us = at_us > s.last_us ? at_us : s.last_us;
    }
    json_free(audit);
    buf_release(&text);
    return s;
}

static void measure(const struct row *row)
{
    char settings[256], yaml[512];
    struct requests rs;
    struct crowd crowd;
    struct crowd_end end;
    struct seen seen;
    struct rig r;
    double bound_s, took_s;
    int64_t windows;

    snprintf(settings, sizeof settings, "{\"models\":{\"*\":{\"%s\":%d,\"window_ms\":%d,%s}}}", row->limits,
             LIMIT, WINDOW_MS, row->limiter);
    snprintf(yaml, sizeof yaml,
             "headroom: %d%%\nupstreams:\n  %s\nmodels:\n  gpt-4o: {%s: {max: %d, per: %dms}}\n  claude-x: "
             "{%s: {max: %d, per: %dms}}\n",
             row->half ? 5 : 0, row->upstream, row->limits, LIMIT, WINDOW_MS, row->limits, LIMIT, WINDOW_MS);
    rig_start(&r, false);
    rig_start_simulator(&r, settings);
    rig_start_daemon(&r, yaml);
    make_requests(&rs, row);
    crowd_start(&crowd, r.port, (int)rs.n, CROWD_CALL, &rs);
    end = crowd_wait_end(&crowd);
    seen = ask_audit(&r, row);
    windows = (seen.tokens - 1) / (row->half ? LIMIT / 2 : LIMIT);
    bound_s = (double)windows * WINDOW_MS / 1000;
    took_s = (double)(seen.last_us - seen.first_us) / 1e6;
    printf("%-50s %4zu calls  %7" PRId64 " tokens  %6.2f s  %.4f of the bound  %" PRId64
           " answers of 429 (%" PRId64 " after the first window), %d failed\n",
           row->what, rs.n, seen.tokens, took_s, took_s / bound_s, seen.refused, seen.refused_later,
           end.failed);
    requests_release(&rs);
    rig_stop(&r);
}

int main(void)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        measure(&rows[i]);
    return 0;
}
