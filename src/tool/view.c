/* view: what is chosen is known by its id, so that it stays chosen when rows come, go and change places. */
#include "metergate/tool/view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/lists.h"
#include "metergate/tool/outlook.h"
#include "metergate/tool/paper.h"

#define LEAST_LINES 4  /* of a pane among others */
#define PANES_LINES 12 /* with less than that for all of them only one is shown */
#define NOT_SORTED  (-1)

void view_init(struct view *v)
{
    *v = (struct view){.on = VIEW_BUDGETS};
    v->lists[VIEW_BUDGETS].column = 4; /* who waits longest */
    v->lists[VIEW_QUEUE].column = NOT_SORTED;
    v->lists[VIEW_CLIENTS].column = 1; /* who has most calls held */
}

void view_release(struct view *v)
{
    for (size_t i = 0; i < VIEW_PANES; i++) {
        pane_release(&v->lists[i].pane);
        free(v->lists[i].id);
    }
    free(v->said);
    free(v->title);
    *v = (struct view){0};
}

void view_say(struct view *v, const char *sentence)
{
    free(v->said);
    v->said = sentence ? xstrdup(sentence) : NULL;
}

/* ---- keys ---- */

static void move(struct view *v, size_t steps, bool down)
{
    struct view_list *l = &v->lists[v->on];

    if (l->pane.n == 0)
        return;
    if (down)
        l->row = l->row + steps < l->pane.n ? l->row + steps : l->pane.n - 1;
    else
        l->row = l->row > steps ? l->row - steps : 0;
    free(l->id);
    l->id = xstrdup(l->pane.rows[l->row].id);
    if (v->on == VIEW_BUDGETS) { /* another queue */
        free(v->lists[VIEW_QUEUE].id);
        v->lists[VIEW_QUEUE].id = NULL;
        v->lists[VIEW_QUEUE].row = 0;
    }
}

static void sort_by_next(struct view *v, int step)
{
    struct view_list *l = &v->lists[v->on];
    int n = (int)l->pane.column_count;

    if (l->column != NOT_SORTED && n > 0)
        l->column = (l->column + step + n) % n;
}

static void choose_pane(struct view *v, int step)
{
    v->on = (enum view_pane)(((int)v->on + step + VIEW_PANES) % VIEW_PANES);
}

/* The queue of the chosen budget alone, or the pane that has the keys; and back. */
static void open_whole(struct view *v)
{
    if (v->on == VIEW_BUDGETS && !v->whole && v->lists[VIEW_BUDGETS].pane.n > 0) {
        move(v, 0, true); /* from now on it is this one, whatever comes before it */
        v->on = VIEW_QUEUE;
        v->whole = true;
    } else {
        v->whole = !v->whole;
    }
}

static enum view_wish confirm(struct view *v, int key)
{
    enum view_wish wish = v->asked;

    v->asked = VIEW_NOTHING;
    return key == 'y' || key == 'Y' ? wish : VIEW_NOTHING;
}

static void move_key(struct view *v, int key)
{
    switch (key) {
    case VIEW_KEY_UP:
    case 'k':
        move(v, 1, false);
        break;
    case VIEW_KEY_DOWN:
    case 'j':
        move(v, 1, true);
        break;
    case VIEW_KEY_PAGE_UP:
        move(v, 10, false);
        break;
    case VIEW_KEY_PAGE_DOWN:
        move(v, 10, true);
        break;
    case VIEW_KEY_HOME:
    case 'g':
        move(v, SIZE_MAX / 2, false);
        break;
    case VIEW_KEY_END:
    case 'G':
        move(v, SIZE_MAX / 2, true);
        break;
    default:
        break;
    }
}

