/*
 * compare: a column a model, so that figures of one kind stand beside each other. The first model is what the
 * others are compared with; ratios are computed from costs a call in thousandths of a nano-dollar, in
 * integers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "metergate/base/plain.h"
#include "metergate/tool/ask.h"
#include "metergate/tool/command.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/report.h"
#include "metergate/tool/shown.h"
#include "metergate/tool/table.h"

#define MODELS_MAX    10
#define NAME_PLACES   32
#define FEW_CALLS     20
#define DEFAULT_SINCE "30d"

struct models {
    struct slice v[MODELS_MAX]; /* borrowed from the document */
    char *name[MODELS_MAX];     /* owned; safe to show, and short */
    size_t n;
    int digits; /* of money, after the point */
};

/* ---- cells ---- */

static int64_t cost_a_call(struct slice model, int digits)
{
    int64_t v;

    return doc_scaled(model, "cost_nano_usd_per_call", digits, &v) < 0 ? -1 : v;
}

static void add_int(struct table *t, const struct models *m, size_t i, const char *name)
{
    table_add_int(t, doc_int(m->v[i], name));
}

static void add_tenths(struct table *t, const struct models *m, size_t i, const char *name)
{
    char text[FIGURE_SIZE];
    int64_t v;

    table_add(t, "%s", doc_scaled(m->v[i], name, 1, &v) < 0 ? "-" : figure_tenths(v, text));
}

/* The ledger has sums of what is priced alone: where nothing is, there is no sum. */
static void add_cost(struct table *t, const struct models *m, size_t i, const char *name)
{
    char usd[FIGURE_SIZE];
    int64_t unpriced = doc_int(m->v[i], "unpriced_calls"), v;

    if (doc_scaled(m->v[i], name, 0, &v) == 0 && (v != 0 || unpriced == 0))
        table_add(t, "%s", figure_usd(v, m->digits, usd));
    else
        table_add(t, "%s", unpriced > 0 ? "unpriced" : "-");
}

/* Of a spread: "queued_ms.p95". */
static void add_ms(struct table *t, const struct models *m, size_t i, const char *name)
{
    char ms[FIGURE_SIZE];
    int64_t v;

    table_add(t, "%s", doc_scaled(m->v[i], name, 0, &v) < 0 ? "-" : figure_ms(v, ms));
}

#define SPREAD(label, name)                                                                                  \
    {label ", mean", name ".mean", add_ms}, {"  half of them within", name ".p50", add_ms},                  \
    {                                                                                                        \
        "  95 % of them within", name ".p95", add_ms                                                         \
    }

static const struct {
    const char *label, *name;
    void (*add)(struct table *t, const struct models *m, size_t i, const char *name);
} rows[] = {
    {"calls", "calls", add_int},
    {"completed", "completed", add_int},
    {"failed", "failed", add_int},
    {"refused", "refused", add_int},
    {"cancelled", "cancelled", add_int},
    {"input tokens a call", "input_tokens_per_call", add_tenths},
    {"output tokens a call", "output_tokens_per_call", add_tenths},
    {"cost a call", "cost_nano_usd_per_call", add_cost},
    {"input tokens", "input_tokens", add_int},
    {"output tokens", "output_tokens", add_int},
    {"cost", "cost_nano_usd", add_cost},
    SPREAD("waited", "queued_ms"),
    SPREAD("until the first byte", "first_byte_ms"),
    SPREAD("until the end", "total_ms"),
};

static void print_table(const struct models *m)
{
    const char *heads[1 + MODELS_MAX] = {""};
    struct table t;

    for (size_t i = 0; i < m->n; i++)
        heads[1 + i] = m->name[i];
    table_init(&t, heads, 1 + m->n, 0xfffffe);
    for (size_t r = 0; r < MG_ARRAY_LEN(rows); r++) {
        table_add(&t, "%s", rows[r].label);
        for (size_t i = 0; i < m->n; i++)
            rows[r].add(&t, m, i, rows[r].name);
    }
    table_print(&t, stdout);
    table_release(&t);
}

/* ---- what it means ---- */

