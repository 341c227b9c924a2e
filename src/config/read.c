/*
 * read: a key is looked up by its pattern, the path with the operator's own names replaced by `*`. What a
 * row's field belongs to (the configuration, an upstream, a model, a client, a price) travels along as
 * `base`.
 */
#include "metergate/config/read.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/config/check.h"
#include "metergate/config/entries.h"
#include "metergate/config/format.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"

struct reader {
    struct config *config;
    struct problems *problems;
    struct buf path;    /* as the operator wrote it, for warnings: "models.gpt-4o.polite" */
    struct buf pattern; /* the same with `*` */
};

#define ERROR_AT(r, node, ...) problems_error((r)->problems, (node)->line, (node)->column, __VA_ARGS__)

static void *field_of(const struct table_row *row, void *base)
{
    return (char *)base + row->offset;
}

/* ---- one option ---- */

static const char *kind_name(const struct yaml_node *node)
{
    static const char *const names[] = {
        [YAML_SCALAR] = "a single value", [YAML_LIST] = "a list", [YAML_MAP] = "a mapping"};

    return yaml_is_null(node) ? "nothing" : names[node->kind];
}

static bool read_scalar(struct reader *r, const struct table_row *row, const struct yaml_node *node,
                        void *field)
{
    struct errbuf e;

    if (node->kind != YAML_SCALAR || (yaml_is_null(node) && node->plain)) {
        ERROR_AT(r, node, "%s wants a single value%s%s, not %s", r->path.p,
                 row->fallback && row->fallback[0] && !value_is_list(row->type) ? ", such as " : "",
                 row->fallback && !value_is_list(row->type) ? row->fallback : "", kind_name(node));
        return false;
    }
    if (value_read(row, node->text, field, &e) < 0) {
        ERROR_AT(r, node, "%s: %s", r->path.p, e.text);
        return false;
    }
    return true;
}

static bool read_list(struct reader *r, const struct table_row *row, const struct yaml_node *node,
                      void *field)
{
    bool good = true;

    if (node->kind != YAML_LIST) {
        ERROR_AT(r, node, "%s wants a list, such as [%s], not %s", r->path.p,
                 node->kind == YAML_SCALAR && node->text.n ? SHOW(node->text) : "a, b", kind_name(node));
        return false;
    }
    if (node->n == 0 && (row->type == TABLE_LISTEN || row->type == TABLE_USERS)) {
        ERROR_AT(r, node, "%s wants at least one %s", r->path.p,
                 row->type == TABLE_LISTEN ? "address" : "user");
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
static bool read_limit_map(struct reader *r, const struct table_row *row, const struct yaml_node *node,
                           int64_t *ret_max, int64_t *ret_span)
{
    const struct yaml_node *max = yaml_get(node, "max"), *per = yaml_get(node, "per");
    bool good = true;

    for (size_t i = 0; i < node->n; i += 2) {
        const struct yaml_node *key = node->children[i];

        if (!slice_eq(key->text, SLICE("max")) && !slice_eq(key->text, SLICE("per"))) {
            ERROR_AT(r, key, "unknown key \"%s\" of %s; a limit is a number or {max: N, per: DURATION}",
                     SHOW(key->text), r->path.p);
            good = false;
        }
    }
    if (!max) {
        ERROR_AT(r, node, "%s wants max, as in {max: 1000, per: 10s}", r->path.p);
        return false;
    }
    if (per && !row->span) {
        ERROR_AT(r, per, "%s counts calls in flight and has no per: write the number alone", r->path.p);
        good = false;
    } else if (per) {
        good &= read_span(r, per, ret_span);
    }
    return read_scalar(r, row, max, ret_max) && good;
}

/* The value of a limit: its max alone, or with a span in place of the row's. */
static bool read_limit(struct reader *r, const struct table_row *row, const struct yaml_node *node, int64_t *ret_max,
                       int64_t *ret_span)
{
    *ret_span = 0;
    if (row->span)
        MG_ASSERT(slice_duration_us(slice_str(row->span), ret_span) == 0);
    if (node->kind == YAML_LIST) {
        ERROR_AT(r, node, "%s wants a number or {max: N, per: DURATION}, not a list", r->path.p);
        return false;
    }
    return node->kind == YAML_MAP ? read_limit_map(r, row, node, ret_max, ret_span)
                                  : read_scalar(r, row, node, ret_max);
}

static const char *key_of(const struct table_row *row)
{
    return strrchr(row->path, '.') + 1;
}

/* The limits that a row's value is put among. */
static struct limit *limits_of(const struct table_row *row, void *base, size_t **ret_n)
{
    struct config_client *client = base;
    struct config_model *m = base;

    *ret_n = row->home == TABLE_IN_CLIENT ? &client->limit_count : &m->limit_count;
    return field_of(row, base);
}

static void add_limit(struct reader *r, const struct table_row *row, const struct yaml_node *node, void *base)
{
    int64_t max, span;
    size_t *n;
    struct limit *limits = limits_of(row, base, &n);

    if (!read_limit(r, row, node, &max, &span))
        return;
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(limits[i].key, key_of(row)) == 0)
            return; /* a twin, reported where keys are compared */
    }
    MG_ASSERT(*n < CONFIG_LIMITS_MAX);
    limits[(*n)++] = (struct limit){
        .metric = (enum metric)row->metric,
        .max = max,
        .span_us = span,
        .key = key_of(row),
    };
}

