/*
 * The demo: a stand-in for the provider, the daemon in front of it, and scripts that call gpt-4o at its limit
 * of 30,000 tokens a minute. It is told line by line, and each claim that it makes is checked: the exit
 * status is 0 only if the story held.
 *
 * A minute lasts 10 seconds here (--window), for both. The daemon's headroom is 0, so that the figures are
 * the provider's.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "calls.h"
#include "metergate/base/clock.h"
#include "narrator.h"
#include "stage.h"
#include "texts.h"

#define LIMIT        30000
#define LIMIT_OTHER  200000
#define WINDOW_S     10
#define WINDOW_MAX_S 20

/* A story that takes longer than this is broken; it takes two windows and a little. */
#define TIME_LIMIT_S 58

/* How often a wait is told of. */
#define TELL_EVERY_MS 2500

/* How late a held call may reach the provider on a machine that is busy with other things. Never early. */
#define LATE_US (CLOCK_S / 2)

/* Three scripts, four calls each, all at once. */
#define BATCH_SCRIPTS 3
#define BATCH_EACH    4
#define BATCH         (BATCH_SCRIPTS * BATCH_EACH)

struct demo {
    int window_s; /* how long a minute lasts */
    struct stage *stage;
    struct client provider, daemon;
    struct call editor, report, archive, chatbot, batch[BATCH];
};

static void cast(struct demo *d, bool direct)
{
    static const struct {
        const char *name;
        int64_t tokens;
    } scripts[BATCH_SCRIPTS] = {{"nightly", 4200}, {"tagger", 2000}, {"mailer", 1000}};

    d->editor = (struct call){.script = "editor", .model = "gpt-4o", .input_tokens = 12000, .max_tokens = 71};
    d->report = (struct call){.script = "report", .model = "gpt-4o", .input_tokens = 22117, .max_tokens = 50};
    d->archive =
        (struct call){.script = "archive", .model = "gpt-4o", .input_tokens = 40666, .max_tokens = 50};
    d->chatbot =
        (struct call){.script = "chatbot", .model = "gpt-3.5-turbo", .input_tokens = 20000, .max_tokens = 50};
    d->editor.direct = d->report.direct = d->archive.direct = d->chatbot.direct = direct;
    for (int i = 0; i < BATCH; i++)
        d->batch[i] = (struct call){.script = scripts[i % BATCH_SCRIPTS].name,
                                    .model = "gpt-4o",
                                    .input_tokens = scripts[i % BATCH_SCRIPTS].tokens,
                                    .max_tokens = 50,
                                    .direct = direct};
}

static void release_calls(struct demo *d)
{
    call_release(&d->editor);
    call_release(&d->report);
    call_release(&d->archive);
    call_release(&d->chatbot);
    for (int i = 0; i < BATCH; i++)
        call_release(&d->batch[i]);
}

static double seconds(int64_t us)
{
    return (double)us / CLOCK_S;
}

static const char *error_of(const struct call *c)
{
    return c->message[0] ? c->message : c->failure.text;
}

static void say_call(const struct call *c)
{
    narrator_say(TONE_PLAIN, c->script, "calls %s with %s tokens", c->model, thousands(c->input_tokens).text);
}

/* ---- with Metergate
 * ------------------------------------------------------------------------------------------------ */

struct gauge {
    int64_t held, used, next_ms;
};

static struct gauge read_gauge(const struct demo *d, const char *budget)
{
    struct json *doc = ask(&d->daemon, "/-/status", false);
    const struct json *b = ask_named(json_get(doc, "budgets"), budget);
    struct gauge g = {ask_number(b, "held"),
                      ask_number(b, "limits.0.used") + ask_number(b, "limits.0.reserved"),
                      ask_number(b, "next_dispatch_ms")};

    json_free(doc);
    return g;
}

/* Tells how many calls are held, as long as any is. */
static void say_held(const struct demo *d)
{
    struct gauge g = read_gauge(d, "gpt-4o");

    if (g.held)
        narrator_say(TONE_WAIT, "metergate", "holds %" PRId64 " call%s: room in %.2f s", g.held,
                     g.held > 1 ? "s" : "", (double)g.next_ms / 1000);
}

