/*
 * config: reads, completes and checks. A struct config that leaves this file has at least one upstream and ends its models
 * with an entry that matches everything; every upstream_name has its upstream.
 */
#include "metergate/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/config/check.h"
#include "metergate/config/models.h"
#include "metergate/config/read.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"
#include "metergate/config/yaml.h"

#define OPENAI_BASE_URL "https://api.openai.com/v1"

/* ---- where it is ----------------------------------------------------------------------------------------------------- */

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
    if (xdg && *xdg)
        path = existing(xdg, "/metergate/metergate.yaml");
    else if (home && *home)
        path = existing(home, "/.config/metergate/metergate.yaml");
    return path ? path : existing("/etc/metergate", "/metergate.yaml");
}

/* ---- completing and checking ----------------------------------------------------------------------------------------- */

static void check_key(struct config_upstream *u, struct problems *problems)
{
    int given = (u->api_key_env != NULL) + (u->api_key_file != NULL) + (u->api_key_credential != NULL);
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    struct errbuf e;
    struct buf path;
    int rc = 0;

    if (given > 1) {
        problems_error(problems, u->line, u->column, "upstreams.%s.api_key wants one of env, file and credential", u->name);
        return;
    }
    if (u->api_key_env)
        rc = secret_from_env(&u->api_key, u->api_key_env, &e);
    else if (u->api_key_file)
        rc = secret_from_file(&u->api_key, u->api_key_file, &e);
    else if (u->api_key_credential) {
        buf_init(&path, BUF_UNLIMITED);
        buf_addf(&path, "%s/%s", dir ? dir : "/run/credentials", u->api_key_credential);
        rc = secret_from_file(&u->api_key, path.p, &e);
        buf_release(&path);
    }
    if (rc < 0)
        problems_error(problems, u->line, u->column, "upstreams.%s.api_key: %s", u->name, e.text);
}

static void check_upstream(struct config_upstream *u, struct problems *problems)
{
    if (!u->base_url && strcmp(u->name, "openai") == 0)
        u->base_url = xstrdup(OPENAI_BASE_URL);
    if (!u->base_url)
        problems_error(problems, u->line, u->column, "upstreams.%s wants a base_url: what the provider's own SDK would be given",
                       u->name);
    if (u->ca_file[0] && access(u->ca_file, R_OK) < 0)
        problems_error(problems, u->line, u->column, "upstreams.%s.ca_file: cannot be read: %s", u->name, strerror(errno));
    check_key(u, problems);
}

static void check_model(struct config *c, size_t index, struct problems *problems)
{
    struct config_model *m = c->models[index];

    if (m->upstream_name) {
        m->upstream = config_upstream_named(c, slice_str(m->upstream_name));
        if (!m->upstream)
            problems_error(problems, m->line, m->column, "models.%s.upstream: there is no upstream \"%s\"",
                           check_show(slice_str(m->name)).text, m->upstream_name);
    }
    for (size_t i = 0; i < index; i++) {
        const struct config_model *before = c->models[i];

        for (size_t j = 0; j < before->match.n; j++) {
            for (size_t k = 0; k < m->match.n; k++) {
                if (strcmp(before->match.v[j], m->match.v[k]) == 0 && before->upstream == m->upstream)
                    problems_error(problems, m->line, m->column, "models.%s.match: \"%s\" is matched by models.%s already",
                                   check_show(slice_str(m->name)).text, m->match.v[k],
                                   check_show(slice_str(before->name)).text);
            }
        }
    }
}

/*
 * The built-in upstreams that the file does not replace. Those of the other dialects pass calls through, so that a program
 * whose every base URL points here still reaches its provider.
 */
