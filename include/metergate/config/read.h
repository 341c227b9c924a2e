/*
 * read: from the tree of a configuration file to a struct config, by the table. Every problem is reported at
 * its place; what could not be read keeps its default, so that the rest can be checked as well.
 */
#ifndef METERGATE_CONFIG_READ_H
#define METERGATE_CONFIG_READ_H

#include "metergate/config/config.h"
#include "metergate/config/problems.h"
#include "metergate/config/yaml.h"

/*
 * Reads the tree (NULL: an empty file) into a configuration that has its defaults, and adds the built-in
 * entries. Models are read last, whatever their place in the file, because they name upstreams.
 */
void read_tree(struct config *c, const struct yaml_node *root, struct problems *problems);

#endif
