/*
 * read: a key is looked up by its pattern, the path with the operator's own names replaced by `*`. What a row's field
 * belongs to (the configuration, an upstream, a model, a price) travels along as `base`; rows without a home are read
 * into a field that is thrown away, so that they are checked all the same.
 */
#include "metergate/config/read.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/config/check.h"
#include "metergate/config/format.h"
#include "metergate/config/value.h"

struct reader {
    struct config *config;
    struct problems *problems;
    struct buf path;    /* as the operator wrote it, for warnings: "models.gpt-4o.polite" */
    struct buf pattern; /* the same with `*` */
};

#define ERROR_AT(r, node, ...) problems_error((r)->problems, (node)->line, (node)->column, __VA_ARGS__)

/* ---- defaults and release --------------------------------------------------------------------------------------- */

static void *field_of(const struct table_row *row, void *base)
{
    return (char *)base + row->offset;
}

void read_defaults(enum table_home home, void *base)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].home == home && rows[i].type != TABLE_LIMIT)
            value_set_default(&rows[i], field_of(&rows[i], base));
    }
}

void read_release(enum table_home home, void *base)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].home == home && rows[i].type != TABLE_LIMIT)
            value_release(&rows[i], field_of(&rows[i], base));
    }
}

struct config_upstream *read_add_upstream(struct config *c, struct slice name, int line, int column)
{
    struct config_upstream *u = xcalloc(1, sizeof *u);

    u->name = xstrndup(name.p, name.n);
    u->line = line;
    u->column = column;
    secret_init(&u->api_key);
    read_defaults(TABLE_IN_UPSTREAM, u);
    c->upstreams = xrealloc((void *)c->upstreams, (c->upstream_count + 1) * sizeof(struct config_upstream *));
    c->upstreams[c->upstream_count++] = u;
    return u;
}

struct config_model *read_add_model(struct config *c, struct slice name, int line, int column)
{
    struct config_model *m = xcalloc(1, sizeof *m);

    m->name = xstrndup(name.p, name.n);
    m->line = line;
    m->column = column;
    read_defaults(TABLE_IN_MODEL, m);
    c->models = xrealloc((void *)c->models, (c->model_count + 1) * sizeof(struct config_model *));
    c->models[c->model_count++] = m;
    return m;
}

static struct config_price *add_price(struct config *c, struct slice name)
{
    struct config_price *p;

    c->prices = xrealloc(c->prices, (c->price_count + 1) * sizeof *c->prices);
    p = &c->prices[c->price_count++];
    *p = (struct config_price){.name = xstrndup(name.p, name.n), .input_pico = -1, .cached_pico = -1, .output_pico = -1};
    return p;
}

/* ---- one option --------------------------------------------------------------------------------------------------- */

static const char *kind_name(const struct yaml_node *node)
{
    static const char *const names[] = {[YAML_SCALAR] = "a single value", [YAML_LIST] = "a list", [YAML_MAP] = "a mapping"};

    return yaml_is_null(node) ? "nothing" : names[node->kind];
}

static bool read_scalar(struct reader *r, const struct table_row *row, const struct yaml_node *node, void *field)
{
    struct errbuf e;

    if (node->kind != YAML_SCALAR || (yaml_is_null(node) && node->plain)) {
        ERROR_AT(r, node, "%s wants a single value, not %s", r->path.p, kind_name(node));
        return false;
    }
    if (value_read(row, node->text, field, &e) < 0) {
        ERROR_AT(r, node, "%s: %s", r->path.p, e.text);
        return false;
    }
    return true;
}

static bool read_list(struct reader *r, const struct table_row *row, const struct yaml_node *node, void *field)
{
    bool good = true;

    if (node->kind != YAML_LIST) {
        ERROR_AT(r, node, "%s wants a list, such as [%s], not %s", r->path.p,
                 node->kind == YAML_SCALAR && node->text.n ? SHOW(node->text) : "a, b", kind_name(node));
        return false;
    }
    value_release(row, field);
    for (size_t i = 0; i < node->n; i++)
        good &= read_scalar(r, row, node->children[i], field);
    return good;
}

static bool read_span(struct reader *r, const struct yaml_node *per, int64_t *ret)
{
    static const struct table_row row = {.type = TABLE_DURATION, .min = "1ms", .max = "366d"};

    return read_scalar(r, &row, per, ret);
}

