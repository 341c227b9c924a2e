/*
 * top: one thread that waits for keys, signals, the daemon's answer and the next second all at once, so that
 * keys never wait for the network. Signals come as data (signalfd): whatever ends the command passes through
 * the one place that gives the terminal back.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/tool/command.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/line.h"
#include "metergate/tool/report.h"
#include "metergate/tool/screen.h"
#include "metergate/tool/token.h"
#include "metergate/tool/view.h"

#define TIMEOUT_MS 5000

struct top {
    struct client client;
    struct line *line;
    struct view view;
    struct buf doc;        /* the latest status document; empty: none came yet */
    struct errbuf problem; /* why none came of late; empty: one did */
    int64_t interval_us, next_us;
    enum view_wish wished, sent; /* what was confirmed and is not sent yet; what the question under way is:
                                    nothing: the status */
    int signals;                 /* signalfd */
    bool gone;                   /* the terminal is */
    int signal;                  /* that ends it; 0 */
};

/* ---- the daemon ---- */

static void ask_next(struct top *t, int64_t now_us)
{
    static const struct client_request requests[] = {
        [VIEW_NOTHING] = {.path = "/-/status", .timeout_ms = TIMEOUT_MS},
        [VIEW_PAUSE] = {.path = "/-/pause", .post = true, .timeout_ms = TIMEOUT_MS},
        [VIEW_RESUME] = {.path = "/-/resume", .post = true, .timeout_ms = TIMEOUT_MS},
    };

    if (line_busy(t->line) || (t->wished == VIEW_NOTHING && now_us < t->next_us))
        return;
    t->sent = t->wished;
    t->wished = VIEW_NOTHING;
    if (t->sent == VIEW_NOTHING)
        t->next_us = now_us + t->interval_us;
    else
        t->next_us = now_us; /* and look at once what came of it */
    line_ask(t->line, &requests[t->sent]);
}

static void take_status(struct top *t, const struct client_answer *a)
{
    if (client_refuses(&t->client, a, &t->problem) < 0)
        return;
    if (a->status != 200 || !doc_check(buf_slice(&a->body))) {
        err_set(&t->problem, "what answers at %s is not Metergate", address_shown(&t->client.address).text);
        return;
    }
    t->problem.text[0] = '\0';
    buf_reset(&t->doc);
    buf_add_slice(&t->doc, buf_slice(&a->body));
}

/* What came of a pause or a resume. */
static void take_done(struct top *t, const struct client_answer *a)
{
    struct json *doc = NULL;
    struct slice said = SLICE("");
    struct errbuf e;

    if (a->status == 200) {
        view_say(&t->view, t->sent == VIEW_PAUSE ? "paused: calls are held until resume (p)" : "resumed");
        return;
    }
    if (json_parse(buf_slice(&a->body), &doc) == 0)
        (void)!json_as_str(json_path(doc, "error.message"), &said);
    if (said.n)
        err_set(&e, "%.*s", (int)(said.n < 400 ? said.n : 400), said.p);
    else
        err_set(&e, "not done: the daemon answered %d", a->status);
    view_say(&t->view, e.text);
    json_free(doc);
}

static void take_answer(struct top *t, int rc, struct client_answer *a, const struct errbuf *e)
{
    if (rc < 0 && t->sent != VIEW_NOTHING)
        view_say(&t->view, e->text);
    else if (rc < 0)
        t->problem = *e;
    else if (t->sent != VIEW_NOTHING)
        take_done(t, a);
    else
        take_status(t, a);
    if (rc == 0)
        client_answer_release(a);
}

/* ---- the terminal ---- */

static void draw(struct top *t)
{
    struct grid g;
    int rows, columns;

    screen_size(&rows, &columns);
    grid_init(&g, rows, columns);
    view_draw(&t->view, buf_slice(&t->doc), address_shown(&t->client.address).text,
              t->problem.text[0] ? t->problem.text : NULL, &g);
    screen_show(&g);
    grid_release(&g);
}

