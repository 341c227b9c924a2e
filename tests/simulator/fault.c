/*
 * fault: a new fault is one field of struct plan, one row here, and the line of code that obeys it. Every field is an
 * int64_t and off at -1; tests/e2e/test_simulator.c goes through the table.
 */
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct fault_row {
    const char *name;
    size_t at;         /* the field */
    int64_t otherwise; /* the value when the text gives none */
    const char *help;
};

#define ROW(field, otherwise, help)                                                                          \
    {                                                                                                        \
        #field, offsetof(struct plan, field), otherwise, help                                                \
    }

static const struct fault_row rows[] = {
    ROW(latency_ms, 100, "so many ms before the first byte"),
    ROW(event_ms, 10, "so many ms before each stream event"),
    ROW(hold, 1, "the answer waits for POST /_sim/release"),
    ROW(status, 500, "an error answer: 429, 500, 502, 503, 529, ..."),
    ROW(quota, 1, "with status:429: insufficient_quota, which no waiting helps"),
    ROW(retry_after, 1, "Retry-After in seconds"),
    ROW(retry_after_ms, 1000, "the header retry-after-ms"),
    ROW(should_retry, 0, "x-should-retry: 0 false, 1 true"),
    ROW(close_before_read, 1, "close when the request begins"),
    ROW(reset_before_read, 1, "RST when the request begins"),
    ROW(close_before_answer, 1, "read the request, then close"),
    ROW(reset_before_answer, 1, "read the request, then RST"),
    ROW(close_after, 1, "close after so many bytes of the body: cuts a chunked or a counted one"),
    ROW(reset_after, 1, "RST after so many bytes of the body"),
    ROW(stall_after, 1, "fall silent after so many bytes of the body, until the client leaves or a release"),
    ROW(close_event, 1, "close after so many stream events"),
    ROW(stall_event, 1, "fall silent after so many stream events, until the client leaves or a release"),
    ROW(length_off, 10, "Content-Length says so many bytes more than come"),
    ROW(length_short, 10, "Content-Length says so many bytes fewer than come"),
    ROW(bad_chunk, 0, "an invalid chunk size after so many pieces"),
    ROW(garbage, 1, "an answer that is not HTTP"),
    ROW(split, 1, "writes of so many bytes, whatever they cut"),
    ROW(coalesce, 0, "so many stream events in one write, 0 for all"),
    ROW(crlf, 1, "stream lines end in CR LF"),
    ROW(comments, 1, "a comment before each stream event"),
    ROW(gzip, 1, "Content-Encoding: gzip, asked for or not"),
    ROW(interim, 103, "a 1xx before the answer"),
    ROW(interims, 1, "how many of them"),
    ROW(trailers, 1, "chunked, with a trailer after the body"),
    ROW(close_header, 1, "Connection: close, and do"),
    ROW(huge, 1 << 20, "a body of so many bytes"),
    ROW(no_usage, 1, "without usage"),
    ROW(no_done, 1, "the stream ends without [DONE]"),
    ROW(stream_error, 2, "an error inside a 200 stream, after so many events"),
    ROW(refuse_stream_options, 1, "400 when stream_options is in the request"),
};

static int64_t *field(struct plan *p, const struct fault_row *row)
{
    return (int64_t *)(void *)((char *)p + row->at);
}

void plan_init(struct plan *p)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        *field(p, &rows[i]) = -1;
}

static const struct fault_row *find(struct slice name)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        if (slice_eq(name, slice_str(rows[i].name)))
            return &rows[i];
    return NULL;
}

int plan_add(struct plan *p, struct slice text, struct errbuf *e)
{
    struct plan next = *p;
    struct slice rest = text;

    while (rest.n) {
        struct slice item = slice_head(rest, slice_find(rest, ','));
        size_t colon = slice_find(item, ':');
        const struct fault_row *row = find(slice_trim(slice_head(item, colon)));

        rest = slice_skip(rest, item.n + 1);
        if (!row) {
            err_set(e, "no fault is called \"%.*s\"", (int)item.n, item.p);
            return -EINVAL;
        }
        *field(&next, row) = row->otherwise;
        if (colon < item.n && slice_int64(slice_trim(slice_skip(item, colon + 1)), field(&next, row)) < 0) {
            err_set(e, "no number in \"%.*s\"", (int)item.n, item.p);
            return -EINVAL;
        }
    }
    *p = next;
    return 0;
}

void fault_help(FILE *out)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++)
        fprintf(out, "  %-22s %s (%" PRId64 ")\n", rows[i].name, rows[i].help, rows[i].otherwise);
}

bool fault_takes(struct fault *f, struct slice model, struct slice path)
{
    int64_t i;

    if ((f->model[0] && !slice_glob(model, f->model)) || (f->path[0] && !slice_glob(path, f->path)))
        return false;
    i = f->matched++ - f->skip;
    if (i < 0 || i % f->every != 0 || f->done == f->next)
        return false;
    f->done++;
    return true;
}

bool fault_is_early(const struct fault *f)
{
    struct plan p;

    plan_init(&p);
    return plan_add(&p, slice_str(f->text), NULL) == 0 && (p.close_before_read >= 0 || p.reset_before_read >= 0);
}
