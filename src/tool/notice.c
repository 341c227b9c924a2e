/* notice: lines < MG_ARRAY_LEN(gaps) + 1; the gap before the next lines only grows, until nothing was held
 * for a minute. What is said at once is shorter than a page of memory, whatever names are like: a pipe that has
 * room takes that without waiting. */
#include "metergate/tool/notice.h"

#include "metergate/base/clock.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/meaning.h"
#include "metergate/tool/outlook.h"

#define SHORT_MS  2000
#define FORGET_US (60 * CLOCK_S)
#define LINES_MAX 8
#define LINE_BYTES_MAX 480 /* bytes */

/* Before the second lines, the third, and all others. */
static const int64_t gaps[] = {10 * CLOCK_S, 30 * CLOCK_S, 60 * CLOCK_S};

/* What stands behind `from` becomes a line. */
static void end_line(struct buf *out, size_t from)
{
    if (out->n - from > LINE_BYTES_MAX) {
        struct slice kept = slice_of(out->p + from, LINE_BYTES_MAX - 4);

        while (kept.n && ((unsigned char)kept.p[kept.n] & 0xc0) == 0x80) /* not inside a character */
            kept.n--;
        buf_drop_tail(out, out->n - from - kept.n);
        buf_add_str(out, "...");
    }
    buf_add_char(out, '\n');
}

static void add_line(struct slice doc, struct slice budget, struct slice mine, struct buf *out)
{
    int64_t held = doc_int(mine, "held"), next_ms, last_ms;
    char text[FIGURE_SIZE];
    size_t from = out->n;

    buf_addf(out, "metergate: holding %s call%s for ", figure_int(held, text), held == 1 ? "" : "s");
    outlook_name(budget, out);
    if (doc_truth(doc, "paused")) {
        buf_add_str(out, ": everything is paused, until metergate resume");
    } else if (outlook_ms(mine, "next_ms", &next_ms)) {
        buf_addf(out, held == 1 ? ", it goes in %s" : ", next in %s", figure_span(next_ms, text));
        if (held != 1 && outlook_ms(mine, "last_ms", &last_ms))
            buf_addf(out, ", the last in %s", figure_span(last_ms, text));
    } else if (doc_get(budget, "waits_for").n) {
        buf_add_str(out, ": ");
        meaning_of_hold(doc_get(budget, "waits_for"), out);
    }
    end_line(out, from);
}

/* The element of a budget's `clients`; empty when this client holds nothing there. */
static struct slice find(struct slice budget, const char *client)
{
    struct doc_list list;
    struct slice one;

    doc_list_begin(&list, budget, "clients");
    while (doc_list_next(&list, &one)) {
        if (doc_int(one, "held") > 0 && doc_is(one, "name", client))
            return one;
    }
    return SLICE("");
}

/* Its calls that are held: one line a budget; *ret_long when one of them waits for a while yet. Whether there
 * are any. */
static bool describe(struct slice doc, const char *client, struct buf *lines, bool *ret_long)
{
    struct doc_list list;
    struct slice budget;
    int64_t budgets = 0;
    char more[FIGURE_SIZE];

    *ret_long = false;
    doc_list_begin(&list, doc, "budgets");
    while (doc_list_next(&list, &budget)) {
        struct slice mine = find(budget, client);
        int64_t last_ms;

        if (!mine.n)
            continue;
        *ret_long |= !outlook_ms(mine, "last_ms", &last_ms) || last_ms >= SHORT_MS;
        if (++budgets <= LINES_MAX)
            add_line(doc, budget, mine, lines);
    }
    if (budgets > LINES_MAX)
        buf_addf(lines, "metergate: and for %s more\n", figure_int(budgets - LINES_MAX, more));
    return budgets > 0;
}

static bool due(const struct notice *n, int64_t now_us)
{
    size_t i = n->lines;

    if (i == 0)
        return true;
    i = i > MG_ARRAY_LEN(gaps) ? MG_ARRAY_LEN(gaps) - 1 : i - 1;
    return now_us - n->said_us >= gaps[i];
}

static void calm(struct notice *n, int64_t now_us, struct buf *out)
{
    if (n->calm_us == 0) {
        n->calm_us = now_us; /* the next call may be held already: wait for a second look */
        return;
    }
    if (n->open)
        buf_add_str(out, "metergate: all calls go on\n");
    n->open = false;
    if (now_us - n->calm_us >= FORGET_US)
        n->lines = 0;
}

void notice_look(struct notice *n, struct slice doc, const char *client, int64_t now_us, struct buf *out)
{
    struct buf lines;
    bool lasts;

    buf_init(&lines, BUF_UNLIMITED);
    if (!describe(doc, client, &lines, &lasts)) {
        calm(n, now_us, out);
    } else {
        n->calm_us = 0;
        if (lasts && due(n, now_us)) {
            buf_add_slice(out, buf_slice(&lines));
            n->said_us = now_us;
            n->lines += n->lines <= MG_ARRAY_LEN(gaps);
            n->open = true;
        }
    }
    buf_release(&lines);
}
