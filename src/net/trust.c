/*
 * trust: `store` is never NULL and complete from trust_new on; nothing is added to it later, so that all
 * connections may share it without a lock.
 */
#include "metergate/net/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "metergate/base/file.h"
#include "metergate/base/spare.h"

struct trust {
    X509_STORE *store;
    char path[48];
};

#define TRUST_FILE_MAX ((size_t)16 << 20)

/*
 * How many certificates and revocation lists of the text are in the store now. X509_STORE_load_file would
 * open the path by itself, and wait for ever where that leads to a FIFO.
 */
static int add_pem(X509_STORE *store, struct slice pem)
{
    BIO *in = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
    STACK_OF(X509_INFO) *all = in ? PEM_X509_INFO_read_bio(in, NULL, NULL, NULL) : NULL;
    int added = 0;

    for (int i = 0; i < sk_X509_INFO_num(all); i++) { /* -1 of NULL */
        const X509_INFO *one = sk_X509_INFO_value(all, i);

        if (one->x509)
            added += X509_STORE_add_cert(store, one->x509) == 1;
        if (one->crl)
            added += X509_STORE_add_crl(store, one->crl) == 1;
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(in);
    return added;
}

static int trust_add_file(struct trust *t, const char *path, struct errbuf *e)
{
    struct errbuf why;
    struct buf pem;
    int rc;

    buf_init(&pem, TRUST_FILE_MAX);
    rc = file_read(path, &pem, &why);
    if (rc < 0)
        err_set(e, "cannot read the CA file %.200s: %.150s", path, why.text);
    else if (add_pem(t->store, buf_slice(&pem)) == 0) {
        err_set(e, "%.200s has no CA certificate in PEM form", path);
        rc = -EINVAL;
    }
    ERR_clear_error();
    buf_release(&pem);
    return rc;
}

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n ? spare_malloc(n) : NULL;
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n)
        return spare_realloc(p, n);
    free(p);
    return NULL;
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

void trust_use_spare(void)
{
    /* It refuses when something was allocated already: then it goes on as it did. */
    (void)CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free);
}

int trust_new(const char *extra_file, struct trust **ret, struct errbuf *e)
{
    static unsigned long made;
    struct trust *t = xcalloc(1, sizeof *t);
    int rc = -ENOMEM;

    snprintf(t->path, sizeof t->path, "/dev/null/trust-%lu", ++made); /* below no directory, for ever */
    t->store = X509_STORE_new();
    if (!t->store) {
        err_set(e, "no memory for certificate authorities");
        goto out;
    }
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
    /* nobody of today asks for another handshake in the middle, and each would cost this machine more than the asker */
    SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION);
}

bool trust_has_input(const void *ssl)
{
    return SSL_has_pending(ssl) == 1;
}
