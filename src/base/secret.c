/*
 * secret: p is NULL exactly while n is 0. Every copy of the bytes that is made here is wiped before its
 * memory is given back, the ones on the stack and in stdio's buffer among them (a file is read with read(2)
 * for that reason).
 */
#include "metergate/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "metergate/base/file.h"
#include "metergate/base/spare.h"

void secret_init(struct secret *s)
{
    *s = (struct secret){0};
}

void secret_release(struct secret *s)
{
    if (s->p)
        OPENSSL_cleanse(s->p, s->n);
    free(s->p);
    secret_init(s);
}

static int check(struct slice bytes)
{
    if (bytes.n == 0)
        return -EINVAL;
    if (bytes.n > SECRET_MAX)
        return -E2BIG;
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] < 0x21 || bytes.p[i] > 0x7e)
            return -EINVAL;
    }
    return 0;
}

int secret_set(struct secret *s, struct slice bytes)
{
    int rc = check(bytes);
    char *p;

    if (rc < 0)
        return rc;
    p = xmalloc(bytes.n + 1);
    memcpy(p, bytes.p, bytes.n);
    p[bytes.n] = '\0';
    secret_release(s);
    s->p = p;
    s->n = bytes.n;
    return 0;
}

/* secret_set with the reason in words; `from` says where the bytes were. */
static int set_from(struct secret *s, struct slice bytes, const char *from, struct errbuf *e)
{
    int rc = secret_set(s, bytes);

    if (rc == -E2BIG)
        err_set(e, "%s is longer than %zu bytes", from, SECRET_MAX);
    else if (rc < 0 && bytes.n == 0)
        err_set(e, "%s is empty", from);
    else if (rc < 0)
        err_set(e, "%s has a space or a byte that is not printable ASCII", from);
    return rc;
}

int secret_from_env(struct secret *s, const char *name, struct errbuf *e)
{
    const char *value = getenv(name);
    char from[160];

    if (!value) {
        err_set(e, "the environment variable %s is not set", name);
        return -ENOENT;
    }
    snprintf(from, sizeof from, "the environment variable %s", name);
    return set_from(s, slice_str(value), from, e);
}

/* Up to `cap` bytes of the file; -errno, said why. A short file is read to its end. */
static ssize_t read_file(const char *path, char *p, size_t cap, struct errbuf *e)
{
    int fd = file_open(path, e);
    size_t n = 0;
    ssize_t got = 0;

    if (fd < 0)
        return fd;
    while (n < cap) {
        got = read(fd, p + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    got = got < 0 ? -errno : (ssize_t)n;
    if (got < 0)
        err_set(e, "%s", strerror((int)-got));
    close(fd);
    return got;
}

int secret_from_file(struct secret *s, const char *path, struct errbuf *e)
{
    char bytes[SECRET_MAX + 2]; /* one more than fits, and a line end */
    struct errbuf why;
    ssize_t got = read_file(path, bytes, sizeof bytes, &why);
    struct slice line;
    int rc;

    if (got < 0) {
        err_set(e, "cannot read %.300s: %.150s", path, why.text);
        return (int)got;
    }
    line = slice_of(bytes, (size_t)got);
    line = slice_head(line, slice_find(line, '\n'));
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    rc = set_from(s, line, path, e);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return rc;
}

bool secret_is_set(const struct secret *s)
{
    return s->p != NULL;
}

struct slice secret_expose(const struct secret *s)
{
    return slice_of(s->p, s->n);
}

/* Up to 256 bytes come whole and cannot fail once the kernel is ready. A secret that could be guessed would be worse than none. */
void secret_random_hex(char *ret, size_t bytes)
{
    unsigned char random[64];
    ssize_t got;

    MG_ASSERT(bytes <= sizeof random);
    do
        got = getrandom(random, bytes, 0);
    while (got < 0 && errno == EINTR);
    MG_ASSERT(got == (ssize_t)bytes);
    for (size_t i = 0; i < bytes; i++)
        snprintf(ret + 2 * i, 3, "%02x", random[i]);
    OPENSSL_cleanse(random, sizeof random);
}

struct secret_fingerprint secret_fingerprint_of(struct slice credential)
{
    struct secret_fingerprint f;
    unsigned n = 0;

    /* It fails for want of memory alone. */
    for (unsigned i = 0; EVP_Digest(credential.n ? credential.p : "", credential.n, f.bytes, &n, EVP_sha256(), NULL) != 1; i++) {
        if (!spare_again(i))
            spare_out_of_memory();
    }
    MG_ASSERT(n == sizeof f.bytes);
    return f;
}

bool secret_fingerprint_eq(const struct secret_fingerprint *a, const struct secret_fingerprint *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* The digests are compared, not the bytes: they have one length, so the secret's own length does not show
 * either. */
bool secret_equals(const struct secret *s, struct slice given)
{
    struct secret_fingerprint a = secret_fingerprint_of(secret_expose(s));
    struct secret_fingerprint b = secret_fingerprint_of(given);

    return secret_fingerprint_eq(&a, &b) && secret_is_set(s);
}
