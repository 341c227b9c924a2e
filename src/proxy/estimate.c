/* estimate: a question is on `counting` while a worker has it; one whose exchange ended has x NULL and is
 * freed when it comes back. */
#include "metergate/proxy/estimate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/guess.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/predict.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/identity.h"
#include "metergate/proxy/seat.h"
#include "metergate/tokens/count.h"
#include "metergate/tokens/encoding.h"

struct question {
    struct list link; /* on estimates.counting, while a worker has it */
    struct worker_job job;
    struct proxy *p;
    struct exchange *x; /* NULL once it ended */
    struct slice body;  /* of the exchange, where it counts against queue.max_bytes, or of `left` */
    struct buf left;    /* the body, when the exchange ended while a worker reads it */
    char client[CLIENT_NAME_SIZE];
    struct origin_search *search; /* for its client; NULL: none is needed */
    struct guess guess;
    struct request_count count;
    const char *problem; /* static; NULL: `guess` and `count` say what the body means */
};

/* ---- counting: may run in a worker's thread, and touches nothing but the question
 * --------------------------------------- */

/* {"model", "text"}: false when the body is something else. */
static bool count_text(struct question *q)
{
    struct field f[] = {{.name = "model"}, {.name = "text"}};
    struct slice body = q->body;
    struct dialect_request *r = &q->guess.request;
    struct model_encoding enc;
    struct buf text;

    if (fields_read(body, f, MG_ARRAY_LEN(f), NULL) < 0 || f[1].value.type != SCAN_STRING)
        return false;
    q->guess =
        (struct guess){.dialect = &dialect_openai, .request = {.endpoint = ENDPOINT_EMBEDDINGS, .n = 1}};
    if (field_text(body, &f[0], r->model, sizeof r->model) < 0) {
        q->problem = "it names no model";
        return true;
    }
    buf_init(&text, BUF_UNLIMITED);
    if (scan_decode(scan_inside(body, &f[1].value), &text) < 0)
        q->problem = "there is no memory for it now";
    enc = encoding_for_model(r->model, strlen(r->model));
    q->count.parts =
        (struct token_parts){.text = tokens_count(enc.encoding, text.p, text.n), .exact = enc.exact};
    q->count.input_tokens =
        ratio_times((int32_t)encoding_scale_permille(r->model, strlen(r->model)) * (RATIO_ONE / 1000),
                    q->count.parts.text);
    buf_release(&text);
    return true;
}

static void count_work(struct worker_job *job)
{
    struct question *q = MG_CONTAINER(job, struct question, job);
    struct slice body = q->body;

    if (q->search)
        origin_search(q->search);
    if (count_text(q))
        return;
    if (guess_read(body, SLICE(""), &q->guess, &q->problem) < 0)
        return;
    if (q->guess.dialect->count(body, &q->guess.request, &q->count) < 0)
        q->problem = "there is nothing in it that could be counted";
}

/* ---- answering
 * ------------------------------------------------------------------------------------------------------- */

static struct provider *provider_of(const struct question *q)
{
    return providers_of_model(&q->p->providers, q->p->config, slice_str(q->guess.request.model),
                              q->guess.dialect);
}

static struct estimate estimate_of(const struct question *q, const struct provider *via)
{
    const struct dialect_request *r = &q->guess.request;
    struct learned_model *learned =
        learned_look(&q->p->learned, slice_str(via->config->name), slice_str(r->model));
    struct estimate e = seat_counted(learned, &q->count);

    e.choices = r->n;
    if (r->endpoint == ENDPOINT_EMBEDDINGS || r->endpoint == ENDPOINT_EMBED)
        return e;
    e.max_output = r->max_tokens;
    e.expected_output = seat_expected_output(learned, slice_str(q->client), e.max_output, e.choices);
    return e;
}

/* Of the credential that the question comes with; NULL: nothing limits the model. */
static struct model_budget *budget_of(const struct question *q, struct provider *via)
{
    struct proxy *p = q->p;
    struct payer payer = seat_payer_asking(p, q->x, hub_route(p, q->x).query, via, q->guess.dialect);

    if (budgets_wants_sweep(&p->budgets, loop_now_us(p->loop)))
        hub_sweep(p);
    return budgets_find_limited(&p->budgets, via, &payer, slice_str(q->guess.request.model));
}

