/* report: a line is one write, so that it stays whole beside the output of a program that `metergate run`
 * started. */
#include "metergate/tool/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "metergate/base/buf.h"

int report(int status, const char *fmt, ...)
{
    struct buf line;
    va_list ap;

    buf_init(&line, BUF_UNLIMITED);
    buf_add_str(&line, "metergate: ");
    va_start(ap, fmt);
    buf_addv(&line, fmt, ap);
    va_end(ap);
    buf_add_char(&line, '\n');
    fflush(stdout);
    fwrite(line.p, 1, line.n, stderr);
    buf_release(&line);
    return status;
}
