/* waiting: a budget's name stands in its first row. */
#include "metergate/tool/waiting.h"

#include <inttypes.h>
#include <stdio.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/outlook.h"
#include "metergate/tool/paper.h"
#include "metergate/tool/table.h"

#define NAME_PLACES 24

/* "1 high, 2 low"; an older daemon does not say. */
static void add_priorities(struct table *t, struct slice client)
{
    static const char *const names[] = {"high", "normal", "low"};
    struct slice by = doc_get(client, "held_by_priority");
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        if (doc_int(by, names[i]) > 0)
            buf_addf(&b, "%s%" PRId64 " %s", b.n ? ", " : "", doc_int(by, names[i]), names[i]);
    }
    if (!b.n)
        buf_add_char(&b, '-');
    table_add_slice(t, buf_slice(&b));
    buf_release(&b);
}

static void add_start(struct table *t, struct slice client, const char *member)
{
    char text[FIGURE_SIZE];
    int64_t ms;

    if (outlook_ms(client, member, &ms))
        table_add(t, "in %s", figure_ms(ms, text));
    else
        table_add(t, "%s", "?");
}

static void add_moment(struct table *t, struct slice doc, struct slice client, const char *member)
{
    struct buf b;
    int64_t ms;

    buf_init(&b, BUF_UNLIMITED);
    if (outlook_ms(client, member, &ms))
        outlook_moment(doc, ms, &b);
    table_add(t, "%s", b.n ? b.p : "?");
    buf_release(&b);
}

static void add_budget(struct table *t, struct slice doc, struct slice budget, size_t places)
{
    struct doc_list list;
    struct slice client;
    struct buf name, who;

    buf_init(&name, BUF_UNLIMITED);
    buf_init(&who, BUF_UNLIMITED);
    outlook_name(budget, &name);
    doc_list_begin(&list, budget, "clients");
    while (doc_list_next(&list, &client)) {
        if (doc_int(client, "held") <= 0)
            continue;
        table_add_short(t, buf_slice(&name), places);
        buf_reset(&name);
        doc_text(client, "name", &who);
        table_add_short(t, buf_slice(&who), places);
        buf_reset(&who);
        table_add_int(t, doc_int(client, "held"));
        add_priorities(t, client);
        table_add_int(t, doc_int(client, "tokens"));
        add_start(t, client, "next_ms");
        add_start(t, client, "last_ms");
        add_moment(t, doc, client, "last_ms");
    }
    buf_release(&name);
    buf_release(&who);
}

void waiting_print(struct slice doc, size_t width)
{
    static const char *const heads[] = {"WAITS FOR", "CLIENT", "HELD", "PRIORITY",
                                        "TOKENS",    "FIRST",  "LAST", "LAST AT"};
    static const unsigned char first_out[] = {4, 3, 5, 7, TABLE_END};
    struct doc_list list;
    struct slice budget;
    struct table t;
    struct buf head;

    buf_init(&head, BUF_UNLIMITED);
    outlook_head(doc, &head);
    table_init(&t, heads, MG_ARRAY_LEN(heads), 0x14);
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &budget))
        add_budget(&t, buf_slice(&head), budget, width == PAPER_ENDLESS ? PAPER_ENDLESS : NAME_PLACES);
    table_fit(&t, width, first_out);
    if (t.n)
        putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
    buf_release(&head);
}
