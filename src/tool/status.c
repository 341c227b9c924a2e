/* status: what a document does not have counts as 0 or empty: an older daemon's status is shown as far as it
 * goes. Money is never a floating-point number: its digits are read where they stand. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "metergate/tool/client.h"
#include "metergate/tool/command.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/outlook.h"
#include "metergate/tool/paper.h"
#include "metergate/tool/report.h"
#include "metergate/tool/shown.h"
#include "metergate/tool/table.h"
#include "metergate/tool/token.h"
#include "metergate/tool/waiting.h"

/* Thousandths, as milliseconds of seconds; what no daemon would say is none. */
static int64_t thousandths(struct slice node, const char *path)
{
    int64_t v;

    return doc_scaled(node, path, 3, &v) < 0 || v < 0 ? 0 : v;
}

static int64_t nano(struct slice node, const char *path)
{
    int64_t v;

    return doc_scaled(node, path, 9, &v) < 0 ? 0 : v;
}

static void print_line(size_t width, const char *fmt, ...) MG_PRINTF(2, 3);
static void print_line(size_t width, const char *fmt, ...)
{
    struct buf line;
    va_list ap;

    buf_init(&line, BUF_UNLIMITED);
    va_start(ap, fmt);
    buf_addv(&line, fmt, ap);
    va_end(ap);
    paper_print(buf_slice(&line), width, 0);
    buf_release(&line);
}

/* ---- first: when those who wait go, and what is in the way */

/* So that the first sentence stays in sight; the tables have all. */
#define BUDGETS_IN_WORDS 12

static void print_trouble(const char *sentence, void *ctx)
{
    size_t *width = ctx;
    struct buf line;

    buf_init(&line, BUF_UNLIMITED);
    buf_addf(&line, "%s.", sentence);
    paper_print(buf_slice(&line), *width, 0);
    buf_release(&line);
}

static void print_outlook(struct slice doc, size_t width)
{
    struct doc_list list;
    struct slice budget;
    struct buf line, head;
    size_t n = 0;

    buf_init(&line, BUF_UNLIMITED);
    buf_init(&head, BUF_UNLIMITED);
    outlook_head(doc, &head);
    outlook_sentence(doc, &line);
    paper_print(buf_slice(&line), width, 0);
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &budget)) {
        if (doc_int(budget, "held") <= 0 || ++n > BUDGETS_IN_WORDS)
            continue;
        buf_reset(&line);
        outlook_budget(buf_slice(&head), budget, &line);
        paper_print(buf_slice(&line), width, 2);
    }
    if (n > BUDGETS_IN_WORDS)
        print_line(width, "  and %zu more budgets", n - BUDGETS_IN_WORDS);
    outlook_troubles(doc, print_trouble, &width);
    putchar('\n');
    buf_release(&head);
    buf_release(&line);
}

/* ---- the daemon */

static void print_hour(struct slice hour, size_t width)
{
    char calls[FIGURE_SIZE], tokens[FIGURE_SIZE], usd[FIGURE_SIZE], all[FIGURE_SIZE], one[FIGURE_SIZE], unpriced[FIGURE_SIZE];

    if (!hour.n)
        return;
    print_line(width, "hour    %s calls, %s tokens, %s%s; waited %s together, one of them %s",
               figure_int(doc_int(hour, "calls"), calls), figure_int(doc_int(hour, "tokens"), tokens),
               figure_usd(nano(hour, "cost_usd"), 6, usd),
               figure_unpriced(doc_int(hour, "unpriced"), unpriced), figure_ms(doc_int(hour, "waited_ms"), all),
               figure_ms(doc_int(hour, "longest_wait_ms"), one));
}

