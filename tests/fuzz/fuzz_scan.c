/*
 * fuzz_scan: the scanner says of any bytes what a checker written straight from RFC 8259's grammar says,
 * finds spans that are texts of their own, and decodes every string to UTF-8.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- the grammar, one function a rule; NULL is "does not match" -------------------------------------------
 */

static const char *naive_value(const char *p, const char *end, int depth);

static const char *naive_space(const char *p, const char *end)
{
    while (p < end && *p && strchr(" \t\r\n", *p))
        p++;
    return p;
}

static const char *naive_string(const char *p, const char *end)
{
    if (p == end || *p++ != '"')
        return NULL;
    while (p < end && *p != '"') {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p++ != '\\')
            continue;
        if (p == end || !*p || !strchr("\"\\/bfnrtu", *p))
            return NULL;
        if (*p++ == 'u')
            for (int i = 0; i < 4; i++, p++)
                if (p == end || !*p || !strchr("0123456789abcdefABCDEF", *p))
                    return NULL;
    }
    return p < end ? p + 1 : NULL;
}

static const char *naive_digits(const char *p, const char *end)
{
    const char *from = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > from ? p : NULL;
}

static const char *naive_number(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    p = p < end && *p == '0' ? p + 1 : naive_digits(p, end);
    if (p && p < end && *p == '.')
        p = naive_digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = naive_digits(p, end);
    }
    return p;
}

static const char *naive_inside(const char *p, const char *end, char close, int depth)
{
    p = naive_space(p, end);
    if (p < end && *p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = naive_string(naive_space(p, end), end);
            if (!p)
                return NULL;
            p = naive_space(p, end);
            if (p == end || *p++ != ':')
                return NULL;
        }
        p = naive_value(naive_space(p, end), end, depth);
        if (!p)
            return NULL;
        p = naive_space(p, end);
        if (p == end || (*p != ',' && *p != close))
            return NULL;
        if (*p++ == close)
            return p;
    }
}

static const char *naive_value(const char *p, const char *end, int depth)
{
    static const char *const words[] = {"true", "false", "null"};

    if (p == end)
        return NULL;
    if (*p == '{' || *p == '[')
        return depth == SCAN_MAX_DEPTH ? NULL : naive_inside(p + 1, end, *p == '{' ? '}' : ']', depth + 1);
    if (*p == '"')
        return naive_string(p, end);
    for (size_t i = 0; i < MG_ARRAY_LEN(words); i++)
        if ((size_t)(end - p) >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
            return p + strlen(words[i]);
    return naive_number(p, end);
}

static bool naive_text(struct slice text)
{
    const char *end = text.p + text.n, *p = naive_value(naive_space(text.p, end), end, 0);

    return p && naive_space(p, end) == end;
}

/* ---- what must hold of a text that was accepted
 * ------------------------------------------------------------ */

static bool is_utf8(const struct buf *b)
{
    for (size_t i = 0; i < b->n;) {
        unsigned char c = (unsigned char)b->p[i];
        size_t more = c < 0x80 ? 0 : c < 0xC2 ? 9 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : 9;

        if (more >= b->n - i)
            return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)b->p[i + k] & 0xC0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

static void check_string(struct slice inside)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    MG_ASSERT(scan_decode(inside, &out) == 0);
    MG_ASSERT(is_utf8(&out));
    buf_release(&out);
}

static void check_span(struct slice text, const struct scan_value *v)
{
    struct slice span = slice_head(slice_skip(text, v->at), v->n);
    int64_t integer;

    MG_ASSERT(v->n > 0 && v->at + v->n <= text.n);
    MG_ASSERT(naive_text(span));
    if (v->type == SCAN_STRING)
        check_string(scan_inside(text, v));
    if (v->type == SCAN_NUMBER && scan_int64(span, &integer) == 0 && span.n < 19 &&
        !memchr(span.p, 'e', span.n) && !memchr(span.p, 'E', span.n) && !memchr(span.p, '.', span.n))
        MG_ASSERT(slice_eq(span, SLICE("-0")) || integer == strtoll(span.p, NULL, 10));
}

/* Steps into every object and array that stands at the top two levels. */
static bool walk(struct slice text)
{
    struct scan s;
    struct scan_value key, v;

    scan_init(&s, text);
    if (scan_enter(&s, SCAN_OBJECT)) {
        while (scan_member(&s, &key)) {
            check_string(scan_text(&s, &key));
            (void)scan_is(&s, &key, "model");
            if (scan_peek(&s) == SCAN_ARRAY && scan_enter(&s, SCAN_ARRAY)) {
                while (scan_element(&s)) {
                    v = scan_value(&s);
                    if (v.type != SCAN_NONE)
                        check_span(text, &v);
                }
                continue;
            }
            v = scan_value(&s);
            if (v.type != SCAN_NONE)
                check_span(text, &v);
        }
    }
    return scan_end(&s) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    /* exactly as long as the input and ended by no NUL but the one that strtoll above needs */
    char *copy = malloc(n + 1);
    struct slice text = slice_of(copy, n);
    bool naive;
    struct scan s;

    MG_ASSERT(copy);
    memcpy(copy, data, n);
    copy[n] = '\0';
    naive = naive_text(text);
    scan_init(&s, text);
    scan_value(&s);
    MG_ASSERT((scan_end(&s) == 0) == naive);
    MG_ASSERT(walk(text) == naive);
    check_string(text);
    free(copy);
    return 0;
}