static enum view_wish plain_key(struct view *v, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        return VIEW_LEAVE;
    case 'h':
    case '?':
        v->help = true;
        break;
    case 'p':
        v->asked = v->paused ? VIEW_RESUME : VIEW_PAUSE;
        break;
    case '\t':
    case VIEW_KEY_RIGHT:
        choose_pane(v, 1);
        break;
    case VIEW_KEY_BACK_TAB:
    case VIEW_KEY_LEFT:
        choose_pane(v, -1);
        break;
    case 's':
    case '>':
        sort_by_next(v, 1);
        break;
    case '<':
        sort_by_next(v, -1);
        break;
    case 'r':
        v->lists[v->on].reverse = !v->lists[v->on].reverse;
        break;
    case '\r':
    case '\n':
        open_whole(v);
        break;
    case '\x1b':
        v->whole = false;
        break;
    default:
        move_key(v, key);
        break;
    }
    return VIEW_NOTHING;
}

enum view_wish view_key(struct view *v, int key)
{
    view_say(v, NULL);
    if (v->asked != VIEW_NOTHING)
        return confirm(v, key);
    if (v->help) {
        v->help = false;
        return key == 'q' || key == 'Q' ? VIEW_LEAVE : VIEW_NOTHING;
    }
    return plain_key(v, key);
}

/* ---- the head ---- */

struct head {
    struct grid *g;
    int line, most; /* the next one, and the first one that is not the head's */
};

/* A sentence, on two lines at most. */
static void add_sentence(struct head *h, enum style style, struct slice text)
{
    for (int i = 0; i < 2 && text.n && h->line < h->most; i++) {
        size_t n = i == 0 ? paper_break(text, (size_t)h->g->columns) : text.n;

        grid_put(h->g, h->line++, 0, h->g->columns, style, slice_head(text, n));
        text = slice_skip(text, n);
        if (text.n && text.p[0] == ' ')
            text = slice_skip(text, 1);
    }
}

static void add_trouble(const char *sentence, void *ctx)
{
    add_sentence(ctx, STYLE_BAD, slice_str(sentence));
}

static void draw_first_line(struct grid *g, struct slice doc, const char *url, const char *problem)
{
    bool paused = doc_truth(doc, "paused"), draining = doc_truth(doc, "draining");
    char *version = doc_plain(doc, "version"), up[FIGURE_SIZE];
    enum style style = problem ? STYLE_BAD : paused || draining ? STYLE_WARN : STYLE_GOOD;
    const char *state = problem ? "NO ANSWER" : draining ? "STOPPING" : paused ? "PAUSED" : "running";
    int64_t uptime_ms;
    int at = 0, clock = 0;
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    outlook_moment(doc, 0, &b);
    if (b.n && g->columns >= 60) {
        clock = (int)b.n + 1;
        grid_put_right(g, 0, g->columns - clock, clock, STYLE_PLAIN, buf_slice(&b));
    }
    buf_reset(&b);
    buf_addf(&b, "Metergate%s%s  ", version[0] ? " " : "", version);
    at += grid_put(g, 0, at, g->columns - clock - at, STYLE_STRONG, buf_slice(&b));
    at += grid_put(g, 0, at, g->columns - clock - at, style, slice_str(doc.n || problem ? state : "asking"));
    buf_reset(&b);
    if (doc.n && doc_scaled(doc, "uptime_s", 0, &uptime_ms) == 0 && uptime_ms < INT64_MAX / 1000)
        buf_addf(&b, "  up %s", figure_ms(uptime_ms * 1000, up));
    buf_addf(&b, "  %s", url);
    grid_put(g, 0, at, g->columns - clock - at, STYLE_PLAIN, buf_slice(&b));
    buf_release(&b);
    free(version);
}

/* Appends what is written in `fmt`, unless the line would be too long. */
static void add_piece(struct buf *line, int width, const char *fmt, ...) MG_PRINTF(3, 4);
static void add_piece(struct buf *line, int width, const char *fmt, ...)
{
    size_t before = line->n;
    va_list ap;

    va_start(ap, fmt);
    buf_addv(line, fmt, ap);
    va_end(ap);
    if (line->n > (size_t)width) /* digits and our own words: as many places as bytes */
        buf_drop_tail(line, line->n - before);
}

