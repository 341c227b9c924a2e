/*
 * print: rows come in the order of the table, where those of one mapping stand together: a mapping is opened
 * when a path enters it and needs no closing.
 */
#include "metergate/config/print.h"

#include <string.h>

#include "metergate/config/format.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"

static void indent(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_add_str(out, "  ");
}

/* Opens the mappings of `path` that `last` (the path printed before, or NULL) was not in; returns the key. */
static const char *open_maps(const char *path, const char *last, size_t depth, struct buf *out)
{
    const char *key = path, *dot;
    bool same = last != NULL;

    while ((dot = strchr(key, '.')) != NULL) {
        size_t n = (size_t)(dot - path) + 1;

        same = same && strncmp(path, last, n) == 0;
        if (!same) {
            indent(out, depth);
            buf_add(out, key, (size_t)(dot - key));
            buf_add_str(out, ":\n");
        }
        key = dot + 1;
        depth++;
    }
    indent(out, depth);
    return key;
}

/* Worth printing: what this version acts on, and what the file gave of the rest; of a model what it was
 * given. */
static bool shown(const struct table_row *row, const void *field)
{
    if (!row->fallback &&
        (row->type == TABLE_USD || row->type == TABLE_DURATION || row->type == TABLE_COUNT)) /* -1 where the file gives none */
        return *(const int64_t *)field >= 0;
    bool optional = row->type == TABLE_NAME || row->type == TABLE_ENV || row->type == TABLE_FILE ||
                    row->type == TABLE_CREDENTIAL;

    if (optional || row->type == TABLE_URL)
        return *(char *const *)field != NULL;
    if (row->type == TABLE_GLOBS || row->type == TABLE_HOSTS || row->type == TABLE_ORIGINS)
        return ((const struct config_strings *)field)->n > 0;
    if (row->type == TABLE_USERS)
        return ((const struct config_users *)field)->n > 0;
    if (row->status == TABLE_WORKS && row->home != TABLE_IN_MODEL)
        return true;
    return !format_is(row, field, row->fallback);
}

static void print_rows(enum table_home home, const void *base, size_t skip, size_t depth, struct buf *out)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);
    const char *last = NULL;

    for (size_t i = 0; i < n; i++) {
        const void *field = (const char *)base + rows[i].offset;
        const char *path = rows[i].path + skip;

        if (rows[i].home != home || value_is_limit(rows[i].type) || !shown(&rows[i], field))
            continue;
        buf_addf(out, "%s: ", open_maps(path, last, depth, out));
        format_value(&rows[i], field, out);
        buf_add_char(out, '\n');
        last = path;
    }
}

static void print_limits(const struct limit *limits, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct limit *l = &limits[i];

        indent(out, 2);
        if (l->metric == METRIC_CONCURRENT) {
            buf_addf(out, "%s: %lld\n", l->key, (long long)l->max);
            continue;
        }
        buf_addf(out, "%s: {max: %lld, per: ", l->key, (long long)l->max);
        format_duration(l->span_us, out);
        buf_add_str(out, "}\n");
    }
}

static void print_money(const struct money_limit *limits, size_t n, struct buf *out)
{
    static const struct table_row row = {.type = TABLE_MONEY};

    for (size_t i = 0; i < n; i++) {
        indent(out, 2);
        buf_addf(out, "%s: {max: ", limits[i].key);
        format_value(&row, &limits[i].max, out);
        buf_add_str(out, ", per: ");
        format_duration(limits[i].span_us, out);
        buf_add_str(out, "}\n");
    }
}

static void print_name(const char *name, struct buf *out)
{
    indent(out, 1);
    format_text(slice_str(name), out);
    buf_add_str(out, ":\n");
}

void config_print(const struct config *c, struct buf *out)
{
    print_rows(TABLE_IN_CONFIG, c, 0, 0, out);
    for (size_t i = 0; i < c->clients.n;
         i++) { /* `clients:` is open: its options come last, and one is always there */
        print_name(c->clients.v[i]->name, out);
        print_rows(TABLE_IN_CLIENT, c->clients.v[i], strlen("clients.*."), 2, out);
        print_limits(c->clients.v[i]->limits, c->clients.v[i]->limit_count, out);
        print_money(c->clients.v[i]->money, c->clients.v[i]->money_count, out);
    }
    buf_add_str(out, "upstreams:\n");
    for (size_t i = 0; i < c->upstream_count; i++) {
        print_name(c->upstreams[i]->name, out);
        print_rows(TABLE_IN_UPSTREAM, c->upstreams[i], strlen("upstreams.*."), 2, out);
    }
    buf_add_str(out, "models:\n");
    for (size_t i = 0; i < c->model_count; i++) {
        if (c->models[i]->line == 0) {
            buf_add_str(out,
                        "  # \"*\": built in: all other names, each on its own, by limits learned from the provider\n");
            continue;
        }
        print_name(c->models[i]->name, out);
        print_rows(TABLE_IN_MODEL, c->models[i], strlen("models.*."), 2, out);
        print_limits(c->models[i]->limits, c->models[i]->limit_count, out);
        print_money(c->models[i]->money, c->models[i]->money_count, out);
    }
    if (c->price_count)
        buf_add_str(out, "prices:\n");
    for (size_t i = 0; i < c->price_count; i++) {
        print_name(c->prices[i].name, out);
        print_rows(TABLE_IN_PRICE, &c->prices[i], strlen("prices.*."), 2, out);
    }
}
