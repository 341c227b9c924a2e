/*
 * secret: p is NULL exactly while n is 0, and begins with the word that stands before the bytes in an Authorization
 * header, so that the header needs no copy. Every copy of the bytes that is made here is wiped before its memory is given
 * back, the one on the stack too (a file is read with read(2) for that reason: stdio would keep one).
 *
 * Locked memory is OpenSSL's secure heap: mlock, MADV_DONTDUMP, a page that nobody may touch on either side, and wiped
 * when freed. What finds no room there lies in ordinary memory, which is wiped as well.
 */
#include "metergate/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "metergate/base/file.h"
#include "metergate/base/spare.h"

#define SCHEME       "Bearer "
#define SCHEME_BYTES (sizeof SCHEME - 1)

/*
 * As much as an ordinary user may lock where distributions gave him least (Linux before 5.16): some 250 keys of a usual
 * length. A power of two, as the pieces are.
 */
#define ROOM_BYTES  ((size_t)64 << 10)
#define PIECE_BYTES ((size_t)64)

/* A variable whose value is here and no longer in the environment. */
struct taken {
    char *name;
    struct secret value;
};

static bool protecting;
static size_t outside;
static struct taken *taken;
static size_t taken_n;

/* ---- locked memory ---- */

/* A child, which this program never makes, would not get these pages. The room is empty, so that its largest piece is all of it. */
static void keep_from_children(void)
{
    void *all = OPENSSL_secure_malloc(ROOM_BYTES);

    if (all && CRYPTO_secure_allocated(all))
        (void)madvise(all, ROOM_BYTES, MADV_WIPEONFORK);
    OPENSSL_secure_free(all);
}

int secret_protect(void)
{
    int made = CRYPTO_secure_malloc_init(ROOM_BYTES, PIECE_BYTES), e = errno;

    protecting = true;
    if (!made)
        return -ENOMEM;
    keep_from_children();
    return made == 1 ? 0 : e > 0 && e != ENOMEM ? -e : -EPERM; /* ENOMEM: of RLIMIT_MEMLOCK, the room is there */
}

size_t secret_unprotected(void)
{
    return outside;
}

static char *new_bytes(size_t n)
{
    char *p = OPENSSL_secure_malloc(n);

    if (!p)
        p = OPENSSL_malloc(n);
    MG_ASSERT(p);
    outside += protecting && !CRYPTO_secure_allocated(p);
    return p;
}

void secret_init(struct secret *s)
{
    *s = (struct secret){0};
}

void secret_release(struct secret *s)
{
    if (s->p) {
        outside -= protecting && !CRYPTO_secure_allocated(s->p);
        OPENSSL_secure_clear_free(s->p, SCHEME_BYTES + s->n + 1);
    }
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
    p = new_bytes(SCHEME_BYTES + bytes.n + 1);
    memcpy(p, SCHEME, SCHEME_BYTES);
    memcpy(p + SCHEME_BYTES, bytes.p, bytes.n);
    p[SCHEME_BYTES + bytes.n] = '\0';
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

static const struct secret *taken_from(const char *name)
{
    for (size_t i = 0; i < taken_n; i++) {
        if (strcmp(taken[i].name, name) == 0)
            return &taken[i].value;
    }
    return NULL;
}

/* A variable may stand there twice: getenv gives the first, and the other one's value is as secret. */
static void wipe_all_named(const char *name)
{
    size_t n = strlen(name);

    for (char **at = environ; at && *at; at++) {
        if (strncmp(*at, name, n) == 0 && (*at)[n] == '=')
            OPENSSL_cleanse(*at + n + 1, strlen(*at + n + 1));
    }
}

/* /proc/PID/environ and a dump of the stack have the variable's name from now on, and no value. */
static void take(const char *name, const char *value)
{
    taken = xrealloc(taken, (taken_n + 1) * sizeof *taken);
    taken[taken_n].name = xstrdup(name);
    secret_init(&taken[taken_n].value);
    MG_ASSERT(secret_set(&taken[taken_n].value, slice_str(value)) == 0);
    taken_n++;
    wipe_all_named(name);
}

int secret_from_env(struct secret *s, const char *name, struct errbuf *e)
{
    const struct secret *kept = taken_from(name);
    const char *value = getenv(name);
    char from[160];
    int rc;

    if (kept && secret_is_set(kept))
        return secret_set(s, secret_expose(kept));
    if (!value) {
        err_set(e, "the environment variable %s is not set", name);
        return -ENOENT;
    }
    snprintf(from, sizeof from, "the environment variable %s", name);
    rc = set_from(s, slice_str(value), from, e);
    if (rc == 0 && protecting)
        take(name, value);
    return rc;
}

/* Up to `cap` bytes of the file, and closes it; -errno. A short file is read to its end. */
static ssize_t read_file(int fd, char *p, size_t cap)
{
    size_t n = 0;
    ssize_t got = 0;

    while (n < cap) {
        got = read(fd, p + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    got = got < 0 ? -errno : (ssize_t)n;
    close(fd);
    return got;
}

static struct slice first_line(const char *p, size_t n)
{
    struct slice line = slice_of(p, n);

    line = slice_head(line, slice_find(line, '\n'));
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static int from_file(struct secret *s, const char *path, int (*open_file)(const char *, struct errbuf *),
                     struct errbuf *e)
{
    char bytes[SECRET_MAX + 2]; /* one more than fits, and a line end */
    struct errbuf why;
    int fd = open_file(path, &why);
    ssize_t got;
    int rc;

    if (fd < 0) {
        err_set(e, "cannot read %.300s: %.180s", path, why.text);
        return fd;
    }
    got = read_file(fd, bytes, sizeof bytes);
    rc = (int)got;
    if (got < 0)
        err_set(e, "cannot read %.300s: %s", path, strerror(-rc));
    else
        rc = set_from(s, first_line(bytes, (size_t)got), path, e);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return rc;
}

int secret_from_file(struct secret *s, const char *path, struct errbuf *e)
{
    return from_file(s, path, file_open, e);
}

int secret_from_private_file(struct secret *s, const char *path, struct errbuf *e)
{
    return from_file(s, path, file_open_private, e);
}

bool secret_is_set(const struct secret *s)
{
    return s->p != NULL;
}

struct slice secret_expose(const struct secret *s)
{
    return s->p ? slice_of(s->p + SCHEME_BYTES, s->n) : slice_of(NULL, 0);
}

struct slice secret_bearer(const struct secret *s)
{
    return s->p ? slice_of(s->p, SCHEME_BYTES + s->n) : slice_of(NULL, 0);
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
