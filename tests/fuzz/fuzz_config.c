/*
 * fuzz_config: a text either has errors and gives no configuration, or gives one that is complete; that one
 * prints as a text which is read without an error and prints the same. Every problem has its place inside the
 * text and a sentence that fits on a line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/config/config.h"
#include "metergate/config/models.h"
#include "metergate/config/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int line_count(struct slice text)
{
    int lines = 1;

    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n' || text.p[i] == '\r' ||
                 (unsigned char)text.p[i] >= 0x80; /* NEL, LS and PS end lines too */
    return lines;
}

static void check_problems(const struct problems *p, struct slice text)
{
    size_t errors = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct problem *one = &p->v[i];

        errors += !one->warning;
        MG_ASSERT(one->line >= 0 && one->line <= line_count(text) + 1);
        MG_ASSERT((one->line == 0) == (one->column == 0) && one->column >= 0);
        MG_ASSERT(one->message[0]);
        for (const char *c = one->message; *c; c++)
            MG_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
    }
    MG_ASSERT(errors == p->errors || p->dropped > 0);
}

static struct config *parse(struct slice text, bool must_be_good)
{
    struct problems problems;
    struct config *c = NULL;
    int rc;

    problems_init(&problems);
    rc = config_parse("fuzz", text, &c, &problems);
    check_problems(&problems, text);
    MG_ASSERT((rc == 0) == (problems.errors == 0) && (rc == 0) == (c != NULL));
    MG_ASSERT(c || !must_be_good);
    problems_release(&problems);
    return c;
}

static void check_complete(const struct config *c)
{
    MG_ASSERT(c->listen.n > 0 && c->upstream_count > 0 && c->model_count > 0);
    MG_ASSERT(config_upstream_of(c, CONFIG_OPENAI) != NULL);
    MG_ASSERT(config_model_for(c, SLICE("a name of no entry"), NULL) != NULL);
    for (size_t i = 0; i < c->upstream_count; i++)
        MG_ASSERT(c->upstreams[i]->base_url && c->upstreams[i]->base_url[0]);
    for (size_t i = 0; i < c->model_count; i++) {
        const struct config_model *m = c->models[i];

        MG_ASSERT(!m->upstream_name == !m->upstream);
        for (size_t j = 0; j < m->limit_count; j++)
            MG_ASSERT(m->limits[j].max > 0 &&
                      (m->limits[j].span_us > 0) == (m->limits[j].metric != METRIC_CONCURRENT));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config *c = parse(slice_of((const char *)data, n), false), *again;
    struct buf first, second;

    if (!c)
        return 0;
    check_complete(c);
    buf_init(&first, BUF_UNLIMITED);
    buf_init(&second, BUF_UNLIMITED);
    config_print(c, &first);
    again = parse(buf_slice(&first), true);
    config_print(again, &second);
    MG_ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
    buf_release(&first);
    buf_release(&second);
    config_free(again);
    config_free(c);
    return 0;
}
