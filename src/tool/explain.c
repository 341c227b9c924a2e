/*
 * explain: the story of one call, in the order in which it happened. Times are of its arrival on; what the
 * document does not have is left out, and a call that has not ended has no usage and no cost yet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "metergate/base/plain.h"
#include "metergate/tool/ask.h"
#include "metergate/tool/command.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/meaning.h"
#include "metergate/tool/report.h"
#include "metergate/tool/shown.h"
#include "metergate/tool/table.h"

/* The label of a paragraph, or nothing, in a column of its own. */
static void label(const char *text)
{
    printf("%-9s", text);
}

/* Words in lines of at most so many places, under each other behind the label. */
#define LINE_PLACES 71

static void print_lines(struct slice text)
{
    while (text.n) {
        size_t n = text.n;

        if (plain_width(text) > LINE_PLACES) {
            n = plain_fit(text, LINE_PLACES);
            while (n > 0 && text.p[n] != ' ')
                n--;
            if (n == 0) /* one long word */
                n = slice_find(text, ' ');
        }
        printf("%.*s\n", (int)n, text.p);
        text = slice_skip(text, n + (n < text.n));
        if (text.n)
            label("");
    }
}

static bool has_ended(struct slice call)
{
    return !doc_get(call, "state").n || doc_is(call, "state", "ended");
}

/* ---- who and what ---- */

/* A string that says something. */
static bool has(struct slice call, const char *name)
{
    struct slice raw = doc_get(call, name);

    return raw.n > sizeof "\"\"" - 1 && raw.p[0] == '"';
}

static void print_member(struct slice call, const char *before, const char *name)
{
    if (!has(call, name))
        return;
    fputs(before, stdout);
    shown_text(call, name);
}

static void print_outcome(struct slice call)
{
    int64_t status = doc_int(call, "status");
    struct buf state;

    if (has_ended(call)) {
        label("outcome");
        shown_text(call, "outcome");
        if (status > 0)
            printf(", status %lld", (long long)status);
        print_member(call, ", ", "reason");
    } else {
        label("now");
        buf_init(&state, BUF_UNLIMITED);
        meaning_of_state(call, &state);
        fputs(state.p ? state.p : "", stdout);
        buf_release(&state);
    }
    putchar('\n');
}

/* Of endpoints that are not metered. */
static bool passes_through(struct slice call)
{
    return doc_is(call, "endpoint", "passed") || doc_is(call, "endpoint", "retrieve");
}

static void print_head(struct slice call)
{
    label("call");
    shown_text(call, "id");
    print_member(call, " of ", "client");
    putchar('\n');
    label("for");
    if (has(call, "model"))
        shown_text(call, "model");
    else
        fputs(passes_through(call) ? "no model" : "an unknown model", stdout);
    if (passes_through(call))
        fputs(", passed through uncounted", stdout);
    else
        print_member(call, ", ", "endpoint");
    print_member(call, ", at ", "upstream");
    print_member(call, ", from budget ", "budget");
    putchar('\n');
    print_outcome(call);
    if (has_ended(call)) {
        label("ended");
        shown_time(call, "time");
        puts(" UTC");
    }
}

/* ---- what happened ---- */

static void add_event(struct table *t, int64_t at_ms, struct slice what)
{
    char at[FIGURE_SIZE];

    table_add(t, "%s", figure_ms(at_ms, at));
    table_add_slice(t, what);
}

static void add_hold(struct table *t, struct slice hold, bool refused_for, int64_t *last_ms)
{
    int64_t from = doc_int(hold, "from_ms"), to = doc_int(hold, "to_ms");
    bool over = doc_get(hold, "to_ms").n > 0;
    char span[FIGURE_SIZE];
    struct buf what;

    buf_init(&what, BUF_UNLIMITED);
    if (refused_for)
        buf_add_str(&what, "refused: ");
    else
        buf_addf(&what, "waited %s: ", over && to >= from ? figure_ms(to - from, span) : "until now");
    meaning_of_hold(hold, &what);
    add_event(t, from, buf_slice(&what));
    if (over && to > *last_ms)
        *last_ms = to;
    buf_release(&what);
}

