/*
 * command: what `metergate WORD` does. main.c has the table; each function is in the file of its name (pause,
 * resume and reload in control.c). It returns the exit status (sysexits.h), after one line on stderr when that
 * is not 0.
 */
#ifndef METERGATE_TOOL_COMMAND_H
#define METERGATE_TOOL_COMMAND_H

#include "metergate/tool/arguments.h"

int command_run(const struct arguments *a); /* does not return when the program could be started */
int command_env(const struct arguments *a);
int command_status(const struct arguments *a);
int command_top(const struct arguments *a);
int command_doctor(const struct arguments *a);
int command_usage(const struct arguments *a);
int command_calls(const struct arguments *a);
int command_explain(const struct arguments *a);
int command_compare(const struct arguments *a);
int command_prices(const struct arguments *a);
int command_count(const struct arguments *a);
int command_pause(const struct arguments *a);
int command_resume(const struct arguments *a);
int command_reload(const struct arguments *a);

#endif
