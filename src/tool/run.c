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

/* as shells do */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127

/* A program whose calls cannot be answered is better not started: it would fail half-way, after work was
 * done. */
static int check_daemon(const struct address *address)
{
    struct client client;
    struct errbuf e;
    int rc;

    client_init(&client, address);
    rc = client_check(&client, &e);
    client_release(&client);
    return rc < 0 ? report(EX_UNAVAILABLE, "%s", e.text) : EX_OK;
}

int command_run(const struct arguments *a)
{
    struct environment env;
    struct address address;
    struct errbuf e;
    int status;

    if (a->operand_count == 0)
        return report(EX_USAGE, "run wants a command; try 'metergate run --help'");
    if (address_find(&address, a->url, &e) < 0 ||
        environment_init(&env, &address, a->client, a->priority, &e) < 0)
        return report(EX_USAGE, "%s", e.text);
    status = check_daemon(&address);
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
