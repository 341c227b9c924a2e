/*
 * arguments: the options of all commands, in one table, from which getopt and --help are fed.
 */
#ifndef METERGATE_TOOL_ARGUMENTS_H
#define METERGATE_TOOL_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>

/* Which options a command takes. */
enum argument {
    ARGUMENT_URL = 1 << 0,
    ARGUMENT_JSON = 1 << 1,
    ARGUMENT_CLIENT = 1 << 2,
    ARGUMENT_PRIORITY = 1 << 3,
    ARGUMENT_MODEL = 1 << 4,
    ARGUMENT_ENCODING = 1 << 5,
    ARGUMENT_CHAT = 1 << 6,
    ARGUMENT_HELP = 1 << 7,
    ARGUMENT_VERSION = 1 << 8,
    ARGUMENT_TOKEN_FILE = 1 << 10,
    ARGUMENT_BY = 1 << 11,
    ARGUMENT_SINCE = 1 << 12,
    ARGUMENT_UNTIL = 1 << 13,
    ARGUMENT_CSV = 1 << 14,
    ARGUMENT_LIMIT = 1 << 15,
    ARGUMENT_OF_CLIENT = 1 << 16, /* --client and --model, of commands that show some of many */
    ARGUMENT_OF_MODEL = 1 << 17,
    ARGUMENT_NOW = 1 << 18,
    ARGUMENT_QUIET = 1 << 19,
    ARGUMENT_INTERVAL = 1 << 20,
    ARGUMENT_OFFLINE = 1 << 21,

    /* what a command that asks the daemon takes */
    ARGUMENT_DAEMON = ARGUMENT_URL | ARGUMENT_TOKEN_FILE,

    /* not an option: the first operand ends the options, since what follows belongs to somebody else */
    ARGUMENT_STOP = 1 << 9,
};

/* Plain data; strings are borrowed from argv; NULL or false where not given. */
struct arguments {
    const char *url;
    const char *token_file;
    const char *client;
    const char *priority;
    const char *model;
    const char *encoding;
    const char *by;
    const char *since;
    const char *until;
    const char *limit;
    const char *interval;
    bool json;
    bool csv;
    bool chat;
    bool now;
    bool quiet;
    bool offline;
    bool help;
    bool version;
    char **operands; /* ends with NULL */
    int operand_count;
};

/*
 * Reads argv, of which argv[0] is what messages call the program. Options that were read before stay, so that
 * `--url` and `--token-file` may stand before the command and after it. 0, or EX_USAGE after a message on
 * stderr.
 */
int arguments_read(struct arguments *a, unsigned allowed, int argc, char **argv);

/* One line for each allowed option. */
void arguments_help(unsigned allowed, FILE *out);

#endif
