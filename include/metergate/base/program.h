/*
 * program: what a person would call a running command, from its argument vector: `python3 /srv/nightly.py --all` is
 * nightly.py. Pure.
 *
 *   a script's interpreter     the script: its first operand; `python -m pkg.mod` is pkg.mod, `java -jar app.jar` app.jar.
 *                              Without a script (`-c`, `-e`, standard input) the interpreter itself.
 *   what runs another command  that command: env, nice, timeout, uv run, npx and their like
 *   anything else              the last part of argv[0]
 */
#ifndef METERGATE_BASE_PROGRAM_H
#define METERGATE_BASE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/client_name.h"
#include "metergate/base/slice.h"

/* Nobody looks further into an argument vector than this. */
#define PROGRAM_ARGUMENTS_MAX 64

/*
 * The name as a client's (client_name_make). The arguments may be anything; `n` may be larger than what is looked at. False,
 * and "", when they say nothing.
 */
bool program_name(const struct slice *arguments, size_t n, char ret[CLIENT_NAME_SIZE]);

/* The same of a /proc/PID/cmdline: arguments that end in NUL, the last perhaps cut. */
bool program_name_of_cmdline(struct slice cmdline, char ret[CLIENT_NAME_SIZE]);

#endif
