/*
 * tls: what is needed to be an HTTPS provider in a test: a server context, and throw-away certificates, so that tests
 * need no openssl program.
 */
#ifndef SIMULATOR_TLS_H
#define SIMULATOR_TLS_H

#include "metergate/base/err.h"

struct ssl_ctx_st;

/* A context for this chain and key (PEM files). NULL with the reason. Free with tls_context_free. */
struct ssl_ctx_st *tls_context_new(const char *cert_path, const char *key_path, struct errbuf *e);
void tls_context_free(struct ssl_ctx_st *ctx);

/*
 * Gives back what OpenSSL keeps for this thread, digests included. A detached thread calls it last: what it left to the
 * system is taken for a leak when the program ends at that moment.
 */
void tls_end_thread(void);

/*
 * Writes DIR/ca.pem, DIR/cert.pem, DIR/key.pem: a new authority, and a certificate by it for localhost, 127.0.0.1 and ::1,
 * valid for a day. 0, or -EIO with the reason.
 */
int tls_make_certs(const char *dir, struct errbuf *e) MG_MUSTCHECK;

#endif
