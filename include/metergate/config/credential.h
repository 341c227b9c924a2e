/*
 * credential: a key or a token that the file names by where it is: an environment variable, a file (its first
 * line) or a systemd credential.
 */
#ifndef METERGATE_CONFIG_CREDENTIAL_H
#define METERGATE_CONFIG_CREDENTIAL_H

#include "metergate/base/err.h"
#include "metergate/base/secret.h"
#include "metergate/config/problems.h"
#include "metergate/config/yaml.h"

/* Borrowed; NULL where the file gives none. */
struct credential_source {
    const char *env, *file, *credential;
};

/* Where in the file its place is written: in `map` where that has it, else `map` itself. */
const struct yaml_node *credential_node(const struct credential_source *from, const struct yaml_node *map);

/*
 * Fetches it. `path` ("upstreams.openai.api_key") begins the sentences; nothing of the credential stands in
 * them. Without `map`, `s` stays unset and that is no problem. -EINVAL after reporting.
 */
int credential_load(struct secret *s, const struct credential_source *from, const char *path,
                    const struct yaml_node *map, struct problems *problems) MG_MUSTCHECK;

#endif
