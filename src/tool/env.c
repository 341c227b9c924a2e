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
    struct errbuf e;

    if (address_find(&address, a->url, &e) < 0 ||
        environment_init(&env, &address, a->client, a->priority, &e) < 0)
        return report(EX_USAGE, "%s", e.text);
    for (size_t i = 0; i < env.n; i++) {
        printf("export %s=", env.v[i].name);
        print_quoted(env.v[i].value);
        fputs(";\n", stdout);
    }
    environment_release(&env);
    return EX_OK;
}
