/*
 * slice: a borrowed run of bytes, not NUL-terminated. The owner is whoever made the bytes; a slice frees nothing.
 * Case is ASCII case only: header names, units and schemes are ASCII by their own standards.
 */
#ifndef METERGATE_BASE_SLICE_H
#define METERGATE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "metergate/base/err.h"

struct slice {
    const char *p; /* may be NULL only when n is 0 */
    size_t n;
};

#define SLICE(lit) ((struct slice){"" lit, sizeof(lit) - 1})

static inline struct slice slice_of(const char *p, size_t n)
{
    return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);

/* Offset of the first `c` in s, or s.n when there is none. */
size_t slice_find(struct slice s, char c);

/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);

/* The value of a hexadecimal digit, of either case; -1 when it is none. */
int slice_hex_digit(char c);

/* The byte that the escape at the beginning of s stands for (%2F, RFC 3986 2.1); -1 when there is none. */
int slice_escaped(struct slice s);

/* The first `n` bytes (or all) and the rest after them. */
struct slice slice_head(struct slice s, size_t n);
struct slice slice_skip(struct slice s, size_t n);

/* Bytes of the UTF-8 sequence that s begins with, 0 when it is ill-formed (Unicode 15, table 3-7) or s is empty. */
size_t slice_utf8(struct slice s);

/* The character of the n well-formed bytes (slice_utf8) at the beginning of s. */
uint32_t slice_code_point(struct slice s, size_t n);

/*
 * Shell glob: * any run, ? any byte, [a-z] [!a-z] one of, \ the next character itself; the whole of s must match.
 * Names longer than 256 bytes never match. The time is bounded by the product of the lengths.
 */
bool slice_glob(struct slice s, const char *pattern);

/* Decimal digits only, the whole of s; -EINVAL when it is not a number, -ERANGE when it does not fit. */
int slice_int64(struct slice s, int64_t *ret) MG_MUSTCHECK;

/*
 * Durations as the configuration and headers write them: `250ms 15s 10m 2h 1d`, fractions (`9.816s`) and
 * sequences (`2h7m1.233s`, Go's time.Duration) allowed; a number without a unit is seconds and stands alone. Result in microseconds, >= 0.
 * -EINVAL, -ERANGE (over 100 years).
 */
int slice_duration_us(struct slice s, int64_t *ret) MG_MUSTCHECK;

/* Sizes: `64KiB 1MiB 1GiB`, also `kB MB GB` (decimal) and a bare number of bytes. -EINVAL, -ERANGE. */
int slice_size_bytes(struct slice s, int64_t *ret) MG_MUSTCHECK;

/* Counts: `30000`, `30k`, `1.5M`. The value must be a whole number. -EINVAL, -ERANGE. */
int slice_count(struct slice s, int64_t *ret) MG_MUSTCHECK;

#endif
