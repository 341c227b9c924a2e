/* status: what a document does not have counts as 0 or empty: an older daemon's status is shown as far as it
 * goes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "metergate/base/json.h"
#include "metergate/base/plain.h"
#include "metergate/tool/client.h"
#include "metergate/tool/command.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/report.h"
#include "metergate/tool/table.h"
#include "metergate/tool/token.h"

static int64_t whole(const struct json *node, const char *path)
{
    int64_t v = 0;

    return json_as_int64(json_path(node, path), &v) < 0 ? 0 : v;
}

static double number(const struct json *node, const char *path)
{
    double v = 0;

    return json_as_double(json_path(node, path), &v) < 0 ? 0 : v;
}

static bool truth(const struct json *node, const char *path)
{
    bool v = false;

    return json_as_bool(json_path(node, path), &v) == 0 && v;
}

static struct slice text(const struct json *node, const char *path)
{
    struct slice v;

    return json_as_str(json_path(node, path), &v) < 0 ? SLICE("") : v;
}

static void print_text(struct slice s)
{
    struct buf safe;

    buf_init(&safe, BUF_UNLIMITED);
    plain_add(&safe, s);
    fwrite(safe.n ? safe.p : "", 1, safe.n, stdout);
    buf_release(&safe);
}

/* Whole seconds; what no daemon would say is none. */
static int64_t uptime_s(const struct json *doc)
{
    double s = number(doc, "uptime_s");

    return s >= 0 && s < 1e12 ? (int64_t)s : 0;
}

static void print_summary(const struct json *doc, const char *url)
{
    char up[FIGURE_SIZE];

    fputs("Metergate ", stdout);
    print_text(text(doc, "version"));
    printf(" at %s, up %s%s%s\n", url, figure_ms(1000 * uptime_s(doc), up), truth(doc, "paused") ? ", paused" : "",
           truth(doc, "draining") ? ", stopping" : "");
    printf("now     %" PRId64 " held (%" PRId64 " KiB), %" PRId64 " in flight\n", whole(doc, "held"),
           (whole(doc, "held_bytes") + 1023) / 1024, whole(doc, "in_flight"));
    printf("so far  %" PRId64 " calls: %" PRId64 " completed, %" PRId64 " refused, %" PRId64
           " cancelled, %" PRId64 " failed; the provider said 429 %" PRId64 " times; %" PRId64 " retries\n",
           whole(doc, "totals.calls"), whole(doc, "totals.completed"), whole(doc, "totals.refused"),
           whole(doc, "totals.cancelled"), whole(doc, "totals.failed"), whole(doc, "totals.upstream_429"),
           whole(doc, "totals.retries"));
}

/* ---- budgets: one row a limit; what concerns the budget stands in its first row
 * --------------------------------- */

static void add_next(struct table *t, const struct json *budget)
{
    int64_t paused_ms = whole(budget, "paused_until_ms"), next_ms;
    char s[FIGURE_SIZE];

    if (paused_ms > 0)
        table_add(t, "paused for %s", figure_ms(paused_ms, s));
    else if (whole(budget, "held") == 0)
        table_add(t, "%s", "-");
    else if (json_as_int64(json_get(budget, "next_dispatch_ms"), &next_ms) < 0)
        table_add(t, "when a call ends");
    else
        table_add(t, "in %s", figure_ms(next_ms, s));
}

static void add_budget_columns(struct table *t, const struct json *budget, bool first)
{
    if (first) {
        table_add_int(t, whole(budget, "held"));
        table_add_int(t, whole(budget, "in_flight"));
        add_next(t, budget);
        return;
    }
    for (int i = 0; i < 3; i++)
        table_add(t, "%s", "");
}

/* "gpt-4o", "gpt-4o (k-3f9a02bc)" of one key, "client nightly" */
static void add_name(struct table *t, const struct json *budget, bool of_client)
{
    struct slice key = text(budget, "key");
    struct buf name;

    buf_init(&name, BUF_UNLIMITED);
    buf_add_str(&name, of_client ? "client " : "");
    buf_add_slice(&name, text(budget, "name"));
    if (key.n) {
        buf_add_str(&name, " (");
        buf_add_slice(&name, key);
        buf_add_char(&name, ')');
    }
    table_add_slice(t, buf_slice(&name));
    buf_release(&name);
}

