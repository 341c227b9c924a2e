/* control: pause, resume and reload: one POST each; what the daemon says of a file goes to stderr, a line
 * each. */
#include <stdio.h>
#include <sysexits.h>

#include "metergate/base/json.h"
#include "metergate/tool/client.h"
#include "metergate/tool/command.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"

/* 0 with an answer to release, else an exit status. */
static int post(const struct arguments *a, const char *path, struct client_answer *ret)
{
    const struct client_request request = {.path = path, .post = true};
    struct address address;
    struct client client;
    struct secret token;
    struct errbuf e;
    int rc;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0)
        return report(EX_USAGE, "%s", e.text);
    client_init(&client, &address, &token);
    rc = client_call(&client, &request, ret, &e);
    client_release(&client);
    secret_release(&token);
    return rc < 0 ? report(EX_UNAVAILABLE, "%s", e.text) : EX_OK;
}

static struct slice first_line(struct slice s)
{
    return slice_head(s, slice_find(s, '\n'));
}

/* An answer that is not what was asked for: of something else, or of a daemon that will not. */
static int report_answer(const struct client_answer *a, const char *path)
{
    struct slice refused = client_answer_header(a, "Metergate-Refused"),
                 line = first_line(buf_slice(&a->body)), said;
    struct json *doc = NULL;
    int status = EX_UNAVAILABLE;

    if (!refused.n) {
        status =
            report(status, "%s is answered %d: is that Metergate, and of this version?", path, a->status);
    } else if (json_parse(buf_slice(&a->body), &doc) == 0 &&
               json_as_str(json_path(doc, "error.message"), &said) == 0) {
        status = report(EX_NOPERM, "%.*s", (int)said.n, said.p);
    } else {
        status = report(EX_NOPERM, "%.*s", (int)line.n, line.p);
    }
    json_free(doc);
    return status;
}

static void print_lines(const struct json *lines)
{
    JSON_EACH (lines, line) {
        struct slice s;

        if (json_as_str(line, &s) == 0)
            report(0, "%.*s", (int)s.n, s.p);
    }
}

/* Anything may answer 200: who believes that calls are held must be able to. */
static bool says_paused(const struct client_answer *a, bool paused)
{
    struct json *doc = NULL;
    bool is = !paused;

    if (a->status == 200 && json_parse(buf_slice(&a->body), &doc) == 0 &&
        json_as_bool(json_path(doc, "paused"), &is) < 0)
        is = !paused;
    json_free(doc);
    return is == paused;
}

static int set_paused(const struct arguments *a, const char *path, bool paused, const char *done)
{
    struct client_answer answer = {0};
    int status = post(a, path, &answer);

    if (status != EX_OK)
        return status;
    if (says_paused(&answer, paused))
        puts(done);
    else
        status = report_answer(&answer, path);
    client_answer_release(&answer);
    return status;
}

int command_pause(const struct arguments *a)
{
    return set_paused(a, "/-/pause", true, "paused: calls are held until metergate resume");
}

int command_resume(const struct arguments *a)
{
    return set_paused(a, "/-/resume", false, "resumed");
}

int command_reload(const struct arguments *a)
{
    struct client_answer answer = {0};
    struct json *doc = NULL;
    bool reloaded;
    int status = post(a, "/-/reload", &answer);

    if (status != EX_OK)
        return status;
    if (json_parse(buf_slice(&answer.body), &doc) < 0 ||
        json_as_bool(json_path(doc, "reloaded"), &reloaded) < 0) {
        status = report_answer(&answer, "/-/reload");
    } else {
        print_lines(json_get(doc, reloaded ? "warnings" : "problems"));
        if (reloaded)
            puts("reloaded");
        else
            status = report(answer.status == 503 ? EX_UNAVAILABLE : EX_CONFIG,
                            "not reloaded; the running configuration stays");
    }
    json_free(doc);
    client_answer_release(&answer);
    return status;
}
