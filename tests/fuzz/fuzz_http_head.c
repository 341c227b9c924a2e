/*
 * fuzz_http_head: http_check_head over anything: lines of the input are method, target, then "name:value" each. It lets
 * through exactly what a second, naive look at the same bytes agrees to, and says then how the body is delimited.
 */
#include "metergate/net/http.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define MAX_HEADERS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct slice next_line(struct slice *rest)
{
    size_t end = slice_find(*rest, '\n');
    struct slice line = slice_head(*rest, end);

    *rest = slice_skip(*rest, end + 1);
    return line;
}

static unsigned count(const struct http_head *h, const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < h->header_count; i++)
        n += h->headers[i].name.n == strlen(name) &&
             strncasecmp(h->headers[i].name.p, name, strlen(name)) == 0;
    return n;
}

/* Whether all bytes are of ASCII, none of them among `without`; at least one. */
static bool is_made_of(struct slice s, bool controls, const char *without)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x7f || (!controls && c <= ' ') || c == '\0' || strchr(without, c))
            return false;
    }
    return s.n > 0;
}

static bool is_header(const struct http_header *f)
{
    struct slice v = f->value;
    uint64_t length = 0;

    if (!is_made_of(f->name, false, "\"(),/:;<=>?@[\\]{}"))
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (((unsigned char)v.p[i] < ' ' && v.p[i] != '\t') || v.p[i] == 0x7f)
            return false;
    if (f->name.n == 4 && strncasecmp(f->name.p, "host", 4) == 0 && v.n && !is_made_of(v, false, ",/@?#\\"))
        return false;
    if (f->name.n == 17 && strncasecmp(f->name.p, "transfer-encoding", 17) == 0)
        return v.n == 7 && strncasecmp(v.p, "chunked", 7) == 0;
    if (f->name.n != 14 || strncasecmp(f->name.p, "content-length", 14) != 0)
        return true;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9' || length > (UINT64_MAX - 9) / 10)
            return false;
        length = length * 10 + (uint64_t)(v.p[i] - '0');
    }
    return v.n > 0 && length <= INT64_MAX;
}

static bool is_right(const struct http_head *h)
{
    static const char *const once[] = {"authorization", "x-api-key",  "api-key", "x-goog-api-key", "content-type",
                                       "content-encoding", "user-agent", "expect", "content-length", "transfer-encoding", "host"};
    const struct slice method = h->method;

    for (size_t i = 0; i < method.n; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", method.p[i]) || !method.p[i])
            return false;
    if (method.n == 0 || method.n > HTTP_METHOD_MAX || !is_made_of(h->target, false, "#"))
        return false;
    for (size_t i = 0; i < h->header_count; i++)
        if (!is_header(&h->headers[i]))
            return false;
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        if (count(h, once[i]) > 1)
            return false;
    return count(h, "content-length") + count(h, "transfer-encoding") <= 1 && (h->minor == 0 || count(h, "host") == 1) &&
           (h->minor == 1 || count(h, "transfer-encoding") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data, n);
    struct http_header headers[MAX_HEADERS];
    struct http_head h = {.headers = headers};
    struct http_framing framing = {.content_length = -9};
    const char *why;

    h.method = next_line(&rest);
    h.target = next_line(&rest);
    h.minor = n % 2 ? 1 : 0;
    while (rest.n && h.header_count < MAX_HEADERS) {
        struct slice line = next_line(&rest);
        size_t colon = slice_find(line, ':');

        headers[h.header_count++] =
            (struct http_header){slice_head(line, colon), slice_trim(slice_skip(line, colon + 1))};
    }
    why = http_check_head(&h, &framing);
    MG_ASSERT(!why == is_right(&h));
    if (why) {
        MG_ASSERT(why[0] && framing.content_length == -9);
        return 0;
    }
    MG_ASSERT(framing.chunked == (count(&h, "transfer-encoding") == 1));
    MG_ASSERT((framing.content_length >= 0) == (count(&h, "content-length") == 1) && framing.content_length >= -1);
    return 0;
}