/* Its first columns, without those that concern the budget. */
static void add_limit(struct table *t, const struct json *limit)
{
    struct slice metric = text(limit, "metric");
    int64_t used = whole(limit, "used"), reserved = whole(limit, "reserved"), usable = whole(limit, "usable");
    double window_s = number(limit, "window_s");

    table_add(t, "%.*s%s", (int)metric.n, metric.p, truth(limit, "learned") ? " (learned)" : "");
    if (window_s > 0)
        table_add(t, "%.6g s", window_s);
    else
        table_add(t, "%s", "-");
    table_add_int(t, whole(limit, "max"));
    table_add_int(t, usable);
    table_add_int(t, used);
    table_add_int(t, reserved);
    table_add_int(t, used + reserved < usable ? usable - used - reserved : 0);
}

static void add_budget(struct table *t, const struct json *budget)
{
    bool first = true;

    JSON_EACH(json_get(budget, "limits"), limit)
    {
        if (first)
            add_name(t, budget, false);
        else
            table_add(t, "%s", "");
        add_limit(t, limit);
        add_budget_columns(t, budget, first);
        first = false;
    }
    if (!first)
        return;
    add_name(t, budget, false);
    table_add(t, "none known");
    for (int i = 0; i < 6; i++)
        table_add(t, "%s", "");
    add_budget_columns(t, budget, true);
}

/* What it is limited to itself; the queues are its budgets'. */
static void add_client(struct table *t, const struct json *client)
{
    JSON_EACH(json_get(client, "limits"), limit)
    {
        add_name(t, client, true);
        add_limit(t, limit);
        add_budget_columns(t, client, false);
    }
}

static void print_budgets(const struct json *doc)
{
    static const char *const heads[] = {"BUDGET",   "LIMIT", "WINDOW", "MAX",       "USABLE", "USED",
                                        "RESERVED", "FREE",  "HELD",   "IN FLIGHT", "NEXT"};
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x3fc);
    JSON_EACH(json_get(doc, "budgets"), budget)
    add_budget(&t, budget);
    JSON_EACH(json_get(doc, "clients"), client)
    add_client(&t, client);
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

static void print_clients(const struct json *doc)
{
    static const char *const heads[] = {"CLIENT", "HELD", "IN FLIGHT", "CALLS", "TOKENS"};
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x1e);
    JSON_EACH(json_get(doc, "clients"), client)
    {
        table_add_slice(&t, text(client, "name"));
        table_add_int(&t, whole(client, "held"));
        table_add_int(&t, whole(client, "in_flight"));
        table_add_int(&t, whole(client, "calls"));
        table_add_int(&t, whole(client, "tokens"));
    }
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

static void print_unreachable(const struct json *doc)
{
    JSON_EACH(json_get(doc, "upstreams"), upstream)
    {
        if (truth(upstream, "reachable"))
            continue;
        fputs("\nThe last connection to upstream ", stdout);
        print_text(text(upstream, "name"));
        fputs(" failed.\n", stdout);
    }
}

int command_status(const struct arguments *a)
{
    struct client_answer answer;
    struct address address;
    struct client client;
    struct secret token;
    struct json *doc = NULL;
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
    if (json_parse(buf_slice(&answer.body), &doc) < 0 || !json_is_object(doc)) {
        status = report(EX_UNAVAILABLE, "what answers at %s is not Metergate", address.text);
    } else if (a->json) {
        fwrite(answer.body.p, 1, answer.body.n, stdout);
        if (answer.body.p[answer.body.n - 1] != '\n')
            putchar('\n');
    } else {
        print_summary(doc, address.text);
        print_budgets(doc);
        print_clients(doc);
        print_unreachable(doc);
    }
    json_free(doc);
    client_answer_release(&answer);
    return status;
}
