/* control: every answer is JSON; a wait that runs out of time is 504, so that no test takes it for success. */
#include "control.h"

#include <errno.h>
#include <inttypes.h>

#include <cjson/cJSON.h>

#include "answer.h"
#include "body.h"
#include "inspect.h"
#include "metergate/base/clock.h"
#include "request.h"
#include "sim.h"

struct control {
    struct sim *sim;
    const struct request *request;
    struct slice body;
    struct buf out;
    int status;
};

static void failed(struct control *c, const char *why)
{
    c->status = 400;
    buf_reset(&c->out);
    buf_add_str(&c->out, "{\"error\":");
    audit_quote(&c->out, slice_str(why));
    buf_add_char(&c->out, '}');
}

static void do_config(struct control *c)
{
    cJSON *json = cJSON_ParseWithLength(c->body.p ? c->body.p : "", c->body.n);
    struct errbuf e;

    if (!json)
        failed(c, "not JSON");
    else if (sim_configure(c->sim, json, &e) < 0)
        failed(c, e.text);
    else
        buf_add_str(&c->out, "{\"ok\":true}");
    cJSON_Delete(json);
}

static void do_audit(struct control *c)
{
    inspect_audit(c->sim, request_query_int(c->request, "arrivals", AUDIT_ARRIVALS),
                  request_query_int(c->request, "span_ms", 0), &c->out);
}

static void do_reset(struct control *c)
{
    sim_reset(c->sim);
    buf_add_str(&c->out, "{\"ok\":true}");
}

static void do_wait(struct control *c)
{
    const struct request *r = c->request;
    struct inspect_condition condition = {
        .arrivals = request_query_int(r, "arrivals", -1),
        .completed = request_query_int(r, "completed", -1),
        .aborted = request_query_int(r, "aborted", -1),
        .violations = request_query_int(r, "violations", -1),
        .n429 = request_query_int(r, "n429", -1),
        .attempts = request_query_int(r, "attempts", -1),
        .held = request_query_int(r, "held", -1),
        .in_flight = request_query_int(r, "in_flight", -1),
        .connections = request_query_int(r, "connections", -1),
    };

    if (!inspect_wait(c->sim, &condition, request_query_int(r, "timeout_ms", 10000) * CLOCK_MS, &c->out))
        c->status = 504;
}

static void do_release(struct control *c)
{
    buf_addf(&c->out, "{\"released\":%" PRId64 "}", sim_let_go(c->sim, request_query_int(c->request, "n", -1)));
}

/* A text of the body; empty when there is none. */
static struct slice text_at(const cJSON *json, const char *name)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsString(node) ? slice_str(node->valuestring) : SLICE("");
}

/* A number of the body; `otherwise` when it is not there, or no number that can be counted to. */
static int64_t number_at(const cJSON *json, const char *name, int64_t otherwise)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsNumber(node) && node->valuedouble >= 0 && node->valuedouble < 1e12 ? (int64_t)node->valuedouble
                                                                                      : otherwise;
}

static void do_charge(struct control *c)
{
    cJSON *json = cJSON_ParseWithLength(c->body.p ? c->body.p : "", c->body.n);
    int64_t tokens = number_at(json, "tokens", 0);

    if (text_at(json, "model").n && tokens > 0) {
        sim_charge(c->sim, text_at(json, "model"), text_at(json, "key"), tokens);
        buf_add_str(&c->out, "{\"ok\":true}");
    } else {
        failed(c, "wants {\"model\":NAME,\"tokens\":N}");
    }
    cJSON_Delete(json);
}

static void do_foreign(struct control *c)
{
    cJSON *json = cJSON_ParseWithLength(c->body.p ? c->body.p : "", c->body.n);

    if (text_at(json, "model").n) {
        sim_start_foreign(c->sim, text_at(json, "model"), text_at(json, "key"));
        buf_add_str(&c->out, "{\"ok\":true}");
    } else {
        failed(c, "wants {\"model\":NAME}");
    }
    cJSON_Delete(json);
}

static void do_down(struct control *c)
{
    cJSON *json = cJSON_ParseWithLength(c->body.p ? c->body.p : "", c->body.n);
    enum down_mode mode;

    if (down_mode_named(text_at(json, "mode"), &mode)) {
        sim_go_down(c->sim, mode, number_at(json, "ms", -1), cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "cut")));
        buf_add_str(&c->out, "{\"ok\":true}");
    } else {
        failed(c, "wants {\"mode\":\"refuse\"|\"reset\"|\"503\"}");
    }
    cJSON_Delete(json);
}

static void do_up(struct control *c)
{
    sim_go_down(c->sim, DOWN_UP, -1, false);
    buf_add_str(&c->out, "{\"ok\":true}");
}

static const struct {
    const char *method, *path;
    void (*run)(struct control *c);
} commands[] = {
    {"POST", "/_sim/config", do_config}, {"GET", "/_sim/audit", do_audit},      {"POST", "/_sim/reset", do_reset},
    {"GET", "/_sim/wait", do_wait},      {"POST", "/_sim/release", do_release}, {"POST", "/_sim/charge", do_charge},
    {"POST", "/_sim/foreign", do_foreign}, {"POST", "/_sim/down", do_down}, {"POST", "/_sim/up", do_up},
};

bool control_wants(const struct request *r)
{
    return slice_starts(r->path, SLICE("/_sim/"));
}

static void run(struct control *c)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++)
        if (slice_eq(c->request->method, slice_str(commands[i].method)) &&
            slice_eq(c->request->path, slice_str(commands[i].path))) {
            commands[i].run(c);
            return;
        }
    failed(c, "no such command; see tests/simulator/README.md");
    c->status = 404;
}

int control_run(struct sim *sim, struct wire *wire, const struct request *r, struct errbuf *e)
{
    struct control c = {.sim = sim, .request = r, .status = 200};
    struct plan plan;
    struct answer answer;
    struct body body;
    int rc;

    plan_init(&plan);
    answer_init(&answer, sim, wire, &plan, false);
    buf_init(&c.out, BUF_UNLIMITED);
    rc = body_read(&body, r, wire, true, e);
    if (rc == 0) {
        c.body = buf_slice(&body.kept);
        run(&c);
        answer_whole(&answer, c.status, "application/json", buf_slice(&c.out));
        rc = answer.state == ANSWER_DONE ? 0 : -EPIPE;
    }
    body_release(&body);
    buf_release(&c.out);
    answer_release(&answer);
    return rc;
}