static void scene_hold(struct demo *d)
{
    struct gauge g;

    narrator_heading("1. A call for which there is no room");
    say_call(&d->editor);
    call_start(&d->editor, &d->daemon);
    call_join(&d->editor);
    g = read_gauge(d, "gpt-4o");
    narrator_say(TONE_GOOD, "editor",
                 "answered %d after %.2f s: with the answer's %s, %s tokens are in this minute",
                 d->editor.status, seconds(d->editor.took_us), thousands(d->editor.output_tokens).text,
                 thousands(g.used).text);
    narrator_check(d->editor.status == 200 && g.used == 12071, "12,071 of gpt-4o's 30,000 are used");
    say_call(&d->report);
    narrator_note("                     12,071 + 22,117 = 34,188: the provider would refuse it now");
    call_start(&d->report, &d->daemon);
    do {
        g = read_gauge(d, "gpt-4o");
    } while (g.held == 0 && !call_join_within(&d->report, 5));
    narrator_say(TONE_WAIT, "metergate", "holds it: there will be room in %.2f s", (double)g.next_ms / 1000);
    narrator_check(g.held == 1, "one call is held");
}

static void scene_other_model(struct demo *d)
{
    narrator_heading("2. Meanwhile: another model is not delayed by it");
    say_call(&d->chatbot);
    call_start(&d->chatbot, &d->daemon);
    call_join(&d->chatbot);
    narrator_say(TONE_GOOD, "chatbot", "answered %d after %.2f s, held for %" PRId64 " ms", d->chatbot.status,
                 seconds(d->chatbot.took_us), call_queued_ms(&d->chatbot));
    narrator_check(d->chatbot.status == 200 && call_queued_ms(&d->chatbot) < 100,
                   "gpt-3.5-turbo has a budget of its own: 200,000 tokens a minute");
}

/* How many calls for a model the provider has seen. */
static int64_t seen(const struct demo *d, const char *model)
{
    struct json *doc = ask(&d->provider, "/_sim/audit?arrivals=0", false);
    int64_t n = ask_number(json_get(json_get(doc, "models"), model), "arrivals");

    json_free(doc);
    return n;
}

/* A long sentence in lines under each other. */
static void quote(const char *text)
{
    while (*text) {
        size_t n = strlen(text), width = 84;

        if (n > width) {
            for (n = width; n > 0 && text[n] != ' '; n--)
                ;
            n = n ? n : width;
        }
        narrator_note("                     %.*s", (int)n, text);
        text += n;
        text += *text == ' ';
    }
}

static void scene_too_large(struct demo *d)
{
    struct slice reason;
    int64_t before = seen(d, "gpt-4o");

    narrator_heading("3. Meanwhile: a call that no minute has room for is refused at once");
    say_call(&d->archive);
    call_start(&d->archive, &d->daemon);
    call_join(&d->archive);
    reason = client_answer_header(&d->archive.answer, "Metergate-Refused");
    narrator_say(TONE_BAD, "metergate", "refuses it after %.3f s: %d %.*s", seconds(d->archive.took_us),
                 d->archive.status, (int)reason.n, reason.p);
    quote(error_of(&d->archive));
    narrator_check(d->archive.status == 413 && slice_eq(reason, SLICE("too-large")) &&
                       strstr(error_of(&d->archive), "Limit 30000, Requested 40666") &&
                       d->archive.took_us < CLOCK_S,
                   "the error names the limit and the request, in OpenAI's words");
    narrator_check(seen(d, "gpt-4o") == before, "the provider has not seen it");
}

/* When the provider saw the n-th call for gpt-4o, by its own clock. */
static int64_t arrival_us(const struct demo *d, const char *which)
{
    struct json *doc = ask(&d->provider, "/_sim/audit", false);
    char path[32];
    int64_t t;

    snprintf(path, sizeof path, "list.%s.t_us", which);
    t = ask_number(json_get(json_get(doc, "models"), "gpt-4o"), path);
    json_free(doc);
    return t;
}

static void scene_release(struct demo *d)
{
    int64_t window_us = d->window_s * CLOCK_S, apart_us;

    narrator_heading("4. The moment at which there is room");
    narrator_note("$ metergate status");
    stage_show(d->stage, (const char *const[]){"status", NULL});
    narrator_note("%s", "");
    while (!call_join_within(&d->report, TELL_EVERY_MS))
        say_held(d);
    narrator_say(d->report.status == 200 ? TONE_GOOD : TONE_BAD, "report",
                 "answered %d after %.2f s, held for %.2f of them", d->report.status,
                 seconds(d->report.took_us), (double)call_queued_ms(&d->report) / 1000);
    if (d->report.status != 200)
        quote(error_of(&d->report));
    apart_us = arrival_us(d, "1") - arrival_us(d, "0");
    narrator_say(TONE_PLAIN, "provider",
                 "got it %.3f s after editor's call, when those 12,000 had left the minute",
                 seconds(apart_us));
    narrator_check(d->report.status == 200 && apart_us >= window_us && apart_us < window_us + LATE_US,
                   "not a moment too early, and %" PRId64 " ms after the first possible one",
                   apart_us / 1000 - window_us / 1000);
}

