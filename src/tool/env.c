/*
 * env: every line is one command of the POSIX shell and ends with a semicolon, so that an eval without quotes
 * around
 * $(...), which makes one line of them all, does the same.
 */
#include <stdio.h>
#include <sysexits.h>

#include "metergate/tool/command.h"
#include "metergate/tool/environment.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"

static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
    putchar('\'');
}

int command_env(const struct arguments *a)
{
    struct environment env;
    struct address address;
    struct secret token;
    struct errbuf e;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0 ||
        environment_init(&env, &address, a->client, a->priority, &token, &e) < 0) {
        secret_release(&token);
        return report(EX_USAGE, "%s", e.text);
    }
    secret_release(&token);
    for (size_t i = 0; i < env.n; i++) {
        printf("export %s=", env.v[i].name);
        print_quoted(env.v[i].value);
        fputs(";\n", stdout);
    }
    environment_release(&env);
    return EX_OK;
}
