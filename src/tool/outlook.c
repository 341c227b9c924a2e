/* outlook: a start that nobody can know is said to be so; it is never left out of a number that claims to be
 * all. */
#include "metergate/tool/outlook.h"

#include <time.h>

#include "metergate/base/plain.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/meaning.h"

/* Beyond that no daemon has any plans; and sums of such do not overflow. */
#define FAR_MS (INT64_C(100) * 366 * 86400 * 1000)

bool outlook_ms(struct slice node, const char *member, int64_t *ret_ms)
{
    int64_t v;

    if (doc_scaled(node, member, 0, &v) < 0 || v < 0 || v > FAR_MS)
        return false;
    *ret_ms = v;
    return true;
}

static void add_text(struct slice node, const char *member, struct buf *out)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    doc_text(node, member, &text);
    plain_add(out, buf_slice(&text));
    buf_release(&text);
}

void outlook_name(struct slice budget, struct buf *out)
{
    add_text(budget, "name", out);
    if (!doc_get(budget, "key").n)
        return;
    buf_add_str(out, " (");
    add_text(budget, "key", out);
    buf_add_char(out, ')');
}

void outlook_moment(struct slice doc, int64_t ms, struct buf *out)
{
    struct tm then, today;
    char text[40];
    int64_t wall_ms;
    time_t at, now;

    if (!outlook_ms(doc, "time_ms", &wall_ms))
        return;
    now = (time_t)(wall_ms / 1000);
    at = (time_t)((wall_ms + ms + 500) / 1000);
    if (!localtime_r(&at, &then) || !localtime_r(&now, &today))
        return;
    if (then.tm_yday == today.tm_yday && then.tm_year == today.tm_year)
        strftime(text, sizeof text, "%H:%M:%S", &then);
    else
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &then);
    buf_add_str(out, text);
}

void outlook_head(struct slice doc, struct buf *out)
{
    struct slice time_ms = doc_get(doc, "time_ms");

    if (!time_ms.n)
        time_ms = SLICE("null");
    buf_addf(out, "{\"time_ms\":%.*s,\"paused\":%s}", (int)time_ms.n, time_ms.p,
             doc_truth(doc, "paused") ? "true" : "false");
}

/* "in 4 min 12 s, at 15:04:10" */
static void add_start(struct slice doc, int64_t ms, struct buf *out)
{
    char span[FIGURE_SIZE];
    size_t before;

    buf_addf(out, "in %s", figure_span(ms, span));
    before = out->n;
    buf_add_str(out, ", at ");
    outlook_moment(doc, ms, out);
    if (out->n == before + sizeof ", at " - 1)
        buf_drop_tail(out, out->n - before);
}

/* ---- all budgets together ---- */

struct sums {
    int64_t held, known, last_ms;
};

static struct sums sum(struct slice doc)
{
    struct sums s = {.held = doc_int(doc, "held")};
    struct doc_list list;
    struct slice budget;
    int64_t ms;

    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &budget)) {
        if (doc_int(budget, "held") <= 0 || !outlook_ms(budget, "last_dispatch_ms", &ms))
            continue;
        s.known = figure_sum(s.known, doc_int(budget, "held"));
        s.last_ms = ms > s.last_ms ? ms : s.last_ms;
    }
    return s;
}

static void add_calls(int64_t n, struct buf *out)
{
    char digits[FIGURE_SIZE];

    buf_addf(out, "%s call%s", figure_int(n, digits), n == 1 ? "" : "s");
}

