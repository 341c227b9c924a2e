/*
 * doctor_upstreams: an answer with Metergate-Refused is the daemon's own sentence; any other is the
 * provider's, of whose body nothing is shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metergate/base/clock.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/names.h"
#include "metergate/tool/probe.h"

static bool has_word(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strstr(text, *words))
            return true;
    }
    return false;
}

/* Built-in upstreams are there for everybody: who has no key for one, and no model there, does not call it. */
static bool is_used(const struct doctor *d, const struct probe *p)
{
    struct doc_list list;
    struct slice budget;
    bool found = !p->missing_key;

    doc_list_begin(&list, d->status, "budgets");
    while (!found && doc_list_next(&list, &budget)) {
        char *upstream = doc_plain(budget, "upstream");

        found = strcmp(upstream, p->name) == 0;
        free(upstream);
    }
    return found;
}

/* Why no connection came about, from curl's sentence, and what helps. */
static void unreachable(struct doctor *d, const struct probe *p, const char *said)
{
    const char *colon = strstr(said, "gave no usable answer: ");
    const char *why = colon ? colon + strlen("gave no usable answer: ") : said; /* names are anybody's */
    static const char *const tls[] = {"SSL", "TLS", "certificate", NULL}, *const names[] = {"resolve", NULL};
    bool by_tls = has_word(why, tls);
    enum finding_result result = is_used(d, p) ? FINDING_FAIL : FINDING_WARN;

    findings_add(&d->findings, "upstream", result, "%s %s: %s", p->name,
                 by_tls ? "is there, but TLS fails" : "cannot be reached", why);
    if (by_tls)
        findings_advise(&d->findings,
                        "Behind a company's proxy, or with a private authority, name its root certificate in "
                        "`upstreams: %s: "
                        "ca_file`. A wrong clock looks the same.",
                        p->name);
    else if (has_word(why, names))
        findings_advise(&d->findings,
                        "Check the host name in `base_url` of `upstreams: %s`, and this machine's DNS. Where "
                        "the way out is an "
                        "HTTP proxy, name it in `proxy` there: the environment's is not used.",
                        p->name);
    else
        findings_advise(&d->findings,
                        "Check `base_url` of `upstreams: %s` and the network. Where the way out is an HTTP "
                        "proxy, name it in "
                        "`proxy` there: the environment's is not used.",
                        p->name);
}

/* The daemon's sentence of an error, in whatever dialect's shape; free() it. */
static char *sentence_of(const struct probe *p)
{
    struct slice body = buf_slice(&p->answer.body);

    return doc_check(body) ? doc_plain(body, "error.message") : xstrdup("");
}

static void refused(struct doctor *d, const struct probe *p, struct slice reason)
{
    char *said = sentence_of(p);

    if (slice_eq(reason, SLICE("upstream-connect")) || slice_eq(reason, SLICE("upstream-timeout"))) {
        unreachable(d, p, said);
    } else {
        findings_add(&d->findings, "upstream", FINDING_FAIL, "%s: Metergate refuses the call: %s", p->name,
                     said);
        findings_advise(&d->findings, "docs/troubleshooting.md has this refusal (%.*s).",
                        (int)slice_head(reason, 40).n, reason.p);
    }
    free(said);
}

static void judge_key(struct doctor *d, const struct probe *p, const char *took)
{
    int status = p->answer.status;

    if (status == 200 && p->key)
        findings_add(&d->findings, "upstream", FINDING_OK, "%s answers in %s, and takes the key", p->name,
                     took);
    else if (status == 200)
        findings_add(&d->findings, "upstream", FINDING_OK, "%s answers in %s", p->name, took);
    else if (p->key) {
        findings_add(&d->findings, "upstream", FINDING_FAIL, "%s answers in %s, and refuses the key (%d)",
                     p->name, took, status);
        findings_advise(
            &d->findings,
            "Check %s; where Metergate holds the key, `api_key` of `upstreams: %s` is sent in its place.",
            p->key, p->name);
    } else if (p->missing_key) {
        findings_add(&d->findings, "upstream", FINDING_OK,
                     "%s answers in %s; no key was there to be tried (%s is not set)", p->name, took,
                     p->missing_key);
    } else {
        findings_add(&d->findings, "upstream", FINDING_WARN, "%s answers in %s, and wants a key (%d)",
                     p->name, took, status);
        findings_advise(
            &d->findings,
            "Either `api_key` of `upstreams: %s` is wrong or missing, or programs bring theirs: this "
            "command sends your keys to the first upstream of a dialect alone.",
            p->name);
    }
}