/* Ctrl-Z: the shell gets its terminal as it was; what stops us is the signal's own effect. */
static void stop_here(void)
{
    sigset_t tstp;

    sigemptyset(&tstp);
    sigaddset(&tstp, SIGTSTP);
    screen_leave();
    signal(SIGTSTP, SIG_DFL); /* curses has a handler of its own, for programs that do not wait for signals */
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &tstp, NULL); /* here it stops, and goes on */
    sigprocmask(SIG_BLOCK, &tstp, NULL);
}

static void take_signals(struct top *t)
{
    struct signalfd_siginfo s;

    while (read(t->signals, &s, sizeof s) == (ssize_t)sizeof s) {
        switch (s.ssi_signo) {
        case SIGTSTP:
            stop_here();
            break;
        case SIGCONT: /* of a stop that could not be foreseen, too: modes and page are anybody's */
            screen_leave();
            break;
        case SIGWINCH:
            break;
        default:
            t->signal = (int)s.ssi_signo;
            break;
        }
    }
}

/* False: leave. */
static bool take_keys(struct top *t)
{
    int key;

    while ((key = screen_key()) >= 0) {
        enum view_wish wish = view_key(&t->view, key);

        if (wish == VIEW_LEAVE)
            return false;
        if (wish != VIEW_NOTHING)
            t->wished = wish;
    }
    return true;
}

static void turn(struct top *t)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = t->signals, .events = POLLIN}};
    int64_t now_us = clock_now_us(), left_ms;
    struct client_answer answer;
    struct errbuf e;
    int rc;

    ask_next(t, now_us);
    left_ms = line_busy(t->line) ? TIMEOUT_MS : (t->next_us - now_us + CLOCK_MS - 1) / CLOCK_MS;
    rc = line_wait(t->line, fds, MG_ARRAY_LEN(fds), left_ms > 0 ? left_ms : 0, &answer, &e);
    if (rc != -EAGAIN)
        take_answer(t, rc, &answer, &e);
    if (fds[1].revents)
        take_signals(t);
    t->gone = (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void run(struct top *t)
{
    while (!t->signal && !t->gone && take_keys(t)) {
        draw(t);
        turn(t);
    }
}

/* ---- begin and end ---- */

static int catch_signals(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < MG_ARRAY_LEN(caught); i++)
        sigaddset(&set, caught[i]);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Whoever sent it sees that it was obeyed. */
static void die_of(int signo)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signo);
    signal(signo, SIG_DFL);
    raise(signo);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int show(struct top *t)
{
    struct errbuf e;

    t->signals = catch_signals();
    if (t->signals < 0)
        return report(EX_OSERR, "cannot watch for signals");
    if (screen_open(&e) < 0) {
        close(t->signals);
        return report(EX_USAGE, "%s", e.text);
    }
    t->line = line_new(&t->client);
    view_init(&t->view);
    run(t);
    screen_close();
    view_release(&t->view);
    line_free(t->line);
    close(t->signals);
    if (t->signal && t->signal != SIGINT)
        die_of(t->signal);
    return EX_OK;
}

/* "0.5" and the like; -EINVAL. */
static int read_interval(const char *text, int64_t *ret_us)
{
    int64_t us;

    if (!text) {
        *ret_us = CLOCK_S;
        return 0;
    }
    if (slice_duration_us(slice_str(text), &us) < 0 || us < 100 * CLOCK_MS || us > 3600 * CLOCK_S)
        return -EINVAL;
    *ret_us = us;
    return 0;
}

int command_top(const struct arguments *a)
{
    struct top t = {.signal = 0};
    struct address address;
    struct secret token;
    struct errbuf e;
    int status;

    if (read_interval(a->interval, &t.interval_us) < 0)
        return report(EX_USAGE, "an interval is a time from 0.1 to 3600 seconds (0.5, 2s, 1m)");
    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0) {
        secret_release(&token);
        return report(EX_USAGE, "%s", e.text);
    }
    client_init(&t.client, &address, &token);
    buf_init(&t.doc, BUF_UNLIMITED);
    status = show(&t);
    buf_release(&t.doc);
    client_release(&t.client);
    secret_release(&token);
    return status;
}
