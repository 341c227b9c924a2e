/*
 * names: a list for a sentence, "a, b, c and 4 more", however many there are.
 */
#ifndef METERGATE_TOOL_NAMES_H
#define METERGATE_TOOL_NAMES_H

#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

struct names {
    struct buf text; /* private */
    size_t n;        /* readable: how many were added */
};

void names_init(struct names *l);
void names_release(struct names *l);
void names_add(struct names *l, struct slice name);

/* The text member of a document (tool/doc.h), or "?" where it has none. */
void names_add_of(struct names *l, struct slice doc, const char *path);

/* The list so far; "" while it is empty. Good until the next name. Nothing is added after it. */
const char *names_text(struct names *l);

#endif
