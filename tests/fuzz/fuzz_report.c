/*
 * fuzz_report: whatever a provider sends, report and verdict stay within what their headers promise. The
 * input is a status
 * ("429" and the like), header lines, an empty line and the body, as on the wire but with \n alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/dialect/report.h"
#include "metergate/dialect/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WALL_US (INT64_C(1795435200) * CLOCK_S)

struct answer {
    struct slice head, body; /* lines with their \n */
};

static struct slice find_header(void *arg, const char *name)
{
    const struct answer *a = arg;
    struct slice rest = a->head;

    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        size_t colon = slice_find(line, ':');

        if (colon < line.n && slice_eq_nocase(slice_head(line, colon), slice_str(name)))
            return slice_skip(line, colon + 1);
        rest = slice_skip(rest, line.n + 1);
    }
    return slice_of(NULL, 0);
}

static bool is_inside(struct slice part, struct slice whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void check_limit(const struct report *r, size_t i, int status)
{
    const struct report_limit *l = &r->v[i];

    MG_ASSERT((int)l->metric >= 0 && l->metric < METRIC_CONCURRENT);
    MG_ASSERT(l->span_us >= 0 && l->span_us <= INT64_C(31) * 86400 * CLOCK_S);
    MG_ASSERT(!l->inferred || l->span_us > 0);
    MG_ASSERT(l->limit >= 0 && l->limit <= PROFILE_AMOUNT_MAX);
    MG_ASSERT(l->remaining >= -1 && l->remaining <= PROFILE_AMOUNT_MAX);
    MG_ASSERT(l->rounding == 0 || l->rounding == 500);
    MG_ASSERT(l->reset_us >= -1 && l->reset_us <= VERDICT_WAIT_MAX_US);
    MG_ASSERT(!l->refused || status == 429 || status == 413);
    MG_ASSERT(l->limit || l->remaining >= 0 || l->refused);
    for (size_t j = 0; j < i; j++)
        MG_ASSERT(r->v[j].metric != l->metric || r->v[j].span_us != l->span_us);
}

static void check_report(const struct provider_answer *a, const struct answer *text)
{
    struct report r;

    report_read(a, &r);
    MG_ASSERT(r.n <= REPORT_LIMITS_MAX);
    for (size_t i = 0; i < r.n; i++)
        check_limit(&r, i, a->status);
    MG_ASSERT(r.organization.n <= REPORT_ORGANIZATION_MAX);
    MG_ASSERT((r.organization.n > 0) == (r.organization_from != NULL));
    if (r.organization.n)
        MG_ASSERT(is_inside(r.organization, text->head) || is_inside(r.organization, text->body));
}

static void check_verdict(const struct provider_answer *a)
{
    struct verdict v;

    verdict_judge(a, &v);
    MG_ASSERT(v.reason);
    MG_ASSERT(v.wait_us >= 0 && v.wait_us <= VERDICT_WAIT_MAX_US);
    MG_ASSERT(v.wait_known || v.wait_us == 0);
    MG_ASSERT(v.limit >= -1 && v.used >= -1 && v.requested >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1); /* of exactly its size */
    struct slice text = slice_of(copy, n), rest;
    struct provider_answer a = {.header = find_header, .wall_us = WALL_US};
    struct answer answer;
    const char *gap;
    int64_t status;

    MG_ASSERT(copy);
    memcpy(copy, data, n);
    rest = slice_skip(text, slice_find(text, '\n') + 1);
    a.status = slice_int64(slice_head(text, 3), &status) == 0 ? (int)status : 429;
    gap = rest.n ? memmem(rest.p, rest.n, "\n\n", 2) : NULL;
    answer.head = gap ? slice_head(rest, (size_t)(gap - rest.p) + 1) : rest;
    answer.body = gap ? slice_skip(rest, (size_t)(gap - rest.p) + 2) : slice_of(NULL, 0);
    a.arg = &answer;
    a.body = answer.body;
    check_report(&a, &answer);
    check_verdict(&a);
    free(copy);
    return 0;
}
