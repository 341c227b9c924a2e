/* address: what is accepted here goes into environment variables and into curl, so it has no byte that means
 * more there. */
#include "metergate/tool/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/log.h"

#define UNIX_PREFIX "unix:"

static bool is_url(struct slice s)
{
    if (!slice_starts(s, SLICE("http://")) && !slice_starts(s, SLICE("https://")))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"'\\`<>{}|^?#", c))
            return false;
    }
    return true;
}

static const char *given_or_found(const char *given)
{
    const char *env = getenv("METERGATE_URL");

    if (given)
        return given;
    return env && *env ? env : ADDRESS_DEFAULT;
}

int address_find(struct address *a, const char *given, struct errbuf *e)
{
    const char *text = given_or_found(given);
    bool scheme = strstr(text, "://") != NULL;
    int n;

    if (strncmp(text, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0 && !scheme) {
        n = snprintf(a->text, sizeof a->text, "%s", text);
        if (n < (int)sizeof a->text && text[strlen(UNIX_PREFIX)] == '/')
            return 0;
        err_set(e, "'%s' names no Unix socket (unix:/run/metergate.sock)", log_quote(slice_str(text)).text);
        return -EINVAL;
    }
    n = snprintf(a->text, sizeof a->text, "%s%s", scheme ? "" : "http://", text);
    while (n > 0 && n < (int)sizeof a->text && a->text[n - 1] == '/')
        a->text[--n] = '\0';
    if (n < (int)sizeof a->text && is_url(slice_of(a->text, (size_t)n)) && address_host(a).n)
        return 0;
    err_set(e, "'%s' is no address of a daemon (http://127.0.0.1:4283)", log_quote(slice_str(text)).text);
    return -EINVAL;
}

const char *address_unix_path(const struct address *a)
{
    return slice_starts(slice_str(a->text), SLICE(UNIX_PREFIX)) ? a->text + strlen(UNIX_PREFIX) : NULL;
}

struct slice address_host(const struct address *a)
{
    const char *start = strstr(a->text, "://");
    struct slice s = slice_str(start ? start + 3 : "");

    s = slice_head(s, slice_find(s, '/'));
    if (slice_find(s, '@') < s.n)
        s = slice_skip(s, slice_find(s, '@') + 1);
    if (s.n && s.p[0] == '[')
        return slice_head(slice_skip(s, 1), slice_find(slice_skip(s, 1), ']'));
    return slice_head(s, slice_find(s, ':'));
}
