/*
 * report: how the `metergate` command speaks when something is wrong: one line on stderr, and an exit status
 * of sysexits.h that the caller returns from main.
 */
#ifndef METERGATE_TOOL_REPORT_H
#define METERGATE_TOOL_REPORT_H

#include "metergate/base/err.h"

/* Prints "metergate: ..." and a newline; what could do something to a terminal is replaced (base/plain.h). Returns
 * `status`. */
int report(int status, const char *fmt, ...) MG_PRINTF(2, 3);

#endif
