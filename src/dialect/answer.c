/*
 * answer: what must always be true.
 *
 *   mode decides who looks at the bytes, and once it is not UNDECIDED it never changes.
 *   Only a hidden stream may leave otherwise than it came: rewrites is true from the beginning, or never.
 *   While decode is set, mode is of the decoded copy: nothing that is read of it leaves, and hide_usage is
 * false. text holds at most ANSWER_TEXT_MAX bytes, all choices together; what came beyond is in
 * text_lost_bytes.
 */
#include "metergate/dialect/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/scan_text.h"
#include "metergate/dialect/decode.h"
#include "metergate/dialect/fields.h"
#include "metergate/dialect/sse.h"
#include "metergate/dialect/tap.h"
#include "metergate/tokens/count.h"

/* Choices of a higher number share a text with a lower one: the count then is a little off where pieces meet.
 */
#define CHOICES 8

/* What says for how long to wait stands in the first sentences. */
#define ERROR_OBJECT_MAX ((size_t)4096)

enum mode { MODE_UNDECIDED, MODE_JSON, MODE_SSE, MODE_UNREAD };

struct answer {
    const struct dialect *dialect;
    enum encoding encoding;
    enum mode mode;
    bool stream, hide_usage;
    struct decode *decode; /* NULL when the body comes as it is, or in a coding that nobody here reads */
    struct sse sse;        /* initialised always; used in MODE_SSE */
    struct tap tap;        /* likewise, MODE_JSON */

    bool has_usage, done;
    struct usage usage; /* its tier is `tier`, which many providers report elsewhere */
    enum usage_tier tier;
    char error[64];
    struct buf error_object; /* as it stands in the answer, at most ERROR_OBJECT_MAX of it */
    char id[DIALECT_ID_MAX];
    struct buf text[CHOICES];
    size_t text_bytes, text_lost_bytes;
    size_t text_at_usage; /* of both, when usage was last reported */
};

/* ---- what the dialect sees
 * ---------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct sse_event *e, struct sse_fate *ret)
{
    struct answer *a = arg;

    if (a->dialect->event)
        a->dialect->event(a, e, a->hide_usage, ret);
    else
        answer_tap(a, e->data, a->dialect->event_paths, a->dialect->event_paths_n);
}

static void on_value(void *arg, const struct tap_value *v)
{
    struct answer *a = arg;

    a->dialect->value(a, v);
}

void answer_saw_text(struct answer *a, int64_t index, struct slice inside, size_t left_out)
{
    struct buf *b = &a->text[index >= 0 ? index % CHOICES : 0];
    size_t room = ANSWER_TEXT_MAX - a->text_bytes, before = b->n;
    struct slice kept = slice_head(inside, room);

    a->text_lost_bytes += left_out + (inside.n - kept.n);
    if (scan_decode(kept, b) < 0) /* a byte that is not UTF-8 becomes three, so this may pass the maximum */
        a->text_lost_bytes += kept.n;
    a->text_bytes += b->n - before;
    if (a->text_bytes > ANSWER_TEXT_MAX)
        a->text_bytes = ANSWER_TEXT_MAX;
}

void answer_saw_usage(struct answer *a, const struct usage *u)
{
    a->usage = *u;
    a->has_usage = true;
    a->text_at_usage = a->text_bytes + a->text_lost_bytes;
}

void answer_saw_tier(struct answer *a, enum usage_tier tier)
{
    a->tier = tier;
}

void answer_saw_error(struct answer *a, struct slice code)
{
    if (code.n == 0)
        code = SLICE("error");
    code = slice_head(code, sizeof a->error - 1);
    memcpy(a->error, code.p, code.n);
    a->error[code.n] = '\0';
}

void answer_saw_error_body(struct answer *a, struct slice object)
{
    buf_reset(&a->error_object);
    buf_add_slice(&a->error_object, slice_head(object, ERROR_OBJECT_MAX));
}

void answer_saw_done(struct answer *a)
{
    a->done = true;
}

