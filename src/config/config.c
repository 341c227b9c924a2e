/*
 * config: a struct config that leaves this file has at least one upstream and one listen address, and among
 * its models one that matches everything; every upstream_name has its upstream.
 */
#include "metergate/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metergate/base/file.h"
#include "metergate/config/check.h"
#include "metergate/config/format.h"
#include "metergate/config/read.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"
#include "metergate/config/yaml.h"

/* ---- where it is ---- */

static char *existing(const char *dir, const char *rest)
{
    struct buf path;

    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s%s", dir, rest);
    if (access(path.p, F_OK) == 0)
        return buf_take(&path, NULL);
    buf_release(&path);
    return NULL;
}

char *config_find(const char *given)
{
    const char *env = getenv("METERGATE_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;

    if (given)
        return xstrdup(given);
    if (env && *env)
        return xstrdup(env);
    if (xdg && *xdg == '/') /* the XDG specification: a relative path is to be ignored */
        path = existing(xdg, "/metergate/metergate.yaml");
    else if (home && *home)
        path = existing(home, "/.config/metergate/metergate.yaml");
    return path ? path : existing("/etc/metergate", "/metergate.yaml");
}

/* ---- reading ---- */

int config_parse(const char *name, struct slice text, struct config **ret, struct problems *problems)
{
    struct config *c = config_keep(xcalloc(1, sizeof *c));
    struct yaml_doc doc;
    size_t errors = problems->errors;

    problems_set_file(problems, name);
    value_set_defaults(TABLE_IN_CONFIG, c);
    if (yaml_read(&doc, text, problems) == 0)
        read_tree(c, doc.root, problems);
    yaml_release(&doc);
    problems_sort(problems);
    if (problems->errors > errors) {
        config_free(c);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

/* As others find it, who are in other directories; links stay links. */
static char *absolute(const char *path)
{
    char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    struct buf whole;

    buf_init(&whole, BUF_UNLIMITED);
    if (here)
        buf_addf(&whole, "%s/", here);
    buf_add_str(&whole, path);
    free(here);
    return buf_take(&whole, NULL);
}

int config_load(const char *path, struct config **ret, struct problems *problems)
{
    struct errbuf e;
    struct buf text;
    int rc;

    if (!path)
        return config_parse("built-in configuration", SLICE(""), ret, problems);
    buf_init(&text, YAML_BYTES_MAX);
    rc = file_read_given(path, &text, &e);
    if (rc < 0) {
        problems_set_file(problems, path);
        if (rc == -E2BIG)
            problems_error(problems, 0, 0, "is longer than 1 MiB; a configuration is not");
        else
            problems_error(problems, 0, 0, "cannot be read: %s", e.text);
        rc = -EINVAL;
    } else {
        rc = config_parse(path, buf_slice(&text), ret, problems);
        if (rc == 0)
            (*ret)->path = absolute(path);
    }
    buf_release(&text);
    return rc;
}

static void free_upstream(struct config_upstream *u)
{
    value_release_all(TABLE_IN_UPSTREAM, u);
    secret_release(&u->api_key);
    free(u->name);
    free(u);
}

static void free_model(struct config_model *m)
{
    value_release_all(TABLE_IN_MODEL, m);
    free(m->name);
    free(m);
}

static void free_client(struct config_client *client)
{
    value_release_all(TABLE_IN_CLIENT, client);
    free(client->name);
    free(client);
}

struct config *config_keep(struct config *c)
{
    c->owners++;
    return c;
}

void config_free(struct config *c)
{
    if (!c || --c->owners > 0)
        return;
    for (size_t i = 0; i < c->clients.n; i++)
        free_client(c->clients.v[i]);
    free((void *)c->clients.v);
    for (size_t i = 0; i < c->upstream_count; i++)
        free_upstream(c->upstreams[i]);
    for (size_t i = 0; i < c->model_count; i++)
        free_model(c->models[i]);
    for (size_t i = 0; i < c->price_count; i++)
        free(c->prices[i].name);
    free((void *)c->upstreams);
    free((void *)c->models);
    free(c->prices);
    free(c->path);
    value_release_all(TABLE_IN_CONFIG, c);
    free(c);
}

int config_override(struct config *c, const char *key, const char *value, struct errbuf *e)
{
    const struct table_row *row = table_find(slice_str(key));
    union value_any checked = {0};
    struct errbuf why;
    void *field;
    int rc;

    MG_ASSERT(row && row->home == TABLE_IN_CONFIG);
    rc = value_read(row, slice_str(value), &checked, &why);
    value_release(row, &checked);
    if (rc < 0) {
        err_set(e, "%s: %s", key, why.text);
        return rc;
    }
    if (row->type == TABLE_LISTEN && !c->clients.require_token && check_reach(slice_str(value), &why) < 0) {
        err_set(e, "%s: %s", key, why.text);
        return -EINVAL;
    }
    field = (char *)c + row->offset;
    value_release(row, field);
    return value_read(row, slice_str(value), field, e);
}

const struct config_client *config_client_named(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->clients.n; i++) {
        if (slice_eq(name, slice_str(c->clients.v[i]->name)))
            return c->clients.v[i];
    }
    return NULL;
}

/* Every token is looked at, whatever was found before. */
const struct config_client *config_client_of_token(const struct config *c, struct slice token)
{
    const struct config_client *owner = NULL;
    struct secret_fingerprint given;

    if (c->clients.n == 0)
        return NULL;
    given = secret_fingerprint_of(token);
    for (size_t i = 0; i < c->clients.n; i++) {
        bool same = secret_fingerprint_eq(&c->clients.v[i]->token, &given);

        if (same & c->clients.v[i]->has_token)
            owner = c->clients.v[i];
    }
    return owner;
}

static bool differs(const struct table_row *row, const struct config *a, const struct config *b)
{
    struct buf text[2];
    bool same;

    buf_init(&text[0], BUF_UNLIMITED);
    buf_init(&text[1], BUF_UNLIMITED);
    format_value(row, (const char *)a + row->offset, &text[0]);
    format_value(row, (const char *)b + row->offset, &text[1]);
    same = slice_eq(buf_slice(&text[0]), buf_slice(&text[1]));
    buf_release(&text[0]);
    buf_release(&text[1]);
    return !same;
}

void config_name_restarts(const struct config *running, const struct config *next, struct buf *out)
{
    size_t n, before = out->n;
    const struct table_row *rows = table_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (rows[i].restart && differs(&rows[i], running, next))
            buf_addf(out, "%s%s", out->n > before ? ", " : "", rows[i].path);
    }
}

const struct config_upstream *config_upstream_named(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->upstream_count; i++) {
        if (slice_eq(name, slice_str(c->upstreams[i]->name)))
            return c->upstreams[i];
    }
    return NULL;
}

const struct config_upstream *config_upstream_of(const struct config *c, enum config_dialect dialect)
{
    for (size_t i = 0; i < c->upstream_count; i++) {
        if (c->upstreams[i]->dialect == dialect)
            return c->upstreams[i];
    }
    return NULL;
}
