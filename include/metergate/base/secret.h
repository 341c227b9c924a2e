/*
 * secret: a credential in memory. Owned by its struct, wiped when released or replaced, and reachable through
 * secret_expose alone, so that every place that hands one to the network can be found by name. Nothing here
 * logs, and no error sentence contains any of the bytes.
 *
 * Credentials that are only told apart (upstreams.*.scope: key) are kept as fingerprints: SHA-256 of the
 * bytes.
 */
#ifndef METERGATE_BASE_SECRET_H
#define METERGATE_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/err.h"
#include "metergate/base/slice.h"

/* The longest credential that is accepted. */
#define SECRET_MAX ((size_t)8192)

/*
 * From here on secrets lie in memory that is never swapped out, is in no core dump and no child, and has pages around it that
 * nobody may touch; and a value that secret_from_env has read is wiped from the environment and remembered here.
 * Once, before the first secret and any thread. 0; -errno where the kernel does not lock memory (RLIMIT_MEMLOCK): all but
 * that holds then; -ENOMEM: nothing of it does.
 */
int secret_protect(void) MG_MUSTCHECK;

/* Of the secrets that there are, how many found no room there (64 KiB), and lie in ordinary memory. */
size_t secret_unprotected(void);

struct secret {
    char *p;  /* private: owned, NULL while unset */
    size_t n; /* private */
};

void secret_init(struct secret *s);
void secret_release(struct secret *s); /* wipes; unset and usable again */

/*
 * Copies the bytes in; what was there before is wiped. -EINVAL when empty or when a byte is not printable
 * ASCII (such a key could end a header early), -E2BIG over SECRET_MAX. Unchanged on failure.
 */
int secret_set(struct secret *s, struct slice bytes) MG_MUSTCHECK;

/* As secret_set, from an environment variable or the first line of a file. The sentence names the source. */
int secret_from_env(struct secret *s, const char *name, struct errbuf *e) MG_MUSTCHECK;
int secret_from_file(struct secret *s, const char *path, struct errbuf *e) MG_MUSTCHECK;

/* As secret_from_file, of a file that nobody else can use: file_open_private. */
int secret_from_private_file(struct secret *s, const char *path, struct errbuf *e) MG_MUSTCHECK;

bool secret_is_set(const struct secret *s);

/* The bytes, borrowed: for the header that carries them and for nothing else. Empty while unset. */
struct slice secret_expose(const struct secret *s);

/* Likewise, with "Bearer " before it. */
struct slice secret_bearer(const struct secret *s);

/* In a time that depends on neither the contents nor where they differ. An unset secret equals nothing. */
bool secret_equals(const struct secret *s, struct slice given);

/* That many random bytes of the kernel as hexadecimal digits, and NUL: 2 * bytes + 1 characters; at most 64 bytes. Waits, in the
 * first second of a machine's life, until the kernel has gathered enough (getrandom(2)). */
void secret_random_hex(char *ret, size_t bytes);

#define SECRET_FINGERPRINT_BYTES 32

struct secret_fingerprint {
    unsigned char bytes[SECRET_FINGERPRINT_BYTES];
};

/* SHA-256 (FIPS 180-4). */
struct secret_fingerprint secret_fingerprint_of(struct slice credential);
bool secret_fingerprint_eq(const struct secret_fingerprint *a, const struct secret_fingerprint *b);

#endif
