/* doctor_daemon: something may answer that is not Metergate, and then nothing that it says is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/url.h"

#define PLACE(d) (address_shown(&(d)->client.address).text)

/* The daemon's usual address, where it is not there that we were told to ask. */
static bool answers_at_default(const struct doctor *d)
{
    struct address usual = {ADDRESS_DEFAULT};
    struct client client;
    struct errbuf e;
    int rc;

    if (strcmp(usual.text, d->client.address.text) == 0)
        return false;
    client_init(&client, &usual, NULL);
    rc = client_check(&client, &e);
    client_release(&client);
    return rc == 0 || rc == -EACCES;
}

static void nobody_there(struct doctor *d, const char *why)
{
    const char *end = strstr(why, ": start metergated"); /* what to do stands below */

    findings_add(&d->findings, "daemon", FINDING_FAIL, "%.*s", end ? (int)(end - why) : (int)strlen(why),
                 why);
    if (answers_at_default(d))
        findings_advise(&d->findings, "A daemon answers at %s: unset METERGATE_URL, or name that with --url.",
                        ADDRESS_DEFAULT);
    else if (address_unix_path(&d->client.address))
        findings_advise(
            &d->findings,
            "Start it with this socket under `listen`, or name its address with --url or METERGATE_URL.");
    else
        findings_advise(
            &d->findings,
            "Start it (`systemctl start metergate`, or `metergated` in a terminal), or name its address "
            "with --url or METERGATE_URL.");
}

static void something_else(struct doctor *d, const char *why)
{
    const struct client_request r = {.path = "/", .answer_max = (size_t)1 << 20};
    struct client_answer a;
    struct slice server;
    struct url here;
    struct errbuf e;

    if (client_call(&d->client, &r, &a, &e) == 0) {
        server = client_answer_header(&a, "Server");
        findings_add(&d->findings, "daemon", FINDING_FAIL,
                     "what answers at %s is not Metergate (status %d%s%.*s)", PLACE(d), a.status,
                     server.n ? ", " : "", (int)slice_head(server, 80).n, server.n ? server.p : "");
        client_answer_release(&a);
    } else {
        findings_add(&d->findings, "daemon", FINDING_FAIL, "%s", why);
    }
    if (url_read(slice_str(d->client.address.text), &here) == 0 && here.tls &&
        url_host_is_loopback(here.host))
        findings_advise(&d->findings,
                        "Metergate speaks plain HTTP: write http:// in --url or METERGATE_URL.");
    else
        findings_advise(
            &d->findings,
            "Another program has this port. Stop it, or give Metergate another one with `listen` and "
            "name that with METERGATE_URL. `ss -ltnp` shows who listens.");
}

static void not_served(struct doctor *d, const struct errbuf *e)
{
    findings_add(&d->findings, "token", FINDING_FAIL, "%s", e->text);
    if (strstr(e->text, "does not serve"))
        findings_advise(
            &d->findings,
            "Ask who runs it to add your user to `clients.users`, or to `allow.hosts` the host name.");
    else
        findings_advise(
            &d->findings,
            "Ask who runs it for a token, put it into a file that you alone can read, and name that with "
            "--token-file.");
}

static void read_status(struct doctor *d)
{
    struct client_answer a;
    struct errbuf e;

    if (client_get(&d->client, "/-/status", &a, &e) < 0) {
        findings_add(&d->findings, "status", FINDING_FAIL, "%s", e.text);
        findings_advise(&d->findings, "Most checks need it. Is that daemon of this version?");
        return;
    }
    if (doc_check(buf_slice(&a.body))) {
        buf_add_slice(&d->document, buf_slice(&a.body));
        d->status = buf_slice(&d->document);
    } else {
        findings_add(&d->findings, "status", FINDING_FAIL, "%s/-/status is answered with something else",
                     PLACE(d));
        findings_advise(&d->findings, "Most checks need it. Is it Metergate that answers there?");
    }
    client_answer_release(&a);
}

static void say_there(struct doctor *d)
{
    char up[FIGURE_SIZE];
    char *version = doc_plain(d->status, "version");
    int64_t ms = 0;

    if (doc_scaled(d->status, "uptime_s", 3, &ms) < 0)
        ms = 0;
    findings_add(&d->findings, "daemon", FINDING_OK, "Metergate %s answers at %s, up %s", version, PLACE(d),
                 figure_ms(ms, up));
    free(version);
}

void doctor_daemon(struct doctor *d)
{
    struct errbuf e;
    int rc = client_check(&d->client, &e);

    d->answers = rc == 0 || rc == -EACCES;
    if (rc == -EACCES)
        not_served(d, &e);
    else if (rc == -EPROTO)
        something_else(d, e.text);
    else if (rc < 0)
        nobody_there(d, e.text);
    if (rc < 0)
        return;
    read_status(d);
    if (d->status.n)
        say_there(d);
    if (secret_is_set(d->client.token))
        findings_add(&d->findings, "token", FINDING_OK, "the daemon takes the client token");
}

void doctor_version(struct doctor *d)
{
    char *version = doc_plain(d->status, "version");

    if (*version && strcmp(version, METERGATE_VERSION) != 0) {
        findings_add(&d->findings, "version", FINDING_WARN, "the daemon is %s, this command is %s", version,
                     METERGATE_VERSION);
        findings_advise(
            &d->findings,
            "After an upgrade the daemon goes on with the old program: `systemctl restart metergate`.");
    }
    free(version);
}
