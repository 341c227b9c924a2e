/*
 * error_body: everything in it is the peer's word and as long as the peer likes, so the depth, the message
 * and the number of quotas are bounded, and nothing is copied but the message.
 */
#include "error_body.h"

#include <string.h>

#include "metergate/base/err.h"
#include "metergate/base/scan.h"
#include "metergate/base/scan_text.h"

#define MESSAGE_MAX   ((size_t)4096) /* bytes of it that are looked at */
#define DETAILS_DEPTH 8
#define ERRORS_DEPTH  4

static void take_message(struct error_facts *f, struct slice inside)
{
    buf_reset(&f->message);
    /* one byte becomes at most three (one that is not UTF-8), so this fits */
    inside = slice_head(inside, MESSAGE_MAX);
    buf_need(&f->message, 3 * inside.n); /* a byte that is not UTF-8 becomes three */
    MG_ASSERT(scan_decode(inside, &f->message) == 0);
}

/* ---- Google's details ------------------------------------------------------------------------ */

static bool contains(struct slice text, const char *word)
{
    return text.n && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* quotaId names the period: GenerateRequestsPerDayPerProjectPerModel-FreeTier. */
static bool is_daily(struct slice quota)
{
    return contains(quota, "PerDay");
}

bool error_quota_is_of_a_model(const struct error_quota *q)
{
    return q->model.n || contains(q->id, "Model") || contains(q->metric, "model");
}

static void take_quota(struct error_facts *f, const struct error_quota *q)
{
    if (!q->id.n)
        return;
    f->daily |= is_daily(q->id);
    if (f->quota_n < ERROR_QUOTAS_MAX)
        f->quotas[f->quota_n++] = *q;
}

/* "250000" or 250000, above 0. */
static int64_t positive(struct slice text)
{
    int64_t v;

    return scan_int64(text, &v) == 0 && v > 0 ? v : 0;
}

static void read_details(struct scan *s, struct error_facts *f, struct error_quota *q);

/* One member of an object of the details, whose key was read. */
static void read_detail(struct scan *s, const struct scan_value *key, struct error_facts *f,
                        struct error_quota *q)
{
    bool value = scan_is(s, key, "quotaValue") || scan_is(s, key, "quota_limit_value");
    bool id = scan_is(s, key, "quotaId") || scan_is(s, key, "quota_limit");
    bool metric = scan_is(s, key, "quotaMetric") || scan_is(s, key, "quota_metric");
    bool model = scan_is(s, key, "model") || scan_is(s, key, "base_model");
    bool code = scan_is(s, key, "error_code"), delay = scan_is(s, key, "retryDelay");
    bool list = scan_is(s, key, "violations");
    bool part = scan_is(s, key, "quotaDimensions") || scan_is(s, key, "metadata");
    struct scan_value v;
    struct slice text;

    if ((list || part) && s->depth < DETAILS_DEPTH) {
        read_details(s, f, part ? q : NULL);
        return;
    }
    v = scan_value(s);
    text = scan_text(s, &v);
    if (value && (v.type == SCAN_STRING || v.type == SCAN_NUMBER))
        q->value = positive(text);
    if (v.type != SCAN_STRING)
        return;
    if (id)
        q->id = text;
    if (metric)
        q->metric = text;
    if (model)
        q->model = text;
    if (code)
        f->code = text;
    if (delay)
        f->retry_delay = text;
}

/* What stands in `details`, an object or a list of them, wherever in it. An object is a quota of its own, or,
 * with `q`, part of that one. */
static void read_details(struct scan *s, struct error_facts *f, struct error_quota *q)
{
    struct error_quota own = {0};
    struct scan_value key;

    if (scan_peek(s) == SCAN_ARRAY && s->depth < DETAILS_DEPTH) {
        if (scan_enter(s, SCAN_ARRAY))
            while (scan_element(s))
                read_details(s, f, NULL);
        return;
    }
    if (!scan_enter(s, SCAN_OBJECT))
        return;
    while (scan_member(s, &key))
        read_detail(s, &key, f, q ? q : &own);
    take_quota(f, &own);
}

/* ---- the error ------------------------------------------------------------------------------- */

/* Inside the object that holds the error's members. */
static void read_members(struct scan *s, struct error_facts *f)
{
    struct scan_value key, v;

    while (scan_member(s, &key)) {
        bool message = scan_is(s, &key, "message") || scan_is(s, &key, "detail");
        bool type = scan_is(s, &key, "type"), code = scan_is(s, &key, "code");

        if (scan_is(s, &key, "error") && scan_peek(s) == SCAN_OBJECT) {
            if (s->depth < ERRORS_DEPTH && scan_enter(s, SCAN_OBJECT)) {
                read_members(s, f);
                continue;
            }
        }
        if (scan_is(s, &key, "details")) {
            read_details(s, f, NULL);
            continue;
        }
        message |= scan_is(s, &key, "error"); /* {"error":"a sentence"} */
        v = scan_value(s);
        if (message && v.type == SCAN_STRING)
            take_message(f, scan_text(s, &v));
        if (type && v.type == SCAN_STRING)
            f->type = scan_text(s, &v);
        if (code && (v.type == SCAN_STRING || v.type == SCAN_NUMBER))
            f->code = scan_text(s, &v);
    }
}

void error_body_read(struct slice body, struct error_facts *ret)
{
    struct scan s;

    *ret = (struct error_facts){0};
    buf_init(&ret->message, 3 * MESSAGE_MAX);
    scan_init(&s, body);
    if (scan_peek(&s) == SCAN_ARRAY && scan_enter(&s, SCAN_ARRAY) && !scan_element(&s)) /* [{"error": ...}] */
        return;
    if (scan_peek(&s) == SCAN_NONE) {
        take_message(ret, body); /* plain text */
        return;
    }
    if (scan_enter(&s, SCAN_OBJECT))
        read_members(&s, ret);
}

void error_body_release(struct error_facts *f)
{
    buf_release(&f->message);
}
