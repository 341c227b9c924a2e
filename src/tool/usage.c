/* usage: sums, one row a key. Money that is not known is never a 0: it is told apart, in the table and under
 * it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "metergate/tool/ask.h"
#include "metergate/tool/command.h"
#include "metergate/tool/csv.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/shown.h"
#include "metergate/tool/table.h"

/* What is summed, in the order of the columns. */
enum { CALLS, INPUT, CACHED, CACHE_WRITE, OUTPUT, REASONING, COST, UNPRICED, FIGURES };

static const char *const names[FIGURES] = {
    "calls",         "input_tokens",     "cached_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "cost_nano_usd", "unpriced_calls",
};

struct total {
    int64_t figure[FIGURES];
    int digits; /* of money, after the point */
};

static void add_up(struct slice doc, struct total *ret)
{
    struct doc_list rows;
    struct slice row;

    *ret = (struct total){.digits = 6};
    doc_list_begin(&rows, doc, "rows");
    while (doc_list_next(&rows, &row)) {
        for (int i = 0; i < FIGURES; i++)
            ret->figure[i] = figure_sum(ret->figure[i], doc_int(row, names[i]));
        if (figure_usd_digits(doc_int(row, names[COST])) > ret->digits)
            ret->digits = 9;
    }
}

/* Nothing that was used has a price: there is no sum, not even 0, though refused calls cost nothing. */
static bool all_unpriced(const int64_t *figure)
{
    return figure[UNPRICED] > 0 && figure[COST] == 0;
}

static void add_figures(struct table *t, const int64_t *figure, const struct total *total)
{
    char usd[FIGURE_SIZE];

    for (int i = 0; i < COST; i++)
        table_add_int(t, figure[i]);
    if (all_unpriced(figure))
        table_add(t, "unpriced");
    else
        table_add(t, "%s", figure_usd(figure[COST], total->digits, usd));
    if (total->figure[UNPRICED] > 0)
        table_add_int(t, figure[UNPRICED]);
}

static void add_row(struct table *t, struct slice row, const struct total *total)
{
    int64_t figure[FIGURES];
    struct buf key;

    for (int i = 0; i < FIGURES; i++)
        figure[i] = doc_int(row, names[i]);
    buf_init(&key, BUF_UNLIMITED);
    doc_text(row, "key", &key);
    table_add_slice(t, key.n ? buf_slice(&key) : SLICE("(none)"));
    buf_release(&key);
    add_figures(t, figure, total);
}

static void print_table(struct slice doc, const char *by, const struct total *total)
{
    const char *heads[] = {by,       "CALLS",     "INPUT", "CACHED",  "CACHE WRITE",
                           "OUTPUT", "REASONING", "COST",  "UNPRICED"};
    struct doc_list rows;
    struct slice row;
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads) - (total->figure[UNPRICED] == 0), 0x1fe);
    doc_list_begin(&rows, doc, "rows");
    while (doc_list_next(&rows, &row))
        add_row(&t, row, total);
    if (t.n) {
        table_add(&t, "total");
        add_figures(&t, total->figure, total);
    } else {
        puts("no calls");
    }
    table_print(&t, stdout);
    table_release(&t);
}

/* "MODEL" */
static char *head_of(struct slice doc)
{
    char *head = doc_plain(doc, "by");

    for (char *p = head; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return head;
}

static int show_text(const struct arguments *a, struct slice doc)
{
    char *head = head_of(doc);
    struct total total;

    (void)a;
    add_up(doc, &total);
    shown_span(doc);
    print_table(doc, *head ? head : "KEY", &total);
    shown_unpriced(total.figure[UNPRICED], "");
    free(head);
    return EX_OK;
}

static void add_record(struct csv *c, struct slice row)
{
    const int64_t figure[FIGURES] = {
        [COST] = doc_int(row, names[COST]), [UNPRICED] = doc_int(row, names[UNPRICED])};
    struct slice cost = all_unpriced(figure) ? SLICE("") : row;

    for (int i = 0; i < FIGURES; i++)
        csv_value(c, i == COST ? cost : row, names[i]);
    csv_usd(c, cost, names[COST]);
    csv_end(c);
}

static int show_csv(const struct arguments *a, struct slice doc)
{
    struct doc_list rows;
    struct slice row;
    struct csv c = {0};

    (void)a;
    csv_text(&c, SLICE("key"));
    for (int i = 0; i < FIGURES; i++)
        csv_text(&c, slice_str(names[i]));
    csv_text(&c, SLICE("cost_usd"));
    csv_end(&c);
    doc_list_begin(&rows, doc, "rows");
    while (doc_list_next(&rows, &row)) {
        csv_value(&c, row, "key");
        add_record(&c, row);
    }
    return EX_OK;
}

int command_usage(const struct arguments *a)
{
    struct buf path;
    int status;

    buf_init(&path, BUF_UNLIMITED);
    buf_add_str(&path, "/-/usage");
    ask_add_parameter(&path, "by", a->by);
    ask_add_parameter(&path, "since", a->since);
    ask_add_parameter(&path, "until", a->until);
    status = ask(a, path.p, show_text, show_csv);
    buf_release(&path);
    return status;
}