static void add_figures(struct head *h, struct slice doc)
{
    struct slice hour = doc_get(doc, "hour");
    int width = h->g->columns;
    char a[FIGURE_SIZE], unpriced[FIGURE_SIZE];
    struct buf b;
    int64_t nano;

    buf_init(&b, BUF_UNLIMITED);
    add_piece(&b, width, "%s held", figure_int(doc_int(doc, "held"), a));
    add_piece(&b, width, "  %s in flight", figure_int(doc_int(doc, "in_flight"), a));
    add_piece(&b, width, "  429s %s", figure_int(doc_int(doc, "totals.upstream_429"), a));
    add_piece(&b, width, "  refused %s", figure_int(doc_int(doc, "totals.refused"), a));
    if (hour.n) {
        add_piece(&b, width, "  hour: %s calls", figure_int(doc_int(hour, "calls"), a));
        add_piece(&b, width, " %s tokens", figure_int(doc_int(hour, "tokens"), a));
    }
    if (doc_scaled(hour, "cost_usd", 9, &nano) == 0)
        add_piece(&b, width, " %s%s", figure_usd(nano, 6, a), figure_unpriced(doc_int(hour, "unpriced"), unpriced));
    if (h->line < h->most)
        grid_put(h->g, h->line++, 0, width, STYLE_PLAIN, buf_slice(&b));
    buf_release(&b);
}

/* Returns the first line below it. */
static int draw_head(struct grid *g, struct slice doc, const char *url, const char *problem)
{
    struct head h = {.g = g, .line = 1, .most = g->rows / 3 > 3 ? g->rows / 3 : 3};
    struct buf b;

    draw_first_line(g, doc, url, problem);
    buf_init(&b, BUF_UNLIMITED);
    if (problem) {
        buf_add_str(&b, problem);
        add_sentence(&h, STYLE_BAD, buf_slice(&b));
        buf_reset(&b);
        buf_add_str(&b, doc.n ? "Asking again. This is how it was at " : "Asking again.");
        if (doc.n)
            outlook_moment(doc, 0, &b);
        add_sentence(&h, STYLE_PLAIN, buf_slice(&b));
    } else if (doc.n) {
        if (g->rows >= 16)
            add_figures(&h, doc);
        outlook_sentence(doc, &b);
        add_sentence(&h, doc_int(doc, "held") > 0 ? STYLE_STRONG : STYLE_PLAIN, buf_slice(&b));
        outlook_troubles(doc, add_trouble, &h);
    }
    buf_release(&b);
    return h.line;
}

/* ---- panes ---- */

static void take_list(struct view_list *l)
{
    size_t found;

    if (l->column != NOT_SORTED && l->pane.column_count)
        pane_sort(&l->pane, (size_t)l->column, l->reverse);
    found = l->id ? pane_find(&l->pane, l->id) : 0;
    if (found < l->pane.n)
        l->row = found;
    if (l->row >= l->pane.n)
        l->row = l->pane.n ? l->pane.n - 1 : 0;
}

static void title_queue(struct view *v, struct slice budget)
{
    struct view_list *l = &v->lists[VIEW_QUEUE];
    struct doc_list list;
    struct slice unused;
    int64_t shown = 0, held = doc_int(budget, "held");
    char a[FIGURE_SIZE], b[FIGURE_SIZE];
    struct buf title;

    doc_list_begin(&list, budget, "queue");
    while (doc_list_next(&list, &unused))
        shown++;
    buf_init(&title, BUF_UNLIMITED);
    buf_add_str(&title, "QUEUE");
    if (shown < held)
        buf_addf(&title, " %s/%s", figure_int(shown, a), figure_int(held, b));
    if (budget.n) {
        buf_add_str(&title, " of ");
        outlook_name(budget, &title);
    }
    free(v->title);
    v->title = buf_take(&title, NULL);
    l->pane.title = v->title;
}

static void take_document(struct view *v, struct slice doc)
{
    struct view_list *budgets = &v->lists[VIEW_BUDGETS];
    struct slice budget = SLICE("");

    v->paused = doc_truth(doc, "paused");
    for (size_t i = 0; i < VIEW_PANES; i++)
        pane_release(&v->lists[i].pane);
    lists_budgets(doc, &budgets->pane);
    take_list(budgets);
    if (budgets->pane.n)
        budget = lists_budget(doc, budgets->pane.rows[budgets->row].id);
    lists_queue(doc, budget, "", &v->lists[VIEW_QUEUE].pane);
    title_queue(v, budget);
    take_list(&v->lists[VIEW_QUEUE]);
    lists_clients(doc, &v->lists[VIEW_CLIENTS].pane);
    take_list(&v->lists[VIEW_CLIENTS]);
}

