/* doctor_queue: why nothing goes at this moment, or when it does. */
#include <inttypes.h>
#include <stdlib.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/meaning.h"

static void say_stopped(struct doctor *d)
{
    if (doc_truth(d->status, "paused")) {
        findings_add(&d->findings, "paused", FINDING_FAIL,
                     "the daemon is paused: calls are held, and none is sent");
        findings_advise(&d->findings, "`metergate resume`");
    }
    if (doc_truth(d->status, "draining")) {
        findings_add(&d->findings, "draining", FINDING_FAIL,
                     "the daemon is shutting down: new calls are refused (503)");
        findings_advise(&d->findings, "Start it again when it has ended.");
    }
}

/* What keeps its calls, where that is not that all are paused, which is said already. */
static void say_why(struct doctor *d, struct slice budget, const char *name)
{
    struct buf why;

    if (doc_truth(d->status, "paused"))
        return;
    buf_init(&why, BUF_UNLIMITED);
    meaning_of_hold(doc_get(budget, "waits_for"), &why);
    findings_add(&d->findings, "queue", FINDING_OK, "%s holds %" PRId64 ": %s", name, doc_int(budget, "held"), why.p);
    buf_release(&why);
}

/* Of one budget: what keeps it. */
static void judge(struct doctor *d, struct slice budget)
{
    char *name = doc_plain(budget, "name"), *limit = doc_plain(budget, "waits_for.limit");
    int64_t paused_ms = doc_int(budget, "paused_until_ms");
    char s[FIGURE_SIZE];

    if (doc_truth(budget, "breaker_open")) {
        findings_add(&d->findings, "queue", FINDING_WARN,
                     "%s is overloaded at its provider: calls are held, and one goes now and "
                     "then to see",
                     name);
        findings_advise(&d->findings, "Nothing is lost: they go when it answers again.");
    } else if (paused_ms > 0) {
        findings_add(&d->findings, "queue", FINDING_WARN, "%s waits %s more, since its provider refused", name,
                     figure_ms(paused_ms, s));
        findings_advise(
            &d->findings,
            "A 429 in spite of the limits: is the key used elsewhere, too, or is a limit too high?");
    } else if (doc_int(budget, "held") > 0 && *limit) {
        say_why(d, budget, name);
    }
    free(name);
    free(limit);
}

/* When the last of all goes, in milliseconds; -1: nobody can know. */
static int64_t last_start(struct slice status)
{
    struct doc_list list;
    struct slice budget;
    int64_t last_ms = 0;

    doc_list_begin(&list, status, "budgets");
    while (doc_list_next(&list, &budget)) {
        int64_t ms = doc_int(budget, "last_dispatch_ms");

        if (doc_int(budget, "held") > 0 && !doc_get(budget, "last_dispatch_ms").n)
            return -1;
        last_ms = ms > last_ms ? ms : last_ms;
    }
    return last_ms;
}

static void say_held(struct doctor *d)
{
    int64_t held = doc_int(d->status, "held"), last_ms = last_start(d->status);
    char s[FIGURE_SIZE];

    if (held <= 0)
        findings_add(&d->findings, "queue", FINDING_OK, "no call is held, %" PRId64 " in flight",
                     doc_int(d->status, "in_flight"));
    else if (last_ms < 0)
        findings_add(&d->findings, "queue", FINDING_OK,
                     "%" PRId64 " held; when the last of them goes cannot be known yet", held);
    else
        findings_add(&d->findings, "queue", FINDING_OK, "%" PRId64 " held; the last of them goes in %s", held,
                     figure_ms(last_ms, s));
}

void doctor_queue(struct doctor *d)
{
    struct doc_list list;
    struct slice budget;

    say_stopped(d);
    say_held(d);
    doc_list_begin(&list, d->status, "budgets");
    while (doc_list_next(&list, &budget))
        judge(d, budget);
}
