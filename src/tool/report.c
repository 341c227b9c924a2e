/* report: a line is one write, so that it stays whole beside the output of a program that `metergate run`
 * started; whoever wrote parts of it, it is one line. */
#include "metergate/tool/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "metergate/base/plain.h"

int report(int status, const char *fmt, ...)
{
    struct buf said, line;
    va_list ap;

    buf_init(&said, BUF_UNLIMITED);
    buf_init(&line, BUF_UNLIMITED);
    va_start(ap, fmt);
    buf_addv(&said, fmt, ap);
    va_end(ap);
    buf_add_str(&line, "metergate: ");
    plain_add(&line, buf_slice(&said));
    buf_add_char(&line, '\n');
    fflush(stdout);
    fwrite(line.p, 1, line.n, stderr);
    buf_release(&said);
    buf_release(&line);
    return status;
}