static void write_answer(const struct question *q, struct provider *via, struct buf *out)
{
    const char *model = q->guess.request.model;
    struct estimate e = estimate_of(q, via);
    struct cost cost = profile_reserve(via->profile, &e);
    struct model_budget *b = budget_of(q, via);
    struct budget *const budgets[] = {b ? b->budget : via->budget, via->budget};
    int64_t now = loop_now_us(q->p->loop), start;
    struct ticket t = {0};
    struct json_writer w;

    ticket_init(&t, &cost, budgets, b ? 2 : 1, now, CLOCK_NEVER);
    ticket_advance(&t, now);
    start = predict_arrival(&t, now).start_us;
    json_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "model", slice_str(model));
    json_member_str(&w, "encoding",
                    slice_str(encoding_name(encoding_for_model(model, strlen(model)).encoding)));
    json_member_bool(&w, "exact", e.exact);
    json_member_int(&w, "input_tokens", e.input);
    json_member_int(&w, "expected_output_tokens", e.expected_output);
    json_member_int(&w, "charge", cost_total(&cost, METRIC_TOKENS));
    json_member_int(&w, "wait_ms", start > now ? (start - now + 999) / 1000 : 0);
    json_member_bool(&w, "fits", gate_fits(&t));
    json_object_end(&w);
    buf_add_char(out, '\n');
}

static void refuse(struct question *q, const char *problem)
{
    struct buf detail;

    buf_init(&detail, BUF_UNLIMITED);
    buf_addf(&detail, "The body is no request that could be estimated: %s.", problem);
    q->p->totals.refused[REFUSAL_BAD_REQUEST]++;
    refuse_reply(q->p, q->x, NULL,
                 &(struct refusal){.reason = REFUSAL_BAD_REQUEST, .detail = buf_slice(&detail)});
    buf_release(&detail);
}

static void answer(struct question *q)
{
    struct provider *via = q->problem ? NULL : provider_of(q);
    struct buf body;

    if (!via) {
        refuse(q, q->problem ? q->problem : "no upstream of the configuration speaks its dialect");
        return;
    }
    buf_init(&body, BUF_UNLIMITED);
    write_answer(q, via, &body);
    hub_reply(q->p, q->x, 200, "application/json", buf_slice(&body));
    buf_release(&body);
}

static void free_question(struct question *q)
{
    list_unlink(&q->link);
    buf_release(&q->left);
    origin_search_free(q->search);
    free(q);
}

static void name_client(struct question *q)
{
    struct net_addr_text room;
    struct slice name = slice_head(identity_name(q->p, q->x, hub_route(q->p, q->x).client, &room), CLIENT_NAME_MAX);

    memcpy(q->client, name.p, name.n);
    q->client[name.n] = '\0';
}

static void counted(struct worker_job *job)
{
    struct question *q = MG_CONTAINER(job, struct question, job);

    if (q->search)
        origin_learn(&q->p->origins, q->x, q->search, loop_now_us(q->p->loop));
    if (q->x) {
        name_client(q);
        answer(q);
    }
    free_question(q);
}

/* ---- the way in
 * ------------------------------------------------------------------------------------------------------- */

bool estimate_serve(struct proxy *p, struct exchange *x, const struct route *r)
{
    if (!slice_eq(r->path, SLICE("/-/estimate")))
        return false;
    if (!slice_eq(exchange_head(x)->method, SLICE("POST"))) {
        hub_refuse_method(x);
        return true;
    }
    exchange_buffer_body(x, (size_t)p->config->queue.max_body);
    return true;
}

static struct question *question_new(struct proxy *p, struct exchange *x)
{
    struct question *q = xcalloc(1, sizeof *q);

    q->p = p;
    q->x = x;
    q->problem = NULL;
    list_init(&q->link);
    buf_init(&q->left, BUF_UNLIMITED);
    q->body = exchange_body(x);
    q->search = identity_search(p, x, hub_route(p, x).client);
    return q;
}

void estimate_body(struct proxy *p, struct exchange *x, int rc)
{
    struct question *q;

    if (rc < 0) {
        const enum refusal_reason reason = rc == -E2BIG ? REFUSAL_TOO_LARGE : REFUSAL_QUEUE_FULL;

        p->totals.refused[reason]++;
        refuse_reply(
            p, x, NULL,
            &(struct refusal){.reason = reason,
                              .wait_us = rc == -E2BIG ? 0 : CLOCK_S,
                              .detail = rc == -E2BIG
                                            ? SLICE("The request body is longer than queue.max_body allows.")
                                            : SLICE("")});
        return;
    }
    q = question_new(p, x);
    q->job = (struct worker_job){.work = count_work, .done = counted, .long_one = q->body.n > DIALECT_INLINE_BYTES};
    if (q->body.n <= DIALECT_INLINE_BYTES && !q->search) {
        count_work(&q->job);
        counted(&q->job);
        return;
    }
    list_push_back(&p->estimates.counting, &q->link);
    workers_submit(p->workers, &q->job);
}

void estimate_gone(struct proxy *p, struct exchange *x)
{
    LIST_EACH (&p->estimates.counting, node, next) {
        struct question *q = LIST_ENTRY(node, struct question, link);

        if (q->x != x)
            continue;
        exchange_take_body(x, &q->left);
        q->x = NULL;
    }
}

void estimates_init(struct estimates *es)
{
    list_init(&es->counting);
}

void estimates_release(struct estimates *es)
{
    LIST_EACH (&es->counting, node, next)
        free_question(LIST_ENTRY(node, struct question, link));
}
