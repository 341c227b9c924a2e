/*
 * entries: what one upstream, model or client must satisfy beyond its single options, checked where it stands
 * in the file, and the entries that are there without a file.
 */
#ifndef METERGATE_CONFIG_ENTRIES_H
#define METERGATE_CONFIG_ENTRIES_H

#include "metergate/config/config.h"
#include "metergate/config/problems.h"
#include "metergate/config/yaml.h"

/*
 * An upstream that was just read from `map` (under `key`): its dialect is served, it has a base_url, its key
 * can be had (and is fetched here), its ca_file can be read.
 */
void entries_check_upstream(struct config_upstream *u, const struct yaml_node *key,
                            const struct yaml_node *map, struct problems *problems);

/*
 * The last model of the configuration, just read from `map`; all upstreams are known. Its upstream exists and
 * enforces limits, no pattern of it stands in an entry before it, and some name reaches it.
 */
void entries_check_model(struct config *c, const struct yaml_node *key, const struct yaml_node *map,
                         struct problems *problems);

/* The upstreams that the file does not replace, behind its own. */
void entries_add_upstreams(struct config *c);

/* "*" at the end of the models, unless an entry of the file takes every name. */
void entries_add_models(struct config *c);

/* The last client of the configuration, just read from `map`: its token can be had, and nobody before has the
 * same. */
void entries_check_client(struct config *c, const struct yaml_node *map, struct problems *problems);

/* The last price of the configuration, just read from `map`: its glob is one, a long step has its bound, and some name
 * reaches it. */
void entries_check_price(struct config *c, const struct yaml_node *key, const struct yaml_node *map,
                         struct problems *problems);

/* A new entry with its defaults; the configuration owns it. */
struct config_upstream *entries_new_upstream(struct config *c, struct slice name, int line);
struct config_model *entries_new_model(struct config *c, struct slice name, int line);
struct config_client *entries_new_client(struct config *c, struct slice name, int line);
struct config_price *entries_new_price(struct config *c, struct slice name, int line);

#endif