/* {max: N, per: DURATION} */
static bool read_limit_map(struct reader *r, const struct table_row *row, const struct yaml_node *node, int64_t *ret_max,
                           int64_t *ret_span)
{
    const struct yaml_node *max = yaml_get(node, "max"), *per = yaml_get(node, "per");
    bool good = true;

    for (size_t i = 0; i < node->n; i += 2) {
        const struct yaml_node *key = node->children[i];

        if (!slice_eq(key->text, SLICE("max")) && !slice_eq(key->text, SLICE("per"))) {
            ERROR_AT(r, key, "%s.%s is unknown; a limit is a number or {max: N, per: DURATION}", r->path.p, SHOW(key->text));
            good = false;
        }
    }
    if (!max) {
        ERROR_AT(r, node, "%s wants max, as in {max: 1000, per: 10s}", r->path.p);
        return false;
    }
    if (per && !row->span) {
        ERROR_AT(r, per, "%s counts calls in flight and has no `per`", r->path.p);
        good = false;
    } else if (per) {
        good &= read_span(r, per, ret_span);
    }
    return read_scalar(r, row, max, ret_max) && good;
}

static void read_limit(struct reader *r, const struct table_row *row, const struct yaml_node *node, struct config_model *m)
{
    int64_t max = 0, span = 0;
    bool good;

    if (row->span)
        MG_ASSERT(slice_duration_us(slice_str(row->span), &span) == 0);
    good = node->kind == YAML_MAP ? read_limit_map(r, row, node, &max, &span) : read_scalar(r, row, node, &max);
    if (!good)
        return;
    MG_ASSERT(m->limit_count < CONFIG_LIMITS_MAX);
    m->limits[m->limit_count++] = (struct config_limit){
        .metric = (enum metric)row->metric,
        .max = max,
        .span_us = span,
        .key = strrchr(row->path, '.') + 1,
        .in_full = row->metric == METRIC_CONCURRENT || (row->metric == METRIC_REQUESTS && span >= INT64_C(86400000000)),
    };
}

static void read_option(struct reader *r, const struct table_row *row, const struct yaml_node *key,
                        const struct yaml_node *node, void *base)
{
    union value_any nowhere = {0};
    void *field = row->home == TABLE_NOWHERE ? (void *)&nowhere : field_of(row, base);
    bool good, idle;

    if (row->type == TABLE_LIMIT) {
        read_limit(r, row, node, base);
        return;
    }
    good = value_is_list(row->type) ? read_list(r, row, node, field) : read_scalar(r, row, node, field);
    if (!good && row->type == TABLE_URL && !*(char **)field)
        *(char **)field = xstrdup(""); /* it is there, so that nobody says that it is missing */
    idle = good && row->idle && format_is(row, field, row->idle);
    if (good && !idle && row->status == TABLE_LATER)
        problems_warn(r->problems, key->line, key->column, "%s: not implemented in this version, ignored", r->path.p);
    if (!idle && row->status == TABLE_REFUSED)
        ERROR_AT(r, key, "%s is not enforced by this version; remove it, so that nobody relies on it", r->path.p);
    if (row->home == TABLE_NOWHERE)
        value_release(row, &nowhere);
}

/* ---- mappings ------------------------------------------------------------------------------------------------------- */

static void read_map(struct reader *r, const struct yaml_node *map, void *base);

static void unknown_key(struct reader *r, const struct yaml_node *key, size_t pattern_n)
{
    struct slice near = table_nearest(slice_head(buf_slice(&r->pattern), pattern_n), key->text);

    if (near.n)
        ERROR_AT(r, key, "unknown key \"%s\"; did you mean \"%.*s\"?", SHOW(key->text), (int)near.n, near.p);
    else
        ERROR_AT(r, key, "unknown key \"%s\"", SHOW(key->text));
}

static void add_part(struct buf *path, struct slice part)
{
    if (path->n)
        buf_add_char(path, '.');
    buf_add_slice(path, part);
}

