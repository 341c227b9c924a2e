/*
 * doctor_variables: of an address that leads elsewhere only host and port are shown: the rest may be
 * somebody's secret. What is right is compared with the daemon that was asked, by whatever name of this
 * machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/environment.h"
#include "metergate/tool/names.h"
#include "metergate/tool/url.h"

#define SET_ALL                                                                                              \
    "`eval \"$(metergate env)\"` sets it right in this shell, `metergate run -- COMMAND` for one command."

static bool is_upstream(const struct doctor *d, struct slice name)
{
    struct doc_list list;
    struct slice one;

    doc_list_begin(&list, d->status, "upstreams");
    while (doc_list_next(&list, &one)) {
        struct buf b;
        bool is;

        buf_init(&b, BUF_UNLIMITED);
        doc_text(one, "name", &b);
        is = name.n && slice_eq(buf_slice(&b), name);
        buf_release(&b);
        if (is)
            return true;
    }
    return false;
}

/* Takes /@CLIENT and the name of an upstream off; *named says that there was one. */
static struct slice without_prefixes(const struct doctor *d, struct slice path, bool *named)
{
    struct slice first;

    if (slice_starts(path, SLICE("/@")))
        path = slice_skip(path, 1 + slice_find(slice_skip(path, 1), '/'));
    first = slice_head(slice_skip(path, 1), slice_find(slice_skip(path, 1), '/'));
    *named = is_upstream(d, first);
    return *named ? slice_skip(path, 1 + first.n) : path;
}

static void judge_suffix(struct doctor *d, const struct base_url *b, struct slice path)
{
    struct slice wanted = slice_str(b->suffix), rest;
    bool named;

    rest = without_prefixes(d, path, &named);
    if (slice_eq(rest, wanted) || (named && rest.n == 0) || slice_eq(rest, SLICE("/v1beta/openai"))) {
        findings_add(&d->findings, "variables", FINDING_OK, "%s leads to Metergate", b->name);
        return;
    }
    if (wanted.n && rest.n == 0)
        findings_add(&d->findings, "variables", FINDING_FAIL,
                     "%s leads to Metergate, but %s is missing at its end", b->name, b->suffix);
    else if (wanted.n && slice_starts(rest, wanted) && slice_ends(rest, wanted))
        findings_add(&d->findings, "variables", FINDING_FAIL,
                     "%s leads to Metergate, but %s stands twice at its end", b->name, b->suffix);
    else if (!wanted.n && (slice_eq(rest, SLICE("/v1")) || slice_eq(rest, SLICE("/v1beta"))))
        findings_add(&d->findings, "variables", FINDING_FAIL,
                     "%s leads to Metergate, but programs that read it add %.*s themselves: it would stand "
                     "there twice",
                     b->name, (int)rest.n, rest.p);
    else
        findings_add(&d->findings, "variables", FINDING_WARN,
                     "%s leads to Metergate, with a path that it does not know (%.*s)", b->name,
                     (int)slice_head(rest, 80).n, rest.p);
    findings_advise(&d->findings, SET_ALL);
}

/*
 * Another port of this machine: whether anybody is there decides if calls fail, or only go past Metergate. Where nobody
 * answers at the address that was asked, and the variable leads to a daemon, it is that address that is wrong.
 */
static void judge_other_port(struct doctor *d, const struct base_url *b, const struct url *u)
{
    struct client client;
    struct address place;
    struct errbuf e;
    int rc;

    snprintf(place.text, sizeof place.text, "http://127.0.0.1:%d", u->port);
    client_init(&client, &place, NULL);
    rc = u->tls ? -EPROTO : client_check(&client, &e);
    client_release(&client);
    if (!d->answers && (rc == 0 || rc == -EACCES)) {
        judge_suffix(d, b, u->path);
        return;
    }
    if (rc == -EHOSTUNREACH)
        findings_add(&d->findings, "variables", FINDING_FAIL,
                     "%s leads to port %d of this machine, where nobody listens", b->name, u->port);
    else
        findings_add(&d->findings, "variables", FINDING_WARN,
                     "%s leads to port %d of this machine, where %s listens", b->name, u->port,
                     rc == 0 || rc == -EACCES ? "another daemon of Metergate" : "another program");
    findings_advise(&d->findings, "The daemon that was asked is %s. " SET_ALL,
                    address_shown(&d->client.address).text);
}