static void say_end(struct call *c)
{
    if (c->status == 200)
        narrator_say(TONE_GOOD, c->script, "answered 200: held for %5.2f s, %s tokens",
                     (double)call_queued_ms(c) / 1000, thousands(c->input_tokens + c->output_tokens).text);
    else
        narrator_say(TONE_BAD, c->script, "answered %d: %s", c->status, error_of(c));
}

static void start_batch(struct demo *d, const struct client *to, void (*on_end)(struct call *c))
{
    for (int i = 0; i < BATCH; i++) {
        d->batch[i].on_end = on_end;
        call_start(&d->batch[i], to);
    }
}

/* Waits for all; how many were answered 200. */
static int finish_batch(struct demo *d, bool held)
{
    int good = 0;

    for (int i = 0; i < BATCH; i++) {
        while (!call_join_within(&d->batch[i], TELL_EVERY_MS)) {
            if (held)
                say_held(d);
        }
        good += d->batch[i].status == 200;
    }
    return good;
}

static void scene_batch(struct demo *d)
{
    int good;

    narrator_heading("5. Three scripts that know nothing of each other share what there is");
    narrator_say(TONE_PLAIN, "scripts",
                 "nightly, tagger and mailer make four calls each to gpt-4o, all at once");
    narrator_say(TONE_PLAIN, "metergate",
                 "has room for %s tokens now, for the rest when report's 22,117 have left the minute",
                 thousands(LIMIT - read_gauge(d, "gpt-4o").used).text);
    start_batch(d, &d->daemon, say_end);
    good = finish_batch(d, true);
    narrator_check(good == BATCH, "%d of %d calls succeeded", good, BATCH);
}

static void scene_audit(struct demo *d)
{
    struct json *doc = ask(&d->provider, "/_sim/audit?arrivals=0", false);
    const struct json *gpt_4o = json_get(json_get(doc, "models"), "gpt-4o");
    int64_t calls = ask_number(doc, "arrivals"), n429 = ask_number(doc, "n429"),
            peak = ask_number(gpt_4o, "peak_tokens");

    narrator_heading("7. What the provider says about it");
    narrator_say(TONE_PLAIN, "provider",
                 "got %" PRId64 " calls and said 429 (rate limit reached) %" PRId64 " times", calls, n429);
    narrator_say(TONE_PLAIN, "provider", "the most gpt-4o tokens in any %d s were %s of 30,000", d->window_s,
                 thousands(peak).text);
    narrator_check(n429 == 0 && calls == 3 + BATCH + 2 * TEXTS, "no script has seen a rate limit");
    narrator_check(peak <= LIMIT && peak > LIMIT * 9 / 10, "the limit was used, and never passed");
    narrator_check(ask_number(doc, "n_violations") == 0, "the provider found nothing wrong with any request");
    json_free(doc);
}

/* ---- without Metergate
 * --------------------------------------------------------------------------------------------- */

static void direct_call(struct demo *d, struct call *c)
{
    call_start(c, &d->provider);
    call_join(c);
    if (c->status == 200) {
        narrator_say(TONE_GOOD, c->script, "calls %s with %s tokens: answered 200", c->model,
                     thousands(c->input_tokens).text);
        return;
    }
    narrator_say(TONE_BAD, c->script, "calls %s with %s tokens: answered %d", c->model,
                 thousands(c->input_tokens).text, c->status);
    quote(error_of(c));
}

