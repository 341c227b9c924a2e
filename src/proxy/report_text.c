/* report_text: decimals are integers of a smaller unit until they are written. */
#include "metergate/proxy/report_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "metergate/base/when.h"

__extension__ typedef __int128 int128;

/* ---- numbers ---- */

/* v of 10^-digits; not negative. `exact` drops zeros at the end. */
static void write_decimal(struct json_writer *w, int64_t v, int digits, bool exact)
{
    int64_t scale = 1;
    char text[48];
    int n;

    for (int i = 0; i < digits; i++)
        scale *= 10;
    n = snprintf(text, sizeof text, "%" PRId64 ".%0*" PRId64, v / scale, digits, v % scale);
    while (exact && text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    json_raw(w, slice_of(text, (size_t)n));
}

/* a / b rounded half up; what does not fit is INT64_MAX. Neither is negative, b is not 0. */
static int64_t quotient(int128 a, int128 b)
{
    int128 v = (a + b / 2) / b;

    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t at_least_0(int64_t v)
{
    return v < 0 ? 0 : v;
}

static void member_null(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_null(w);
}

static void member_unless(struct json_writer *w, const char *key, int64_t v, bool null)
{
    json_key(w, key);
    if (null)
        json_null(w);
    else
        json_int(w, v);
}

void report_text_time(struct json_writer *w, const char *key, int64_t us)
{
    char text[WHEN_SIZE];

    when_text(us, text);
    json_member_str(w, key, slice_str(text));
}

/* ---- calls ---- */

static void write_price(struct json_writer *w, const struct row_price *p)
{
    static const char *const names[RATES] = {"input", "cached", "cache_write", "cache_write_1h", "output"};
    char day[32];

    json_key(w, "price");
    if (!p->name[0]) {
        json_null(w);
        return;
    }
    snprintf(day, sizeof day, "%04d-%02d-%02d", p->since / 10000, p->since / 100 % 100, p->since % 100);
    json_object_begin(w);
    json_member_str(w, "name", slice_str(p->name));
    if (p->since > 0)
        json_member_str(w, "since", slice_str(day));
    else
        member_null(w, "since");
    json_key(w, "usd_per_million");
    json_object_begin(w);
    for (int i = 0; i < RATES; i++) {
        json_key(w, names[i]);
        if (p->rates.pico[i] < 0)
            json_null(w);
        else
            write_decimal(w, p->rates.pico[i], 6, true);
    }
    json_object_end(w);
    json_object_end(w);
}

static void write_usage(struct json_writer *w, const struct ledger_row *r)
{
    json_member_int(w, "estimated_input_tokens", r->estimated_input);
    json_member_int(w, "estimated_output_tokens", r->estimated_output);
    json_member_int(w, "input_tokens", r->usage.input);
    json_member_int(w, "cached_tokens", r->usage.cached);
    json_member_int(w, "cache_write_tokens", r->usage.cache_write);
    json_member_int(w, "cache_write_1h_tokens", r->usage.cache_write_1h);
    json_member_int(w, "output_tokens", r->usage.output);
    json_member_int(w, "reasoning_tokens", r->usage.reasoning);
    json_member_str(w, "usage_source", slice_str(row_source_name(r->source)));
}

void report_text_call(struct json_writer *w, const struct ledger_row *r, bool ended)
{
    char id[ROW_ID_SIZE];

    row_id_text(r->id, id);
    json_member_str(w, "id", slice_str(id));
    report_text_time(w, "time", r->t_us);
    json_member_str(w, "client", slice_str(r->client));
    json_member_str(w, "budget", slice_str(r->budget));
    if (r->account[0])
        json_member_str(w, "account", slice_str(r->account));
    json_member_str(w, "model", slice_str(r->model));
    json_member_str(w, "upstream", slice_str(r->upstream));
    json_member_str(w, "endpoint", slice_str(r->endpoint));
    if (ended)
        json_member_str(w, "outcome", slice_str(row_outcome_name(r->outcome)));
    else
        member_null(w, "outcome");
    json_member_int(w, "status", r->status);
    if (r->reason[0])
        json_member_str(w, "reason", slice_str(r->reason));
    else
        member_null(w, "reason");
    write_usage(w, r);
    member_unless(w, "cost_nano_usd", r->cost_nano, r->cost_nano == PRICE_UNKNOWN);
    write_price(w, &r->price);
    json_member_int(w, "queued_ms", r->queued_us / 1000);
    member_unless(w, "first_byte_ms", r->first_byte_us / 1000, r->first_byte_us < 0);
    json_member_int(w, "total_ms", r->total_us / 1000);
    json_member_int(w, "attempts", r->attempts);
}

void report_text_holds(struct json_writer *w, const struct ledger_row *r)
{
    json_key(w, "holds");
    json_array_begin(w);
    for (int i = 0; i < r->hold_count; i++) {
        const struct row_hold *h = &r->hold[i];

        json_object_begin(w);
        json_member_str(w, "limit", slice_str(h->what));
        json_member_str(w, "of", slice_str(row_whose_name(h->whose)));
        if (h->whose == ROW_OF_BUDGET)
            json_member_str(w, "name", slice_str(r->budget));
        else if (h->whose == ROW_OF_UPSTREAM)
            json_member_str(w, "name", slice_str(r->upstream));
        else if (h->whose == ROW_OF_ACCOUNT)
            json_member_str(w, "name", slice_str(r->account));
        else
            json_member_str(w, "name", slice_str(h->whose == ROW_OF_CLIENT ? r->client : ""));
        json_member_int(w, "from_ms", h->from_us / 1000);
        json_member_int(w, "to_ms", h->to_us / 1000);
        json_object_end(w);
    }
    json_array_end(w);
}

void report_text_ended(struct json_writer *w, const struct ledger_row *r)
{
    json_object_begin(w);
    report_text_call(w, r, true);
    json_member_str(w, "state", SLICE("ended"));
    report_text_holds(w, r);
    json_object_end(w);
}

/* ---- sums ---- */

void report_text_sums(struct json_writer *w, struct slice key, const struct report_sums *s)
{
    json_object_begin(w);
    json_member_str(w, "key", key);
    json_member_int(w, "calls", s->calls);
    json_member_int(w, "input_tokens", s->usage.input);
    json_member_int(w, "cached_tokens", s->usage.cached);
    json_member_int(w, "cache_write_tokens", s->usage.cache_write);
    json_member_int(w, "output_tokens", s->usage.output);
    json_member_int(w, "reasoning_tokens", s->usage.reasoning);
    json_member_int(w, "cost_nano_usd", s->cost_nano);
    json_member_int(w, "unpriced_calls", s->unpriced);
    json_object_end(w);
}

/* ---- models ---- */

static void write_per_call(struct json_writer *w, const char *key, int64_t sum, int64_t calls)
{
    json_key(w, key);
    if (calls == 0)
        json_null(w);
    else
        write_decimal(w, quotient((int128)at_least_0(sum) * 100, calls), 2, false);
}

/* (m's cost a call) / (first's) */
static void write_ratio(struct json_writer *w, const struct report_sample *m,
                        const struct report_sample *first)
{
    json_key(w, "cost_ratio");
    if (m->cost_nano <= 0 || first->cost_nano <= 0)
        json_null(w);
    else
        write_decimal(
            w, quotient((int128)m->cost_nano * first->priced * 10000, (int128)first->cost_nano * m->priced),
            4, false);
}

static void write_spread(struct json_writer *w, const char *key, const struct report_spread *s)
{
    json_key(w, key);
    json_object_begin(w);
    member_unless(w, "mean", s->mean, s->n == 0);
    member_unless(w, "p50", s->p50, s->n == 0);
    member_unless(w, "p95", s->p95, s->n == 0);
    json_object_end(w);
}

void report_text_model(struct json_writer *w, struct slice name, const struct report_model *m,
                       const struct report_model *first)
{
    const struct report_sample *s = &m->sample;

    json_object_begin(w);
    json_member_str(w, "model", name);
    json_member_int(w, "calls", m->sums.calls);
    for (int i = 0; i < ROW_OUTCOMES; i++)
        json_member_int(w, row_outcome_name((enum row_outcome)i), m->sums.outcome[i]);
    json_member_int(w, "input_tokens", m->sums.usage.input);
    json_member_int(w, "output_tokens", m->sums.usage.output);
    json_member_int(w, "cost_nano_usd", m->sums.cost_nano);
    json_member_int(w, "unpriced_calls", m->sums.unpriced);
    json_member_int(w, "sampled_calls", s->calls);
    write_per_call(w, "input_tokens_per_call", s->input, s->used);
    write_per_call(w, "output_tokens_per_call", s->output, s->used);
    member_unless(w, "cost_nano_usd_per_call", s->priced ? quotient(at_least_0(s->cost_nano), s->priced) : 0,
                  s->priced == 0);
    write_ratio(w, s, &first->sample);
    write_spread(w, "queued_ms", &s->queued);
    write_spread(w, "first_byte_ms", &s->first_byte);
    write_spread(w, "total_ms", &s->total);
    json_object_end(w);
}
