/* run: becomes the command, so that signals, the terminal and the exit status are the command's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "metergate/tool/client.h"
#include "metergate/tool/command.h"
#include "metergate/tool/environment.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"

/* as shells do */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127

/* A program whose calls cannot be answered is better not started: it would fail half-way, after work was
 * done. */
static int check_daemon(const struct address *address, const struct secret *token)
{
    struct client client;
    struct errbuf e;
    int rc;

    client_init(&client, address, token);
    rc = client_check(&client, &e);
    client_release(&client);
    if (rc == -EACCES)
        return report(EX_NOPERM, "%s", e.text);
    return rc < 0 ? report(EX_UNAVAILABLE, "%s", e.text) : EX_OK;
}

/* What the command's environment becomes; an exit status. */
static int prepare(const struct arguments *a, struct environment *env)
{
    struct address address;
    struct secret token;
    struct errbuf e;
    int status = EX_OK;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0 ||
        environment_init(env, &address, a->client, a->priority, &token, &e) < 0)
        status = report(EX_USAGE, "%s", e.text);
    else
        status = check_daemon(&address, &token);
    secret_release(&token);
    return status;
}

int command_run(const struct arguments *a)
{
    struct environment env = {.n = 0};
    int status;

    if (a->operand_count == 0)
        return report(EX_USAGE, "run wants a command; try 'metergate run --help'");
    status = prepare(a, &env);
    for (size_t i = 0; i < env.n && status == EX_OK; i++) {
        if (setenv(env.v[i].name, env.v[i].value, 1) < 0)
            status = report(EX_OSERR, "cannot set %s: %s", env.v[i].name, strerror(errno));
    }
    environment_release(&env);
    if (status != EX_OK)
        return status;
    execvp(a->operands[0], a->operands);
    return report(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "cannot run %s: %s", a->operands[0],
                  strerror(errno));
}
