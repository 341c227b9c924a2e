/* csv: a cell that is empty because nothing is known of it is not a 0. */
#include "metergate/tool/csv.h"

#include <stdio.h>
#include <string.h>

#include "metergate/base/plain.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"

static void begin(struct csv *c)
{
    if (c->begun)
        putchar(',');
    c->begun = true;
}

void csv_text(struct csv *c, struct slice s)
{
    bool formula = s.n && strchr("=+-@", s.p[0]), quoted;
    struct buf safe;

    begin(c);
    buf_init(&safe, BUF_UNLIMITED);
    plain_add(&safe, s);
    /* no line break is left, and a blank at an end is kept by quotes alone */
    quoted = safe.n && (strpbrk(safe.p, "\",") || safe.p[0] == ' ' || safe.p[safe.n - 1] == ' ');
    fputs(quoted ? formula ? "\"'" : "\"" : formula ? "'" : "", stdout);
    for (size_t i = 0; i < safe.n; i++) {
        if (safe.p[i] == '"')
            putchar('"');
        putchar(safe.p[i]);
    }
    if (quoted)
        putchar('"');
    buf_release(&safe);
}

void csv_value(struct csv *c, struct slice object, const char *name)
{
    struct slice raw = doc_get(object, name);
    struct buf text;

    if (raw.n && raw.p[0] == '"') {
        buf_init(&text, BUF_UNLIMITED);
        doc_text(object, name, &text);
        csv_text(c, buf_slice(&text));
        buf_release(&text);
        return;
    }
    begin(c);
    if (raw.n)
        printf("%lld", (long long)doc_int(object, name));
}

void csv_usd(struct csv *c, struct slice object, const char *name)
{
    char usd[FIGURE_SIZE];

    begin(c);
    if (doc_get(object, name).n)
        fputs(figure_usd_exact(doc_int(object, name), usd), stdout);
}

void csv_end(struct csv *c)
{
    fputs("\r\n", stdout);
    c->begun = false;
}
