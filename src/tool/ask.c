/* ask: what answers may be anything: only a JSON object with status 200 is shown, and of other answers one
 * line. */
#include "metergate/tool/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "metergate/base/json.h"
#include "metergate/tool/client.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"

static void add_escaped(struct buf *path, const char *text)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);

        if (plain)
            buf_add_char(path, *p);
        else
            buf_addf(path, "%%%02X", c);
    }
}

void ask_add_part(struct buf *path, const char *part)
{
    add_escaped(path, part);
}

void ask_add_parameter(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_add_char(path, slice_find(buf_slice(path), '?') < path->n ? '&' : '?');
    buf_addf(path, "%s=", name);
    add_escaped(path, value);
}

/* "error.message" of a JSON answer, else the first line; an empty one where something else speaks. */
static struct slice sentence_of(struct slice body, const struct json *doc)
{
    struct slice said;

    if (json_as_str(json_path(doc, "error.message"), &said) == 0)
        return said;
    said = slice_trim(slice_head(body, slice_find(body, '\n')));
    return doc || slice_starts(said, SLICE("<")) ? SLICE("") : said;
}

#define SENTENCE_MAX 1000

static int explain(const struct client *c, const char *path, const struct client_answer *a)
{
    struct slice body = buf_slice(&a->body), said;
    struct json *doc = NULL;
    int status = a->status == 400 ? EX_USAGE : EXIT_FAILURE;

    (void)!json_parse(body, &doc); /* what is none stays NULL */
    said = slice_head(sentence_of(body, doc), SENTENCE_MAX);
    if (a->status < 400 || !said.n)
        status = report(EX_UNAVAILABLE, "%s%.*s is answered %d: is that Metergate?", address_shown(&c->address).text,
                        (int)strcspn(path, "?"), path, a->status);
    else if (slice_starts(said, SLICE("Metergate has no such address of its own")))
        status = report(EX_UNAVAILABLE, "the daemon at %s is older than this command",
                        address_shown(&c->address).text);
    else
        report(status, "%.*s", (int)said.n, said.p);
    json_free(doc);
    return status;
}

static void print_document(struct slice doc)
{
    fwrite(doc.p, 1, doc.n, stdout);
    if (doc.p[doc.n - 1] != '\n')
        putchar('\n');
}

static int show(const struct arguments *a, struct slice doc, ask_show *text, ask_show *csv)
{
    if (a->json)
        print_document(doc);
    else
        return a->csv ? csv(a, doc) : text(a, doc);
    return EX_OK;
}

static int ask_client(const struct client *c, const struct arguments *a, const char *path, ask_show *text,
                      ask_show *csv)
{
    const struct client_request r = {
        .path = path, .timeout_ms = ASK_TIMEOUT_MS, .answer_max = ASK_ANSWER_MAX};
    struct client_answer answer;
    struct errbuf e;
    int status;

    if (client_call(c, &r, &answer, &e) < 0)
        return report(EX_UNAVAILABLE, "%s", e.text);
    if (client_refuses(c, &answer, &e) < 0)
        status = report(EX_NOPERM, "%s", e.text);
    else if (answer.status != 200 || !doc_check(buf_slice(&answer.body)))
        status = explain(c, path, &answer);
    else
        status = show(a, buf_slice(&answer.body), text, csv);
    client_answer_release(&answer);
    return status;
}

int ask(const struct arguments *a, const char *path, ask_show *text, ask_show *csv)
{
    struct address address;
    struct client client;
    struct secret token;
    struct errbuf e;
    int status;

    if (a->json && a->csv)
        return report(EX_USAGE, "--json and --csv are two forms of the same: give one");
    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0) {
        secret_release(&token);
        return report(EX_USAGE, "%s", e.text);
    }
    client_init(&client, &address, &token);
    status = ask_client(&client, a, path, text, csv);
    client_release(&client);
    secret_release(&token);
    return status;
}