static void judge(struct doctor *d, const struct probe *p)
{
    struct slice reason;
    char took[FIGURE_SIZE];

    if (p->rc < 0) {
        findings_add(&d->findings, "upstream", FINDING_WARN, "%s: %s", p->name, p->error.text);
        findings_advise(&d->findings,
                        "The daemon did not pass an answer on in time. Its log says what it waits for.");
        return;
    }
    figure_ms(p->took_us / CLOCK_MS, took);
    reason = client_answer_header(&p->answer, "Metergate-Refused");
    if (reason.n) {
        refused(d, p, reason);
    } else if (p->answer.status == 200 || p->answer.status == 401 || p->answer.status == 403) {
        judge_key(d, p, took);
    } else {
        findings_add(&d->findings, "upstream", FINDING_WARN,
                     "%s answers in %s, with status %d: whether it takes the key is not known", p->name, took,
                     p->answer.status);
        findings_advise(
            &d->findings,
            p->answer.status >= 500
                ? "The provider has trouble of its own: ask again later."
                : "It may not know this question (the list of models). If calls fail, too, check its "
                  "`base_url` and `dialect`.");
    }
}

/* RFC 9110 5.6.7, as servers write it; the daemon's own Date says nothing new. */
static void compare_clocks(struct doctor *d, const struct probe *p)
{
    struct slice date = client_answer_header(&p->answer, "Date");
    char text[40];
    struct tm tm = {0};
    const char *end;

    if (d->skew.known || p->rc < 0 || client_answer_header(&p->answer, "Metergate-Refused").n ||
        date.n >= sizeof text)
        return;
    snprintf(text, sizeof text, "%.*s", (int)date.n, date.n ? date.p : "");
    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return;
    d->skew.known = true;
    d->skew.ahead_ms = p->wall_us / CLOCK_MS - (int64_t)timegm(&tm) * 1000;
    snprintf(d->skew.of, sizeof d->skew.of, "%s", p->name);
}

static void probe_all(struct doctor *d)
{
    struct probes *ps = xcalloc(1, sizeof *ps);

    probes_ask(ps, &d->client, d->status);
    for (size_t i = 0; i < ps->n; i++) {
        judge(d, &ps->v[i]);
        compare_clocks(d, &ps->v[i]);
    }
    if (ps->left_out)
        findings_add(&d->findings, "upstream", FINDING_OK, "%zu more were not asked", ps->left_out);
    probes_release(ps);
    free(ps);
}

/* What the daemon knows without asking. */
static void look_at_status(struct doctor *d)
{
    struct doc_list list;
    struct slice one;

    doc_list_begin(&list, d->status, "upstreams");
    while (doc_list_next(&list, &one)) {
        char *name = doc_plain(one, "name"), *problem = doc_plain(one, "problem");

        if (doc_truth(one, "breaker_open")) {
            findings_add(&d->findings, "upstream", FINDING_FAIL,
                         "%s is down: calls are held, and one goes now and then to see%s%s", name,
                         *problem ? ": " : "", problem);
            findings_advise(
                &d->findings,
                "Nothing is lost: they go when it answers again. Check the network if others can reach it.");
        } else if (d->offline && doc_get(one, "reachable").n && !doc_truth(one, "reachable")) {
            findings_add(&d->findings, "upstream", FINDING_WARN, "the last connection to %s failed%s%s", name,
                         *problem ? ": " : "", problem);
            findings_advise(&d->findings, "Without --offline it is tried again, and the reason told.");
        }
        free(name);
        free(problem);
    }
}

void doctor_upstreams(struct doctor *d)
{
    look_at_status(d);
    if (!d->offline)
        probe_all(d);
}
