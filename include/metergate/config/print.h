/*
 * print: a configuration as text.
 */
#ifndef METERGATE_CONFIG_PRINT_H
#define METERGATE_CONFIG_PRINT_H

#include "metergate/base/buf.h"
#include "metergate/config/config.h"

/*
 * Appends the effective configuration as YAML (`metergated -p`): what works in this version with its value,
 * what has no effect yet only where the file gave it. Loadable again, and then printed as the same text.
 * Credentials are shown by where they come from, never by value.
 */
void config_print(const struct config *c, struct buf *out);

#endif