/* How many lines each pane gets: a few each, then the one with the keys as many as it wants, then the others.
 * Returns how many are left. */
static int share_lines(const struct view *v, int lines, int ret[VIEW_PANES])
{
    int want[VIEW_PANES], left = lines;

    memset(ret, 0, VIEW_PANES * sizeof *ret);
    if (v->whole || lines < PANES_LINES) {
        ret[v->on] = lines;
        return 0;
    }
    for (int i = 0; i < VIEW_PANES; i++) {
        want[i] = pane_lines(&v->lists[i].pane);
        ret[i] = want[i] < LEAST_LINES ? want[i] : LEAST_LINES;
        left -= ret[i];
    }
    for (int i = 0; i < VIEW_PANES; i++) {
        int k = ((int)v->on + i) % VIEW_PANES, more = want[k] - ret[k] < left ? want[k] - ret[k] : left;

        ret[k] += more;
        left -= more;
    }
    return left;
}

static void draw_panes(const struct view *v, struct grid *g, int top, int lines)
{
    static const char *const empty[] = {"no budget yet: nothing was asked for", "nobody waits",
                                        "no client yet"};
    int shares[VIEW_PANES], gap = share_lines(v, lines, shares) >= VIEW_PANES;

    top += gap;
    for (int i = 0; i < VIEW_PANES; i++) {
        const struct view_list *l = &v->lists[i];
        const struct pane_look look = {.chosen = l->row,
                                       .sorted = l->column,
                                       .reverse = l->reverse,
                                       .on = (int)v->on == i,
                                       .empty = empty[i]};

        pane_draw(&l->pane, &look, g, top, shares[i]);
        top += shares[i] + gap;
    }
}

/* ---- the whole ---- */

static void draw_help(struct grid *g)
{
    static const char *const lines[] = {
        "Metergate, live: what waits, for what, until when",
        "",
        "Tab Left Right   the pane that has the keys",
        "Up Down PgUp PgDn Home End   the row",
        "Enter            the queue of a budget; one pane alone",
        "Esc              all panes again",
        "s > <            the column that is sorted by",
        "r                the other way round",
        "p                pause, or resume, all calls",
        "q Ctrl-C         leave",
        "",
        "[####===...]  used, reserved by calls in flight, free;",
        "  * a limit that was learned from the provider",
        "?  nobody can know: what is under way decides",
        "HOUR  the share of the last hour's tokens",
    };

    for (int i = 0; i < (int)MG_ARRAY_LEN(lines) && i < g->rows - 1; i++)
        grid_put(g, i, 0, g->columns, i ? STYLE_PLAIN : STYLE_STRONG, slice_str(lines[i]));
    grid_put(g, g->rows - 1, 0, g->columns, STYLE_FAINT, SLICE("any key: back"));
}

static void draw_foot(const struct view *v, struct grid *g)
{
    const char *text = "? help  q quit  p pause  Tab pane  Enter queue  s sort  r reverse";
    enum style style = STYLE_FAINT;

    if (v->asked != VIEW_NOTHING || v->said)
        style = STYLE_WARN;
    if (v->asked == VIEW_PAUSE)
        text = "Hold all calls until resume? y/n";
    else if (v->asked == VIEW_RESUME)
        text = "Let calls go again? y/n";
    else if (v->said)
        text = v->said;
    else if (v->paused)
        text = "? help  q quit  p resume  Tab pane  Enter queue  s sort  r reverse";
    grid_put(g, g->rows - 1, 0, g->columns, style, slice_str(text));
}

void view_draw(struct view *v, struct slice doc, const char *url, const char *problem, struct grid *g)
{
    int top;

    take_document(v, doc);
    if (v->help) {
        draw_help(g);
        return;
    }
    top = draw_head(g, doc, url, problem);
    if (doc.n)
        draw_panes(v, g, top, g->rows - 1 - top);
    draw_foot(v, g);
}
