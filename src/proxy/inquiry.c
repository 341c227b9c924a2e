/* inquiry: one table has the parameters of all kinds; each is read once, but for the models of a comparison.
 */
#include "metergate/proxy/inquiry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "metergate/base/log.h"
#include "metergate/base/when.h"
#include "metergate/proxy/query.h"

#define DEFAULT_LIMIT 100

/* ---- the parameters ---- */

static int read_by(struct inquiry *q, struct slice v, struct errbuf *e)
{
    if (report_by_read(v, &q->by) == 0)
        return 0;
    err_set(e, "\"%s\" is not model, client, budget, upstream, endpoint, day or hour", log_quote(v).text);
    return -EINVAL;
}

static int read_since(struct inquiry *q, struct slice v, struct errbuf *e)
{
    return when_read(v, q->now_us, &q->span.since_us, e);
}

static int read_until(struct inquiry *q, struct slice v, struct errbuf *e)
{
    return when_read(v, q->now_us, &q->span.until_us, e);
}

static int read_limit(struct inquiry *q, struct slice v, struct errbuf *e)
{
    int64_t n;

    if (slice_int64(v, &n) == 0 && n >= 1 && n <= REPORT_CALLS_MAX) {
        q->limit = n;
        return 0;
    }
    err_set(e, "\"%s\" is not a number from 1 to %d", log_quote(v).text, REPORT_CALLS_MAX);
    return -EINVAL;
}

static int read_name(char *to, size_t size, struct slice v, struct errbuf *e)
{
    if (v.n >= size) {
        err_set(e, "\"%s\" is longer than %zu bytes, which no call's is", log_quote(v).text, size - 1);
        return -EINVAL;
    }
    memcpy(to, v.p, v.n);
    to[v.n] = '\0';
    return 0;
}

static int read_client(struct inquiry *q, struct slice v, struct errbuf *e)
{
    return read_name(q->client, sizeof q->client, v, e);
}

static int read_model(struct inquiry *q, struct slice v, struct errbuf *e)
{
    if (q->model_count == INQUIRY_MODELS_MAX) {
        err_set(e, "there are more than %d", INQUIRY_MODELS_MAX);
        return -EINVAL;
    }
    return read_name(q->model[q->model_count++], sizeof q->model[0], v, e);
}

static int read_before(struct inquiry *q, struct slice v, struct errbuf *e)
{
    if (row_id_read(v.p, v.n, &q->before_id) == 0)
        return 0;
    if (when_read(v, q->now_us, &q->before_us, NULL) < 0) {
        err_set(e, "\"%s\" is not a call's id (mg-1a2b3c4-17), " WHEN_FORMS, log_quote(v).text);
        return -EINVAL;
    }
    if (q->before_us == 0)
        q->before_us = 1; /* 0 would be any */
    return 0;
}

#define OF(kind) (1u << (kind))

static const struct {
    const char *name;
    unsigned of;       /* kinds that take it */
    unsigned repeated; /* kinds that take it more than once */
    int (*read)(struct inquiry *q, struct slice v, struct errbuf *e);
} parameters[] = {
    {"by", OF(INQUIRY_USAGE), 0, read_by},
    {"since", OF(INQUIRY_USAGE) | OF(INQUIRY_COMPARE), 0, read_since},
    {"until", OF(INQUIRY_USAGE) | OF(INQUIRY_COMPARE), 0, read_until},
    {"limit", OF(INQUIRY_CALLS) | OF(INQUIRY_NOW), 0, read_limit},
    {"client", OF(INQUIRY_CALLS) | OF(INQUIRY_NOW), 0, read_client},
    {"model", OF(INQUIRY_CALLS) | OF(INQUIRY_NOW) | OF(INQUIRY_COMPARE), OF(INQUIRY_COMPARE), read_model},
    {"before", OF(INQUIRY_CALLS), 0, read_before},
};

/* ---- the query ---- */

static int refuse_unknown(const struct inquiry *q, struct slice name, struct errbuf *e)
{
    char names[64] = "";

    for (size_t i = 0; i < MG_ARRAY_LEN(parameters); i++) {
        size_t n = strlen(names);

        if (parameters[i].of & OF(q->kind))
            snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", parameters[i].name);
    }
    err_set(e, "\"%s\" is no parameter of this address, which takes %s", log_quote(name).text,
            *names ? names : "none");
    return -EINVAL;
}

static int read_parameter(struct inquiry *q, struct slice name, struct slice v, unsigned *seen,
                          struct errbuf *e)
{
    struct errbuf why;