static bool upstream_name_ok(struct reader *r, const struct yaml_node *key)
{
    static const char *const taken[] = {"v1", "v1beta", "v1alpha", "api", "messages", "metrics", "healthz", "readyz", "upload"};
    struct slice name = key->text;

    for (size_t i = 0; i < MG_ARRAY_LEN(taken); i++) {
        if (slice_eq(name, slice_str(taken[i]))) {
            ERROR_AT(r, key, "\"%s\" cannot be the name of an upstream: it begins a path of its own", taken[i]);
            return false;
        }
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (i == 0 || (c != '-' && c != '_' && c != '.'))) {
            ERROR_AT(r, key, "the name of an upstream is made of letters, digits, '-', '_' and '.'");
            return false;
        }
    }
    return name.n > 0 && name.n <= 64;
}

/* What an entry that the operator named is read into: NULL for those that are only checked. */
static void *named_base(struct reader *r, const struct yaml_node *key)
{
    if (slice_eq(buf_slice(&r->pattern), SLICE("upstreams.*"))) {
        if (!upstream_name_ok(r, key))
            return NULL;
        return read_add_upstream(r->config, key->text, key->line, key->column);
    }
    if (slice_eq(buf_slice(&r->pattern), SLICE("models.*")))
        return read_add_model(r->config, key->text, key->line, key->column);
    if (slice_eq(buf_slice(&r->pattern), SLICE("prices.*")))
        return add_price(r->config, key->text);
    return r->config;
}

static void read_section(struct reader *r, const struct yaml_node *node, void *base)
{
    if (yaml_is_null(node))
        return;
    if (node->kind == YAML_MAP)
        read_map(r, node, base);
    else if (slice_ends(buf_slice(&r->pattern), SLICE("api_key")) || slice_ends(buf_slice(&r->pattern), SLICE("token")))
        ERROR_AT(r, node, "%s: a credential does not stand in the file itself; write {env: NAME}, {file: PATH} or {credential: NAME}",
                 r->path.p);
    else
        ERROR_AT(r, node, "%s wants a mapping, not %s", r->path.p, kind_name(node));
}

/* Whether the mapping that is being read holds entries that the operator names. */
static bool holds_names(struct reader *r)
{
    size_t n = r->pattern.n;
    bool names;

    add_part(&r->pattern, SLICE("*"));
    names = n > 0 && table_is_section(buf_slice(&r->pattern));
    buf_drop_tail(&r->pattern, r->pattern.n - n);
    return names;
}

static void read_member(struct reader *r, const struct yaml_node *key, const struct yaml_node *node, void *base)
{
    size_t path_n = r->path.n, pattern_n = r->pattern.n;
    bool names = holds_names(r), is_word = slice_find(key->text, '.') == key->text.n && slice_find(key->text, '*') == key->text.n;
    const struct table_row *row = NULL;

    add_part(&r->path, slice_str(check_show(key->text).text));
    add_part(&r->pattern, key->text);
    if (is_word) /* a key with dots or stars could be taken for a path of the table */
        row = table_find(buf_slice(&r->pattern));
    if (row) {
        read_option(r, row, key, node, base);
    } else if (names) {
        void *own;

        buf_drop_tail(&r->pattern, r->pattern.n - pattern_n);
        add_part(&r->pattern, SLICE("*"));
        own = named_base(r, key);
        if (own)
            read_section(r, node, own);
    } else if (is_word && table_is_section(buf_slice(&r->pattern))) {
        read_section(r, node, base);
    } else {
        unknown_key(r, key, pattern_n);
    }
    buf_drop_tail(&r->path, r->path.n - path_n);
    buf_drop_tail(&r->pattern, r->pattern.n - pattern_n);
}

static void read_map(struct reader *r, const struct yaml_node *map, void *base)
{
    for (size_t i = 0; i + 1 < map->n; i += 2)
        read_member(r, map->children[i], map->children[i + 1], base);
}

void read_tree(struct config *c, const struct yaml_node *root, struct problems *problems)
{
    struct reader r = {.config = c, .problems = problems};

    buf_init(&r.path, BUF_UNLIMITED);
    buf_init(&r.pattern, BUF_UNLIMITED);
    if (root && root->kind == YAML_MAP)
        read_map(&r, root, c);
    else if (root && !yaml_is_null(root))
        ERROR_AT(&r, root, "the file wants a mapping of options, not %s", kind_name(root));
    buf_release(&r.path);
    buf_release(&r.pattern);
}
