/*
 * fuzz_sse: a stream comes out the same however it is split; watched, it comes out as it came; hiding usage
 * takes nothing from a stream that has none, and what was hidden once is not there to be hidden again. The
 * first bytes choose the splits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/dialect/answer.h"
#include "metergate/dialect/openai.h"
#include "metergate/gate/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
    struct buf out;
    struct usage usage;
    bool has_usage, complete, has_error;
};

/* Feeds the stream in pieces of 1..256 bytes as `splits` says, or whole. */
static void run(struct slice in, const char *type, bool hide, struct slice splits, struct outcome *ret)
{
    struct answer_conf conf = {.dialect = &dialect_openai,
                               .model = "gpt-4o",
                               .stream = true,
                               .hide_usage = hide,
                               .content_type = slice_str(type)};
    struct answer *a = answer_new(&conf);

    *ret = (struct outcome){0};
    buf_init(&ret->out, BUF_UNLIMITED);
    for (size_t i = 0; in.n; i++) {
        size_t piece = splits.n ? (size_t)(unsigned char)splits.p[i % splits.n] + 1 : in.n;

        MG_ASSERT(answer_feed(a, slice_head(in, piece), &ret->out) == 0);
        in = slice_skip(in, piece);
    }
    MG_ASSERT(answer_finish(a, &ret->out) == 0);
    ret->has_usage = answer_usage(a, &ret->usage);
    ret->complete = answer_complete(a);
    ret->has_error = answer_error(a) != NULL;
    MG_ASSERT(answer_counted_output(a) >= 0);
    if (ret->has_usage)
        MG_ASSERT(ret->usage.input >= 0 && ret->usage.output >= 0);
    answer_free(a);
}

static bool same_usage(const struct usage *a, const struct usage *b)
{
    return a->input == b->input && a->cached == b->cached && a->cache_write == b->cache_write &&
           a->cache_write_1h == b->cache_write_1h && a->output == b->output && a->reasoning == b->reasoning &&
           a->tier == b->tier;
}

static void check(struct slice in, const char *type, struct slice splits)
{
    struct outcome whole, pieces, watched, again;

    run(in, type, true, slice_of(NULL, 0), &whole);
    run(in, type, true, splits, &pieces);
    run(in, type, false, splits, &watched);
    MG_ASSERT(slice_eq(buf_slice(&whole.out), buf_slice(&pieces.out)));
    MG_ASSERT(slice_eq(buf_slice(&watched.out), in));
    MG_ASSERT(whole.out.n <= in.n);
    MG_ASSERT(whole.has_usage == pieces.has_usage && whole.has_usage == watched.has_usage);
    MG_ASSERT(same_usage(&whole.usage, &watched.usage));
    MG_ASSERT(whole.complete == pieces.complete && whole.complete == watched.complete);
    MG_ASSERT(whole.has_error == pieces.has_error && whole.has_error == watched.has_error);
    if (!memmem(in.p, in.n, "us", 2) && !memmem(in.p, in.n, "\\u", 2)) /* nothing to hide */
        MG_ASSERT(slice_eq(buf_slice(&whole.out), in));
    run(buf_slice(&whole.out), type, true, splits, &again);
    MG_ASSERT(again.out.n <= whole.out.n);
    buf_release(&whole.out);
    buf_release(&pieces.out);
    buf_release(&watched.out);
    buf_release(&again.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t splits_n = n < 4 ? 0 : 4;
    char *copy = malloc(n - splits_n ? n - splits_n : 1); /* of exactly its size */
    struct slice in = slice_of(copy, n - splits_n);
    struct slice splits = slice_of((const char *)data, splits_n);

    MG_ASSERT(copy);
    memcpy(copy, data + splits_n, in.n);
    check(in, "text/event-stream", splits);
    check(in, "application/json", splits);
    check(in, "", splits);
    free(copy);
    return 0;
}
