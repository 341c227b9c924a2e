/* lists: a start that nobody can know is later than all that are known, and is sorted so. A daemon has at most
 * 1,000 budgets and clients; of a document with more what fits is shown, so that keys are answered. */
#include "metergate/tool/lists.h"

#include <inttypes.h>
#include <stdlib.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/outlook.h"

#define ROWS_MAX   10000
#define GAUGES_MAX 100

static void cell_int(struct pane_row *row, size_t column, struct slice node, const char *path)
{
    char digits[FIGURE_SIZE];
    int64_t v = doc_int(node, path);

    pane_cell(row, column, v, "%s", figure_int(v, digits));
}

static void cell_ms(struct pane_row *row, size_t column, int64_t ms)
{
    char text[FIGURE_SIZE];

    pane_cell(row, column, ms, "%s", figure_ms(ms, text));
}

/* A text that may be missing. */
static void cell_text(struct pane_row *row, size_t column, struct slice node, const char *path)
{
    char *text = doc_plain(node, path);

    pane_cell(row, column, 0, "%s", text[0] ? text : "-");
    free(text);
}

/* When something goes, from now on, or what is known instead. */
static void cell_start(struct pane_row *row, size_t column, struct slice node, const char *member,
                       bool stopped)
{
    int64_t ms;

    if (outlook_ms(node, member, &ms))
        cell_ms(row, column, ms);
    else
        pane_cell(row, column, INT64_MAX, "%s", stopped ? "resume" : "?");
}

static void cell_moment(struct pane_row *row, size_t column, struct slice doc, struct slice node,
                        const char *member)
{
    int64_t ms = INT64_MAX;
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    if (outlook_ms(node, member, &ms))
        outlook_moment(doc, ms, &b);
    pane_cell(row, column, ms, "%s", b.n ? b.p : "?");
    buf_release(&b);
}

/* ---- budgets ---- */

static char *budget_id(struct slice budget)
{
    char *name = doc_plain(budget, "name"), *key = doc_plain(budget, "key"),
         *upstream = doc_plain(budget, "upstream");
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    buf_addf(&b, "%s\n%s\n%s", name, key, upstream);
    free(name);
    free(key);
    free(upstream);
    return buf_take(&b, NULL);
}

struct slice lists_budget(struct slice doc, const char *id)
{
    struct doc_list list;
    struct slice budget;

    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &budget)) {
        char *one = budget_id(budget);
        bool found = slice_eq(slice_str(one), slice_str(id));

        free(one);
        if (found)
            return budget;
    }
    return SLICE("");
}

/* Whether the metric's own name says how long its window is. */
static bool is_usual(struct slice metric, int64_t ms)
{
    return ms <= 0 || slice_starts(metric, SLICE("usd_")) ||
           (ms == 60000 && slice_ends(metric, SLICE("pm"))) ||
           (ms == 86400000 && slice_ends(metric, SLICE("pd")));
}

/* "tpm", "tpm 10 s", "concurrent"; a * where it was learned. */
static char *limit_name(struct slice limit, bool *ret_money)
{
    char *metric = doc_plain(limit, "metric"), span[FIGURE_SIZE];
    struct buf b;
    int64_t ms;

    buf_init(&b, BUF_UNLIMITED);
    *ret_money = slice_starts(slice_str(metric), SLICE("usd_"));
    buf_addf(&b, "%s%s", metric, doc_truth(limit, "learned") ? "*" : "");
    if (doc_scaled(limit, "window_s", 3, &ms) == 0 && !is_usual(slice_str(metric), ms))
        buf_addf(&b, " %s", figure_window(ms, span));
    free(metric);
    return buf_take(&b, NULL);
}

static int64_t amount(struct slice limit, const char *member, bool money)
{
    int64_t v;

    if (!money)
        return doc_int(limit, member);
    return doc_scaled(limit, member, 9, &v) < 0 ? 0 : v;
}

static void add_gauges(struct pane_row *row, struct slice budget)
{
    struct doc_list list;
    struct slice limit;

    doc_list_begin(&list, budget, "limits");
    while (row->gauge_count < GAUGES_MAX && doc_list_next(&list, &limit)) {
        bool money;
        char *name = limit_name(limit, &money);

        pane_gauge(row, name, amount(limit, "used", money), amount(limit, "reserved", money),
                   amount(limit, "usable", money), money);
    }
}

/* "tpm", "rpm of client", "paused" */
static void cell_waits_for(struct pane_row *row, size_t column, struct slice budget)
{
    struct slice hold = doc_get(budget, "waits_for");
    char *limit = doc_plain(hold, "limit"), *of = doc_plain(hold, "of");
    bool own = !of[0] || doc_is(hold, "of", "budget"), stop = doc_is(hold, "limit", "stop");

    pane_cell(row, column, 0, "%s%s%s", stop ? "paused" : limit[0] ? limit : "-", own ? "" : " of ", own ? "" : of);
    free(limit);
    free(of);
}

