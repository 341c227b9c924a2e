/*
 * yaml: a YAML document as a bounded tree that remembers where everything stood. The only file that knows
 * libyaml.
 *
 * A file is one document of at most YAML_BYTES_MAX bytes of UTF-8, at most YAML_DEPTH_MAX levels deep and
 * with at most YAML_NODES_MAX nodes, aliases counted as what they stand for: an alias is a copy of its
 * anchor, made while reading, so a tree is a tree and a bomb of aliases stops at the bound. Keys are scalars;
 * two equal keys of one mapping are an error. Tags are ignored: what a scalar means is the business of
 * whoever reads it.
 *
 * The document owns every node.
 */
#ifndef METERGATE_CONFIG_YAML_H
#define METERGATE_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"
#include "metergate/config/problems.h"

#define YAML_BYTES_MAX   ((size_t)1 << 20)
#define YAML_DEPTH_MAX   16
#define YAML_NODES_MAX   20000
#define YAML_ANCHORS_MAX 64

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line;          /* from 1 */
    int column;        /* from 1, in characters */
    bool plain;        /* a scalar without quotes */
    struct slice text; /* of a scalar; NUL-terminated after its n bytes, and without NUL inside */

    /* of a list: its elements; of a map: key, value, key, value, ... */
    struct yaml_node **children;
    size_t n;

    size_t cap;                 /* private */
    struct yaml_node *all_next; /* private */
};

struct yaml_doc {
    struct yaml_node *root; /* NULL for an empty file */
    struct yaml_node *all;  /* private: every node, for freeing */
    size_t node_count;      /* readable */
};

/*
 * Reads the text. Problems found in the tree itself (duplicate keys) are reported and reading goes on; broken
 * syntax, invalid UTF-8 and a passed bound stop it. 0, or -EINVAL after reporting; `doc` is released by the
 * caller in both cases and holds what was read, root NULL when that is no tree.
 */
int yaml_read(struct yaml_doc *doc, struct slice text, struct problems *problems) MG_MUSTCHECK;
void yaml_release(struct yaml_doc *doc);

/* The value of that key in a map, or NULL; so for what is no map, NULL among it. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* An empty plain scalar, null or ~: nothing was written. */
bool yaml_is_null(const struct yaml_node *node);

#endif
