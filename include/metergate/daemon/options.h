/* options: the command line of metergated. */
#ifndef METERGATE_DAEMON_OPTIONS_H
#define METERGATE_DAEMON_OPTIONS_H

#include <stdbool.h>

/* Plain data; strings are borrowed from argv. NULL where not given. */
struct options {
    const char *config;
    const char *listen;
    const char *log_level;
    bool test;
    bool print;
};

enum { OPTIONS_GO_ON = -1, OPTIONS_DONE = 0 };

/*
 * Reads argv. OPTIONS_GO_ON: run with *o. Otherwise the exit status: OPTIONS_DONE after --help or --version, EX_USAGE
 * (64) after a message on stderr.
 */
int options_read(struct options *o, int argc, char **argv);

#endif
