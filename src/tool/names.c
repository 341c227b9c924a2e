/* names: the first few stand there; of the others it is said how many they are. */
#include "metergate/tool/names.h"

#include "metergate/tool/doc.h"

#define SHOWN    6
#define NAME_MAX 64

void names_init(struct names *l)
{
    buf_init(&l->text, BUF_UNLIMITED);
    l->n = 0;
}

void names_release(struct names *l)
{
    buf_release(&l->text);
    l->n = 0;
}

void names_add(struct names *l, struct slice name)
{
    if (++l->n > SHOWN)
        return;
    if (l->text.n)
        buf_add_str(&l->text, ", ");
    buf_add_slice(&l->text, slice_head(name, NAME_MAX));
}

void names_add_of(struct names *l, struct slice doc, const char *path)
{
    struct buf name;

    buf_init(&name, BUF_UNLIMITED);
    doc_text(doc, path, &name);
    names_add(l, name.n ? buf_slice(&name) : SLICE("?"));
    buf_release(&name);
}

const char *names_text(struct names *l)
{
    if (l->n > SHOWN)
        buf_addf(&l->text, " and %zu more", l->n - SHOWN);
    return l->n ? l->text.p : "";
}