static void add_built_in_upstreams(struct config *c)
{
    static const struct {
        const char *name, *base_url;
        enum config_dialect dialect;
    } built_in[] = {
        {"openai", OPENAI_BASE_URL, CONFIG_OPENAI},
        {"anthropic", "https://api.anthropic.com", CONFIG_ANTHROPIC},
        {"gemini", "https://generativelanguage.googleapis.com", CONFIG_GEMINI},
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(built_in); i++) {
        struct config_upstream *u;

        if (config_upstream_named(c, slice_str(built_in[i].name)))
            continue;
        u = read_add_upstream(c, slice_str(built_in[i].name), 0, 0);
        u->dialect = built_in[i].dialect;
        u->base_url = xstrdup(built_in[i].base_url);
    }
}

static void add_built_in(struct config *c)
{
    struct config_model *m;

    add_built_in_upstreams(c);
    for (size_t i = 0; i < c->model_count; i++) {
        if (strcmp(c->models[i]->name, "*") == 0 && c->models[i]->match.n == 0)
            return;
    }
    m = read_add_model(c, SLICE("*"), 0, 0);
    m->learn = true;
}

/* What only the whole can show. */
static void complete(struct config *c, struct problems *problems)
{
    if (c->listen.n == 0 && problems->errors == 0)
        problems_error(problems, 0, 0, "listen: no address is left to listen on");
    add_built_in(c);
    for (size_t i = 0; i < c->upstream_count; i++)
        check_upstream(c->upstreams[i], problems);
    for (size_t i = 0; i < c->model_count; i++)
        check_model(c, i, problems);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

int config_parse(const char *name, struct slice text, struct config **ret, struct problems *problems)
{
    struct config *c = xcalloc(1, sizeof *c);
    struct yaml_doc doc;
    size_t errors = problems->errors;

    problems_set_file(problems, name);
    read_defaults(TABLE_IN_CONFIG, c);
    if (yaml_read(&doc, text, problems) == 0) {
        read_tree(c, doc.root, problems);
        complete(c, problems);
    }
    yaml_release(&doc);
    problems_sort(problems);
    if (problems->errors > errors) {
        config_free(c);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

static int read_file(const char *path, struct buf *out, struct errbuf *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    char piece[16384];
    ssize_t n = 0;

    if (fd < 0) {
        err_set(e, "cannot be opened: %s", strerror(errno));
        return -errno;
    }
    while (rc == 0 && (n = read(fd, piece, sizeof piece)) > 0)
        rc = buf_append(out, piece, (size_t)n);
    if (n < 0)
        err_set(e, "cannot be read: %s", strerror(errno));
    else if (rc < 0)
        err_set(e, "is longer than 1 MiB");
    close(fd);
    return n < 0 ? -EIO : rc;
}

int config_load(const char *path, struct config **ret, struct problems *problems)
{
    struct errbuf e;
    struct buf text;
    int rc;

    if (!path)
        return config_parse("built-in configuration", SLICE(""), ret, problems);
    buf_init(&text, YAML_BYTES_MAX);
    rc = read_file(path, &text, &e);
    if (rc < 0) {
        problems_set_file(problems, path);
        problems_error(problems, 0, 0, "%s", e.text);
        rc = -EINVAL;
    } else {
        rc = config_parse(path, buf_slice(&text), ret, problems);
    }
    buf_release(&text);
    return rc;
}

static void free_upstream(struct config_upstream *u)
{
    read_release(TABLE_IN_UPSTREAM, u);
    secret_release(&u->api_key);
    free(u->name);
    free(u);
}

static void free_model(struct config_model *m)
{
    read_release(TABLE_IN_MODEL, m);
    free(m->name);
    free(m);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->upstream_count; i++)
        free_upstream(c->upstreams[i]);
    for (size_t i = 0; i < c->model_count; i++)
        free_model(c->models[i]);
    for (size_t i = 0; i < c->price_count; i++)
        free(c->prices[i].name);
    free((void *)c->upstreams);
    free((void *)c->models);
    free(c->prices);
    read_release(TABLE_IN_CONFIG, c);
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
    field = (char *)c + row->offset;
    value_release(row, field);
    return value_read(row, slice_str(value), field, e);
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
