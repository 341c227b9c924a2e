/* lease_text: nothing is written to *ret unless all of the body was understood; texts are copied out of the
 * document before it is freed. */
#include "metergate/proxy/lease_text.h"

#include <errno.h>
#include <string.h>

#include "metergate/base/json.h"

/* One that may stand in the body; `value` is NULL where it does not. */
struct member {
    const char *name;
    const struct json *value;
};

/* ---- members ---- */

static int take_members(const struct json *doc, struct member *m, size_t n, struct errbuf *e)
{
    JSON_EACH (doc, child) {
        struct slice name = json_name(child);
        size_t i = 0;

        while (i < n && !slice_eq(name, slice_str(m[i].name)))
            i++;
        if (i == n) {
            err_set(e, "it has a member \"%.*s\", which means nothing here", (int)(name.n < 64 ? name.n : 64),
                    name.p);
            return -EBADMSG;
        }
        if (m[i].value) {
            err_set(e, "\"%s\" stands there twice", m[i].name);
            return -EBADMSG;
        }
        m[i].value = child;
    }
    for (size_t i = 0; i < n; i++) {
        if (json_is_null(m[i].value))
            m[i].value = NULL;
    }
    return 0;
}

/* The members point into *ret_doc: json_free it, whatever is returned. */
static int read_members(struct slice body, struct member *m, size_t n, struct json **ret_doc,
                        struct errbuf *e)
{
    *ret_doc = NULL;
    if (json_parse(body, ret_doc) < 0 || !json_is_object(*ret_doc)) {
        err_set(e, "it is not a JSON object");
        return -EBADMSG;
    }
    return take_members(*ret_doc, m, n, e);
}

/* An absent one leaves *ret as it is. */
static int read_tokens(const struct member *m, int64_t *ret, struct errbuf *e)
{
    int64_t v;

    if (!m->value)
        return 0;
    if (json_as_int64(m->value, &v) < 0 || v < 0 || v > DIALECT_TOKENS_MAX) {
        err_set(e, "\"%s\" must be a whole number from 0 to %lld", m->name, (long long)DIALECT_TOKENS_MAX);
        return -EBADMSG;
    }
    *ret = v;
    return 0;
}

/* Seconds, or text such as "2m30s"; likewise. */
static int read_duration(const struct member *m, int64_t *ret, struct errbuf *e)
{
    static const double most_s = 100.0 * 365 * 86400; /* as slice_duration_us has it */
    struct slice text;
    double s;

    if (!m->value)
        return 0;
    if (json_as_double(m->value, &s) == 0 && s >= 0 && s <= most_s) {
        *ret = (int64_t)(s * CLOCK_S);
        return 0;
    }
    if (json_as_str(m->value, &text) == 0 && slice_duration_us(text, ret) == 0)
        return 0;
    err_set(e, "\"%s\" must be seconds, or a duration such as \"250ms\", \"30s\" or \"2h\"", m->name);
    return -EBADMSG;
}

/* A text of 1 to size - 1 bytes; likewise. */
static int read_text(const struct member *m, char *ret, size_t size, struct errbuf *e)
{
    struct slice text;

    if (!m->value)
        return 0;
    if (json_as_str(m->value, &text) < 0 || text.n == 0 || text.n >= size) {
        err_set(e, "\"%s\" must be a text of 1 to %zu bytes", m->name, size - 1);
        return -EBADMSG;
    }
    memcpy(ret, text.p, text.n);
    ret[text.n] = '\0';
    return 0;
}

static bool read_all_tokens(struct member *const m[], int64_t *const ret[], size_t n, struct errbuf *e)
{
    for (size_t i = 0; i < n; i++) {
        if (read_tokens(m[i], ret[i], e) < 0)
            return false;
    }
    return true;
}

/* ---- a reservation ---- */

enum { WISH_MODEL, WISH_UPSTREAM, WISH_TOKENS, WISH_INPUT, WISH_OUTPUT, WISH_MAX_WAIT, WISH_MEMBERS };

static int read_sum(struct member *m, struct lease_wish *w, struct errbuf *e)
{
    struct member *const which[] = {&m[WISH_TOKENS], &m[WISH_INPUT], &m[WISH_OUTPUT]};
    bool split = m[WISH_INPUT].value || m[WISH_OUTPUT].value;
    int64_t sum = 0;

    if (!read_all_tokens(which, (int64_t *const[]){&sum, &w->input, &w->output}, MG_ARRAY_LEN(which), e))
        return -EBADMSG;
    if (!m[WISH_TOKENS].value && !split) {
        err_set(e, "it does not say how many \"tokens\" the call will take (or \"input_tokens\" and "
                   "\"output_tokens\")");
        return -EBADMSG;
    }
    if (m[WISH_TOKENS].value && split && sum != w->input + w->output) {
        err_set(e, "\"tokens\" is not the sum of \"input_tokens\" and \"output_tokens\"; give the one or the "
                   "others");
        return -EBADMSG;
    }
    if (!split)
        w->input = sum;
    return 0;
}

