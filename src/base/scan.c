/*
 * scan: what must always be true.
 *
 *   at <= text.n, and every byte before `at` has been accepted as the beginning of a JSON text.
 *   depth levels are open; bit d of `object` says what level d + 1 is.
 *   state says what stands at `at`:
 *     DUE     a value (the outermost one, one after a key, one that scan_element announced)
 *     FIRST   the inside of a container that was just opened
 *     NEXT    what follows a value inside a container: a comma or its end
 *     DONE    what follows the outermost value
 *     FAILED  nothing: error is set, at is where the fault is; no function leaves this state
 */
#include "metergate/base/scan.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { STATE_DUE, STATE_FIRST, STATE_NEXT, STATE_DONE, STATE_FAILED };

#define NOTHING ((struct scan_value){.type = SCAN_NONE})

void scan_init(struct scan *s, struct slice text)
{
    *s = (struct scan){.text = text, .state = STATE_DUE};
}

static void fail(struct scan *s, size_t at, const char *error)
{
    s->state = STATE_FAILED;
    s->at = at;
    s->error = error;
}

/* The next byte that is not white space, or -1 at the end of the text. */
static int skip_space(struct scan *s)
{
    const char *p = s->text.p;

    while (s->at < s->text.n) {
        char c = p[s->at];

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return (unsigned char)c;
        s->at++;
    }
    return -1;
}

static void after_value(struct scan *s)
{
    s->state = s->depth ? STATE_NEXT : STATE_DONE;
}

static bool in_object(const struct scan *s)
{
    unsigned level = s->depth - 1;

    return s->depth && (s->object[level / 8] >> level % 8 & 1);
}

enum scan_type scan_peek(struct scan *s)
{
    int c;

    if (s->state == STATE_FAILED)
        return SCAN_NONE;
    MG_ASSERT(s->state == STATE_DUE);
    c = skip_space(s);
    switch (c) {
    case '{':
        return SCAN_OBJECT;
    case '[':
        return SCAN_ARRAY;
    case '"':
        return SCAN_STRING;
    case 't':
        return SCAN_TRUE;
    case 'f':
        return SCAN_FALSE;
    case 'n':
        return SCAN_NULL;
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return SCAN_NUMBER;
        fail(s, s->at, c < 0 ? "the text ends where a value is expected" : "not the beginning of a value");
        return SCAN_NONE;
    }
}

/* ---- scalars ----------------------------------------------------------------------------------------------
 */

/* Whether one of eight bytes is a quote, a backslash or a control character. The tests may be wrong only for
 * bytes above a byte that really is one, which does not matter for "is there any". */
static bool any_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t found = (quote - ones) & ~quote;

    found |= (slash - ones) & ~slash;
    found |= (word - ones * 0x20) & ~word;
    return (found & tops) != 0;
}

/* The length of the escape at `at` (which is a backslash), or 0 when it is none. */
static size_t escape_length(struct slice text, size_t at)
{
    size_t left = text.n - at;

    if (left < 2)
        return 0;
    if (text.p[at + 1] != 'u')
        return text.p[at + 1] && strchr("\"\\/bfnrt", text.p[at + 1]) ? 2 : 0;
    if (left < 6)
        return 0;
    for (size_t i = 2; i < 6; i++)
        if (!isxdigit((unsigned char)text.p[at + i]))
            return 0;
    return 6;
}

/* At a quote. Leaves `at` behind the closing one. */
static bool read_string(struct scan *s, bool *ret_escaped)
{
    const char *p = s->text.p;
    size_t n = s->text.n, at = s->at + 1, step;

    *ret_escaped = false;
    for (;;) {
        uint64_t word;

        for (; n - at >= sizeof word; at += sizeof word) {
            memcpy(&word, p + at, sizeof word);
            if (any_special(word))
                break;
        }
        while (at < n && p[at] != '"' && p[at] != '\\' && (unsigned char)p[at] >= 0x20)
            at++;
        if (at == n || p[at] == '"')
            break;
        step = p[at] == '\\' ? escape_length(s->text, at) : 0;
        if (step == 0) {
            fail(s, at, p[at] == '\\' ? "not an escape" : "a control character inside a string");
            return false;
        }
        *ret_escaped = true;
        at += step;
    }
    if (at == n) {
        fail(s, n, "the text ends inside a string");
        return false;
    }
    s->at = at + 1;
    return true;
}

static size_t digits(struct slice text, size_t at)
{
    size_t from = at;

    while (at < text.n && text.p[at] >= '0' && text.p[at] <= '9')
        at++;
    return at - from;
}

/* At a minus or a digit. */
static bool read_number(struct scan *s)
{
    struct slice text = s->text;
    size_t at = s->at, whole;

    if (text.p[at] == '-')
        at++;
    whole = digits(text, at);
    if (whole == 0 || (whole > 1 && text.p[at] == '0')) {
        fail(s, at, whole ? "a number with a leading zero" : "a minus without a number");
        return false;
    }
    at += whole;
    if (at < text.n && text.p[at] == '.') {
        size_t fraction = digits(text, at + 1);

        if (fraction == 0) {
            fail(s, at, "a number that ends in its point");
            return false;
        }
        at += 1 + fraction;
    }
    if (at < text.n && (text.p[at] == 'e' || text.p[at] == 'E')) {
        size_t sign = at + 1 < text.n && (text.p[at + 1] == '+' || text.p[at + 1] == '-');
        size_t exponent = digits(text, at + 1 + sign);

        if (exponent == 0) {
            fail(s, at, "a number without its exponent");
            return false;
        }
        at += 1 + sign + exponent;
    }
    s->at = at;
    return true;
}

