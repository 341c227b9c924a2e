/* token: an empty $METERGATE_TOKEN is none, as an empty $METERGATE_URL is. */
#include "metergate/tool/token.h"

#include <stdlib.h>

int token_find(struct secret *s, const char *file, struct errbuf *e)
{
    const char *env = getenv("METERGATE_TOKEN");

    if (file)
        return secret_from_file(s, file, e);
    return env && *env ? secret_from_env(s, "METERGATE_TOKEN", e) : 0;
}
