/*
 * models: which entry of `models` a model's name belongs to. The first entry that matches wins.
 *
 *   entry                               matches
 *   gpt-4o (no `match`)                 gpt-4o and its dated snapshots gpt-4o-2024-08-06; not gpt-4o-mini
 *   gpt-4 (no `match`)                  gpt-4, gpt-4-0613, gpt-4-1106-preview
 *   a key with * ? [ (no `match`)       what the glob matches; "*" is everything
 *   match: [...]                        what any of the globs matches; the key is then only the entry's name
 *
 * A fine-tuned name (ft:gpt-4o-mini-2024-07-18:org:suffix:id) belongs to the first entry that matches either
 * itself or its base model, because fine-tuned calls count against the base model's limit.
 */
#ifndef METERGATE_CONFIG_MODELS_H
#define METERGATE_CONFIG_MODELS_H

#include <stdbool.h>

#include "metergate/base/slice.h"
#include "metergate/config/config.h"

/*
 * The entry for a call of that model on its way to `via`; entries that name an upstream of another dialect
 * than `via` speaks are passed over (NULL: none is). Never NULL unless every entry was passed over: the last
 * entry is "*". An entry with limit_count 0 stands for one budget per model name.
 */
const struct config_model *config_model_for(const struct config *c, struct slice model,
                                            const struct config_upstream *via);

/* Whether that entry alone matches the name, or its base model. */
bool models_matches(const struct config_model *entry, struct slice model);

/* Whether a key matches that name, taken as it is: as a glob when it is one, else with its dated snapshots. */
bool models_key_matches(const char *key, struct slice model);

/* The base model inside a fine-tuned name; any other name as it is. Points into `model`. */
struct slice models_base_name(struct slice model);

/* The name without its snapshot date (-2024-08-06, -20250514, -0613, -1106-preview); any other name as it is.
 */
struct slice models_undated_name(struct slice model);

/* True when the text has glob characters: * ? [ */
bool models_is_glob(const char *pattern);

/* NULL when it is a usable glob, else what is wrong with it. */
const char *models_glob_problem(const char *pattern);

#endif