static void print_summary(struct slice doc, const char *url, size_t width)
{
    char up[FIGURE_SIZE], *version = doc_plain(doc, "version");

    print_line(width, "Metergate %s at %s, up %s%s%s", version, url,
               figure_ms(thousandths(doc, "uptime_s") / 1000 * 1000, up),
               doc_truth(doc, "paused") ? ", paused" : "", doc_truth(doc, "draining") ? ", stopping" : "");
    if (doc_truth(doc, "process.memory_short"))
        puts("memory is short: new calls are refused until there is some, those that are there go on");
    free(version);
    print_line(width, "now     %" PRId64 " held (%" PRId64 " KiB), %" PRId64 " in flight",
               doc_int(doc, "held"), figure_sum(doc_int(doc, "held_bytes"), 1023) / 1024,
               doc_int(doc, "in_flight"));
    print_line(width,
               "so far  %" PRId64 " calls: %" PRId64 " completed, %" PRId64 " refused, %" PRId64
               " cancelled, %" PRId64 " failed; 429s from providers: %" PRId64 ", retries: %" PRId64,
               doc_int(doc, "totals.calls"), doc_int(doc, "totals.completed"), doc_int(doc, "totals.refused"),
               doc_int(doc, "totals.cancelled"), doc_int(doc, "totals.failed"),
               doc_int(doc, "totals.upstream_429"), doc_int(doc, "totals.retries"));
    print_hour(doc_get(doc, "hour"), width);
    if (!doc_get(doc, "ledger.problem").n)
        return;
    fputs("ledger  not written: ", stdout);
    shown_text(doc, "ledger.problem");
    printf("; rows that wait: %" PRId64 ", lost: %" PRId64 "; calls go on\n", doc_int(doc, "ledger.waiting"),
           doc_int(doc, "ledger.lost"));
}

/* ---- budgets: one row a limit; what concerns the budget stands in its first row ---- */

static void add_next(struct table *t, struct slice budget, bool stopped)
{
    int64_t paused_ms = doc_int(budget, "paused_until_ms"), next_ms = doc_int(budget, "next_dispatch_ms");
    char s[FIGURE_SIZE];

    if (paused_ms > 0)
        table_add(t, "paused for %s", figure_ms(paused_ms, s));
    else if (doc_int(budget, "held") == 0)
        table_add(t, "%s", "-");
    else if (stopped)
        table_add(t, "after `metergate resume`");
    else if (!doc_get(budget, "next_dispatch_ms").n)
        table_add(t, "when a call ends");
    else
        table_add(t, "in %s", figure_ms(next_ms, s));
}

/* Its last columns; nothing but in its first row, and nothing for a client, whose `budget` is empty. */
static void add_budget_columns(struct table *t, struct slice budget, bool stopped)
{
    if (budget.n) {
        table_add_int(t, doc_int(budget, "held"));
        table_add_int(t, doc_int(budget, "in_flight"));
        add_next(t, budget, stopped);
        return;
    }
    for (int i = 0; i < 3; i++)
        table_add(t, "%s", "");
}

/* "gpt-4o", "client nightly" */
static void add_name(struct table *t, struct slice budget, bool of_client)
{
    struct buf name;

    buf_init(&name, BUF_UNLIMITED);
    buf_add_str(&name, of_client ? "client " : "");
    outlook_name(budget, &name);
    table_add_slice(t, buf_slice(&name));
    buf_release(&name);
}

static void add_amount(struct table *t, int64_t v, bool money)
{
    char usd[FIGURE_SIZE];

    if (money)
        table_add(t, "%s", figure_usd(v, 6, usd));
    else
        table_add_int(t, v);
}

/* Its first columns, without those that concern the budget. */
static void add_limit(struct table *t, struct slice limit)
{
    static const char *const names[] = {"max", "usable", "used", "reserved"};
    int64_t v[MG_ARRAY_LEN(names)], taken;
    struct buf metric;
    char window[FIGURE_SIZE];
    bool money;

    buf_init(&metric, BUF_UNLIMITED);
    doc_text(limit, "metric", &metric);
    money = slice_starts(buf_slice(&metric), SLICE("usd_"));
    buf_add_str(&metric, doc_truth(limit, "learned") ? " (learned)" : "");
    table_add_slice(t, buf_slice(&metric));
    buf_release(&metric);
    table_add(t, "%s", figure_window(thousandths(limit, "window_s"), window));
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        v[i] = money ? nano(limit, names[i]) : doc_int(limit, names[i]);
        add_amount(t, v[i], money);
    }
    taken = figure_sum(v[2], v[3]);
    add_amount(t, taken < v[1] ? v[1] - taken : 0, money);
}

static void add_budget(struct table *t, struct slice budget, bool stopped)
{
    struct slice of_first = budget, limit;
    struct doc_list limits;

    doc_list_begin(&limits, budget, "limits");
    while (doc_list_next(&limits, &limit)) {
        if (of_first.n)
            add_name(t, budget, false);
        else
            table_add(t, "%s", "");
        add_limit(t, limit);
        add_budget_columns(t, of_first, stopped);
        of_first = SLICE("");
    }
    if (!of_first.n)
        return;
    add_name(t, budget, false);
    table_add(t, "none known");
    for (int i = 0; i < 6; i++)
        table_add(t, "%s", "");
    add_budget_columns(t, budget, stopped);
}

