/*
 * address: what is accepted here goes into environment variables and into curl, so it has no byte that means
 * more there. A password in it is for these two alone: no sentence has it.
 */
#include "metergate/tool/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/log.h"
#include "metergate/tool/url.h"

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

/* How much of the text, from `from` on, may be a name and a password: up to the last '@' of the authority; of
 * a text that is no URL (a '/' in a password) up to the last '@' that does not begin a part of the path
 * (/@CLIENT does). */
static size_t secret_end(const char *text, size_t from)
{
    size_t authority = from + strcspn(text + from, "/"), end = from;

    for (size_t i = from; text[i]; i++) {
        if (text[i] != '@')
            continue;
        if (i < authority || text[i - 1] != '/')
            end = i;
    }
    return end;
}

static struct address_shown hidden(const char *text)
{
    const char *scheme = strstr(text, "://");
    size_t from = scheme ? (size_t)(scheme + 3 - text) : 0, end = secret_end(text, from);
    struct address_shown s;

    snprintf(s.text, sizeof s.text, "%.*s%s%s", (int)from, text, end > from ? "***" : "", text + end);
    return s;
}

struct address_shown address_shown(const struct address *a)
{
    return hidden(a->text);
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
    struct url parts;
    int n;

    if (strncmp(text, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0 && !scheme) {
        n = snprintf(a->text, sizeof a->text, "%s", text);
        if (n < (int)sizeof a->text && text[strlen(UNIX_PREFIX)] == '/')
            return 0;
        err_set(e, "'%s' names no Unix socket (unix:/run/metergate.sock)",
                log_quote(slice_str(hidden(text).text)).text);
        return -EINVAL;
    }
    n = snprintf(a->text, sizeof a->text, "%s%s", scheme ? "" : "http://", text);
    while (n > 0 && n < (int)sizeof a->text && a->text[n - 1] == '/')
        a->text[--n] = '\0';
    if (n < (int)sizeof a->text && is_url(slice_of(a->text, (size_t)n)) &&
        url_read(slice_of(a->text, (size_t)n), &parts) == 0)
        return 0;
    err_set(e, "'%s' is no address of a daemon (http://127.0.0.1:4283)",
            log_quote(slice_str(hidden(text).text)).text);
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
    for (size_t at = slice_find(s, '@'); at < s.n; at = slice_find(s, '@')) /* the last one, as for curl */
        s = slice_skip(s, at + 1);
    if (s.n && s.p[0] == '[')
        return slice_head(slice_skip(s, 1), slice_find(slice_skip(s, 1), ']'));
    return slice_head(s, slice_find(s, ':'));
}
