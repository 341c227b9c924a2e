/*
 * fuzz_tool_address: of any text that somebody put into an option or a variable the parts of the address are pieces of it, and
 * what people are shown has no password in it. Whatever the text is broken into lines for paper, no word of it is lost.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/plain.h"
#include "metergate/tool/address.h"
#include "metergate/tool/paper.h"
#include "metergate/tool/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_inside(struct slice part, struct slice whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_url(struct slice text)
{
    struct url u, copy;

    if (url_read(text, &u) < 0)
        return;
    MG_ASSERT(u.host.n && is_inside(u.host, text) && is_inside(u.path, text) && u.port > 0 && u.port < 65536);
    MG_ASSERT(slice_find(u.host, '@') == u.host.n && slice_find(u.host, '/') == u.host.n);
    MG_ASSERT(slice_find(u.path, '?') == u.path.n && slice_find(u.path, '#') == u.path.n);
    MG_ASSERT(u.path.n == 0 || (u.path.p[0] == '/' && u.path.p[u.path.n - 1] != '/'));
    MG_ASSERT(slice_starts(text, SLICE("h")) || slice_starts(text, SLICE("H")) || slice_trim(text).n < text.n);
    copy = u;
    MG_ASSERT(url_same_place(&u, &copy));
}

/* `:SECRET@` in any address is not shown. */
static void check_address(struct slice text)
{
    char *given = strndup(text.n ? text.p : "", text.n);
    struct errbuf e = {""};
    struct address a;
    struct url u;

    MG_ASSERT(given);
    if (address_find(&a, given[0] ? given : NULL, &e) < 0) {
        MG_ASSERT(e.text[0]);
        free(given);
        return;
    }
    MG_ASSERT(strnlen(a.text, sizeof a.text) < sizeof a.text);
    MG_ASSERT(address_unix_path(&a) ? strncmp(a.text, "unix:", 5) == 0 : url_read(slice_str(a.text), &u) == 0);
    MG_ASSERT(address_unix_path(&a) || address_host(&a).n);
    if (!address_unix_path(&a)) {
        const struct address_shown shown = address_shown(&a);
        const char *host = strstr(a.text, "//") + 2, *at = strrchr(a.text, '@');

        if (at && at > host && at < host + strcspn(host, "/"))
            MG_ASSERT(strncmp(shown.text + (host - a.text), "***", 3) == 0 && strcmp(shown.text + (host - a.text) + 3, at) == 0);
        MG_ASSERT(strlen(shown.text) < sizeof shown.text);
    }
    free(given);
}

static void check_lines(struct slice text)
{
    struct buf safe;

    buf_init(&safe, BUF_UNLIMITED);
    plain_add(&safe, text);
    for (size_t width = 1; width < 60; width = width * 2 + 3) {
        struct slice rest = buf_slice(&safe);

        while (rest.n) {
            size_t n = paper_break(rest, width), first = slice_utf8(rest);

            MG_ASSERT(n > 0 && n <= rest.n);
            MG_ASSERT(plain_width(slice_head(rest, n)) <= width || n == first || plain_width(slice_head(rest, first)) == 0 ||
                      plain_width(slice_head(rest, n)) <= 2);
            rest = slice_skip(rest, n);
        }
    }
    buf_release(&safe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data, n < 2000 ? n : 2000);

    check_url(text);
    check_address(text);
    check_lines(text);
    return 0;
}
