/*
 * doctor_proxy: programs read NO_PROXY or no_proxy, some the one first and some the other, and the second
 * only where the first is not set. A proxy's address may have a password in it: none is shown.
 */
#include <stdlib.h>

#include "metergate/tool/doctor.h"
#include "metergate/tool/environment.h"
#include "metergate/tool/names.h"
#include "metergate/tool/url.h"

#define EXCEPT                                                                                               \
    "`eval \"$(metergate env)\"` adds this machine to NO_PROXY and no_proxy; `metergate run` does so for "   \
    "its command."

enum cover { COVER_NONE, COVER_SOME, COVER_ALL };

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

/* Without the port behind it, of which *port tells, and a dot (or "*.") before it. */
static struct slice bare(struct slice entry, bool *port)
{
    size_t colon = slice_find(entry, ':');
    struct slice rest = slice_skip(entry, colon + 1);

    *port = false;
    if (entry.n && entry.p[0] == '[')
        return slice_head(slice_skip(entry, 1), slice_find(slice_skip(entry, 1), ']'));
    if (slice_find(rest, ':') == rest.n && colon < entry.n) { /* "::1" has colons of its own */
        *port = true;
        entry = slice_head(entry, colon);
    }
    if (slice_starts(entry, SLICE("*.")))
        return slice_skip(entry, 2);
    return slice_starts(entry, SLICE(".")) ? slice_skip(entry, 1) : entry;
}

/* "corp.example" covers itself and "llm.corp.example". */
static bool is_below(struct slice host, struct slice domain)
{
    struct slice end = slice_skip(host, host.n > domain.n ? host.n - domain.n : 0);

    return domain.n && slice_eq_nocase(end, domain) &&
           (host.n == domain.n || host.p[host.n - domain.n - 1] == '.');
}

static enum cover entry_covers(struct slice entry, struct slice host)
{
    bool port;

    if (slice_eq(entry, SLICE("*")))
        return COVER_ALL;
    if (is_below(host, bare(entry, &port)))
        return port ? COVER_SOME : COVER_ALL; /* curl does not know ports there */
    /* a network: curl, Go and requests read it; httpx, and so the SDKs in Python, and Node.js do not */
    return slice_starts(entry, SLICE("127.")) && slice_find(entry, '/') < entry.n &&
                   slice_starts(host, SLICE("127."))
               ? COVER_SOME
               : COVER_NONE;
}

static enum cover list_covers(const char *list, struct slice host)
{
    struct slice rest = slice_str(list);
    enum cover best = COVER_NONE;

    while (rest.n) {
        size_t end = slice_find(rest, ',');
        enum cover c = entry_covers(slice_trim(slice_head(rest, end)), host);

        best = c > best ? c : best;
        rest = slice_skip(rest, end + 1);
    }
    return best;
}

/* As the least lucky program reads the two. */
static enum cover covers(struct slice host)
{
    const char *upper = getenv("NO_PROXY"), *lower = getenv("no_proxy");
    enum cover first = list_covers(lower ? lower : upper, host),
               second = list_covers(upper ? upper : lower, host);

    if (first == second)
        return first;
    return COVER_SOME;
}

/* The names by which programs reach the daemon: its address, and what the base URLs of this shell call it. */
static enum cover worst(const struct url *here, struct names *uncovered)
{
    enum cover least = covers(here->host), c;
    const struct base_url *b;
    struct url u;

    if (least != COVER_ALL)
        names_add(uncovered, here->host);
    for (size_t i = 0; (b = environment_base_url(i)) != NULL; i++) {
        const char *value = getenv(b->name);

        if (!value || url_read(slice_str(value), &u) < 0 || !url_same_place(&u, here) ||
            slice_eq_nocase(u.host, here->host))
            continue;
        c = covers(u.host);
        if (c != COVER_ALL && uncovered->n < 2)
            names_add(uncovered, u.host);
        least = c < least ? c : least;
    }
    return least;
}

/* The variables that send a call to the daemon elsewhere. */
static void find_proxies(const struct url *here, struct names *found)
{
    static const char *const plain[] = {"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"};
    static const char *const tls[] = {"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"};

    for (size_t i = 0; i < MG_ARRAY_LEN(plain); i++) {
        const char *name = here->tls ? tls[i] : plain[i];

        if (is_set(name))
            names_add(found, slice_str(name));
    }
}

static void judge(struct doctor *d, const struct url *here, struct names *proxies)
{
    struct names uncovered;
    enum cover cover;

    names_init(&uncovered);
    cover = worst(here, &uncovered);
    if (cover == COVER_ALL) {
        findings_add(&d->findings, "proxy", FINDING_OK, "%s set, and NO_PROXY leaves Metergate out",
                     names_text(proxies));
    } else if (cover == COVER_SOME) {
        findings_add(&d->findings, "proxy", FINDING_WARN,
                     "%s set, and not every program leaves %s out by NO_PROXY and no_proxy as "
                     "they are",
                     names_text(proxies), names_text(&uncovered));
        findings_advise(&d->findings, "They should say the same, and name it in full. " EXCEPT);
    } else {
        findings_add(&d->findings, "proxy", FINDING_FAIL,
                     "%s set, and NO_PROXY does not leave %s out: calls to Metergate go to "
                     "that proxy",
                     names_text(proxies), names_text(&uncovered));
        findings_advise(&d->findings, EXCEPT);
    }
    names_release(&uncovered);
}

void doctor_proxy(struct doctor *d)
{
    struct names proxies;
    struct url here;

    if (url_read(slice_str(d->client.address.text), &here) < 0) /* a Unix socket */
        return;
    names_init(&proxies);
    find_proxies(&here, &proxies);
    if (proxies.n)
        judge(d, &here, &proxies);
    else
        findings_add(&d->findings, "proxy", FINDING_OK,
                     "no proxy variable stands between programs and Metergate");
    names_release(&proxies);
}