void outlook_sentence(struct slice doc, struct buf *out)
{
    bool paused = doc_truth(doc, "paused");
    struct sums s = sum(doc);
    char digits[FIGURE_SIZE];

    if (s.held <= 0) {
        buf_add_str(out,
                    paused ? "No call waits; what comes is held until metergate resume." : "No call waits.");
        return;
    }
    add_calls(s.held, out);
    buf_add_str(out, s.held == 1 ? " waits" : " wait");
    if (paused) {
        buf_add_str(out, " until metergate resume.");
    } else if (s.known <= 0) {
        buf_addf(out, "; when %s, what is under way decides.", s.held == 1 ? "it starts" : "they start");
    } else {
        if (s.held == 1)
            buf_add_str(out, "; it starts ");
        else if (s.known >= s.held)
            buf_add_str(out, "; the last of them starts ");
        else
            buf_addf(out, "; the last of %s starts ", figure_int(s.known, digits));
        add_start(doc, s.last_ms, out);
        if (s.known < s.held)
            buf_addf(out, "; when the other%s, what is under way decides",
                     s.held - s.known == 1 ? " does" : "s do");
        buf_add_char(out, '.');
    }
}

/* ---- one budget ---- */

void outlook_budget(struct slice doc, struct slice budget, struct buf *out)
{
    int64_t held = doc_int(budget, "held"), next_ms = 0, last_ms = 0;
    bool next = outlook_ms(budget, "next_dispatch_ms", &next_ms),
         last = outlook_ms(budget, "last_dispatch_ms", &last_ms);
    char digits[FIGURE_SIZE];

    outlook_name(budget, out);
    buf_addf(out, " holds %s", figure_int(held, digits));
    if (held == 1 && next) {
        buf_add_str(out, "; it starts ");
        add_start(doc, next_ms, out);
    } else if (next) {
        buf_add_str(out, "; the next starts ");
        if (last)
            buf_addf(out, "in %s, the last ", figure_span(next_ms, digits));
        add_start(doc, last ? last_ms : next_ms, out);
    }
    if (doc_truth(doc, "paused")) {
        buf_add_str(out, ": everything is paused");
    } else if (doc_get(budget, "waits_for").n) {
        buf_add_str(out, ": ");
        meaning_of_hold(doc_get(budget, "waits_for"), out);
    }
}

/* ---- what is wrong ---- */

static void tell(struct buf *b, outlook_trouble *each, void *ctx)
{
    each(b->p, ctx);
    buf_reset(b);
}

static void upstream_trouble(struct slice upstream, struct buf *b, outlook_trouble *each, void *ctx)
{
    bool reachable = doc_truth(upstream, "reachable"), open = doc_truth(upstream, "breaker_open");

    if (reachable && !open)
        return;
    if (!reachable) {
        buf_add_str(b, "The last connection to upstream ");
        add_text(upstream, "name", b);
        buf_add_str(b, " failed");
        if (doc_get(upstream, "problem").n) {
            buf_add_str(b, ": ");
            add_text(upstream, "problem", b);
        }
    } else {
        buf_add_str(b, "Upstream ");
        add_text(upstream, "name", b);
        buf_add_str(b, " was in trouble");
    }
    if (open)
        buf_add_str(b, "; one call goes now and then to see");
    tell(b, each, ctx);
}

static void budget_trouble(struct slice budget, struct buf *b, outlook_trouble *each, void *ctx)
{
    int64_t ms;
    char span[FIGURE_SIZE];

    if (doc_truth(budget, "breaker_open")) {
        buf_add_str(b, "The provider has no room for ");
        outlook_name(budget, b);
        buf_add_str(b, "; one call goes now and then to see");
        tell(b, each, ctx);
    }
    if (outlook_ms(budget, "paused_until_ms", &ms) && ms > 0) {
        outlook_name(budget, b);
        buf_addf(b, " is paused for %s, since the provider refused", figure_span(ms, span));
        tell(b, each, ctx);
    }
}

void outlook_troubles(struct slice doc, outlook_trouble *each, void *ctx)
{
    struct doc_list list;
    struct slice one;
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    doc_list_begin(&list, doc, "upstreams");
    while (doc_list_next(&list, &one))
        upstream_trouble(one, &b, each, ctx);
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &one))
        budget_trouble(one, &b, each, ctx);
    if (doc_get(doc, "ledger.problem").n) {
        buf_add_str(&b, "The ledger is not written: ");
        add_text(doc_get(doc, "ledger"), "problem", &b);
        tell(&b, each, ctx);
    }
    buf_release(&b);
}
