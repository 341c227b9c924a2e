/*
 * trust: `store` is never NULL and complete from trust_new on; nothing is added to it later, so that all
 * connections may share it without a lock.
 */
#include "metergate/net/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct trust {
    X509_STORE *store;
    char path[48];
};

static int trust_add_file(struct trust *t, const char *path, struct errbuf *e)
{
    if (access(path, R_OK) < 0) {
        int rc = -errno;

        err_set(e, "cannot read the CA file %.200s", path);
        return rc;
    }
    if (X509_STORE_load_file(t->store, path) != 1) {
        err_set(e, "%.200s has no CA certificate in PEM form", path);
        ERR_clear_error();
        return -EINVAL;
    }
    return 0;
}

int trust_new(const char *extra_file, struct trust **ret, struct errbuf *e)
{
    static unsigned long made;
    struct trust *t = xcalloc(1, sizeof *t);
    int rc = -ENOMEM;

    snprintf(t->path, sizeof t->path, "/dev/null/trust-%lu", ++made); /* below no directory, for ever */
    t->store = X509_STORE_new();
    if (!t->store)
        goto out;
    /*
     * A machine without CA files is not an error here: plain-HTTP upstreams and an extra file work without.
     */
    (void)X509_STORE_set_default_paths(t->store);
    ERR_clear_error();
    rc = extra_file && extra_file[0] ? trust_add_file(t, extra_file, e) : 0;
    if (rc < 0)
        goto out;
    *ret = t;
    t = NULL;
out:
    trust_free(t);
    return rc;
}

void trust_free(struct trust *t)
{
    if (!t)
        return;
    X509_STORE_free(t->store);
    free(t);
}

const char *trust_path(const struct trust *t)
{
    return t->path;
}

void trust_apply(const struct trust *t, void *ssl_ctx)
{
    /* set1 takes its own reference: a kept connection outlives the trust that it was made with. */
    SSL_CTX_set1_cert_store(ssl_ctx, t->store);
}
