/*
 * fuzz_multipart: a form that was put together by the book is read as what was put in; any other bytes as nothing, or as a piece
 * of them. The first byte says what the rest is: `f` fields, a line NAME=VALUE each, that a form is made of; else a content type,
 * a line end and a body.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/dialect/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BOUNDARY "--X-boundary-of-70-characters-0123456789-0123456789-0123456789-01234"

_Static_assert(sizeof BOUNDARY - 1 <= 70, "RFC 2046 5.1.1");

static void check_any(struct slice type, struct slice body)
{
    char model[DIALECT_MODEL_MAX] = "x";
    size_t n;

    multipart_read_model(type, body, model);
    n = strnlen(model, sizeof model);
    MG_ASSERT(n < sizeof model);
    if (n == 0)
        return;
    MG_ASSERT(memmem(body.p, body.n, model, n) && memmem(body.p, body.n, "\r\n\r\n", 4));
    MG_ASSERT(slice_trim(slice_of(model, n)).n == n);
    MG_ASSERT(slice_find(type, '=') < type.n && memmem(body.p, body.n, "--", 2));
}

/* The form, and what its field "model" says: the first of them. */
static void check_form(struct slice fields)
{
    char model[DIALECT_MODEL_MAX];
    struct slice want = slice_of(NULL, 0);
    bool found = false;
    struct buf body;

    if (memmem(fields.p ? fields.p : "", fields.n, "\r\n--" BOUNDARY, sizeof BOUNDARY + 3))
        return;
    buf_init(&body, BUF_UNLIMITED);
    while (fields.n) {
        struct slice line = slice_head(fields, slice_find(fields, '\n')), name = slice_head(line, slice_find(line, '='));
        struct slice value = slice_skip(line, name.n + 1);

        fields = slice_skip(fields, line.n + 1);
        if (memchr(name.p, '"', name.n) || memchr(name.p, '\r', name.n) || memchr(name.p, ';', name.n))
            continue;
        buf_addf(&body, "--" BOUNDARY "\r\n%sContent-Disposition: form-data; name=\"", value.n % 2 ? "X-Other: 1\r\n" : "");
        buf_add_slice(&body, name);
        buf_addf(&body, "\"%s\r\n\r\n", value.n % 3 ? "; filename=\"a.png\"" : "");
        buf_add_slice(&body, value);
        buf_add_str(&body, "\r\n");
        if (!found && slice_eq(name, SLICE("model"))) {
            found = true;
            want = slice_trim(value);
        }
    }
    buf_add_str(&body, "--" BOUNDARY "--\r\n");
    multipart_read_model(SLICE("multipart/form-data; charset=utf-8; boundary=\"" BOUNDARY "\""), buf_slice(&body), model);
    if (want.n >= DIALECT_MODEL_MAX || memchr(want.p ? want.p : "", '\0', want.n))
        want = slice_of(NULL, 0);
    MG_ASSERT(slice_eq(slice_str(model), want));
    buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice all = slice_of((const char *)data, n), type;

    if (n && data[0] == 'f') {
        check_form(slice_skip(all, 1));
        return 0;
    }
    type = slice_head(all, slice_find(all, '\n'));
    check_any(type, slice_skip(all, type.n + 1));
    return 0;
}
