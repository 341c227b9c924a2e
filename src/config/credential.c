/* credential: a sentence here quotes neither the credential nor, of a systemd credential, the name: somebody
 * may have put the key there. */
#include "metergate/config/credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"

const struct yaml_node *credential_node(const struct credential_source *from, const struct yaml_node *map)
{
    const struct yaml_node *node = yaml_get(map, from->env ? "env" : from->file ? "file" : "credential");

    return node ? node : map; /* a twin of it may hide the place */
}

static int from_systemd(struct secret *s, const char *name, struct errbuf *e)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    struct buf path;
    int rc;

    if (!dir || !*dir) {
        err_set(e, "$CREDENTIALS_DIRECTORY is not set; systemd sets it when it starts a unit with LoadCredential=");
        return -ENOENT;
    }
    buf_init(&path, BUF_UNLIMITED);
    buf_addf(&path, "%s/%s", dir, name);
    rc = secret_from_file(s, path.p, e);
    if (rc == -EINVAL || rc == -E2BIG)
        err_set(e, "the credential holds no key: one line of printable characters without spaces");
    else if (rc < 0)
        err_set(e, "the credential cannot be read from %.200s: %s", dir,
                rc == -ENOTSUP || rc == -EISDIR ? "it is not a file" : strerror(-rc));
    buf_release(&path);
    return rc;
}

/* A key of root's, mode 0600, is what one would think of first; a service that is not root cannot read it. */
static int from_private_file(struct secret *s, const char *path, struct errbuf *e)
{
    const char *denied = strerror(EACCES);
    int rc = secret_from_private_file(s, path, e);
    struct errbuf why;

    if (rc != -EACCES || !slice_ends(slice_str(e->text), slice_str(denied)))
        return rc;
    why = *e;
    err_set(e, "%.380s; a service is handed it by systemd: LoadCredential=NAME:FILE, and here {credential: NAME}", why.text);
    return rc;
}

static int fetch(struct secret *s, const struct credential_source *from, struct errbuf *e)
{
    if (from->env)
        return secret_from_env(s, from->env, e);
    if (from->file)
        return from_private_file(s, from->file, e);
    return from_systemd(s, from->credential, e);
}

/* Written, and nothing in it: of what was given and is bad, somebody has complained. */
static bool is_empty(const struct yaml_node *map)
{
    return map && (yaml_is_null(map) || (map->kind == YAML_MAP && map->n == 0));
}

int credential_load(struct secret *s, const struct credential_source *from, const char *path,
                    const struct yaml_node *map, struct problems *problems)
{
    int given = (from->env != NULL) + (from->file != NULL) + (from->credential != NULL);
    const struct yaml_node *node;
    struct errbuf e;

    if (given == 0 && !is_empty(map))
        return 0;
    if (given != 1) {
        problems_error(problems, map->line, map->column, "%s wants %s", path,
                       given ? "one of env, file and credential, not more"
                             : "env, file or credential; to have none, leave it out");
        return -EINVAL;
    }
    if (fetch(s, from, &e) == 0)
        return 0;
    node = credential_node(from, map);
    problems_error(problems, node->line, node->column, "%s: %s", path, e.text);
    return -EINVAL;
}