/* How long its last attempt waited is known where there was one alone; else the end of the last wait is the
 * nearest. */
static void add_sent(struct table *t, struct slice call, int64_t held_ms)
{
    int64_t attempts = doc_int(call, "attempts");
    bool flies = doc_is(call, "state", "sent") || doc_is(call, "state", "streaming");
    char text[FIGURE_SIZE + 32], n[FIGURE_SIZE];

    if (attempts <= 0 && !flies)
        return;
    if (attempts <= 1) {
        add_event(t, doc_get(call, "queued_ms").n ? doc_int(call, "queued_ms") : held_ms,
                  doc_is(call, "endpoint", "reserve") ? SLICE("granted, as a lease") : SLICE("sent"));
        return;
    }
    snprintf(text, sizeof text, "sent, attempt %s", figure_int(attempts, n));
    add_event(t, held_ms ? held_ms : doc_int(call, "queued_ms"), slice_str(text));
}

/* The last one of a refused call, without a length: it did not wait for that, but was refused for it. */
static bool is_refused_for(struct slice call, struct slice hold, struct doc_list after)
{
    struct slice next;

    return doc_is(call, "outcome", "refused") && doc_int(hold, "from_ms") == doc_int(hold, "to_ms") &&
           !doc_list_next(&after, &next);
}

static void print_events(struct slice call)
{
    static const char *const heads[] = {"AFTER", "WHAT HAPPENED"};
    struct doc_list holds;
    int64_t held_ms = 0;
    struct slice hold;
    struct table t;

    table_init(&t, heads, MG_ARRAY_LEN(heads), 1);
    add_event(&t, 0, SLICE("arrived"));
    doc_list_begin(&holds, call, "holds");
    while (doc_list_next(&holds, &hold))
        add_hold(&t, hold, is_refused_for(call, hold, holds), &held_ms);
    add_sent(&t, call, held_ms);
    if (doc_get(call, "first_byte_ms").n)
        add_event(&t, doc_int(call, "first_byte_ms"), SLICE("first byte of the answer"));
    if (has_ended(call) && doc_get(call, "total_ms").n)
        add_event(&t, doc_int(call, "total_ms"), SLICE("ended"));
    putchar('\n');
    table_print(&t, stdout);
    table_release(&t);
}

/* Whether what keeps it is that everything is paused. */
static bool is_stopped(struct slice call)
{
    struct doc_list holds;
    struct slice hold;
    bool stopped = false;

    doc_list_begin(&holds, call, "holds");
    while (doc_list_next(&holds, &hold))
        stopped = doc_is(hold, "limit", "stop");
    return stopped;
}

static void print_prediction(struct slice call)
{
    char ms[FIGURE_SIZE];

    if (has_ended(call) || !doc_is(call, "state", "held"))
        return;
    putchar('\n');
    label("next");
    if (doc_get(call, "predicted_start_ms").n)
        printf("it goes in %s, as things are now\n", figure_ms(doc_int(call, "predicted_start_ms"), ms));
    else if (is_stopped(call))
        puts("it goes after `metergate resume`");
    else
        puts("it goes when a call in flight has ended");
}

/* ---- tokens and money ---- */

static void print_some(struct slice call, const char *name, const char *words)
{
    char n[FIGURE_SIZE];

    if (doc_int(call, name) != 0)
        printf(", %s %s", figure_int(doc_int(call, name), n), words);
}

static void print_expected(struct slice call)
{
    char in[FIGURE_SIZE], out[FIGURE_SIZE];

    if (has_ended(call) && !doc_int(call, "estimated_input_tokens") && !doc_int(call, "estimated_output_tokens"))
        return; /* what is not metered */
    putchar('\n');
    label("tokens");
    printf("%s in and %s out %s expected%s\n", figure_int(doc_int(call, "estimated_input_tokens"), in),
           figure_int(doc_int(call, "estimated_output_tokens"), out), has_ended(call) ? "were" : "are",
           has_ended(call) && doc_int(call, "attempts") > 0 ? ", none were used" : "");
}