static bool read_word(struct scan *s, struct slice word)
{
    if (!slice_starts(slice_skip(s->text, s->at), word)) {
        fail(s, s->at, "not a word of JSON");
        return false;
    }
    s->at += word.n;
    return true;
}

static bool read_scalar(struct scan *s, enum scan_type type, bool *ret_escaped)
{
    bool fine;

    switch (type) {
    case SCAN_STRING:
        fine = read_string(s, ret_escaped);
        break;
    case SCAN_NUMBER:
        fine = read_number(s);
        break;
    case SCAN_TRUE:
        fine = read_word(s, SLICE("true"));
        break;
    case SCAN_FALSE:
        fine = read_word(s, SLICE("false"));
        break;
    default:
        fine = read_word(s, SLICE("null"));
        break;
    }
    if (fine)
        after_value(s);
    return fine;
}

/* ---- containers -------------------------------------------------------------------------------------------
 */

/* At a bracket or brace. */
static bool open_container(struct scan *s, enum scan_type type)
{
    unsigned char bit = (unsigned char)(1u << s->depth % 8);

    if (s->depth == SCAN_MAX_DEPTH) {
        fail(s, s->at, "nested too deep");
        return false;
    }
    if (type == SCAN_OBJECT)
        s->object[s->depth / 8] |= bit;
    else
        s->object[s->depth / 8] &= (unsigned char)~bit;
    s->depth++;
    s->at++;
    s->state = STATE_FIRST;
    return true;
}

/*
 * Inside a container, before an element or its end: true with `at` on the next element. At the end the
 * container is left.
 */
static bool next_inside(struct scan *s, char end)
{
    int c = skip_space(s);

    if (c == end) {
        s->at++;
        s->depth--;
        after_value(s);
        return false;
    }
    if (s->state == STATE_NEXT) {
        if (c != ',') {
            fail(s, s->at, c < 0 ? "the text ends inside an object or array" : "a comma is missing");
            return false;
        }
        s->at++;
        c = skip_space(s);
    }
    if (c < 0) {
        fail(s, s->at, "the text ends inside an object or array");
        return false;
    }
    s->state = STATE_DUE;
    return true;
}

bool scan_member(struct scan *s, struct scan_value *ret_key)
{
    struct scan_value key = {.type = SCAN_STRING};

    if (s->state == STATE_FAILED)
        return false;
    MG_ASSERT((s->state == STATE_FIRST || s->state == STATE_NEXT) && in_object(s));
    if (!next_inside(s, '}'))
        return false;
    if (s->text.p[s->at] != '"') {
        fail(s, s->at, "a key is expected");
        return false;
    }
    key.at = s->at;
    if (!read_string(s, &key.escaped))
        return false;
    key.n = s->at - key.at;
    if (skip_space(s) != ':') {
        fail(s, s->at, "a colon is expected");
        return false;
    }
    s->at++;
    *ret_key = key;
    return true;
}

bool scan_element(struct scan *s)
{
    if (s->state == STATE_FAILED)
        return false;
    MG_ASSERT((s->state == STATE_FIRST || s->state == STATE_NEXT) && s->depth && !in_object(s));
    return next_inside(s, ']');
}

/* Reads the container at `at` to its end. */
static bool read_container(struct scan *s, enum scan_type type)
{
    unsigned outside = s->depth;
    struct scan_value key;
    bool escaped;

    if (!open_container(s, type))
        return false;
    while (s->depth > outside) {
        if (in_object(s) ? !scan_member(s, &key) : !scan_element(s)) {
            if (s->error)
                return false;
            continue;
        }
        type = scan_peek(s);
        if (type == SCAN_NONE)
            return false;
        if (type == SCAN_OBJECT || type == SCAN_ARRAY ? !open_container(s, type)
                                                      : !read_scalar(s, type, &escaped))
            return false;
    }
    return true;
}

struct scan_value scan_value(struct scan *s)
{
    struct scan_value v = {.type = scan_peek(s), .at = s->at};
    bool fine;

    if (v.type == SCAN_NONE)
        return NOTHING;
    if (v.type == SCAN_OBJECT || v.type == SCAN_ARRAY)
        fine = read_container(s, v.type);
    else
        fine = read_scalar(s, v.type, &v.escaped);
    if (!fine)
        return NOTHING;
    v.n = s->at - v.at;
    return v;
}

bool scan_enter(struct scan *s, enum scan_type type)
{
    MG_ASSERT(type == SCAN_OBJECT || type == SCAN_ARRAY);
    if (scan_peek(s) != type) {
        if (s->state != STATE_FAILED)
            scan_value(s);
        return false;
    }
    return open_container(s, type);
}

int scan_end(struct scan *s)
{
    if (s->state != STATE_FAILED) {
        MG_ASSERT(s->state == STATE_DONE);
        if (skip_space(s) >= 0)
            fail(s, s->at, "more than one value");
    }
    return s->state == STATE_FAILED ? -EBADMSG : 0;
}

/* ---- text of values ---------------------------------------------------------------------------------------
 */

struct slice scan_inside(struct slice text, const struct scan_value *v)
{
    struct slice whole = slice_head(slice_skip(text, v->at), v->n);

    return v->type == SCAN_STRING ? slice_of(whole.p + 1, whole.n - 2) : whole;
}

struct slice scan_text(const struct scan *s, const struct scan_value *v)
{
    return scan_inside(s->text, v);
}
