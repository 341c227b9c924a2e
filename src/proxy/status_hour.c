/* status_hour: the last hour, in sums and in steps. */
#include <stddef.h>

#include "metergate/base/clock.h"
#include "metergate/base/money.h"
#include "status_inside.h"

/* Budgets that are written step by step, so that who makes up models does not make the document long. */
#define SERIES_MAX 200

/* What the hour of everybody and that of a client both have. */
static void write_shared(struct json_writer *w, const struct hour_figures *f)
{
    json_member_int(w, "calls", f->calls);
    json_member_int(w, "tokens", f->tokens);
    status_member_usd(w, "cost_usd", f->cost_nano);
    json_member_int(w, "waited_ms", f->waited_us / 1000);
    json_member_int(w, "longest_wait_ms", f->longest_us / 1000);
}

void status_write_hour(struct json_writer *w, const struct hour *h, int64_t now)
{
    struct hour_figures f;

    hour_sum(h, now, &f);
    json_key(w, "hour");
    json_object_begin(w);
    write_shared(w, &f);
    json_member_int(w, "unpriced", f.unpriced);
    json_member_int(w, "refused", f.refused);
    json_member_int(w, "upstream_429", f.upstream_429);
    json_member_int(w, "retries", f.retries);
    json_object_end(w);
}

void status_write_client_hour(struct json_writer *w, const struct hour *h, int64_t now)
{
    struct hour_figures f;

    hour_sum(h, now, &f);
    json_key(w, "hour");
    json_object_begin(w);
    write_shared(w, &f);
    json_object_end(w);
}

/* ---- GET /-/history ---- */

static void write_int(struct json_writer *w, int64_t v)
{
    json_int(w, v);
}

static void write_ms(struct json_writer *w, int64_t us)
{
    json_int(w, us / 1000);
}

static void write_usd(struct json_writer *w, int64_t nano)
{
    char text[MONEY_TEXT_MAX];

    json_raw(w, slice_str(money_text(nano, text)));
}

/* Where a figure stands in struct hour_figures, and how it is written. */
static const struct {
    const char *key;
    size_t offset;
    void (*write)(struct json_writer *w, int64_t v);
} figures[] = {
    {"calls", offsetof(struct hour_figures, calls), write_int},
    {"tokens", offsetof(struct hour_figures, tokens), write_int},
    {"cost_usd", offsetof(struct hour_figures, cost_nano), write_usd},
    {"unpriced", offsetof(struct hour_figures, unpriced), write_int},
    {"waited_ms", offsetof(struct hour_figures, waited_us), write_ms},
    {"longest_wait_ms", offsetof(struct hour_figures, longest_us), write_ms},
    {"refused", offsetof(struct hour_figures, refused), write_int},
    {"upstream_429", offsetof(struct hour_figures, upstream_429), write_int},
    {"retries", offsetof(struct hour_figures, retries), write_int},
};

static int64_t figure(const struct hour_figures *f, size_t offset)
{
    return *(const int64_t *)(const void *)((const char *)f + offset);
}

static void write_series(struct json_writer *w, const struct model_budget *b, const struct hour *h, int64_t now)
{
    json_object_begin(w);
    status_member_text(w, "budget", b ? b->name : NULL);
    status_member_text(w, "upstream", b ? b->provider->config->name : NULL);
    if (b && b->account)
        json_member_str(w, "key", slice_str(b->account->label));
    if (b && b->retired)
        json_member_bool(w, "retired", true);
    for (size_t k = 0; k < MG_ARRAY_LEN(figures); k++) {
        json_key(w, figures[k].key);
        json_array_begin(w);
        for (int i = 0; i < HOUR_MINUTES; i++)
            figures[k].write(w, h ? figure(hour_step(h, now, i), figures[k].offset) : 0);
        json_array_end(w);
    }
    json_object_end(w);
}

static bool had_any(const struct hour *h, int64_t now)
{
    struct hour_figures f;

    hour_sum(h, now, &f);
    return f.calls + f.upstream_429 + f.retries > 0;
}

void status_write_history(const struct proxy *p, struct buf *out)
{
    int64_t now = loop_now_us(p->loop), left_us = hour_step_ends_us(HOUR_MINUTE_US, now) - now;
    int series = 0;
    struct json_writer w;

    json_init(&w, out);
    json_object_begin(&w);
    json_member_int(&w, "until_ms", (clock_wall_us() + left_us) / 1000);
    json_member_int(&w, "step_s", HOUR_MINUTE_US / CLOCK_S);
    json_key(&w, "series");
    json_array_begin(&w);
    write_series(&w, NULL, p->hour, now);
    LIST_EACH (&p->budgets.all, node, next) {
        const struct model_budget *b = LIST_ENTRY(node, const struct model_budget, link);

        if (series < SERIES_MAX && had_any(b->hour, now)) {
            write_series(&w, b, b->hour, now);
            series++;
        }
    }
    json_array_end(&w);
    json_object_end(&w);
}
