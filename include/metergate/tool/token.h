/*
 * token: the client token that is shown to the daemon.
 */
#ifndef METERGATE_TOOL_TOKEN_H
#define METERGATE_TOOL_TOKEN_H

#include "metergate/base/err.h"
#include "metergate/base/secret.h"

/*
 * The first line of `file` (an option's value, may be NULL), else $METERGATE_TOKEN; `s` stays unset where
 * neither is given. Negative with a sentence that does not show it.
 */
int token_find(struct secret *s, const char *file, struct errbuf *e) MG_MUSTCHECK;

#endif
