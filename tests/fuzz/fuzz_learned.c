/*
 * fuzz_learned: of any file that stands in the place of learned.jsonl what is kept lies in its bounds, there is no more of it
 * than callers may make, and written and read again it is the same, byte for byte.
 */
#include <stdint.h>

#include "metergate/base/file.h"
#include "metergate/base/log.h"
#include "metergate/proxy/learned.h"
#include "place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct loop *loop;

static void free_loop(void)
{
    loop_free(loop);
}

static void make_world(void)
{
    if (!place_make())
        return;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    loop = loop_new();
    MG_ASSERT(loop && atexit(free_loop) == 0);
}

static void check_ratio(const struct ratio *r)
{
    struct ratio_sample sample[RATIO_SAMPLES];
    int n = ratio_samples(r, sample);

    MG_ASSERT(n >= 0 && n <= RATIO_SAMPLES);
    for (int i = 0; i < n; i++)
        MG_ASSERT(sample[i].counted > 0 && sample[i].reported > 0 && sample[i].reported <= INT64_C(10) * sample[i].counted &&
                  sample[i].counted <= INT64_C(10) * sample[i].reported);
    MG_ASSERT(ratio_apply(r, 0) == 0);
    for (int64_t counted = 1; counted < INT64_C(1) << 31; counted *= 37)
        MG_ASSERT(ratio_apply(r, counted) >= 0 && ratio_apply(r, counted) <= 1000 * counted + INT32_MAX);
}

static void check_limits(const struct limits *l)
{
    for (int m = 0; m < METRIC_CONCURRENT; m++)
        for (int k = 0; k < LIMITS_KINDS; k++) {
            const struct known_limit *v = &l->known[m][k];

            MG_ASSERT((v->source == LIMIT_UNSAID) == (v->max == 0) && (unsigned)v->source < LIMIT_SOURCES);
            MG_ASSERT(v->max >= 0 && v->max <= LIMITS_MAX && v->span_us >= 0);
        }
}

/* Reads the file, looks at what came of it, and writes it again. */
static void pass(struct buf *ret)
{
    struct place_path path = place_path("learned.jsonl");
    struct learned l;
    struct errbuf e;

    learned_init(&l, loop);
    learned_keep(&l, path.text, NULL);
    MG_ASSERT(map_count(&l.by_key) <= LEARNED_MODELS_MAX && map_count(&l.budgets_by_key) <= LEARNED_BUDGETS_MAX);
    LIST_EACH (&l.all, node, next) {
        struct learned_model *m = LIST_ENTRY(node, struct learned_model, link);

        MG_ASSERT(learned_look(&l, slice_str(m->upstream), slice_str(m->model)) == m);
        MG_ASSERT(map_count(&m->output) <= LEARNED_CLIENTS_MAX + 1);
        check_ratio(&m->calibration.text);
        check_ratio(&m->calibration.tools);
        check_ratio(&m->calibration.media);
        for (int64_t most = 1; most < 100000; most *= 9)
            MG_ASSERT(expect_output(learned_output(m, SLICE("c")), most) >= 0 &&
                      expect_output(learned_output(m, SLICE("c")), most) <= most);
    }
    check_limits(learned_limits(&l, SLICE("u"), SLICE("b")));
    l.changed = true;
    learned_release(&l);
    buf_init(ret, BUF_UNLIMITED);
    MG_ASSERT(file_read(path.text, ret, &e) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf first, second;

    make_world();
    place_write("learned.jsonl", slice_of((const char *)data, n));
    pass(&first);
    pass(&second);
    MG_ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
    buf_release(&first);
    buf_release(&second);
    return 0;
}
