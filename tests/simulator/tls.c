/* tls: keys are P-256 and live for one test; nothing here is meant to protect anything. */
#include "tls.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct ssl_ctx_st *tls_context_new(const char *cert_path, const char *key_path, struct errbuf *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx && SSL_CTX_use_certificate_chain_file(ctx, cert_path) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) == 1)
        return ctx;
    err_set(e, "cannot use %s and %s: %s", cert_path, key_path, ERR_reason_error_string(ERR_get_error()));
    SSL_CTX_free(ctx);
    return NULL;
}

void tls_end_thread(void)
{
    OPENSSL_thread_stop();
}

void tls_context_free(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx);
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;
    int ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = ext && X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    return ok;
}

/* A certificate for `key`, signed by the issuer (itself when `issuer` is NULL), without extensions yet. */
static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer)
{
    X509 *cert = X509_new();
    unsigned char serial[8];
    BIGNUM *number;

    if (!cert || RAND_bytes(serial, sizeof serial) != 1)
        goto fail;
    serial[0] &= 0x7f;
    number = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    if (!X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0))
        goto fail;
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    return cert;
fail:
    X509_free(cert);
    return NULL;
}

static int write_pem(const char *dir, const char *name, X509 *cert, EVP_PKEY *key)
{
    char path[4096];
    FILE *f;
    int ok;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "we");
    if (!f)
        return 0;
    ok = cert ? PEM_write_X509(f, cert) : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    return fclose(f) == 0 && ok;
}

int tls_make_certs(const char *dir, struct errbuf *e)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = ca_key ? make_cert("Metergate test authority", ca_key, NULL) : NULL;
    X509 *cert = ca && key ? make_cert("localhost", key, ca) : NULL;
    int rc = -EIO;

    if (!cert || !add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") || !X509_sign(ca, ca_key, EVP_sha256()) ||
        !add_extension(cert, ca, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") ||
        !add_extension(cert, ca, NID_ext_key_usage, "serverAuth") || !X509_sign(cert, ca_key, EVP_sha256())) {
        err_set(e, "cannot make certificates: %s", ERR_reason_error_string(ERR_get_error()));
        goto out;
    }
    if (!write_pem(dir, "ca.pem", ca, NULL) || !write_pem(dir, "cert.pem", cert, NULL) ||
        !write_pem(dir, "key.pem", NULL, key)) {
        err_set(e, "cannot write certificates into %s", dir);
        goto out;
    }
    rc = 0;
out:
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return rc;
}