static void add_budget(struct pane *p, struct slice doc, struct slice budget)
{
    char *id = budget_id(budget);
    struct pane_row *row = pane_add(p, id);
    bool stopped = doc_truth(doc, "paused");
    struct buf name;

    free(id);
    buf_init(&name, BUF_UNLIMITED);
    outlook_name(budget, &name);
    pane_cell(row, 0, 0, "%s", name.n ? name.p : "-");
    buf_release(&name);
    cell_int(row, 1, budget, "held");
    cell_int(row, 2, budget, "in_flight");
    if (doc_int(budget, "held") > 0) {
        row->style = STYLE_STRONG;
        cell_start(row, 3, budget, "next_dispatch_ms", stopped);
        cell_start(row, 4, budget, "last_dispatch_ms", stopped);
        cell_moment(row, 5, doc, budget, "last_dispatch_ms");
    } else {
        for (size_t i = 3; i <= 5; i++)
            pane_cell(row, i, -1, "-");
    }
    cell_waits_for(row, 6, budget);
    add_gauges(row, budget);
}

void lists_budgets(struct slice doc, struct pane *p)
{
    static const struct column columns[] = {
        {"BUDGETS", 10, false, true, 0},   {"HELD", 6, true, false, 0}, {"FLIGHT", 7, true, false, 4},
        {"NEXT", 8, true, false, 3},       {"LAST", 8, true, false, 0}, {"LAST AT", 8, true, false, 5},
        {"WAITS FOR", 14, false, true, 2},
    };
    struct doc_list list;
    struct slice budget;
    struct buf head;

    buf_init(&head, BUF_UNLIMITED);
    outlook_head(doc, &head);
    pane_init(p, "BUDGETS", columns, MG_ARRAY_LEN(columns));
    doc_list_begin(&list, doc, "budgets");
    while (p->n < ROWS_MAX && doc_list_next(&list, &budget))
        add_budget(p, buf_slice(&head), budget);
    buf_release(&head);
}

/* ---- the queue ---- */

void lists_queue(struct slice doc, struct slice budget, const char *title, struct pane *p)
{
    static const struct column columns[] = {
        {"QUEUE", 21, false, true, 0}, {"PRIO", 6, false, true, 4},   {"MODEL", 12, false, true, 6},
        {"TOKENS", 8, true, false, 2}, {"WAITED", 8, true, false, 3}, {"STARTS IN", 9, true, false, 0},
        {"AT", 8, true, false, 5},     {"TRIES", 5, true, false, 7},
    };
    bool stopped = doc_truth(doc, "paused");
    struct doc_list list;
    struct slice call;
    struct buf head;

    buf_init(&head, BUF_UNLIMITED);
    outlook_head(doc, &head);
    pane_init(p, title, columns, MG_ARRAY_LEN(columns));
    doc_list_begin(&list, budget, "queue");
    while (p->n < ROWS_MAX && doc_list_next(&list, &call)) {
        char *id = doc_plain(call, "id");
        struct pane_row *row = pane_add(p, id);

        free(id);
        cell_text(row, 0, call, "client");
        cell_text(row, 1, call, "priority");
        cell_text(row, 2, call, "model");
        cell_int(row, 3, call, "tokens");
        cell_ms(row, 4, doc_int(call, "waited_ms"));
        cell_start(row, 5, call, "start_ms", stopped);
        cell_moment(row, 6, buf_slice(&head), call, "start_ms");
        cell_int(row, 7, call, "attempts");
    }
    buf_release(&head);
}

/* ---- clients ---- */

static int64_t hour_tokens(struct slice doc)
{
    struct doc_list list;
    struct slice client;
    int64_t sum = 0;

    doc_list_begin(&list, doc, "clients");
    while (doc_list_next(&list, &client))
        sum = figure_sum(sum, doc_int(client, "hour.tokens"));
    return sum;
}

/* Of the tokens of the last hour. */
static void cell_share(struct pane_row *row, size_t column, struct slice client, int64_t all)
{
    int64_t own = doc_int(client, "hour.tokens");
    char text[FIGURE_SIZE];

    if (own <= 0 || all <= 0) {
        pane_cell(row, column, 0, "-");
        return;
    }
    pane_cell(row, column, own, "%s %%", figure_tenths(figure_part(own, all, 1000), text));
}

static void cell_cost(struct pane_row *row, size_t column, struct slice client)
{
    char text[FIGURE_SIZE];
    int64_t nano;

    if (doc_scaled(client, "cost_usd", 9, &nano) < 0)
        pane_cell(row, column, -1, "-");
    else
        pane_cell(row, column, nano, "%s", figure_usd(nano, 6, text));
}

void lists_clients(struct slice doc, struct pane *p)
{
    static const struct column columns[] = {
        {"CLIENTS", 10, false, true, 0}, {"HELD", 6, true, false, 0},    {"FLIGHT", 7, true, false, 5},
        {"CALLS", 8, true, false, 4},    {"TOKENS", 11, true, false, 2}, {"COST", 12, true, false, 3},
        {"HOUR", 7, true, false, 1},
    };
    int64_t all = hour_tokens(doc);
    struct doc_list list;
    struct slice client;

    pane_init(p, "CLIENTS", columns, MG_ARRAY_LEN(columns));
    doc_list_begin(&list, doc, "clients");
    while (p->n < ROWS_MAX && doc_list_next(&list, &client)) {
        char *name = doc_plain(client, "name");
        struct pane_row *row = pane_add(p, name);

        free(name);
        cell_text(row, 0, client, "name");
        cell_int(row, 1, client, "held");
        cell_int(row, 2, client, "in_flight");
        cell_int(row, 3, client, "calls");
        cell_int(row, 4, client, "tokens");
        cell_cost(row, 5, client);
        cell_share(row, 6, client, all);
        if (doc_int(client, "held") > 0)
            row->style = STYLE_STRONG;
    }
}
