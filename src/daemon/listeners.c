/* listeners: v has room for all that may be opened from the start and is never moved: the front points into
 * it. */
#include "metergate/daemon/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "metergate/base/log.h"
#include "metergate/daemon/activation.h"
#include "metergate/proxy/proxy.h"

#define UNIX_MODE 0600

static int open_all(struct listeners *ls, const struct config_listens *want, struct errbuf *e)
{
    ls->v = xcalloc(want->n, sizeof *ls->v);
    for (size_t i = 0; i < want->n; i++) {
        int rc = listener_open(&ls->v[ls->n], want->v[i].text, UNIX_MODE, e);

        if ((rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT) && want->v[i].optional) {
            log_warn("%s; not listening there", e->text);
            continue;
        }
        if (rc < 0)
            return rc;
        ls->n++;
    }
    if (ls->n == 0) {
        err_set(e, "no address to listen on");
        return -EADDRNOTAVAIL;
    }
    return 0;
}

static int adopt_all(struct listeners *ls, int handed, struct errbuf *e)
{
    struct errbuf why;

    ls->v = xcalloc((size_t)handed, sizeof *ls->v);
    for (int i = 0; i < handed; i++) {
        int rc = listener_adopt(&ls->v[ls->n], ACTIVATION_FIRST_FD + i, &why);

        if (rc < 0) {
            err_set(e, "the service manager ($LISTEN_FDS) handed over what cannot be used: %s", why.text);
            return rc;
        }
        ls->n++;
    }
    return 0;
}

int listeners_open(struct listeners *ls, const struct config *config, int handed, struct errbuf *e)
{
    *ls = (struct listeners){0};
    return handed > 0 ? adopt_all(ls, handed, e) : open_all(ls, &config->listen, e);
}

int listeners_give(struct listeners *ls, const struct file_owner *owner, struct errbuf *e)
{
    for (size_t i = 0; i < ls->n; i++) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&ls->v[i].addr.sa;

        if (!ls->v[i].unlink_path || lchown(un->sun_path, owner->uid, owner->gid) == 0)
            continue;
        err_set(e, "cannot give %.200s to the user that the daemon becomes: %s", un->sun_path, strerror(errno));
        return -EACCES;
    }
    return 0;
}

void listeners_release(struct listeners *ls)
{
    for (size_t i = 0; i < ls->n; i++)
        listener_release(&ls->v[i]);
    free(ls->v);
    *ls = (struct listeners){0};
}

int listeners_check(const struct listeners *ls, const struct config *config, struct errbuf *e)
{
    for (size_t i = 0; i < ls->n && !config->clients.require_token; i++) {
        if (net_addr_is_loopback(&ls->v[i].addr))
            continue;
        err_set(e,
                "%s can be reached from other machines: that needs clients.require_token: true and tokens "
                "for the "
                "clients",
                net_addr_format(&ls->v[i].addr).text);
        return -EACCES;
    }
    return 0;
}

static const struct listener *first_tcp(const struct listeners *ls)
{
    for (size_t i = 0; i < ls->n; i++) {
        if (net_addr_port(&ls->v[i].addr) > 0)
            return &ls->v[i];
    }
    return NULL;
}

/* A Unix socket has a mode that says who may connect; a TCP port has none. */
void listeners_warn(const struct listeners *ls, const struct config *config)
{
    const struct listener *tcp = first_tcp(ls);

    if (!tcp || config->clients.require_token || config->clients.users.n > 0)
        return;
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (secret_is_set(&config->upstreams[i]->api_key))
            log_warn("every local user can spend the api_key of upstream %s through %s: set clients.users: "
                     "[NAME], or "
                     "clients.require_token: true",
                     config->upstreams[i]->name, net_addr_format(&tcp->addr).text);
    }
}

int listeners_serve(struct listeners *ls, struct proxy *p, struct errbuf *e)
{
    for (size_t i = 0; i < ls->n; i++) {
        int rc = proxy_listen(p, &ls->v[i]);

        if (rc < 0) {
            err_set(e, "cannot listen on %s: %s", net_addr_format(&ls->v[i].addr).text, strerror(-rc));
            return rc;
        }
    }
    return 0;
}

void listeners_print(const struct listeners *ls, struct buf *out)
{
    for (size_t i = 0; i < ls->n; i++)
        buf_addf(out, "%s%s", i ? ", " : "", net_addr_format(&ls->v[i].addr).text);
}
