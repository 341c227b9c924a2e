/*
 * http_check_head over anything: lines of the input are method, target, then "name:value" each. What it lets
 * through must be what a second, naive look at the same bytes agrees to.
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

static void check_let_through(const struct http_head *h, const struct http_framing *f)
{
    unsigned lengths = count(h, "content-length"), encodings = count(h, "transfer-encoding");

    MG_ASSERT(lengths + encodings <= 1);
    MG_ASSERT(f->chunked == (encodings == 1));
    MG_ASSERT((f->content_length >= 0) == (lengths == 1));
    MG_ASSERT(h->minor == 0 || count(h, "host") == 1);
    for (size_t i = 0; i < h->header_count; i++) {
        const struct http_header *header = &h->headers[i];

        MG_ASSERT(header->name.n > 0);
        for (size_t k = 0; k < header->name.n; k++)
            MG_ASSERT(header->name.p[k] > ' ' && header->name.p[k] != 0x7f && header->name.p[k] != ':');
        for (size_t k = 0; k < header->value.n; k++)
            MG_ASSERT(header->value.p[k] != '\r' && header->value.p[k] != '\n' && header->value.p[k] != '\0');
    }
    for (size_t k = 0; k < h->target.n; k++)
        MG_ASSERT(h->target.p[k] > ' ' && h->target.p[k] < 0x7f && h->target.p[k] != '#');
    MG_ASSERT(h->method.n > 0 && h->method.n <= HTTP_METHOD_MAX);
    for (size_t k = 0; k < h->method.n; k++)
        MG_ASSERT(!strchr("abcdefghijklmnopqrstuvwxyz \t\r\n:/", h->method.p[k]));
    MG_ASSERT(count(h, "authorization") <= 1 && count(h, "content-type") <= 1 && count(h, "x-api-key") <= 1);
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
    MG_ASSERT(why || framing.content_length >= -1);
    MG_ASSERT(!why || framing.content_length == -9);
    if (!why)
        check_let_through(&h, &framing);
    return 0;
}
