/*
 * json: the writer's levels are 1..depth while something is open; bit d of `objects` tells an object from an
 * array. `keyed` is true exactly between json_key and its value, so inside an object every value has its key.
 *
 * A struct json is a cJSON node under another name; this is the only file that knows it.
 */
#include "metergate/base/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "metergate/base/spare.h"

void json_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static bool in_object(const struct json_writer *w)
{
    return w->depth > 0 && (w->objects >> w->depth & 1);
}

static void before_value(struct json_writer *w)
{
    MG_ASSERT(in_object(w) == w->keyed);
    if (w->comma && !w->keyed)
        buf_add_char(w->out, ',');
    w->comma = true;
    w->keyed = false;
}

static void begin(struct json_writer *w, char c, bool object)
{
    before_value(w);
    MG_ASSERT(w->depth < JSON_DEPTH_MAX);
    w->depth++;
    w->objects = (w->objects & ~(UINT64_C(1) << w->depth)) | (uint64_t)object << w->depth;
    w->comma = false;
    buf_add_char(w->out, c);
}

static void end(struct json_writer *w, char c, bool object)
{
    MG_ASSERT(w->depth > 0 && in_object(w) == object && !w->keyed);
    w->depth--;
    w->comma = true;
    buf_add_char(w->out, c);
}

void json_object_begin(struct json_writer *w)
{
    begin(w, '{', true);
}

void json_object_end(struct json_writer *w)
{
    end(w, '}', true);
}

void json_array_begin(struct json_writer *w)
{
    begin(w, '[', false);
}

void json_array_end(struct json_writer *w)
{
    end(w, ']', false);
}

void json_key_slice(struct json_writer *w, struct slice key)
{
    MG_ASSERT(in_object(w) && !w->keyed);
    if (w->comma)
        buf_add_char(w->out, ',');
    buf_add_char(w->out, '"');
    json_escape(w->out, key);
    buf_add_str(w->out, "\":");
    w->keyed = true;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_slice(w, slice_str(key));
}

void json_str(struct json_writer *w, struct slice s)
{
    before_value(w);
    buf_add_char(w->out, '"');
    json_escape(w->out, s);
    buf_add_char(w->out, '"');
}

/* By hand: a status has tens of thousands of them, and vsnprintf is most of what they would cost. */
void json_int(struct json_writer *w, int64_t v)
{
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char text[24];
    size_t at = sizeof text;

    before_value(w);
    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0)
        text[--at] = '-';
    buf_add(w->out, text + at, sizeof text - at);
}

void json_double(struct json_writer *w, double v, int digits)
{
    MG_ASSERT(digits >= 0 && digits <= 9);
    before_value(w);
    if (isfinite(v))
        buf_addf(w->out, "%.*f", digits, v);
    else
        buf_add_str(w->out, "null");
}

