/* path_read over anything: what it makes plain is plain, stays so, and is never more than it was. */
#include "metergate/proxy/path.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_plain(struct slice plain)
{
    for (size_t i = 0; i < plain.n; i++) {
        char c = plain.p[i];

        MG_ASSERT(c != ';' && c != '\\' && !(c >= 'A' && c <= 'Z'));
        MG_ASSERT(c != '/' || i + 1 == plain.n || plain.p[i + 1] != '/');
    }
    MG_ASSERT(plain.n <= 1 || (plain.p[plain.n - 1] != '/' && plain.p[plain.n - 1] != ' '));
}

/* A second, naive look for what must not be let through. */
static void check_let_through(struct slice plain)
{
    char *text = malloc(plain.n + 3);

    MG_ASSERT(text);
    text[0] = '/';
    memcpy(text + 1, plain.p, plain.n);
    text[plain.n + 1] = '/';
    text[plain.n + 2] = '\0';
    MG_ASSERT(strlen(text) == plain.n + 2); /* no NUL */
    MG_ASSERT(!strstr(text, "/../") && !strstr(text, "/./"));
    MG_ASSERT(!strpbrk(text, "\r\n\t\x7f"));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice raw = slice_of((const char *)data, n), plain, again;
    struct buf storage, more;
    const char *problem;

    if (n == 0 || data[0] != '/')
        return 0;
    for (size_t i = 0; i < n; i++)
        if (data[i] <= 0x20 || data[i] >= 0x7f)
            return 0; /* no target has such bytes */
    buf_init(&storage, BUF_UNLIMITED);
    buf_init(&more, BUF_UNLIMITED);
    problem = path_read(raw, &storage, &plain);
    MG_ASSERT(plain.n <= raw.n);
    if (plain.p != raw.p)
        check_plain(plain);
    if (!problem) {
        check_let_through(plain);
        if (slice_find(plain, '%') == plain.n) {
            MG_ASSERT(!path_read(plain, &more, &again));
            MG_ASSERT(slice_eq(plain, again));
        }
    }
    buf_release(&storage);
    buf_release(&more);
    return 0;
}