/* Money is known by its span: what was spent in one goes on counting when the limit is changed. */
static void add_money(struct reader *r, const struct table_row *row, const struct yaml_node *node, void *base)
{
    struct config_client *client = base;
    struct config_model *m = base;
    size_t *n = row->home == TABLE_IN_CLIENT ? &client->money_count : &m->money_count;
    struct money_limit *limits = field_of(row, base);
    int64_t max, span;

    if (!read_limit(r, row, node, &max, &span))
        return;
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(limits[i].key, key_of(row)) == 0)
            return; /* a twin, reported where keys are compared */
        if (limits[i].span_us == span) {
            ERROR_AT(r, node, "%s: its window is as long as that of %s; keep one of them", r->path.p, limits[i].key);
            return;
        }
    }
    MG_ASSERT(*n < PURSE_LIMITS_MAX);
    limits[(*n)++] = (struct money_limit){.key = key_of(row), .max = max, .span_us = span};
}

static void read_option(struct reader *r, const struct table_row *row, const struct yaml_node *key,
                        const struct yaml_node *node, void *base)
{
    void *field = field_of(row, base);
    bool good, idle;

    if (value_is_limit(row->type)) {
        (row->type == TABLE_MONEY ? add_money : add_limit)(r, row, node, base);
        return;
    }
    good = value_is_list(row->type) ? read_list(r, row, node, field) : read_scalar(r, row, node, field);
    idle = good && row->idle && format_is(row, field, row->idle);
    if (good && !idle && row->status == TABLE_LATER)
        problems_warn(r->problems, key->line, key->column, "%s: not implemented in this version, ignored",
                      r->path.p);
}

/* ---- mappings ---- */

static void unknown_key(struct reader *r, const struct yaml_node *key, size_t pattern_n)
{
    struct slice section = slice_head(buf_slice(&r->pattern), pattern_n);
    struct slice near = table_nearest(section, key->text);
    struct buf known;

    if (near.n) {
        ERROR_AT(r, key, "unknown key \"%s\"; did you mean \"%.*s\"?", SHOW(key->text), (int)near.n, near.p);
        return;
    }
    if (key->plain && slice_eq(key->text, SLICE("<<"))) {
        ERROR_AT(r, key,
                 "merge keys (<<) are not read: write the options out, or an alias for a whole value");
        return;
    }
    if (key->text.n > 0 && key->text.n == strspn(key->text.p, "0123456789")) {
        ERROR_AT(r, key, "unknown key \"%s\"; numbers are written without commas (30000, 30k)",
                 SHOW(key->text));
        return;
    }
    buf_init(&known, BUF_UNLIMITED);
    table_name_keys(section, &known);
    ERROR_AT(r, key, "unknown key \"%s\"; known here: %s", SHOW(key->text), known.p);
    buf_release(&known);
}

static void add_part(struct buf *path, struct slice part)
{
    if (path->n)
        buf_add_char(path, '.');
    buf_add_slice(path, part);
}

