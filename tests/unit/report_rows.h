/*
 * report_rows: an answer and the limits that report_read has to find in it, as rows of a table.
 */
#ifndef TESTS_UNIT_REPORT_ROWS_H
#define TESTS_UNIT_REPORT_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/dialect/report.h"

/* 2026-11-23 12:00:00 UTC */
#define WALL_US (INT64_C(1795435200) * CLOCK_S)
#define MS      CLOCK_MS
#define S       CLOCK_S
#define MINUTE  (60 * CLOCK_S)
#define HOUR    (3600 * CLOCK_S)
#define DAY     (86400 * CLOCK_S)

struct headers {
    const char *lines[48]; /* name, value, name, value, ..., NULL */
};

static inline struct slice find_header(void *arg, const char *name)
{
    const struct headers *h = arg;

    for (size_t i = 0; i + 1 < MG_ARRAY_LEN(h->lines) && h->lines[i]; i += 2)
        if (strcasecmp(h->lines[i], name) == 0)
            return slice_str(h->lines[i + 1]);
    return slice_of(NULL, 0);
}

static inline void read_answer(int status, struct headers *h, const char *body, struct report *ret)
{
    struct provider_answer a = {
        .status = status, .header = find_header, .arg = h, .body = slice_str(body), .wall_us = WALL_US};

    report_read(&a, ret);
}

#define OPENAI(message, type)                                                                                \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type                                               \
    "\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}"
#define ANTHROPIC(message)                                                                                   \
    "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"" message                    \
    "\"},\"request_id\":\"req_1\"}"
#define GOOGLE(violations)                                                                                   \
    "{\"error\":{\"code\":429,\"message\":\"You exceeded your current "                                      \
    "quota\",\"status\":\"RESOURCE_EXHAUSTED\","                                                             \
    "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[" violations    \
    "]},{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"26s\"}]}}"

struct row {
    const char *what;
    int status;
    struct headers headers;
    const char *body;
    size_t n;
    struct report_limit want[4]; /* metric, span, inferred, limit, remaining, rounding, reset, refused */
};

static inline void check_limit(const struct row *row, size_t i, const struct report_limit *got)
{
    const struct report_limit *want = &row->want[i];

    if (got->metric != want->metric || got->span_us != want->span_us || got->inferred != want->inferred ||
        got->limit != want->limit || got->remaining != want->remaining || got->rounding != want->rounding ||
        got->reset_us != want->reset_us || got->refused != want->refused)
        fail_msg("%s: limit %zu is metric %d, span %lld%s, limit %lld, remaining %lld +-%lld, reset %lld%s",
                 row->what, i, (int)got->metric, (long long)got->span_us, got->inferred ? " (inferred)" : "",
                 (long long)got->limit, (long long)got->remaining, (long long)got->rounding,
                 (long long)got->reset_us, got->refused ? ", refused" : "");
}

static inline void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct headers h = rows[i].headers;
        struct report r;

        read_answer(rows[i].status, &h, rows[i].body ? rows[i].body : "", &r);
        for (size_t j = 0; j < r.n && j < rows[i].n; j++)
            check_limit(&rows[i], j, &r.v[j]);
        if (r.n != rows[i].n)
            fail_msg("%s: %zu limits, not %zu", rows[i].what, r.n, rows[i].n);
    }
}

#endif
