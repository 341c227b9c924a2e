/* prices: rates are shown with the digits that the daemon wrote, and a rate that is not known is "-", never
 * 0. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "metergate/tool/ask.h"
#include "metergate/tool/command.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/report.h"
#include "metergate/tool/shown.h"
#include "metergate/tool/table.h"

#define RATE_PLACES 16
#define NAME_PLACES 40

static const char *const rates[] = {"input", "cached", "cache_write", "cache_write_1h", "output"};

/* What the rows of a table were like, for the notes under it. */
struct seen {
    bool configured, unknown;
    bool open; /* a glob of the configuration leaves it to the name that it matches */
};

/* At least two digits after the point, as prices are written. */
static void add_rate(struct table *t, struct slice row, const char *group, const char *name,
                     struct seen *seen)
{
    struct slice raw = doc_get(doc_get(row, group), name);
    size_t point = slice_find(raw, '.');
    struct buf text;

    if (!raw.n) {
        bool open = doc_truth(row, "configured");

        seen->open |= open;
        seen->unknown |= !open;
        table_add(t, "%s", open ? ".." : "-");
        return;
    }
    buf_init(&text, BUF_UNLIMITED);
    buf_add_slice(&text, raw);
    if (slice_find(raw, 'e') == raw.n && slice_find(raw, 'E') == raw.n) {
        if (point == raw.n)
            buf_add_char(&text, '.');
        for (size_t digits = point == raw.n ? 0 : raw.n - point - 1; digits < 2; digits++)
            buf_add_char(&text, '0');
    }
    table_add_short(t, buf_slice(&text), RATE_PLACES);
    buf_release(&text);
}

static void add_rates(struct table *t, struct slice row, const char *group, struct seen *seen)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rates); i++)
        add_rate(t, row, group, rates[i], seen);
}

static void add_text(struct table *t, struct slice row, const char *name, const char *without)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    doc_text(row, name, &text);
    table_add_short(t, text.n ? buf_slice(&text) : slice_str(without), NAME_PLACES);
    buf_release(&text);
}

static void add_source(struct table *t, struct slice row)
{
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    doc_text(row, "source", &text);
    table_add_slice(t, buf_slice(&text));
    buf_release(&text);
}

static void add_row(struct table *t, struct slice row, struct seen *seen)
{
    bool configured = doc_truth(row, "configured");
    int64_t above = doc_int(row, "long_above");
    char tokens[FIGURE_SIZE];

    seen->configured |= configured;
    table_add(t, "%s", configured ? "*" : "");
    add_text(t, row, "match", "");
    add_text(t, row, "since", "-");
    add_rates(t, row, "usd_per_million", seen);
    add_source(t, row);
    if (above <= 0)
        return;
    table_add(t, "%s", "");
    table_add(t, "  input over %s", figure_int(above, tokens));
    table_add(t, "%s", "");
    add_rates(t, row, "long_usd_per_million", seen);
    table_add(t, "%s", "");
}

static void print_head(struct slice doc)
{
    fputs("USD per million tokens", stdout);
    if (doc_get(doc, "day").n) {
        fputs(", ", stdout);
        shown_text(doc, "day");
    }
    puts("\n");
}

static int report_none(const char *model)
{
    if (!model) {
        puts("no prices");
        return EX_OK;
    }
    return report(EXIT_FAILURE,
                  "no price of %s is known: its calls are unpriced; `prices:` in the configuration adds one",
                  model);
}

static int show_text(const struct arguments *a, struct slice doc)
{
    static const char *const heads[] = {"",       "MODEL",  "SINCE", "INPUT", "CACHED", "CACHE WRITE",
                                        "1 HOUR", "OUTPUT", "FROM"};
    struct seen seen = {0};
    struct doc_list rows;
    struct slice row;
    struct table t;
    int status = EX_OK;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 0xf8);
    doc_list_begin(&rows, doc, "prices");
    while (doc_list_next(&rows, &row))
        add_row(&t, row, &seen);
    if (t.n)
        print_head(doc);
    else
        status = report_none(a->operands[0]);
    table_print(&t, stdout);
    table_release(&t);
    if (seen.configured || seen.unknown)
        putchar('\n');
    if (seen.configured)
        puts("* from `prices:` of the configuration, which go before what is built in");
    if (seen.open)
        puts(".. as built in for the model that is called; else CACHED and CACHE WRITE cost as INPUT\n"
             "   (`metergate prices MODEL` shows what holds)");
    if (seen.unknown)
        puts("- not known: a call that needs it is unpriced");
    return status;
}

int command_prices(const struct arguments *a)
{
    struct buf path;
    int status;

    if (a->operand_count > 1)
        return report(EX_USAGE, "prices takes one model, or none ('%s'); try 'metergate prices --help'",
                      a->operands[1]);
    buf_init(&path, BUF_UNLIMITED);
    buf_add_str(&path, "/-/prices");
    ask_add_parameter(&path, "model", a->operands[0]);
    status = ask(a, path.p, show_text, NULL);
    buf_release(&path);
    return status;
}
