/*
 * fuzz_tap: what is taken out of a JSON text while it passes, in pieces of any size, is what a slow reader takes that has the
 * whole of it and walks through it with base/scan. The first two bytes choose the pieces.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/base/scan.h"
#include "metergate/dialect/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct tap_path paths[] = {
    {{"a", NULL}, 1, 8, false},
    {{"b", "c", NULL}, 2, 1000, false},
    {{"l", "*", "t", NULL}, 3, 1000, false},
    {{"l", "*", "n", NULL}, 4, 5, true},
    {{"*", "a", NULL}, 5, 1000, true},
    {{"m", "*", "*", "x", NULL}, 6, 1000, true},
    {{"deep", "*", "*", "*", "*", "*", "*", NULL}, 7, 1000, true},
    {{"a key of four and twenty!", NULL}, 8, 1000, true},
    {{"a key of four and twenty", NULL}, 9, 1000, true},
};

static void write_value(struct buf *to, int what, int64_t index, struct slice raw, size_t left_out)
{
    buf_addf(to, "%d %lld %zu ", what, (long long)index, left_out);
    buf_add_slice(to, raw);
    buf_add_char(to, '\n');
}

static void on_value(void *arg, const struct tap_value *v)
{
    write_value(arg, v->what, v->index, v->raw, v->left_out);
}

static bool run(struct slice in, struct slice splits, struct buf *ret)
{
    struct tap t;
    bool whole;

    buf_init(ret, BUF_UNLIMITED);
    tap_init(&t, paths, MG_ARRAY_LEN(paths), on_value, ret);
    for (size_t i = 0; in.n; i++) {
        size_t piece = splits.n ? (size_t)(unsigned char)splits.p[i % splits.n] % 16 + 1 : in.n;

        MG_ASSERT(tap_feed(&t, slice_head(in, piece)) == 0);
        MG_ASSERT(t.taken.n <= 1000);
        in = slice_skip(in, piece);
    }
    tap_finish(&t);
    whole = tap_whole(&t);
    tap_release(&t);
    return whole;
}

/* ---- the slow reader ---- */

/* How a value is reached: a key, or p NULL and the number of an element. */
struct step {
    struct slice key;
    int64_t index;
};

struct walk {
    struct scan scan;
    struct slice text;
    struct step steps[SCAN_MAX_DEPTH + 1];
    size_t depth;
    struct buf *out;
};

static const struct tap_path *path_here(const struct walk *w)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(paths); i++) {
        size_t d = 0;

        for (; d < w->depth && paths[i].steps[d]; d++) {
            const struct step *s = &w->steps[d];
            bool is_any = strcmp(paths[i].steps[d], "*") == 0;

            if (s->key.p ? is_any || !slice_eq(s->key, slice_str(paths[i].steps[d])) || s->key.n > TAP_KEY_MAX : !is_any)
                break;
        }
        if (d && d == w->depth && !paths[i].steps[d])
            return &paths[i];
    }
    return NULL;
}

static void take(struct walk *w, const struct tap_path *p)
{
    struct scan_value v = scan_value(&w->scan);
    struct slice raw = slice_head(slice_skip(w->text, v.at), v.n), kept = slice_head(raw, p->max_bytes);
    int64_t index = 0;

    for (size_t d = 0; d < w->depth; d++) {
        if (w->steps[d].key.p)
            continue;
        index = w->steps[d].index;
        break;
    }
    write_value(w->out, p->what, index, kept, raw.n - kept.n);
}

static void visit(struct walk *w)
{
    enum scan_type type = scan_peek(&w->scan);
    const struct tap_path *p = path_here(w);
    struct step *s = &w->steps[w->depth];
    struct scan_value key;

    if (p && (p->scalar || type == SCAN_STRING || type == SCAN_OBJECT || type == SCAN_ARRAY)) {
        take(w, p);
    } else if (type == SCAN_OBJECT && scan_enter(&w->scan, SCAN_OBJECT)) {
        w->depth++;
        while (scan_member(&w->scan, &key)) {
            s->key = scan_text(&w->scan, &key);
            visit(w);
        }
        w->depth--;
    } else if (type == SCAN_ARRAY && scan_enter(&w->scan, SCAN_ARRAY)) {
        w->depth++;
        *s = (struct step){.key = {NULL, 0}, .index = 0};
        for (; scan_element(&w->scan); s->index++)
            visit(w);
        w->depth--;
    } else {
        scan_value(&w->scan);
    }
}

static bool is_json(struct slice text)
{
    struct scan s;

    scan_init(&s, text);
    scan_value(&s);
    return scan_end(&s) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data, n), splits = slice_head(text, 2);
    struct buf whole, pieces, naive;
    bool is_whole, is_container;

    text = slice_skip(text, 2);
    is_whole = run(text, slice_of(NULL, 0), &whole);
    MG_ASSERT(run(text, splits, &pieces) == is_whole);
    MG_ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    if (is_json(text)) {
        static struct walk w;

        w = (struct walk){.text = text, .out = &naive};
        buf_init(&naive, BUF_UNLIMITED);
        scan_init(&w.scan, text);
        is_container = scan_peek(&w.scan) == SCAN_OBJECT || scan_peek(&w.scan) == SCAN_ARRAY;
        visit(&w);
        MG_ASSERT(scan_end(&w.scan) == 0);
        MG_ASSERT(slice_eq(buf_slice(&whole), buf_slice(&naive)));
        MG_ASSERT(!is_container || is_whole);
        buf_release(&naive);
    }
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
