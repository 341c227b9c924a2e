/*
 * value: a reader changes its field only when the text is good. A field that was never set is all zeros;
 * value_release brings it back to that.
 */
#include "metergate/config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/config/check.h"
#include "metergate/config/config.h"

#define LIST_MAX ((size_t)1000)

bool value_is_list(enum table_type type)
{
    return type == TABLE_HOSTS || type == TABLE_ORIGINS || type == TABLE_GLOBS || type == TABLE_LISTEN ||
           type == TABLE_USERS || type == TABLE_CHOICES;
}

bool value_is_limit(enum table_type type)
{
    return type == TABLE_LIMIT || type == TABLE_MONEY;
}

/* ---- words ---- */

static int read_word(const struct table_row *row, struct slice text, unsigned *ret, struct errbuf *e)
{
    int index = check_word(row->choices, text);
    struct buf words;

    if (index >= 0) {
        *ret = (unsigned)index;
        return 0;
    }
    buf_init(&words, BUF_UNLIMITED);
    check_list_words(row->choices, &words);
    err_set(e, "\"%s\" is not %s", SHOW(text), words.p);
    buf_release(&words);
    return -EINVAL;
}

/* ---- numbers ---- */

/* Digits with at most `digits` more after a point, in units of 10^-digits. */
static int read_decimal(struct slice text, int digits, int64_t *ret)
{
    size_t point = slice_find(text, '.');
    struct slice fraction = slice_skip(text, point + 1);
    int64_t v, scale = 1, f = 0;
    int rc = slice_int64(slice_head(text, point), &v);

    if (rc < 0)
        return rc;
    if (point < text.n)
        rc = slice_int64(fraction, &f);
    if (rc < 0 || fraction.n > (size_t)digits)
        return -EINVAL;
    for (int i = 0; i < digits; i++) {
        scale *= 10;
        if ((size_t)i >= fraction.n)
            f *= 10;
    }
    if (__builtin_mul_overflow(v, scale, &v) || __builtin_add_overflow(v, f, &v))
        return -ERANGE;
    *ret = v;
    return 0;
}

/* A bare 20 could be meant as 20 % or as 0.2 of something: only 0 may stand alone. */
static int read_share(struct slice text, int64_t *ret)
{
    if (slice_eq(text, SLICE("0"))) {
        *ret = 0;
        return 0;
    }
    if (!slice_ends(text, SLICE("%")))
        return -EINVAL;
    return read_decimal(slice_trim(slice_head(text, text.n - 1)), 1, ret);
}

static int read_number_text(enum table_type type, struct slice text, int64_t *ret)
{
    switch (type) {
    case TABLE_DURATION:
        return slice_duration_us(text, ret);
    case TABLE_SIZE:
        return slice_size_bytes(text, ret);
    case TABLE_SHARE:
        return read_share(text, ret);
    case TABLE_USD:
        return read_decimal(text, 6, ret);
    case TABLE_MONEY:
        return read_decimal(text, 9, ret);
    default:
        return slice_count(text, ret);
    }
}

static const char *number_words(enum table_type type)
{
    switch (type) {
    case TABLE_DURATION:
        return "a duration (250ms, 15s, 10m, 2h, 1d)";
    case TABLE_SIZE:
        return "a size (64KiB, 1MiB, 1GiB)";
    case TABLE_SHARE:
        return "a percentage (20%)";
    case TABLE_USD:
    case TABLE_MONEY:
        return "an amount of dollars (2.50)";
    default:
        return "a count (500, 30k, 1.5M)";
    }
}

static bool in_bounds(const struct table_row *row, int64_t v)
{
    int64_t bound;

    if (row->min && (read_number_text(row->type, slice_str(row->min), &bound) < 0 || v < bound))
        return false;
    if (row->max && (read_number_text(row->type, slice_str(row->max), &bound) < 0 || v > bound))
        return false;
    return true;
}

static int read_number(const struct table_row *row, struct slice text, int64_t *ret, struct errbuf *e)
{
    int64_t v = 0;
    int rc = read_number_text(row->type, text, &v);

    if (rc == -EINVAL)
        err_set(e, "\"%s\" is not %s", SHOW(text), number_words(row->type));
    else if (rc < 0 && !row->max)
        err_set(e, "\"%s\" is out of range", SHOW(text));
    else if (rc < 0 || !in_bounds(row, v))
        err_set(e, "\"%s\" is out of range (%s to %s)", SHOW(text), row->min, row->max);
    else
        *ret = v;
    return rc < 0 || !in_bounds(row, v) ? -EINVAL : 0;
}

