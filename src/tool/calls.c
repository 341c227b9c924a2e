/* calls: the latest first, as the daemon gives them. What a call does not have is "-" here, and an empty cell
 * in CSV. */
#include <stdio.h>
#include <sysexits.h>

#include "metergate/tool/ask.h"
#include "metergate/tool/command.h"
#include "metergate/tool/csv.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/report.h"
#include "metergate/tool/table.h"

#define NAME_PLACES    32
#define OUTCOME_PLACES 64

static void add_text(struct table *t, struct slice call, const char *name)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    doc_text(call, name, &text);
    table_add_short(t, text.n ? buf_slice(&text) : SLICE("-"), NAME_PLACES);
    buf_release(&text);
}

static void add_time(struct table *t, struct slice call)
{
    struct buf text, shown;

    buf_init(&text, BUF_UNLIMITED);
    buf_init(&shown, BUF_UNLIMITED);
    doc_text(call, "time", &text);
    figure_time(buf_slice(&text), &shown);
    table_add_short(t, buf_slice(&shown), NAME_PLACES);
    buf_release(&text);
    buf_release(&shown);
}

/* "completed", "refused 429 max-wait", "failed 500" */
static void add_end(struct table *t, struct slice call)
{
    int64_t status = doc_int(call, "status");
    struct buf end;

    buf_init(&end, BUF_UNLIMITED);
    doc_text(call, "outcome", &end);
    if (status > 0 && status != 200)
        buf_addf(&end, " %lld", (long long)status);
    if (doc_get(call, "reason").n) {
        buf_add_char(&end, ' ');
        doc_text(call, "reason", &end);
    }
    table_add_short(t, buf_slice(&end), OUTCOME_PLACES);
    buf_release(&end);
}

static void add_tokens(struct table *t, struct slice call, const char *name)
{
    if (doc_get(call, name).n)
        table_add_int(t, doc_int(call, name));
    else
        table_add(t, "-");
}

static void add_ms(struct table *t, struct slice call, const char *name)
{
    char ms[FIGURE_SIZE];

    table_add(t, "%s", doc_get(call, name).n ? figure_ms(doc_int(call, name), ms) : "-");
}

static int digits_of_all(struct slice doc)
{
    struct doc_list calls;
    struct slice call;
    int digits = 6;

    doc_list_begin(&calls, doc, "calls");
    while (doc_list_next(&calls, &call)) {
        if (figure_usd_digits(doc_int(call, "cost_nano_usd")) > digits)
            digits = 9;
    }
    return digits;
}

static void add_call(struct table *t, struct slice call, int digits)
{
    char usd[FIGURE_SIZE];

    add_time(t, call);
    add_text(t, call, "id");
    add_text(t, call, "client");
    add_text(t, call, "model");
    add_tokens(t, call, "input_tokens");
    add_tokens(t, call, "output_tokens");
    if (doc_get(call, "cost_nano_usd").n)
        table_add(t, "%s", figure_usd(doc_int(call, "cost_nano_usd"), digits, usd));
    else
        table_add(t, "unpriced");
    add_ms(t, call, "queued_ms");
    add_ms(t, call, "total_ms");
    add_end(t, call);
}

static int show_text(const struct arguments *a, struct slice doc)
{
    static const char *const heads[] = {"ENDED (UTC)", "ID",   "CLIENT", "MODEL", "INPUT",
                                        "OUTPUT",      "COST", "WAITED", "TOOK",  "OUTCOME"};
    int digits = digits_of_all(doc);
    struct doc_list calls;
    struct slice call;
    struct table t;

    (void)a;
    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x1f0);
    doc_list_begin(&calls, doc, "calls");
    while (doc_list_next(&calls, &call))
        add_call(&t, call, digits);
    if (!t.n)
        puts("no calls");
    table_print(&t, stdout);
    table_release(&t);
    return EX_OK;
}

/* What is known of a call that is not over. */
static void add_live(struct table *t, struct slice call)
{
    add_text(t, call, "id");
    add_text(t, call, "client");
    add_text(t, call, "model");
    add_tokens(t, call, "estimated_input_tokens");
    add_tokens(t, call, "estimated_output_tokens");
    add_ms(t, call, "queued_ms");
    add_ms(t, call, "total_ms");
    add_text(t, call, "state");
}

static int show_live(const struct arguments *a, struct slice doc)
{
    static const char *const heads[] = {"ID", "CLIENT", "MODEL", "INPUT", "OUTPUT", "WAITED", "SO FAR", "NOW"};
    struct doc_list calls;
    struct slice call;
    struct table t;

    (void)a;
    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x78);
    doc_list_begin(&calls, doc, "calls");
    while (doc_list_next(&calls, &call))
        add_live(&t, call);
    if (!t.n)
        puts("no calls");
    table_print(&t, stdout);
    table_release(&t);
    return EX_OK;
}

static int show_csv(const struct arguments *a, struct slice doc)
{
    static const char *const names[] = {
        "id",
        "time",
        "client",
        "budget",
        "model",
        "upstream",
        "endpoint",
        "outcome",
        "status",
        "reason",
        "attempts",
        "estimated_input_tokens",
        "estimated_output_tokens",
        "input_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
        "usage_source",
        "queued_ms",
        "first_byte_ms",
        "total_ms",
        "cost_nano_usd",
    };
    struct doc_list calls;
    struct slice call;
    struct csv c = {0};

    (void)a;
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        csv_text(&c, slice_str(names[i]));
    csv_text(&c, SLICE("cost_usd"));
    csv_text(&c, SLICE("price"));
    csv_text(&c, SLICE("price_since"));
    csv_end(&c);
    doc_list_begin(&calls, doc, "calls");
    while (doc_list_next(&calls, &call)) {
        for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
            csv_value(&c, call, names[i]);
        csv_usd(&c, call, "cost_nano_usd");
        csv_value(&c, call, "price.name");
        csv_value(&c, call, "price.since");
        csv_end(&c);
    }
    return EX_OK;
}

int command_calls(const struct arguments *a)
{
    struct buf path;
    int status;

    if (a->now && a->csv)
        return report(EX_USAGE, "--csv is for calls that are over; --now takes --json");
    buf_init(&path, BUF_UNLIMITED);
    buf_add_str(&path, a->now ? "/-/calls/now" : "/-/calls");
    ask_add_parameter(&path, "limit", a->limit);
    ask_add_parameter(&path, "client", a->client);
    ask_add_parameter(&path, "model", a->model);
    status = ask(a, path.p, a->now ? show_live : show_text, show_csv);
    buf_release(&path);
    return status;
}
