/* body: bytes leave w->in as they are taken; what remains there afterwards is what nobody announced. */
#include "body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "request.h"
#include "wire.h"

void body_release(struct body *b)
{
    buf_release(&b->kept);
}

static int more(struct wire *w, struct errbuf *e)
{
    int rc = wire_fill(w, BODY_SILENCE_US);

    if (rc == -ETIMEDOUT) {
        err_set(e, "the body stopped for %d s", (int)(BODY_SILENCE_US / 1000000));
        return -EBADMSG;
    }
    return rc > 0 ? 0 : -EPIPE;
}

/* Takes n bytes of body. */
static int take(struct body *b, EVP_MD_CTX *hash, struct wire *w, int64_t n, bool keep, struct errbuf *e)
{
    b->bytes += n;
    if (b->bytes > BODY_MAX || (keep && b->bytes > (int64_t)BODY_KEPT_BYTES)) {
        err_set(e, "a body of more than %" PRId64 " bytes", b->bytes - n);
        return -EBADMSG;
    }
    while (n > 0) {
        size_t piece;
        int rc = w->in.n ? 0 : more(w, e);

        if (rc < 0)
            return rc;
        piece = w->in.n < (uint64_t)n ? w->in.n : (size_t)n;
        EVP_DigestUpdate(hash, w->in.p, piece);
        if (keep)
            buf_add(&b->kept, w->in.p, piece);
        buf_drop_head(&w->in, piece);
        n -= (int64_t)piece;
    }
    return 0;
}

/* One line that ends in CR LF, of at most 20 characters. */
static int take_line(struct wire *w, char *line, size_t size, struct errbuf *e)
{
    for (;;) {
        struct slice in = buf_slice(&w->in);
        size_t n = slice_find(in, '\n');
        int rc;

        if (n < in.n) {
            if (n == 0 || n > size || in.p[n - 1] != '\r') {
                err_set(e, "a line of the chunked body is not well formed");
                return -EBADMSG;
            }
            memcpy(line, in.p, n - 1);
            line[n - 1] = '\0';
            buf_drop_head(&w->in, n + 1);
            return 0;
        }
        if (in.n > size) {
            err_set(e, "a chunk size of more than %zu characters", size);
            return -EBADMSG;
        }
        rc = more(w, e);
        if (rc < 0)
            return rc;
    }
}

/* Hexadecimal digits and nothing else: no sign, no extension. */
static int64_t chunk_size(const char *line)
{
    int64_t n = 0;

    if (!line[0] || strlen(line) > 8 || strspn(line, "0123456789abcdefABCDEF") != strlen(line))
        return -1;
    for (const char *c = line; *c; c++)
        n = n * 16 + (*c <= '9' ? *c - '0' : (*c | 0x20) - 'a' + 10);
    return n;
}

static int take_chunks(struct body *b, EVP_MD_CTX *hash, struct wire *w, bool keep, struct errbuf *e)
{
    char line[24];

    for (;;) {
        int64_t n;
        int rc = take_line(w, line, 20, e);

        if (rc < 0)
            return rc;
        n = chunk_size(line);
        if (n < 0) {
            err_set(e, "a chunk size that is none: \"%s\"", line);
            return -EBADMSG;
        }
        rc = take(b, hash, w, n, keep, e);
        if (rc < 0)
            return rc;
        rc = take_line(w, line, 20, e);
        if (rc < 0)
            return rc;
        if (line[0]) {
            err_set(e, n ? "bytes beyond the end of a chunk" : "a trailer after the body");
            return -EBADMSG;
        }
        if (n == 0)
            return 0;
    }
}

int body_read(struct body *b, const struct request *r, struct wire *w, bool keep, struct errbuf *e)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char digest[32];
    int rc;

    *b = (struct body){0};
    buf_init(&b->kept, BUF_UNLIMITED);
    MG_ASSERT(hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL));
    rc = r->chunked ? take_chunks(b, hash, w, keep, e) : take(b, hash, w, r->body_bytes, keep, e);
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(b->sha256 + 2 * i, 3, "%02x", digest[i]);
    return rc;
}
