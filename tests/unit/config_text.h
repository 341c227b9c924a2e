/* config_text: configurations from texts, for the test drivers of config/. */
#ifndef TESTS_UNIT_CONFIG_TEXT_H
#define TESTS_UNIT_CONFIG_TEXT_H

#include <stdio.h>

#include "metergate/base/buf.h"
#include "metergate/config/config.h"

static inline int config_from(const char *yaml, struct config **ret, struct problems *problems)
{
    problems_init(problems);
    return config_parse("file", slice_str(yaml), ret, problems);
}

/* A file of the tree, whole. Release it. */
static inline void text_of_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;

    if (!f)
        fail_msg("%s cannot be opened; run from the top of the tree", path);
    buf_init(out, BUF_UNLIMITED);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(out, piece, n);
    fclose(f);
}

/* The configuration of a good text; fails the test, with every problem, when it is none. */
static inline struct config *config_from_good(const char *yaml)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    if (config_from(yaml, &c, &problems) < 0) {
        problems_print_all(&problems, &text);
        fail_msg("%s\n%s", yaml, text.p);
    }
    problems_release(&problems);
    buf_release(&text);
    return c;
}

#endif
