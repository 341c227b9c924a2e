/* err: nothing here allocates before it reports, so that a failure to allocate can be reported. */
#include "metergate/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void err_bug(const char *cond, const char *file, int line)
{
    fprintf(stderr, "metergate: bug: %s:%d: %s\n", file, line, cond);
    fflush(stderr);
    abort();
}

void err_set(struct errbuf *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

static void *must(void *p)
{
    if (!p)
        err_bug("out of memory", __FILE__, __LINE__);
    return p;
}

void *xmalloc(size_t n)
{
    return must(malloc(n ? n : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
    return must(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return must(strndup(s, n));
}
