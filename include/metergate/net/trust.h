/*
 * trust: the certificate authorities that upstream connections are verified against, read once.
 *
 * Debian's libcurl reads the system's CA files again for every new TLS connection (measured: 22 ms of the
 * loop's time); one X509_STORE shared by all of them costs nothing after the start.
 */
#ifndef METERGATE_NET_TRUST_H
#define METERGATE_NET_TRUST_H

#include <stdbool.h>

#include "metergate/base/err.h"

struct trust;

/*
 * From now on OpenSSL's memory is had with the help of the spare (base/spare.h): it breaks off connections where an allocation
 * fails. Before anything else of OpenSSL is used, and before there is a second thread.
 */
void trust_use_spare(void);

/*
 * Reads the system's authorities (OpenSSL's default file and directory, which SSL_CERT_FILE and SSL_CERT_DIR
 * may move) and, unless NULL or
 * "", those of the PEM file `extra_file`. -ENOENT, -EINVAL (no certificate in it), with a sentence.
 */
int trust_new(const char *extra_file, struct trust **ret, struct errbuf *e) MG_MUSTCHECK;

/* References are counted: a connection made with it keeps it alive. NULL is fine. */
void trust_free(struct trust *t);

/*
 * A path that no other trust of this process has, and that nothing is read from: libcurl keeps connections and sessions
 * apart by their CApath, and knows nothing of the store.
 */
const char *trust_path(const struct trust *t);

/* Makes the SSL_CTX `ssl_ctx` (a void * so that this header needs no OpenSSL) verify against this store; handshakes in the
 * middle of a connection (TLS 1.2) are refused. */
void trust_apply(const struct trust *t, void *ssl_ctx);

/* Whether the SSL `ssl` has read bytes from its socket that nobody has taken yet. */
bool trust_has_input(const void *ssl);

#endif
