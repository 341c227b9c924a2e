/* shown: every text of a document goes through base/plain.h. */
#include "metergate/tool/shown.h"

#include <stdio.h>

#include "metergate/base/plain.h"
#include "metergate/tool/doc.h"
#include "metergate/tool/figure.h"

void shown_time(struct slice doc, const char *name)
{
    struct buf text, safe;

    buf_init(&text, BUF_UNLIMITED);
    buf_init(&safe, BUF_UNLIMITED);
    doc_text(doc, name, &text);
    figure_time(buf_slice(&text), &safe);
    fwrite(safe.n ? safe.p : "", 1, safe.n, stdout);
    buf_release(&text);
    buf_release(&safe);
}

void shown_text(struct slice doc, const char *path)
{
    struct buf text, safe;

    buf_init(&text, BUF_UNLIMITED);
    buf_init(&safe, BUF_UNLIMITED);
    doc_text(doc, path, &text);
    plain_add(&safe, buf_slice(&text));
    fwrite(safe.n ? safe.p : "", 1, safe.n, stdout);
    buf_release(&text);
    buf_release(&safe);
}

void shown_span(struct slice doc)
{
    if (!doc_get(doc, "since").n || !doc_get(doc, "until").n)
        return;
    shown_time(doc, "since");
    fputs(" to ", stdout);
    shown_time(doc, "until");
    puts(" UTC\n");
}

void shown_unpriced(int64_t calls, const char *whose)
{
    char n[FIGURE_SIZE];

    if (calls > 0)
        printf("\nunpriced: %s call%s%s: what %s cost is not known and in no sum. `metergate prices` shows "
               "the\nprices in "
               "force, `prices:` in the configuration adds one.\n",
               figure_int(calls, n), calls == 1 ? "" : "s", whose, calls == 1 ? "it" : "they");
}