static void judge(struct doctor *d, const struct base_url *b, const char *value)
{
    const char *socket = address_unix_path(&d->client.address);
    struct url u, here = {0};

    if (url_read(slice_str(value), &u) < 0) {
        findings_add(&d->findings, "variables", FINDING_FAIL, "%s is set to what is no http URL", b->name);
        findings_advise(&d->findings, SET_ALL);
        return;
    }
    if (socket || url_read(slice_str(d->client.address.text), &here) < 0) {
        findings_add(&d->findings, "variables", FINDING_WARN,
                     "%s is set; whether it leads to %s cannot be told", b->name,
                     address_shown(&d->client.address).text);
        findings_advise(&d->findings, "Give --url the http address that programs use.");
    } else if (url_same_place(&u, &here) && u.tls != here.tls && (d->answers || !here.tls)) {
        findings_add(&d->findings, "variables", FINDING_FAIL, "%s says %s, and Metergate speaks %s there",
                     b->name, u.tls ? "https" : "http", here.tls ? "https" : "plain http");
        findings_advise(&d->findings, SET_ALL);
    } else if (url_same_place(&u, &here) && u.tls == here.tls) {
        judge_suffix(d, b, slice_starts(u.path, here.path) ? slice_skip(u.path, here.path.n) : u.path);
    } else if (url_host_is_loopback(u.host) && url_host_is_loopback(here.host)) {
        judge_other_port(d, b, &u);
    } else {
        findings_add(&d->findings, "variables", FINDING_WARN,
                     "%s leads to %.*s: such calls go past Metergate", b->name,
                     (int)slice_head(u.host, 120).n, u.host.p);
        findings_advise(&d->findings, SET_ALL);
    }
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

/* Programs of one provider read the first one; a key says that there are such programs. */
static void judge_unset(struct doctor *d, const char *name, const char *key)
{
    if (is_set(name) || !is_set(key))
        return;
    findings_add(&d->findings, "variables", FINDING_WARN,
                 "%s is not set and %s is: such calls go past Metergate", name, key);
    findings_advise(&d->findings, SET_ALL);
}

static void judge_vertex(struct doctor *d)
{
    const char *value = getenv("GOOGLE_VERTEX_BASE_URL");
    struct url u, here;

    if (!value || url_read(slice_str(value), &u) < 0 ||
        url_read(slice_str(d->client.address.text), &here) < 0 || !url_same_place(&u, &here))
        return;
    findings_add(&d->findings, "variables", FINDING_FAIL,
                 "GOOGLE_VERTEX_BASE_URL leads to Metergate, which has no upstream for it");
    findings_advise(&d->findings,
                    "Unset it: Vertex AI takes credentials of Google's cloud, which nobody else should see.");
}

/* Those of Azure matter to who has set one. */
static size_t judge_set(struct doctor *d, struct names *unset)
{
    const struct base_url *b;
    size_t n = 0;

    for (size_t i = 0; (b = environment_base_url(i)) != NULL; i++) {
        n += is_set(b->name);
        if (is_set(b->name))
            judge(d, b, getenv(b->name));
        else
            names_add(unset, slice_str(b->name));
    }
    for (size_t i = 0; (b = environment_azure_url(i)) != NULL; i++) {
        if (is_set(b->name))
            judge(d, b, getenv(b->name));
    }
    return n;
}

void doctor_variables(struct doctor *d)
{
    struct names unset;
    size_t set;

    names_init(&unset);
    set = judge_set(d, &unset);
    if (set == 0) {
        findings_add(
            &d->findings, "variables", FINDING_WARN,
            "no base URL is set in this shell: programs that it starts call their providers directly");
        findings_advise(&d->findings, SET_ALL);
    } else {
        judge_unset(d, "OPENAI_BASE_URL", "OPENAI_API_KEY");
        judge_unset(d, "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY");
        judge_unset(d, "GOOGLE_GEMINI_BASE_URL",
                    is_set("GOOGLE_API_KEY") ? "GOOGLE_API_KEY" : "GEMINI_API_KEY");
        if (unset.n)
            findings_add(&d->findings, "variables", FINDING_OK,
                         "not set, and read by some programs alone: %s", names_text(&unset));
    }
    judge_vertex(d);
    names_release(&unset);
}