static void print_used(struct slice call)
{
    char n[FIGURE_SIZE], expected[FIGURE_SIZE];
    struct buf source;

    putchar('\n');
    label("tokens");
    printf("%s in (%s expected)", figure_int(doc_int(call, "input_tokens"), n),
           figure_int(doc_int(call, "estimated_input_tokens"), expected));
    print_some(call, "cached_tokens", "of them from the cache");
    print_some(call, "cache_write_tokens", "written to it");
    print_some(call, "cache_write_1h_tokens", "written for an hour");
    putchar('\n');
    label("");
    printf("%s out (%s expected)", figure_int(doc_int(call, "output_tokens"), n),
           figure_int(doc_int(call, "estimated_output_tokens"), expected));
    print_some(call, "reasoning_tokens", "of them reasoning");
    putchar('\n');
    buf_init(&source, BUF_UNLIMITED);
    meaning_of_source(call, &source);
    if (source.n) {
        label("");
        puts(source.p);
    }
    buf_release(&source);
}

static void print_rates(struct slice call)
{
    static const char *const names[] = {"input", "cached", "cache_write", "cache_write_1h", "output"};
    static const char *const words[] = {"input", "cached", "cache write", "cache write of an hour", "output"};
    const char *before = "USD per million tokens: ";
    struct slice rates = doc_get(call, "price.usd_per_million");
    struct buf line;

    buf_init(&line, BUF_UNLIMITED);

    label("");
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        struct slice rate = doc_get(rates, names[i]);

        if (!rate.n || rate.p[0] == '"' || rate.p[0] == '{' || rate.p[0] == '[')
            continue;
        buf_addf(&line, "%s%s %.*s", before, words[i], (int)(rate.n < FIGURE_SIZE ? rate.n : FIGURE_SIZE), rate.p);
        before = ", ";
    }
    print_lines(buf_slice(&line));
    buf_release(&line);
}

static void print_cost(struct slice call)
{
    int64_t cost = doc_int(call, "cost_nano_usd");
    char usd[FIGURE_SIZE];

    label("cost");
    if (!doc_get(call, "cost_nano_usd").n && doc_get(call, "price").n) {
        fputs("unpriced: the price of ", stdout);
        shown_text(call, "price.name");
        puts(" lacks a figure that it needs;");
        label("");
        puts("`prices:` in the configuration adds what is missing");
        print_rates(call);
        return;
    }
    if (!doc_get(call, "cost_nano_usd").n) {
        fputs("unpriced: no price", stdout);
        print_member(call, " of ", "model");
        puts(" was known; `prices:` in the configuration adds one");
        return;
    }
    fputs(figure_usd(cost, figure_usd_digits(cost), usd), stdout);
    if (!doc_get(call, "price").n) {
        putchar('\n');
        return;
    }
    fputs(", by the price of ", stdout);
    shown_text(call, "price.name");
    if (doc_get(call, "price.since").n)
        print_member(doc_get(call, "price"), " since ", "since");
    else
        fputs(" in the configuration", stdout);
    putchar('\n');
    print_rates(call);
}

static void print_why(struct slice call)
{
    struct buf why;

    buf_init(&why, BUF_UNLIMITED);
    meaning_of_reason(call, &why);
    if (why.n) {
        putchar('\n');
        label("why");
        print_lines(buf_slice(&why));
    }
    buf_release(&why);
}

static int show_text(const struct arguments *a, struct slice call)
{
    bool used = has_ended(call) && doc_get(call, "usage_source").n && !doc_is(call, "usage_source", "none");

    (void)a;
    print_head(call);
    print_events(call);
    print_prediction(call);
    if (used)
        print_used(call);
    else
        print_expected(call);
    if (has_ended(call) && (used || (doc_int(call, "attempts") > 0 && !doc_get(call, "cost_nano_usd").n)))
        print_cost(call);
    print_why(call);
    return EX_OK;
}

int command_explain(const struct arguments *a)
{
    struct buf path;
    int status;

    if (a->operand_count != 1 || !a->operands[0][0])
        return report(EX_USAGE, "explain wants the id of one call; try 'metergate explain --help'");
    buf_init(&path, BUF_UNLIMITED);
    buf_add_str(&path, "/-/calls/");
    ask_add_part(&path, a->operands[0]);
    status = ask(a, path.p, show_text, NULL);
    buf_release(&path);
    return status;
}