static int read_bool(struct slice text, bool *ret, struct errbuf *e)
{
    bool yes = slice_eq(text, SLICE("true"));

    if (!yes && !slice_eq(text, SLICE("false"))) {
        err_set(e, "\"%s\" is not true or false", SHOW(text));
        return -EINVAL;
    }
    *ret = yes;
    return 0;
}

/* ---- texts ---- */

static void set_text(char **field, struct slice text)
{
    char *copy = xstrndup(text.n ? text.p : "", text.n);

    free(*field);
    *field = copy;
}

/* Checked already: begins with / or ~/. Without a $HOME the file is looked for where it will not be found. */
static void set_path(char **field, struct slice text)
{
    const char *home = getenv("HOME");
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    if (slice_starts(text, SLICE("~")))
        buf_add_str(&path, home ? home : "");
    buf_add_slice(&path, slice_skip(text, text.p[0] == '~'));
    set_text(field, buf_slice(&path));
    buf_release(&path);
}

static struct slice without_slashes(struct slice url)
{
    while (slice_ends(url, SLICE("/")))
        url.n--;
    return url;
}

static int check_words(const struct table_row *row, struct slice text, struct errbuf *e)
{
    uid_t uid;

    switch (row->type) {
    case TABLE_URL:
        return check_url(text, row->choices, e);
    case TABLE_PATH:
    case TABLE_FILE:
        return check_path(text, e);
    case TABLE_ENV:
        return check_env(text, e);
    case TABLE_USER:
        return check_user(text, &uid, e);
    case TABLE_CREDENTIAL:
        return check_credential(text, e);
    default:
        return check_text(text, e);
    }
}

static int read_text(const struct table_row *row, struct slice text, char **field, struct errbuf *e)
{
    bool unset = text.n == 0 && row->fallback && row->fallback[0] == '\0';
    bool is_path = row->type == TABLE_PATH || row->type == TABLE_FILE;
    bool word = is_path && row->choices && slice_eq(text, slice_str(row->choices)); /* none */

    if (!unset && !word && check_words(row, text, e) < 0)
        return -EINVAL;
    if (!unset && !word && is_path)
        set_path(field, text);
    else
        set_text(field, row->type == TABLE_URL ? without_slashes(text) : text);
    return 0;
}

/* ---- lists ---- */

static int check_string(enum table_type type, struct slice text, struct errbuf *e)
{
    if (type == TABLE_HOSTS)
        return check_host(text, e);
    return type == TABLE_ORIGINS ? check_origin(text, e) : check_glob(text, e);
}

static int add_string(const struct table_row *row, struct config_strings *list, struct slice text,
                      struct errbuf *e)
{
    if (check_string(row->type, text, e) < 0)
        return -EINVAL;
    if (list->n == LIST_MAX) {
        err_set(e, "more than %zu elements", LIST_MAX);
        return -EINVAL;
    }
    list->v = xrealloc((void *)list->v, (list->n + 1) * sizeof(list->v[0]));
    list->v[list->n++] = xstrndup(text.n ? text.p : "", text.n);
    return 0;
}

static int add_listen(struct config_listens *list, struct slice text, struct errbuf *e)
{
    if (check_listen(text, e) < 0)
        return -EINVAL;
    if (list->n == 64) {
        err_set(e, "more than 64 addresses");
        return -EINVAL;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!slice_ends(text, SLICE(":0")) && slice_eq(text, slice_str(list->v[i].text))) {
            err_set(e, "\"%s\" stands here twice", SHOW(text));
            return -EINVAL;
        }
    }
    list->v = xrealloc(list->v, (list->n + 1) * sizeof list->v[0]);
    list->v[list->n++] = (struct config_listen){
        .text = xstrndup(text.p, text.n),
        .optional = slice_eq(text, SLICE("127.0.0.1:4283")) || slice_eq(text, SLICE("[::1]:4283")),
    };
    return 0;
}

