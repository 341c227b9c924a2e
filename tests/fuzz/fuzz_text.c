/*
 * fuzz_text: text of strangers on its way to people. Written into JSON it is a string that reads back as the same text; made
 * safe for a terminal or a line of the log nothing in it does anything; and a document that our reader of small JSON accepts
 * says there what the scanner of requests finds in it.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/base/json.h"
#include "metergate/base/log.h"
#include "metergate/base/plain.h"
#include "metergate/base/scan_text.h"
#include "metergate/tokens/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What stands for text: each byte that is no part of UTF-8 became U+FFFD. */
static void repair(struct slice s, struct buf *out)
{
    while (s.n) {
        size_t n = slice_utf8(s);

        MG_ASSERT(n == 0 || utf8_valid(s.p, n) == n);
        MG_ASSERT(n || utf8_valid(s.p, s.n) == 0);
        if (n)
            buf_add(out, s.p, n);
        else
            buf_add_str(out, UTF8_REPLACEMENT);
        s = slice_skip(s, n ? n : 1);
    }
}

static void check_written(struct slice text)
{
    struct buf json, back, want;
    struct json_writer w;
    struct scan scan;
    struct scan_value v;
    struct json *doc;
    struct slice read;

    buf_init(&json, BUF_UNLIMITED);
    buf_init(&back, BUF_UNLIMITED);
    buf_init(&want, BUF_UNLIMITED);
    repair(text, &want);
    json_init(&w, &json);
    json_str(&w, text);
    scan_init(&scan, buf_slice(&json));
    v = scan_value(&scan);
    MG_ASSERT(v.type == SCAN_STRING && scan_end(&scan) == 0);
    MG_ASSERT(utf8_valid(json.p, json.n) == json.n);
    MG_ASSERT(scan_decode(scan_text(&scan, &v), &back) == 0 && slice_eq(buf_slice(&back), buf_slice(&want)));
    if (!memchr(text.p ? text.p : "", '\0', text.n)) {
        MG_ASSERT(json_parse(buf_slice(&json), &doc) == 0 && json_as_str(doc, &read) == 0);
        MG_ASSERT(slice_eq(read, buf_slice(&want)));
        json_free(doc);
    }
    buf_release(&json);
    buf_release(&back);
    buf_release(&want);
}

/* A look at the code points that does not use the tables of plain.c. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c >= 0xe0000;
}

static void check_plain(struct slice text)
{
    struct buf safe, again;
    size_t width, characters = 0;

    buf_init(&safe, BUF_UNLIMITED);
    buf_init(&again, BUF_UNLIMITED);
    plain_add(&safe, text);
    MG_ASSERT(safe.n <= text.n);
    for (struct slice s = buf_slice(&safe); s.n; characters++) {
        size_t n = slice_utf8(s);

        MG_ASSERT(n && !is_harmful(slice_code_point(s, n)));
        s = slice_skip(s, n);
    }
    plain_add(&again, buf_slice(&safe));
    MG_ASSERT(slice_eq(buf_slice(&again), buf_slice(&safe)));
    width = plain_width(buf_slice(&safe));
    MG_ASSERT(width <= 2 * characters);
    for (size_t places = 0; safe.n < 300 && places <= width && places < 40; places++) {
        size_t bytes = plain_fit(buf_slice(&safe), places), next;
        struct slice rest = slice_skip(buf_slice(&safe), bytes);

        MG_ASSERT(plain_width(slice_head(buf_slice(&safe), bytes)) <= places);
        next = slice_utf8(rest);
        MG_ASSERT(rest.n == 0 || plain_width(slice_head(buf_slice(&safe), bytes + next)) > places);
    }
    buf_release(&safe);
    buf_release(&again);
}

static void check_quoted(struct slice text)
{
    struct log_quoted q = log_quote(text);

    MG_ASSERT(strnlen(q.text, sizeof q.text) < sizeof q.text);
    for (const char *c = q.text; *c; c++)
        MG_ASSERT(*c >= 0x20 && *c < 0x7f);
}

/* In pieces of some bytes a text is decoded as in one. */
static void check_pieces(struct slice inside)
{
    struct buf whole, pieces;
    struct slice rest = inside;
    char room[SCAN_DECODE_MIN + 3];
    size_t n;

    buf_init(&whole, BUF_UNLIMITED);
    buf_init(&pieces, BUF_UNLIMITED);
    MG_ASSERT(scan_decode(inside, &whole) == 0);
    while ((n = scan_decode_some(&rest, room, sizeof room)) > 0) {
        MG_ASSERT(n <= sizeof room);
        buf_add(&pieces, room, n);
    }
    MG_ASSERT(rest.n == 0 && slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    MG_ASSERT(utf8_valid(whole.p ? whole.p : "", whole.n) == whole.n);
    buf_release(&whole);
    buf_release(&pieces);
}

static bool has_lone_surrogate(struct slice text)
{
    return memmem(text.p, text.n, "\\u", 2) != NULL; /* or none, but who writes of them will not be missed */
}

static void check_member(const struct json *object, struct scan *s, const struct scan_value *key, const struct scan_value *v)
{
    const struct json *member;
    struct slice text;
    struct buf name, want;
    int64_t a, b;

    buf_init(&name, BUF_UNLIMITED);
    buf_init(&want, BUF_UNLIMITED);
    MG_ASSERT(scan_decode(scan_text(s, key), &name) == 0);
    member = json_get(object, name.p ? name.p : "");
    MG_ASSERT(member);
    MG_ASSERT((v->type == SCAN_OBJECT) == json_is_object(member) && (v->type == SCAN_ARRAY) == json_is_array(member));
    if (v->type == SCAN_STRING && !memchr(v->at + s->text.p, '\\', v->n) && json_as_str(member, &text) == 0)
        MG_ASSERT(slice_eq(text, scan_text(s, v)));
    if (v->type == SCAN_NUMBER && json_as_int64(member, &a) == 0 && scan_int64(scan_text(s, v), &b) == 0)
        MG_ASSERT(a == b || v->n > 15);
    buf_release(&name);
    buf_release(&want);
}

/* Members that stand there once, for the two readers take another one of those that stand there twice. */
static bool stands_once(struct slice text, const struct scan_value *key)
{
    struct slice quoted = slice_head(slice_skip(text, key->at), key->n);
    const char *first = memmem(text.p, text.n, quoted.p, quoted.n);

    return !key->escaped && !memmem(first + 1, text.n - (size_t)(first + 1 - text.p), quoted.p, quoted.n);
}

static void check_document(struct slice text)
{
    struct json *doc = NULL;
    struct scan s;
    struct scan_value key, v;
    bool is_json, parsed = json_parse(text, &doc) == 0;

    scan_init(&s, text);
    v = scan_value(&s);
    is_json = scan_end(&s) == 0;
    if (is_json && !has_lone_surrogate(text) && !memchr(text.p, '\0', text.n))
        MG_ASSERT(parsed);
    if (is_json && parsed && v.type == SCAN_OBJECT && !has_lone_surrogate(text)) {
        scan_init(&s, text);
        MG_ASSERT(scan_enter(&s, SCAN_OBJECT));
        while (scan_member(&s, &key)) {
            v = scan_value(&s);
            if (stands_once(text, &key))
                check_member(doc, &s, &key, &v);
        }
    }
    if (parsed)
        json_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data, n);

    check_written(text);
    check_plain(text);
    check_quoted(text);
    check_pieces(text);
    if (n)
        check_document(text);
    return 0;
}