/* What it is limited to itself; the queues are its budgets'. */
static void add_client(struct table *t, struct slice client)
{
    struct doc_list limits;
    struct slice limit;

    doc_list_begin(&limits, client, "limits");
    while (doc_list_next(&limits, &limit)) {
        add_name(t, client, true);
        add_limit(t, limit);
        add_budget_columns(t, SLICE(""), false);
    }
}

static void print_budgets(struct slice doc, size_t width)
{
    static const unsigned char first_out[] = {9, 4, 6, 2, 5, 8, TABLE_END};
    static const char *const heads[] = {"BUDGET",   "LIMIT", "WINDOW", "MAX",       "USABLE", "USED",
                                        "RESERVED", "FREE",  "HELD",   "IN FLIGHT", "NEXT"};
    bool stopped = doc_truth(doc, "paused");
    struct doc_list list;
    struct slice one;
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x3fc);
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &one))
        add_budget(&t, one, stopped);
    doc_list_begin(&list, doc, "clients");
    while (doc_list_next(&list, &one))
        add_client(&t, one);
    table_fit(&t, width, first_out);
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

static void print_clients(struct slice doc, size_t width)
{
    static const unsigned char first_out[] = {2, 3, 1, TABLE_END};
    static const char *const heads[] = {"CLIENT", "HELD", "IN FLIGHT", "CALLS", "TOKENS", "COST"};
    struct doc_list list;
    struct slice client;
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x3e);
    doc_list_begin(&list, doc, "clients");
    while (doc_list_next(&list, &client)) {
        struct buf name;

        buf_init(&name, BUF_UNLIMITED);
        doc_text(client, "name", &name);
        table_add_slice(&t, buf_slice(&name));
        buf_release(&name);
        table_add_int(&t, doc_int(client, "held"));
        table_add_int(&t, doc_int(client, "in_flight"));
        table_add_int(&t, doc_int(client, "calls"));
        table_add_int(&t, doc_int(client, "tokens"));
        if (doc_get(client, "cost_usd").n)
            add_amount(&t, nano(client, "cost_usd"), true);
        else
            table_add(&t, "-");
    }
    table_fit(&t, width, first_out);
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

/* ---- upstreams */

static void print_upstreams(struct slice doc, size_t width)
{
    static const char *const heads[] = {"UPSTREAM", "STATE",   "CONNECTIONS", "CALLS",
                                        "429",      "RETRIES", "NOT REACHED"};
    static const unsigned char first_out[] = {2, 5, 4, 6, TABLE_END};
    static const char *const counts[] = {"connections", "calls", "upstream_429", "retries",
                                         "connect_failures"};
    struct doc_list list;
    struct slice one;
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x7c);
    doc_list_begin(&list, doc, "upstreams");
    while (doc_list_next(&list, &one)) {
        add_name(&t, one, false);
        table_add(&t, "%s",
                  !doc_truth(one, "reachable")     ? "not reached"
                  : doc_truth(one, "breaker_open") ? "in trouble"
                                                   : "well");
        for (size_t i = 0; i < MG_ARRAY_LEN(counts); i++)
            table_add_int(&t, doc_int(one, counts[i]));
    }
    table_fit(&t, width, first_out);
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

static void print_page(struct slice doc, const char *url)
{
    size_t width = paper_width();

    print_outlook(doc, width);
    print_summary(doc, url, width);
    print_budgets(doc, width);
    waiting_print(doc, width);
    print_clients(doc, width);
    print_upstreams(doc, width);
}

int command_status(const struct arguments *a)
{
    struct client_answer answer;
    struct address address;
    struct client client;
    struct secret token;
    struct slice doc;
    struct errbuf e;
    int status = EX_OK, rc;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0)
        return report(EX_USAGE, "%s", e.text);
    client_init(&client, &address, &token);
    rc = client_get(&client, "/-/status", &answer, &e);
    client_release(&client);
    secret_release(&token);
    if (rc < 0)
        return report(rc == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%s", e.text);
    doc = buf_slice(&answer.body);
    if (!doc_check(doc)) {
        status = report(EX_UNAVAILABLE, "what answers at %s is not Metergate", address_shown(&address).text);
    } else if (a->json) {
        fwrite(answer.body.p, 1, answer.body.n, stdout);
        if (answer.body.p[answer.body.n - 1] != '\n')
            putchar('\n');
    } else {
        print_page(doc, address_shown(&address).text);
    }
    client_answer_release(&answer);
    return status;
}
