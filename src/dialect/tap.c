/*
 * tap: what must always be true between two bytes.
 *
 *   depth containers are open; bit d - 1 of `object` says what the d-th is; level[d] says where in it we are,
 * for the first TAP_LEVELS of them. taking is set while the bytes of a value go to `taken`, from its first
 * byte to its last; taking_depth is the depth outside it, so the value ends when depth is back there and no
 * string is open. key_due: a string that begins now is a key. in_key implies in_string.
 */
#include "metergate/dialect/tap.h"

#include <string.h>

#define DEPTH_MAX    (8 * sizeof((struct tap){0}.object))
#define KEEP_CAP_MAX ((size_t)64 << 10)

void tap_init(struct tap *t, const struct tap_path *paths, size_t n, tap_handler handler, void *arg)
{
    *t = (struct tap){.paths = paths, .paths_n = n, .handler = handler, .arg = arg};
    buf_init(&t->taken, BUF_UNLIMITED);
    for (size_t i = 0; i < n; i++)
        t->scalars |= paths[i].scalar;
}

void tap_release(struct tap *t)
{
    buf_release(&t->taken);
}

static bool in_object(const struct tap *t)
{
    return t->depth && (t->object[(t->depth - 1) / 8] >> (t->depth - 1) % 8 & 1);
}

/* ---- taking
 * ------------------------------------------------------------------------------------------------ */

/* Most steps differ in their first letter: each value of an answer is held against some thirty paths. */
static bool step_matches(const struct tap_level *l, const char *step)
{
    if (strcmp(step, "*") == 0)
        return l->index >= 0;
    return l->index < 0 && l->key_n <= TAP_KEY_MAX && l->key[0] == step[0] &&
           slice_eq(slice_of(l->key, l->key_n), slice_str(step));
}

/* The path that leads to a value in the current place, or NULL. */
static const struct tap_path *match(const struct tap *t)
{
    if (t->depth == 0 || t->depth > TAP_LEVELS)
        return NULL;
    for (const struct tap_path *p = t->paths; p < t->paths + t->paths_n; p++) {
        unsigned d = 0;

        while (d < t->depth && p->steps[d] && step_matches(&t->level[d + 1], p->steps[d]))
            d++;
        if (d == t->depth && !p->steps[d])
            return p;
    }
    return NULL;
}

/* A string or container begins here. */
static void begin_value(struct tap *t)
{
    if (t->taking)
        return;
    t->taking = match(t);
    t->taking_depth = t->depth;
    t->left_out = 0;
}

static int take(struct tap *t, const char *p, size_t n)
{
    size_t room;

    if (!t->taking)
        return 0;
    room = t->taking->max_bytes - t->taken.n;
    if (n > room) {
        t->left_out += n - room;
        n = room;
    }
    return buf_append(&t->taken, p, n);
}

static void tell(struct tap *t)
{
    struct tap_value v = {.what = t->taking->what, .raw = buf_slice(&t->taken), .left_out = t->left_out};

    for (unsigned d = 0; d < TAP_LEVELS && t->taking->steps[d]; d++) {
        if (strcmp(t->taking->steps[d], "*") == 0) {
            v.index = t->level[d + 1].index;
            break;
        }
    }
    t->taking = NULL;
    t->handler(t->arg, &v);
    if (t->taken.cap > KEEP_CAP_MAX)
        buf_release(&t->taken);
    else
        buf_reset(&t->taken);
}

/* A string or container has ended; its last byte is taken already. */
static void end_value(struct tap *t)
{
    t->key_due = false;
    t->whole = t->depth == 0;
    if (t->taking && t->depth == t->taking_depth)
        tell(t);
}

/* ---- the bytes
 * --------------------------------------------------------------------------------------------- */

static void add_key(struct tap *t, const char *p, size_t n)
{
    struct tap_level *l = t->depth <= TAP_LEVELS ? &t->level[t->depth] : NULL;

    if (!l || l->key_n > TAP_KEY_MAX)
        return;
    if (n > TAP_KEY_MAX - l->key_n || memchr(p, '\\', n)) {
        l->key_n = TAP_KEY_MAX + 1; /* too long, or escaped: no path has it */
        return;
    }
    memcpy(l->key + l->key_n, p, n);
    l->key_n += n;
}

static void open_string(struct tap *t)
{
    t->in_string = true;
    t->in_key = t->key_due;
    t->whole = false;
    if (!t->in_key)
        begin_value(t);
    else if (t->depth <= TAP_LEVELS)
        t->level[t->depth].key_n = 0;
}

static void open_container(struct tap *t, char c)
{
    unsigned char bit = (unsigned char)(1u << t->depth % 8);

    if (t->depth == DEPTH_MAX) {
        t->lost = true;
        return;
    }
    t->whole = false;
    begin_value(t);
    if (c == '{')
        t->object[t->depth / 8] |= bit;
    else
        t->object[t->depth / 8] &= (unsigned char)~bit;
    t->depth++;
    t->key_due = c == '{';
    if (t->depth <= TAP_LEVELS)
        t->level[t->depth] = (struct tap_level){.index = c == '{' ? -1 : 0};
}

static bool is_scalar_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
           c == '.';
}

/* A number or a word begins, goes on, or has ended before this byte. */
static void follow_scalar(struct tap *t, char c)
{
    if (is_scalar_byte(c) && !t->taking) {
        begin_value(t);
        if (t->taking && !t->taking->scalar)
            t->taking = NULL;
        t->in_scalar = t->taking != NULL;
    } else if (!is_scalar_byte(c) && t->in_scalar) {
        t->in_scalar = false;
        tell(t);
    }
}

/* One byte outside strings. */
static int outside(struct tap *t, char c)
{
    int rc;

    if (t->scalars)
        follow_scalar(t, c);

    if (c == '"')
        open_string(t);
    else if (c == '{' || c == '[')
        open_container(t, c);
    rc = take(t, &c, 1);
    if (rc < 0)
        return rc;
    if ((c == '}' || c == ']') && t->depth) {
        t->depth--;
        end_value(t);
    } else if (c == ',' && in_object(t)) {
        t->key_due = true;
    } else if (c == ',' && t->depth && t->depth <= TAP_LEVELS) {
        t->level[t->depth].index++;
    } else if (c == ':') {
        t->key_due = false;
    }
    return 0;
}

/* Bytes inside a string; tells how many were used up, at least one. */
static int inside(struct tap *t, struct slice in, size_t *ret_used)
{
    size_t n = 0;
    bool ends = false;
    int rc;

    if (t->escape) {
        t->escape = false;
        n = 1;
    } else {
        while (n < in.n && in.p[n] != '"' && in.p[n] != '\\')
            n++;
        if (n < in.n) {
            ends = in.p[n] == '"';
            t->escape = !ends;
            n++;
        }
    }
    if (t->in_key)
        add_key(t, in.p, n - ends);
    rc = take(t, in.p, n);
    if (rc < 0)
        return rc;
    if (ends) {
        t->in_string = false;
        if (!t->in_key)
            end_value(t);
        t->in_key = false;
    }
    *ret_used = n;
    return 0;
}

int tap_feed(struct tap *t, struct slice in)
{
    while (in.n && !t->lost) {
        size_t used = 1;
        int rc = t->in_string ? inside(t, in, &used) : outside(t, in.p[0]);

        if (rc < 0)
            return rc;
        in = slice_skip(in, used);
    }
    return 0;
}

void tap_finish(struct tap *t)
{
    if (t->taking)
        tell(t);
}