void json_bool(struct json_writer *w, bool v)
{
    before_value(w);
    buf_add_str(w->out, v ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    before_value(w);
    buf_add_str(w->out, "null");
}

void json_raw(struct json_writer *w, struct slice json)
{
    before_value(w);
    buf_add_slice(w->out, json);
}

void json_member_str(struct json_writer *w, const char *key, struct slice s)
{
    json_key(w, key);
    json_str(w, s);
}

void json_member_int(struct json_writer *w, const char *key, int64_t v)
{
    json_key(w, key);
    json_int(w, v);
}

void json_member_double(struct json_writer *w, const char *key, double v, int digits)
{
    json_key(w, key);
    json_double(w, v, digits);
}

void json_member_bool(struct json_writer *w, const char *key, bool v)
{
    json_key(w, key);
    json_bool(w, v);
}

static bool is_safe(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void escape_ascii(struct buf *out, unsigned char c)
{
    static const char short_for[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (c == '"' || c == '\\')
        buf_addf(out, "\\%c", c);
    else if (c < 0x20 && short_for[c])
        buf_addf(out, "\\%c", short_for[c]);
    else
        buf_addf(out, "\\u%04x", c);
}

void json_escape(struct buf *out, struct slice s)
{
    while (s.n) {
        size_t safe = 0, n;

        while (safe < s.n && is_safe((unsigned char)s.p[safe]))
            safe++;
        buf_add(out, s.p, safe);
        s = slice_skip(s, safe);
        if (s.n == 0)
            return;
        n = slice_utf8(s);
        if (n == 0) {
            buf_add_str(out, "\xef\xbf\xbd");
            n = 1;
        } else if (n == 1) {
            escape_ascii(out, (unsigned char)s.p[0]);
        } else {
            buf_add(out, s.p, n);
        }
        s = slice_skip(s, n);
    }
}

static const cJSON *inside(const struct json *node)
{
    return (const cJSON *)(const void *)node;
}

static const struct json *outside(const cJSON *item)
{
    return (const struct json *)(const void *)item;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void json_use_spare(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){spare_malloc, free});
}

int json_parse(struct slice text, struct json **ret)
{
    const char *at = NULL;
    cJSON *doc;

    if (text.n > JSON_TEXT_MAX)
        return -E2BIG;
    if (text.n == 0)
        return -EINVAL;
    errno = 0;
    doc = cJSON_ParseWithLengthOpts(text.p, text.n, &at, 0);
    if (!doc)
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    while (at < text.p + text.n && is_space(*at))
        at++;
    if (at != text.p + text.n) {
        cJSON_Delete(doc);
        return -EINVAL;
    }
    *ret = (struct json *)(void *)doc;
    return 0;
}

void json_free(struct json *doc)
{
    cJSON_Delete((cJSON *)(void *)doc);
}

const struct json *json_get(const struct json *node, const char *key)
{
    if (!json_is_object(node))
        return NULL;
    return outside(cJSON_GetObjectItemCaseSensitive(inside(node), key));
}

static const struct json *step(const struct json *node, struct slice name)
{
    int64_t index;

    if (json_is_array(node)) {
        if (slice_int64(name, &index) < 0)
            return NULL;
        JSON_EACH(node, child)
        {
            if (index-- == 0)
                return child;
        }
        return NULL;
    }
    JSON_EACH(node, child)
    {
        if (slice_eq(json_name(child), name))
            return child;
    }
    return NULL;
}

const struct json *json_path(const struct json *node, const char *path)
{
    struct slice rest = slice_str(path);

    while (node && rest.n) {
        struct slice name = slice_head(rest, slice_find(rest, '.'));

        node = step(node, name);
        rest = slice_skip(rest, name.n + 1);
    }
    return node;
}

const struct json *json_first(const struct json *node)
{
    return json_is_object(node) || json_is_array(node) ? outside(inside(node)->child) : NULL;
}

const struct json *json_next(const struct json *child)
{
    return child ? outside(inside(child)->next) : NULL;
}

struct slice json_name(const struct json *node)
{
    return slice_str(node ? inside(node)->string : NULL);
}

bool json_is_object(const struct json *node)
{
    return node && cJSON_IsObject(inside(node));
}

bool json_is_array(const struct json *node)
{
    return node && cJSON_IsArray(inside(node));
}

bool json_is_null(const struct json *node)
{
    return node && cJSON_IsNull(inside(node));
}

int json_as_double(const struct json *node, double *ret)
{
    if (!node)
        return -ENOENT;
    if (!cJSON_IsNumber(inside(node)) || !isfinite(inside(node)->valuedouble))
        return -EINVAL;
    *ret = inside(node)->valuedouble;
    return 0;
}

int json_as_int64(const struct json *node, int64_t *ret)
{
    const double exact = 9007199254740992.0; /* 2^53 */
    double v;
    int rc = json_as_double(node, &v);

    if (rc < 0)
        return rc;
    if (v < -exact || v > exact || floor(v) < v)
        return -ERANGE;
    *ret = (int64_t)v;
    return 0;
}

int json_as_bool(const struct json *node, bool *ret)
{
    if (!node)
        return -ENOENT;
    if (!cJSON_IsBool(inside(node)))
        return -EINVAL;
    *ret = cJSON_IsTrue(inside(node));
    return 0;
}

int json_as_str(const struct json *node, struct slice *ret)
{
    if (!node)
        return -ENOENT;
    if (!cJSON_IsString(inside(node)))
        return -EINVAL;
    *ret = slice_str(inside(node)->valuestring);
    return 0;
}