/* What is wrong with the name of an upstream, or NULL. It is the first part of a path, so it may not begin
 * another. */
static const char *upstream_name_problem(struct slice name)
{
    static const char *const taken[] = {"v1",      "v1beta",  "v1alpha", "api",   "messages",
                                        "metrics", "healthz", "readyz",  "upload"};

    for (size_t i = 0; i < MG_ARRAY_LEN(taken); i++) {
        if (slice_eq(name, slice_str(taken[i])))
            return "cannot be the name of an upstream: it begins a path of its own; choose another";
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (i == 0 || (c != '-' && c != '_' && c != '.')))
            return "cannot be the name of an upstream: that begins with a letter or digit and goes on with "
                   "those, "
                   "'-', '_' and '.'";
    }
    return name.n == 0 || name.n > 64 ? "cannot be the name of an upstream: that has 1 to 64 characters"
                                      : NULL;
}

#define NAME_MAX_BYTES 128
#define MODELS_MAX     1000
#define CLIENTS_MAX    1000

static const char *client_name_problem(const struct reader *r, struct slice name, struct errbuf *e)
{
    if (r->config->clients.n == CLIENTS_MAX)
        return "is one client more than the 1,000 that there may be";
    return check_client_name(name, e) < 0 ? e->text : NULL;
}

static const char *name_problem(const struct reader *r, const struct yaml_node *key, struct errbuf *e)
{
    if (slice_eq(buf_slice(&r->pattern), SLICE("upstreams.*")))
        return upstream_name_problem(key->text);
    if (slice_eq(buf_slice(&r->pattern), SLICE("clients.*")))
        return client_name_problem(r, key->text, e);
    if (key->text.n == 0 || key->text.n > NAME_MAX_BYTES || check_text(key->text, NULL) < 0)
        return "cannot be a name: that has 1 to 128 bytes and no control character";
    if (slice_eq(buf_slice(&r->pattern), SLICE("models.*")) && r->config->model_count == MODELS_MAX)
        return "is one model more than the 1,000 that there may be: let entries share a budget by match";
    return NULL;
}

static void read_section(struct reader *r, const struct yaml_node *node, void *base);

/* An entry that the operator named: what it is read into is made here. */
static void read_entry(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    struct slice pattern = buf_slice(&r->pattern);
    struct errbuf e;
    const char *why = name_problem(r, key, &e);

    if (why) {
        ERROR_AT(r, key, "\"%s\" %s", SHOW(key->text), why);
    } else if (slice_eq(pattern, SLICE("upstreams.*"))) {
        struct config_upstream *u = entries_new_upstream(r->config, key->text, key->line);

        read_section(r, node, u);
        entries_check_upstream(u, key, node, r->problems);
    } else if (slice_eq(pattern, SLICE("models.*"))) {
        read_section(r, node, entries_new_model(r->config, key->text, key->line));
        entries_check_model(r->config, key, node, r->problems);
    } else if (slice_eq(pattern, SLICE("prices.*"))) {
        read_section(r, node, entries_new_price(r->config, key->text, key->line));
        entries_check_price(r->config, key, node, r->problems);
    } else {
        MG_ASSERT(slice_eq(pattern, SLICE("clients.*")));
        read_section(r, node, entries_new_client(r->config, key->text, key->line));
        entries_check_client(r->config, node, r->problems);
    }
}

static void read_map(struct reader *r, const struct yaml_node *map, void *base);

static void wants_map(struct reader *r, const struct yaml_node *node)
{
    struct buf keys;

    buf_init(&keys, BUF_UNLIMITED);
    table_name_keys(buf_slice(&r->pattern), &keys);
    ERROR_AT(r, node, "%s wants a mapping, such as {%.*s: ...}, not %s", r->path.p,
             (int)slice_find(buf_slice(&keys), ','), keys.p, kind_name(node));
    buf_release(&keys);
}