static int add_user(struct config_users *list, struct slice text, struct errbuf *e)
{
    uid_t uid;

    if (list->n == LIST_MAX) {
        err_set(e, "more than %zu users", LIST_MAX);
        return -EINVAL;
    }
    if (check_user(text, &uid, e) < 0)
        return -EINVAL;
    list->v = xrealloc(list->v, (list->n + 1) * sizeof list->v[0]);
    list->v[list->n++] = (struct config_user){xstrndup(text.p, text.n), uid};
    return 0;
}

/* ---- any type ---- */

/* An enum has the size and representation of unsigned here (GCC and clang, without -fshort-enums). */
_Static_assert(sizeof(enum config_order) == sizeof(unsigned), "enums are stored as unsigned");

int value_read(const struct table_row *row, struct slice text, void *field, struct errbuf *e)
{
    unsigned word;
    int rc;

    switch (row->type) {
    case TABLE_DURATION:
    case TABLE_SIZE:
    case TABLE_COUNT:
    case TABLE_SHARE:
    case TABLE_USD:
    case TABLE_LIMIT:
    case TABLE_MONEY:
        return read_number(row, text, field, e);
    case TABLE_BOOL:
        return read_bool(text, field, e);
    case TABLE_CHOICE:
        rc = read_word(row, text, &word, e);
        if (rc == 0)
            memcpy(field, &word, sizeof word);
        return rc;
    case TABLE_CHOICES:
        rc = read_word(row, text, &word, e);
        if (rc == 0)
            *(unsigned *)field |= 1u << word;
        return rc;
    case TABLE_TEXT:
    case TABLE_NAME:
    case TABLE_USER:
    case TABLE_URL:
    case TABLE_PATH:
    case TABLE_FILE:
    case TABLE_ENV:
    case TABLE_CREDENTIAL:
        return read_text(row, text, field, e);
    case TABLE_HOSTS:
    case TABLE_ORIGINS:
    case TABLE_GLOBS:
        return add_string(row, field, text, e);
    case TABLE_LISTEN:
        return add_listen(field, text, e);
    case TABLE_USERS:
        return add_user(field, text, e);
    }
    return -EINVAL;
}

void value_set(const struct table_row *row, const char *text, void *field)
{
    struct slice rest = slice_str(text);

    if (!value_is_list(row->type)) {
        MG_ASSERT(value_read(row, rest, field, NULL) == 0);
        return;
    }
    while (rest.n) {
        struct slice one = slice_head(rest, slice_find(rest, ','));

        rest = slice_skip(rest, one.n + 1);
        MG_ASSERT(value_read(row, slice_trim(one), field, NULL) == 0);
    }
}

static void release_strings(struct config_strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free((void *)list->v);
    *list = (struct config_strings){0};
}

static void release_listens(struct config_listens *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i].text);
    free(list->v);
    *list = (struct config_listens){0};
}

static void release_users(struct config_users *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i].text);
    free(list->v);
    *list = (struct config_users){0};
}

void value_release(const struct table_row *row, void *field)
{
    switch (row->type) {
    case TABLE_TEXT:
    case TABLE_USER:
    case TABLE_PATH:
    case TABLE_URL:
    case TABLE_NAME:
    case TABLE_ENV:
    case TABLE_FILE:
    case TABLE_CREDENTIAL:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    case TABLE_HOSTS:
    case TABLE_ORIGINS:
    case TABLE_GLOBS:
        release_strings(field);
        break;
    case TABLE_LISTEN:
        release_listens(field);
        break;
    case TABLE_USERS:
        release_users(field);
        break;
    case TABLE_CHOICE:
    case TABLE_CHOICES:
        memset(field, 0, sizeof(unsigned));
        break;
    case TABLE_BOOL:
        *(bool *)field = false;
        break;
    case TABLE_DURATION:
    case TABLE_SIZE:
    case TABLE_COUNT:
    case TABLE_SHARE:
    case TABLE_USD:
    case TABLE_LIMIT:
    case TABLE_MONEY:
        *(int64_t *)field = 0;
        break;
    }
}

static void *field_of(const struct table_row *row, void *base)
{
    return (char *)base + row->offset;
}

void value_set_defaults(enum table_home home, void *base)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].home == home && !value_is_limit(rows[i].type) && rows[i].fallback)
            value_set(&rows[i], rows[i].fallback, field_of(&rows[i], base));
    }
}

void value_release_all(enum table_home home, void *base)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].home == home && !value_is_limit(rows[i].type))
            value_release(&rows[i], field_of(&rows[i], base));
    }
}