void answer_saw_id(struct answer *a, struct slice id)
{
    if (id.n == 0 || id.n >= sizeof a->id)
        return;
    memcpy(a->id, id.p, id.n);
    a->id[id.n] = '\0';
}

void answer_tap(struct answer *a, struct slice json, const struct tap_path *paths, size_t n)
{
    struct tap tap;

    tap_init(&tap, paths, n, on_value, a);
    if (tap_feed(&tap, json) == 0)
        tap_finish(&tap);
    tap_release(&tap);
}

struct slice answer_inside(const struct tap_value *v)
{
    struct slice in = slice_skip(v->raw, 1);

    if (!slice_starts(v->raw, SLICE("\"")))
        return slice_of(NULL, 0);
    if (v->left_out == 0 && slice_ends(in, SLICE("\"")))
        in.n--;
    return in;
}

void answer_saw_string(struct answer *a, const struct tap_value *v)
{
    if (slice_starts(v->raw, SLICE("\"")))
        answer_saw_text(a, v->index, answer_inside(v), v->left_out);
}

void answer_saw_error_object(struct answer *a, const struct tap_value *v, const char *member)
{
    struct field f = {.name = member};
    char name[sizeof a->error];

    if (!slice_starts(v->raw, SLICE("{")))
        return;
    answer_saw_error_body(a, v->raw);
    if (fields_read(v->raw, &f, 1, NULL) == 0 && field_text(v->raw, &f, name, sizeof name) == 0)
        answer_saw_error(a, slice_str(name));
    else
        answer_saw_error(a, SLICE("error"));
}

/* ---- the way through
 * ----------------------------------------------------------------------------------------- */

static bool contains(struct slice s, struct slice part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (slice_eq_nocase(slice_of(s.p + i, part.n), part))
            return true;
    return false;
}

/* Of the text, once its coding is off. */
static enum mode mode_of(const struct answer_conf *c)
{
    if (contains(c->content_type, SLICE("text/event-stream")))
        return MODE_SSE;
    return contains(c->content_type, SLICE("json")) ? MODE_JSON : MODE_UNDECIDED;
}

static int on_decoded(void *arg, struct slice piece);

struct answer *answer_new(const struct answer_conf *conf)
{
    struct answer *a = xcalloc(1, sizeof *a);
    enum decode_kind kind = decode_kind_of(conf->content_encoding);
    bool coded = decode_is_coded(conf->content_encoding);

    a->dialect = conf->dialect;
    a->encoding = encoding_for_model(conf->model, strlen(conf->model)).encoding;
    a->mode = coded && kind == DECODE_NONE ? MODE_UNREAD : mode_of(conf);
    a->stream = conf->stream;
    a->hide_usage = conf->hide_usage && conf->stream && !coded &&
                    (a->mode == MODE_SSE || a->mode == MODE_UNDECIDED);
    if (kind != DECODE_NONE)
        a->decode = decode_new(kind, on_decoded, a);
    buf_init(&a->error_object, ERROR_OBJECT_MAX);
    sse_init(&a->sse, a->hide_usage ? SSE_HOLD : SSE_WATCH, ANSWER_EVENT_MAX, on_event, a);
    tap_init(&a->tap, conf->dialect->paths, conf->dialect->paths_n, on_value, a);
    for (size_t i = 0; i < CHOICES; i++)
        buf_init(&a->text[i], 2 * ANSWER_TEXT_MAX);
    return a;
}

void answer_free(struct answer *a)
{
    if (!a)
        return;
    decode_free(a->decode);
    sse_release(&a->sse);
    tap_release(&a->tap);
    buf_release(&a->error_object);
    for (size_t i = 0; i < CHOICES; i++)
        buf_release(&a->text[i]);
    free(a);
}

bool answer_rewrites(const struct answer *a)
{
    return a->hide_usage;
}