static void scene_without(struct demo *d)
{
    int good, failed;

    narrator_heading("8. The same calls without Metergate");
    release_calls(d);
    cast(d, true);
    json_free(ask(&d->provider, "/_sim/reset", true));
    direct_call(d, &d->editor);
    direct_call(d, &d->report);
    direct_call(d, &d->chatbot);
    direct_call(d, &d->archive);
    start_batch(d, &d->provider, NULL);
    good = finish_batch(d, false);
    failed = 4 + BATCH - good - (d->editor.status == 200) - (d->report.status == 200) -
             (d->chatbot.status == 200) - (d->archive.status == 200);
    narrator_say(TONE_BAD, "scripts", "of the 12 calls of nightly, tagger and mailer, %d are answered 429",
                 BATCH - good);
    narrator_check(d->editor.status == 200 && d->report.status == 429 && d->archive.status == 429 &&
                       good < BATCH,
                   "%d of the %d calls fail: that is the crash that Metergate prevents", failed, 4 + BATCH);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------------------- */

static int point_client(struct client *c, const char *url, struct errbuf *e)
{
    struct address a;
    int rc = address_find(&a, url, e);

    if (rc == 0)
        client_init(c, &a, NULL);
    return rc;
}

static void tell(struct demo *d)
{
    narrator_note("A minute lasts %d seconds here, so that you need not wait. No key, no network: the "
                  "provider is a strict\n"
                  "simulator on this machine. Each \"checked\" is a claim that this program has verified.",
                  d->window_s);
    narrator_heading("0. The stage");
    narrator_say(TONE_PLAIN, "provider", "%s: gpt-4o 30,000 tokens a minute, gpt-3.5-turbo 200,000",
                 stage_provider_url(d->stage));
    narrator_say(TONE_PLAIN, "metergate", "%s: scripts set OPENAI_BASE_URL to this, with /v1 (or /@NAME/v1)",
                 stage_daemon_url(d->stage));
    cast(d, false);
    scene_hold(d);
    scene_other_model(d);
    scene_too_large(d);
    scene_release(d);
    scene_batch(d);
    texts_compare(d->stage, &d->daemon);
    scene_audit(d);
    scene_without(d);
    release_calls(d);
}

static int finish(struct stage *stage)
{
    int status = stage_end(stage), broken;

    if (status != 0)
        narrator_check(false, "the daemon ended with status %d", status);
    broken = narrator_broken();
    if (broken) {
        narrator_heading("The story did not hold: %d of its claims are not so. The daemon's log:", broken);
        stage_show_log(stage);
    } else {
        narrator_heading("With Metergate the same scripts ran, and the only call that failed is the one that "
                         "never could succeed.");
    }
    stage_free(stage);
    return broken ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(struct demo *d, struct errbuf *e)
{
    char settings[512], models[256];

    /* the provider charges as OpenAI does: its estimate when a call arrives, what was used when it is
     * answered */
    snprintf(settings, sizeof settings,
             "{\"models\":{\"gpt-4o\":{\"tpm\":%d,\"window_ms\":%d000,\"first_byte_ms\":20,"
             "\"charging\":\"openai\",\"refund\":true},\"gpt-3.5-turbo\":{\"tpm\":%d,\"window_ms\":%d000,"
             "\"first_byte_ms\":20,\"charging\":\"openai\",\"refund\":true}}}",
             LIMIT, d->window_s, LIMIT_OTHER, d->window_s);
    snprintf(models, sizeof models,
             "models:\n  gpt-4o: {tpm: {max: %d, per: %ds}}\n  gpt-3.5-turbo: {tpm: {max: %d, per: %ds}}\n",
             LIMIT, d->window_s, LIMIT_OTHER, d->window_s);
    d->stage = stage_new(settings, models, TIME_LIMIT_S, e);
    if (!d->stage || point_client(&d->provider, stage_provider_url(d->stage), e) < 0 ||
        point_client(&d->daemon, stage_daemon_url(d->stage), e) < 0)
        return -1;
    return 0;
}

/* False: the program ends with *ret_status. */
static bool read_options(int argc, char **argv, int *ret_window_s, int *ret_status)
{
    static const struct option longs[] = {
        {"window", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
    int64_t window_s = WINDOW_S;
    int c;

    while ((c = getopt_long(argc, argv, "w:h", longs, NULL)) != -1) {
        if (c == 'w' && slice_int64(slice_str(optarg), &window_s) == 0 && window_s >= 2 &&
            window_s <= WINDOW_MAX_S)
            continue;
        *ret_status = c == 'h' ? EX_OK : EX_USAGE;
        fprintf(c == 'h' ? stdout : stderr,
                "Usage: metergate-demo [--window SECONDS]\n"
                "Tells what Metergate does, with a provider of its own. Exits with 0 if all of it was so.\n\n"
                "  -w, --window SECONDS  how long a minute lasts, 2 to %d (%d)\n",
                WINDOW_MAX_S, WINDOW_S);
        return false;
    }
    *ret_window_s = (int)window_s;
    return true;
}

int main(int argc, char **argv)
{
    struct demo d = {0};
    struct errbuf e;
    int status;

    if (!read_options(argc, argv, &d.window_s, &status))
        return status;
    narrator_begin();
    if (start(&d, &e) < 0) {
        fprintf(stderr, "metergate-demo: %s\n", e.text);
        stage_free(d.stage);
        return EXIT_FAILURE;
    }
    tell(&d);
    client_release(&d.provider);
    client_release(&d.daemon);
    return finish(d.stage);
}
