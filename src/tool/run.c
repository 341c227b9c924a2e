/* run: becomes the command, so that signals, the terminal and the exit status are the command's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "metergate/base/json.h"
#include "metergate/base/program.h"
#include "metergate/tool/client.h"
#include "metergate/tool/command.h"
#include "metergate/tool/environment.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"
#include "metergate/tool/watcher.h"

/* as shells do */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127

/* Whether the daemon has an upstream for Azure; not when it does not say. */
static bool serves_azure(const struct client *client)
{
    struct client_answer answer;
    struct json *status = NULL;
    struct errbuf unsaid;
    bool found = false;

    if (client_get(client, "/-/status", &answer, &unsaid) < 0)
        return false;
    if (json_parse(buf_slice(&answer.body), &status) == 0) {
        JSON_EACH (json_get(status, "upstreams"), upstream) {
            struct slice dialect;

            found |= json_as_str(json_get(upstream, "dialect"), &dialect) == 0 &&
                     slice_eq(dialect, SLICE("azure"));
        }
    }
    json_free(status);
    client_answer_release(&answer);
    return found;
}

/*
 * A program whose calls cannot be answered is better not started: it would fail half-way, after work was
 * done. Fills in what depends on the daemon.
 */
static int ask_daemon(const struct address *address, const struct secret *token, struct environment *env)
{
    struct client client;
    struct errbuf e;
    int rc;

    client_init(&client, address, token);
    rc = client_check(&client, &e);
    if (rc == 0 && serves_azure(&client))
        environment_add_azure(env);
    client_release(&client);
    if (rc == -EACCES)
        return report(EX_NOPERM, "%s", e.text);
    return rc < 0 ? report(EX_UNAVAILABLE, "%s", e.text) : EX_OK;
}

/* `--client`, else what the command is called; NULL: it is called nothing that could be a name. */
static const char *client_of(const struct arguments *a, char room[CLIENT_NAME_SIZE])
{
    struct slice words[PROGRAM_ARGUMENTS_MAX];
    size_t n = 0;

    if (a->client)
        return a->client;
    for (; n < PROGRAM_ARGUMENTS_MAX && a->operands[n]; n++)
        words[n] = slice_str(a->operands[n]);
    return program_name(words, n, room) ? room : NULL;
}

/* What the command's environment becomes; an exit status. */
static int prepare(const struct arguments *a, const struct address *address, const struct secret *token,
                   struct environment *env)
{
    char room[CLIENT_NAME_SIZE];
    struct errbuf e;

    if (environment_init(env, address, client_of(a, room), a->priority, token, &e) < 0)
        return report(EX_USAGE, "%s", e.text);
    return ask_daemon(address, token, env);
}

static int set(const struct environment *env)
{
    for (size_t i = 0; i < env->n; i++) {
        if (setenv(env->v[i].name, env->v[i].value, 1) < 0)
            return report(EX_OSERR, "cannot set %s: %s", env->v[i].name, strerror(errno));
    }
    return EX_OK;
}

/* All that is done before the command begins; an exit status. `watched`: say on stderr when its calls are
 * held. */
static int begin(const struct arguments *a, bool watched)
{
    struct environment env = {.n = 0};
    struct address address;
    struct secret token;
    struct errbuf e;
    int status;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0)
        status = report(EX_USAGE, "%s", e.text);
    else
        status = prepare(a, &address, &token, &env);
    if (status == EX_OK)
        status = set(&env);
    if (status == EX_OK && watched)
        watcher_start(&address, &token, env.client);
    environment_release(&env);
    secret_release(&token);
    return status;
}

int command_run(const struct arguments *a)
{
    /* asked before anything else could be opened as descriptor 2 */
    bool watched = !a->quiet && fcntl(STDERR_FILENO, F_GETFD) >= 0;
    int status;

    if (a->operand_count == 0)
        return report(EX_USAGE, "run wants a command; try 'metergate run --help'");
    status = begin(a, watched);
    if (status != EX_OK)
        return status;
    execvp(a->operands[0], a->operands);
    return report(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "cannot run %s: %s", a->operands[0],
                  strerror(errno));
}