static int pass(struct slice in, struct buf *out)
{
    return out ? buf_append(out, in.p, in.n) : 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* White space decides nothing and passes; the first other byte tells what the answer is. */
static int decide(struct answer *a, struct slice *in, struct buf *out)
{
    size_t n = 0;

    while (n < in->n && is_space(in->p[n]))
        n++;
    if (n < in->n) {
        if (in->p[n] == '{' || in->p[n] == '[')
            a->mode = MODE_JSON;
        else
            a->mode = a->stream ? MODE_SSE : MODE_UNREAD;
    }
    *in = slice_skip(*in, n);
    return pass(slice_of(in->p - n, n), out);
}

/* Bytes of the text; what is to leave is appended to `out`, unless that is NULL. */
static int read_text(struct answer *a, struct slice in, struct buf *out)
{
    int rc = 0;

    if (a->mode == MODE_UNDECIDED && in.n)
        rc = decide(a, &in, out);
    if (rc < 0 || in.n == 0)
        return rc;
    if (a->mode == MODE_SSE)
        return sse_feed(&a->sse, in, out);
    rc = pass(in, out);
    if (rc == 0 && a->mode == MODE_JSON)
        rc = tap_feed(&a->tap, in);
    return rc;
}

static int on_decoded(void *arg, struct slice piece)
{
    return read_text(arg, piece, NULL);
}

int answer_feed(struct answer *a, struct slice in, struct buf *out)
{
    int rc;

    MG_ASSERT(out || !a->hide_usage);
    if (!a->decode)
        return read_text(a, in, out);
    rc = pass(in, out);
    return rc < 0 ? rc : decode_feed(a->decode, in);
}

bool answer_gave_up(const struct answer *a)
{
    return a->decode && decode_gave_up(a->decode);
}

int answer_finish(struct answer *a, struct buf *out)
{
    if (a->mode == MODE_JSON)
        tap_finish(&a->tap);
    return a->mode == MODE_SSE ? sse_finish(&a->sse, out) : 0;
}

/* ---- what was seen
 * ------------------------------------------------------------------------------------------ */

bool answer_usage(const struct answer *a, struct usage *ret)
{
    if (!a->has_usage)
        return false;
    *ret = a->usage;
    ret->tier = a->tier;
    return true;
}

enum usage_tier answer_tier(const struct answer *a)
{
    return a->tier;
}

int64_t answer_counted_output(struct answer *a)
{
    int64_t tokens = (int64_t)(a->text_lost_bytes / 4);

    for (size_t i = 0; i < CHOICES; i++)
        tokens += tokens_count(a->encoding, a->text[i].p, a->text[i].n);
    return tokens;
}

int64_t answer_produced(const struct answer *a)
{
    int64_t text = (int64_t)((a->text_bytes + a->text_lost_bytes) / 4);

    return a->has_usage && a->usage.output > text ? a->usage.output : text;
}

bool answer_complete(const struct answer *a)
{
    return a->done || (a->mode == MODE_JSON && tap_whole(&a->tap));
}

bool answer_usage_is_behind(const struct answer *a)
{
    return a->has_usage && a->text_bytes + a->text_lost_bytes > a->text_at_usage && !answer_complete(a);
}

bool answer_lacks_end(const struct answer *a)
{
    return !a->decode && (a->mode == MODE_JSON || a->mode == MODE_SSE) && !answer_complete(a);
}

const char *answer_id(const struct answer *a)
{
    return a->id[0] ? a->id : NULL;
}

const char *answer_error(const struct answer *a)
{
    return a->error[0] ? a->error : NULL;
}

int answer_error_status(const struct answer *a)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        {"429", 429},                /* OpenRouter */
        {"rate_limit_exceeded", 429}, /* OpenAI */
        {"slow_down", 429},
        {"rate_limit_error", 429},   /* Anthropic */
        {"RESOURCE_EXHAUSTED", 429}, /* Google */
        {"503", 503},
        {"UNAVAILABLE", 503},
        {"529", 529},
        {"overloaded_error", 529},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(codes); i++) {
        if (strcmp(a->error, codes[i].code) == 0)
            return codes[i].status;
    }
    return 0;
}

struct slice answer_error_object(const struct answer *a)
{
    return buf_slice(&a->error_object);
}