    for (size_t i = 0; i < MG_ARRAY_LEN(parameters); i++) {
        if (!(parameters[i].of & OF(q->kind)) || !slice_eq(name, slice_str(parameters[i].name)))
            continue;
        if (v.n == 0)
            return 0;
        if (*seen & 1u << i && !(parameters[i].repeated & OF(q->kind))) {
            err_set(e, "%s stands there twice", parameters[i].name);
            return -EINVAL;
        }
        *seen |= 1u << i;
        if (parameters[i].read(q, v, &why) == 0)
            return 0;
        err_set(e, "%s: %s", parameters[i].name, why.text);
        return -EINVAL;
    }
    return refuse_unknown(q, name, e);
}

static int read_parameters(struct inquiry *q, struct slice query, struct errbuf *e)
{
    struct query_pair pair;
    unsigned seen = 0;
    int rc;

    query_pair_init(&pair);
    do {
        rc = query_next(&query, &pair, e);
        if (rc == 1 && read_parameter(q, buf_slice(&pair.name), buf_slice(&pair.value), &seen, e) < 0)
            rc = -EINVAL;
    } while (rc == 1);
    query_pair_release(&pair);
    return rc;
}

/* ---- what they mean together ---- */

static int check_span(struct inquiry *q, struct errbuf *e)
{
    char since[WHEN_SIZE], until[WHEN_SIZE];

    q->shown_until_us = q->span.until_us == INT64_MAX ? q->now_us : q->span.until_us;
    if (q->span.since_us < 0)
        q->span.since_us = q->shown_until_us - (q->kind == INQUIRY_COMPARE ? 30 : 1) * WHEN_DAY_US;
    if (q->span.since_us >= q->shown_until_us) {
        when_text(q->span.since_us, since);
        when_text(q->shown_until_us, until);
        err_set(e, "since (%s) is not before until (%s)", since, until);
        return -EINVAL;
    }
    if (q->kind == INQUIRY_USAGE && q->by == REPORT_BY_HOUR &&
        (q->shown_until_us - q->span.since_us) / WHEN_HOUR_US >= REPORT_KEYS_MAX) {
        err_set(e, "by: hour takes a span of less than %d hours; ask for a later since, or by day",
                REPORT_KEYS_MAX);
        return -EINVAL;
    }
    return 0;
}

static int check(struct inquiry *q, struct errbuf *e)
{
    if (q->kind == INQUIRY_COMPARE && q->model_count < 2) {
        err_set(e, "model: a comparison takes 2 to %d of them (model=A&model=B)", INQUIRY_MODELS_MAX);
        return -EINVAL;
    }
    return q->kind == INQUIRY_USAGE || q->kind == INQUIRY_COMPARE ? check_span(q, e) : 0;
}

/* ---- the path ---- */

static int read_path(struct slice path, struct inquiry *q, struct errbuf *e)
{
    static const char one[] = "/-/calls/";
    struct slice id;

    if (slice_eq(path, SLICE("/-/usage"))) {
        q->kind = INQUIRY_USAGE;
    } else if (slice_eq(path, SLICE("/-/calls"))) {
        q->kind = INQUIRY_CALLS;
    } else if (slice_eq(path, SLICE("/-/calls/now"))) {
        q->kind = INQUIRY_NOW;
    } else if (slice_eq(path, SLICE("/-/compare"))) {
        q->kind = INQUIRY_COMPARE;
    } else if (slice_starts(path, slice_str(one))) {
        q->kind = INQUIRY_CALL;
        id = slice_skip(path, sizeof one - 1);
        if (row_id_read(id.p, id.n, &q->id) == 0)
            return 0;
        err_set(e,
                "\"%s\" is not the id of a call (mg-1a2b3c4-17, as answers have it in Metergate-Request-Id)",
                log_quote(id).text);
        return -EINVAL;
    } else {
        return -ENOENT;
    }
    return 0;
}

int inquiry_read(struct slice path, struct slice query, int64_t now_us, struct inquiry *ret, struct errbuf *e)
{
    int rc;

    memset(ret, 0, sizeof *ret);
    rc = read_path(path, ret, e);
    if (rc < 0)
        return rc;
    ret->by = REPORT_BY_MODEL;
    ret->limit = DEFAULT_LIMIT;
    ret->now_us = now_us;
    ret->span = (struct report_span){-1, INT64_MAX}; /* not given, both */
    rc = read_parameters(ret, query, e);
    return rc < 0 ? rc : check(ret, e);
}
