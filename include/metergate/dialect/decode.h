/*
 * decode: takes the content coding off a body while it passes, piece by piece, for who only wants to read it; or
 * off a whole request body (decode_body).
 *
 * Codings (RFC 9110, 8.4.1): gzip with its old name x-gzip (RFC 1952, any number of members one after the
 * other), and deflate, which the RFC defines as RFC 1951 inside RFC 1950's zlib format and which some servers
 * send without that wrapping: both are read; zstd (RFC 8878, any number of frames). br is not: nobody is asked
 * for it, and no client compresses a request with it.
 *
 * Bounded, whatever the peer sends:
 *   memory   zlib's, about 40 KiB: a window of 32 KiB and its tables; zstd's window, at most 8 MiB, which is all
 *            that a coding of HTTP may ask for (RFC 9659), for DECODE_WINDOWS_MAX bodies at a time: what comes piece by piece
 *            beyond these is given up at its first byte. What comes out is handed on in pieces of at most
 *            DECODE_PIECE_MAX bytes and not kept.
 *   work     decoding gives up, and reads no further, once more than DECODE_OUT_MAX bytes came out, or more than
 *            DECODE_RATIO_MAX for each byte that went in. DEFLATE can give 1032 for one, so that 1 MiB from a
 *            peer would be 1 GiB to look through (and zstd far more), in the one thread that serves everybody. Answers of a model
 *            give 3 to 20. The ratio is asked for behind the first DECODE_FREE_BYTES alone: a short answer may
 *            well be one blank repeated, and costs little. DECODE_OUT_MAX has room for the largest common
 *            answer: 2048 embeddings of 1536 numbers of 13 bytes are 39 MiB.
 * It also gives up at the first byte that the coding does not allow. What came out before stays handed on.
 */
#ifndef METERGATE_DIALECT_DECODE_H
#define METERGATE_DIALECT_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/slice.h"

#define DECODE_PIECE_MAX   ((size_t)16 << 10)
#define DECODE_OUT_MAX     ((size_t)64 << 20)
#define DECODE_FREE_BYTES  ((size_t)1 << 20)
#define DECODE_RATIO_MAX   200
#define DECODE_WINDOWS_MAX 32 /* 256 MiB; nobody is asked for zstd, so none are usual */

enum decode_kind { DECODE_NONE, DECODE_GZIP, DECODE_DEFLATE, DECODE_ZSTD };

/* What a Content-Encoding of one coding names, in any case, blanks around it ignored. DECODE_NONE: a coding that
 * cannot be read here, or several. */
enum decode_kind decode_kind_of(struct slice content_encoding);

/* Whether a Content-Encoding says that the body is not as it is: neither empty nor "identity". */
bool decode_is_coded(struct slice content_encoding);

/* Takes the next decoded bytes, borrowed for the time of the call. 0, or a negative code that ends the feeding. */
typedef int (*decode_sink)(void *arg, struct slice piece);

struct decode; /* opaque */

/* `kind` is not DECODE_NONE. Never NULL; the memory comes with the first byte. decode_free(NULL) is fine. */
struct decode *decode_new(enum decode_kind kind, decode_sink sink, void *arg);
void decode_free(struct decode *d);

/* The next bytes of the coded body: all that they give goes to the sink before this returns. After giving up, and
 * behind the end of a deflate body, they are ignored. 0; -ENOMEM; what the sink returned. */
int decode_feed(struct decode *d, struct slice in) MG_MUSTCHECK;

/* Whether it gave up, so that the sink saw a beginning alone. A body that merely has not ended did not. */
bool decode_gave_up(const struct decode *d);

/*
 * A whole body, appended to `out`. -ENOTSUP: a coding that cannot be read here, or several; -EBADMSG: it is not of its
 * coding, or ends too early; -E2BIG: more than out's maximum would come out; -ENOMEM. May run in a worker's thread.
 */
int decode_body(struct slice content_encoding, struct slice body, struct buf *out) MG_MUSTCHECK;

#endif
