/*
 * read: from the tree of a configuration file to a struct config, by the table. Every problem is reported at its place;
 * what could not be read keeps its default, so that the rest can be checked as well.
 */
#ifndef METERGATE_CONFIG_READ_H
#define METERGATE_CONFIG_READ_H

#include "metergate/config/config.h"
#include "metergate/config/problems.h"
#include "metergate/config/table.h"
#include "metergate/config/yaml.h"

/* Reads the tree (NULL: an empty file) into a configuration that has its defaults. */
void read_tree(struct config *c, const struct yaml_node *root, struct problems *problems);

/* Sets the fields of every row of that home in `base` to their defaults. */
void read_defaults(enum table_home home, void *base);

/* Releases those fields. */
void read_release(enum table_home home, void *base);

/* A new entry of the configuration with its defaults; the configuration owns it. */
struct config_upstream *read_add_upstream(struct config *c, struct slice name, int line, int column);
struct config_model *read_add_model(struct config *c, struct slice name, int line, int column);

#endif