static int read_wish(struct member *m, struct lease_wish *w, struct errbuf *e)
{
    size_t plural = sizeof "models/" - 1;

    if (!m[WISH_MODEL].value) {
        err_set(e, "it names no \"model\"");
        return -EBADMSG;
    }
    if (read_text(&m[WISH_MODEL], w->model, sizeof w->model, e) < 0 ||
        read_text(&m[WISH_UPSTREAM], w->upstream, sizeof w->upstream, e) < 0 || read_sum(m, w, e) < 0 ||
        read_duration(&m[WISH_MAX_WAIT], &w->max_wait_us, e) < 0)
        return -EBADMSG;
    /* as Gemini lists its models; in a call's path the name stands without it */
    if (strncmp(w->model, "models/", plural) == 0 && w->model[plural])
        memmove(w->model, w->model + plural, strlen(w->model) - plural + 1);
    return 0;
}

int lease_wish_read(struct slice body, struct lease_wish *ret, struct errbuf *e)
{
    struct member m[WISH_MEMBERS] = {
        [WISH_MODEL] = {.name = "model"},          [WISH_UPSTREAM] = {.name = "upstream"},
        [WISH_TOKENS] = {.name = "tokens"},        [WISH_INPUT] = {.name = "input_tokens"},
        [WISH_OUTPUT] = {.name = "output_tokens"}, [WISH_MAX_WAIT] = {.name = "max_wait"},
    };
    struct lease_wish w = {.max_wait_us = -1};
    struct json *doc;
    int rc = read_members(body, m, WISH_MEMBERS, &doc, e);

    if (rc == 0)
        rc = read_wish(m, &w, e);
    json_free(doc);
    if (rc == 0)
        *ret = w;
    return rc;
}

/* ---- a report ---- */

enum {
    REPORT_LEASE,
    REPORT_INPUT,
    REPORT_OUTPUT,
    REPORT_CACHED,
    REPORT_STATUS,
    REPORT_RETRY_AFTER,
    REPORT_MEMBERS
};

static int read_usage(struct member *m, struct usage *u, struct errbuf *e)
{
    struct member *const which[] = {&m[REPORT_INPUT], &m[REPORT_OUTPUT], &m[REPORT_CACHED]};

    if (!m[REPORT_INPUT].value && !m[REPORT_OUTPUT].value) {
        err_set(e, "it does not say what was used (\"input_tokens\" and \"output_tokens\")");
        return -EBADMSG;
    }
    if (!read_all_tokens(which, (int64_t *const[]){&u->input, &u->output, &u->cached}, MG_ARRAY_LEN(which),
                         e))
        return -EBADMSG;
    if (u->cached > u->input) {
        err_set(e, "\"cached_tokens\" are a part of \"input_tokens\" and cannot be more");
        return -EBADMSG;
    }
    return 0;
}

static int read_refusal(struct member *m, struct lease_report *r, struct errbuf *e)
{
    int64_t status;

    if (json_as_int64(m[REPORT_STATUS].value, &status) < 0 || status != 429) {
        err_set(e, "\"status\" may only be 429; of any other answer tell what was used, without a status");
        return -EBADMSG;
    }
    if (m[REPORT_INPUT].value || m[REPORT_OUTPUT].value || m[REPORT_CACHED].value) {
        err_set(e, "a call that was answered 429 has used nothing: give \"status\" or the tokens");
        return -EBADMSG;
    }
    r->refused = true;
    return read_duration(&m[REPORT_RETRY_AFTER], &r->retry_after_us, e);
}

static int read_report(struct member *m, struct lease_report *r, struct errbuf *e)
{
    struct slice id;

    if (json_as_str(m[REPORT_LEASE].value, &id) < 0) {
        err_set(e, "it names no \"lease\"");
        return -EBADMSG;
    }
    if (id.n < sizeof r->id) {
        memcpy(r->id, id.p, id.n);
        r->id[id.n] = '\0';
    }
    if (m[REPORT_STATUS].value)
        return read_refusal(m, r, e);
    if (m[REPORT_RETRY_AFTER].value) {
        err_set(e, "\"retry_after\" stands beside \"status\": 429 only");
        return -EBADMSG;
    }
    return read_usage(m, &r->usage, e);
}

int lease_report_read(struct slice body, struct lease_report *ret, struct errbuf *e)
{
    struct member m[REPORT_MEMBERS] = {
        [REPORT_LEASE] = {.name = "lease"},          [REPORT_INPUT] = {.name = "input_tokens"},
        [REPORT_OUTPUT] = {.name = "output_tokens"}, [REPORT_CACHED] = {.name = "cached_tokens"},
        [REPORT_STATUS] = {.name = "status"},        [REPORT_RETRY_AFTER] = {.name = "retry_after"},
    };
    struct lease_report r = {.retry_after_us = -1};
    struct json *doc;
    int rc = read_members(body, m, REPORT_MEMBERS, &doc, e);

    if (rc == 0)
        rc = read_report(m, &r, e);
    json_free(doc);
    if (rc == 0)
        *ret = r;
    return rc;
}