static void read_section(struct reader *r, const struct yaml_node *node, void *base)
{
    if (yaml_is_null(node))
        return;
    if (node->kind == YAML_MAP)
        read_map(r, node, base);
    else if (slice_ends(buf_slice(&r->pattern), SLICE("api_key")) ||
             slice_ends(buf_slice(&r->pattern), SLICE("token")))
        ERROR_AT(r, node,
                 "%s: a credential does not stand in the file itself; write {env: NAME}, {file: PATH} or "
                 "{credential: NAME}",
                 r->path.p);
    else
        wants_map(r, node);
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

/* A key that is empty or has dots or stars could be taken for a path of the table. */
static bool is_key_word(struct slice key)
{
    return key.n > 0 && slice_find(key, '.') == key.n && slice_find(key, '*') == key.n;
}

/* `require_tokens: true` among names: no entry is a single value, and an option of that section is called
 * nearly so. */
static bool is_misspelt(const struct reader *r, const struct yaml_node *key, const struct yaml_node *node,
                        size_t pattern_n)
{
    return node->kind == YAML_SCALAR && !yaml_is_null(node) &&
           table_nearest(slice_head(buf_slice(&r->pattern), pattern_n), key->text).n > 0;
}

static void read_member(struct reader *r, const struct yaml_node *key, const struct yaml_node *node,
                        void *base)
{
    size_t path_n = r->path.n, pattern_n = r->pattern.n;
    bool names = holds_names(r), is_word = is_key_word(key->text);
    const struct table_row *row = NULL;

    add_part(&r->path, slice_str(check_show(key->text).text));
    add_part(&r->pattern, key->text);
    if (is_word)
        row = table_find(buf_slice(&r->pattern));
    if (row) {
        read_option(r, row, key, node, base);
    } else if (names && !is_misspelt(r, key, node, pattern_n)) {
        buf_drop_tail(&r->pattern, r->pattern.n - pattern_n);
        add_part(&r->pattern, SLICE("*"));
        read_entry(r, key, node);
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

/* The members of the top level whose key is (or is not) "models". */
static void read_top(struct reader *r, const struct yaml_node *root, bool models)
{
    if (!root || root->kind != YAML_MAP)
        return;
    for (size_t i = 0; i + 1 < root->n; i += 2) {
        if (slice_eq(root->children[i]->text, SLICE("models")) == models)
            read_member(r, root->children[i], root->children[i + 1], r->config);
    }
}

/* One that could not be fetched counts: of that somebody has complained, and where the daemon runs it may be there. */
static bool has_some_token(const struct yaml_node *clients)
{
    for (size_t i = 0; i + 1 < clients->n; i += 2) {
        if (clients->children[i + 1]->kind == YAML_MAP && yaml_get(clients->children[i + 1], "token"))
            return true;
    }
    return false;
}

/* Only the whole file says who may reach us, and whether they need a token. */
static void check_openness(struct reader *r, const struct yaml_node *root)
{
    const struct yaml_node *listen = yaml_get(root, "listen"), *clients = yaml_get(root, "clients");
    const struct config *c = r->config;
    struct errbuf e;

    for (size_t i = 0; listen && listen->kind == YAML_LIST && !c->clients.require_token && i < listen->n;
         i++) {
        const struct yaml_node *one = listen->children[i];

        if (check_listen(one->text, &e) == 0 && check_reach(one->text, &e) < 0)
            ERROR_AT(r, one, "listen: %s", e.text);
    }
    if (c->clients.require_token && !has_some_token(clients)) {
        const struct yaml_node *node = yaml_get(clients, "require_token");

        problems_warn(r->problems, node->line, node->column,
                      "clients.require_token: no client has a token, so nobody may call");
    }
}

void read_tree(struct config *c, const struct yaml_node *root, struct problems *problems)
{
    struct reader r = {.config = c, .problems = problems};

    buf_init(&r.path, BUF_UNLIMITED);
    buf_init(&r.pattern, BUF_UNLIMITED);
    if (root && root->kind != YAML_MAP && !yaml_is_null(root))
        ERROR_AT(&r, root, "the file wants a mapping of options, not %s", kind_name(root));
    read_top(&r, root, false);
    entries_add_upstreams(c);
    read_top(&r, root, true);
    entries_add_models(c);
    check_openness(&r, root);
    buf_release(&r.path);
    buf_release(&r.pattern);
}