/* a / b in tenths, rounded; both > 0. */
static int64_t tenths(int64_t a, int64_t b)
{
    int64_t whole = a / b, rest = a % b, tenth;

    if (whole >= INT64_MAX / 10)
        return INT64_MAX;
    for (; b > INT64_MAX / 20; b /= 2) /* what is lost is far behind the point */
        rest /= 2;
    tenth = (20 * rest / b + 1) / 2;
    return whole * 10 + tenth;
}

static void print_ratio(const struct models *m, size_t i)
{
    int64_t first = cost_a_call(m->v[0], 3), other = cost_a_call(m->v[i], 3);
    const char *name = m->name[i], *of = m->name[0];
    char ratio[FIGURE_SIZE];

    if (first < 0 || other < 0)
        printf("%s and %s: no ratio, the cost of %s a call is not known\n", name, of, other < 0 ? name : of);
    else if (first == other)
        printf("%s costs the same as %s a call\n", name, of);
    else if (first == 0 || other == 0)
        printf("%s costs nothing, %s does\n", first ? name : of, first ? of : name);
    else if (other < first)
        printf("%s costs 1/%s of %s a call\n", name, figure_tenths(tenths(first, other), ratio), of);
    else
        printf("%s costs %s times %s a call\n", name, figure_tenths(tenths(other, first), ratio), of);
}

static void print_few(const struct models *m, size_t i)
{
    int64_t completed = doc_int(m->v[i], "completed");
    char n[FIGURE_SIZE];

    if (completed == 0)
        printf("no completed calls of %s\n", m->name[i]);
    else if (completed < FEW_CALLS)
        printf("few calls: %s of %s were completed, its figures may be chance\n", figure_int(completed, n),
               m->name[i]);
}

static void print_notes(const struct models *m)
{
    putchar('\n');
    for (size_t i = 1; i < m->n; i++)
        print_ratio(m, i);
    for (size_t i = 0; i < m->n; i++)
        print_few(m, i);
    for (size_t i = 0; i < m->n; i++) {
        char whose[6 * NAME_PLACES];

        snprintf(whose, sizeof whose, " of %s", m->name[i]);
        shown_unpriced(doc_int(m->v[i], "unpriced_calls"), whose);
    }
}

/* ---- the whole ---- */

static char *short_name(struct slice model)
{
    char *name = doc_plain(model, "model");
    struct slice whole = slice_str(name);

    name[plain_fit(whole, NAME_PLACES)] = '\0';
    return name;
}

static void take_digits(struct models *m, struct slice model)
{
    if (figure_usd_digits(doc_int(model, "cost_nano_usd")) == 9 || cost_a_call(model, 0) % 1000 > 0)
        m->digits = 9;
}

static int show_text(const struct arguments *a, struct slice doc)
{
    struct models m = {.digits = 6};
    struct doc_list list;

    (void)a;
    doc_list_begin(&list, doc, "models");
    while (m.n < MODELS_MAX && doc_list_next(&list, &m.v[m.n])) {
        m.name[m.n] = short_name(m.v[m.n]);
        take_digits(&m, m.v[m.n]);
        m.n++;
    }
    shown_span(doc);
    if (m.n) {
        print_table(&m);
        print_notes(&m);
    } else {
        puts("no calls");
    }
    for (size_t i = 0; i < m.n; i++)
        free(m.name[i]);
    return EX_OK;
}

int command_compare(const struct arguments *a)
{
    struct buf path;
    int status;

    if (a->operand_count < 2 || a->operand_count > MODELS_MAX)
        return report(EX_USAGE, "compare wants 2 to %d models; try 'metergate compare --help'", MODELS_MAX);
    buf_init(&path, BUF_UNLIMITED);
    buf_add_str(&path, "/-/compare");
    for (int i = 0; i < a->operand_count; i++)
        ask_add_parameter(&path, "model", a->operands[i]);
    ask_add_parameter(&path, "since", a->since ? a->since : DEFAULT_SINCE);
    status = ask(a, path.p, show_text, NULL);
    buf_release(&path);
    return status;
}
