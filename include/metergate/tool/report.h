/*
 * report: how the `metergate` command speaks when something is wrong: one line on stderr, and an exit status
 * of sysexits.h that the caller returns from main.
 */
#ifndef METERGATE_TOOL_REPORT_H
#define METERGATE_TOOL_REPORT_H

#include "metergate/base/err.h"

/* Prints "metergate: ..." and a newline. Returns `status`. */
int report(int status, const char *fmt, ...) MG_PRINTF(2, 3);

#endif
