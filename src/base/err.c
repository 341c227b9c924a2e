/* err: nothing here allocates before it reports, so that a failure to allocate can be reported. */
#include "metergate/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/spare.h"

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

void *xmalloc(size_t n)
{
    void *p;

    for (unsigned i = 0; (p = malloc(n ? n : 1)) == NULL; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
    }
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p;

    for (unsigned i = 0; (p = calloc(count ? count : 1, size ? size : 1)) == NULL; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
    }
    return p;
}

void *xrealloc(void *old, size_t n)
{
    void *p;

    for (unsigned i = 0; (p = realloc(old, n ? n : 1)) == NULL; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
    }
    return p;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    size_t have = n ? strnlen(s, n) : 0;
    char *p = xmalloc(have + 1);

    if (have)
        memcpy(p, s, have);
    p[have] = '\0';
    return p;
}
