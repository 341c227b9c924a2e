/*
 * block: masks in, masks out. See block.h.
 *
 * In the names below a mask stands for the set of its bits, after(m) for the bytes that follow one in m,
 * before(m) for those before one. Bit 0 is a piece's start, and what would have stood before it does not
 * matter.
 *
 * What starts a piece, by the class of the byte, as the patterns have it:
 *
 *   letter   after a line break or a digit; in o200k a capital after a small letter. Not after white space,
 * which belongs to the word; after punctuation only if that does not stand alone (if it does, it belongs to
 * the word). digit    the first of a run, and each third. punct    after none, and not after the space that
 * belongs to it. blank    the first of white space; the last of it, if something else follows; and what
 * follows the last line break. newline  after a letter or a digit. Otherwise it belongs to the punctuation or
 * the white space before it.
 *
 * Line breaks after punctuation (in o200k slashes among them, too) are the tail of that piece: `tail`.
 */
#include "metergate/tokens/block.h"

#include <stddef.h>

struct masks {
    uint64_t letter, lower, digit, space, blank, newline, slash, quote, wide;
};

static inline __attribute__((always_inline)) uint64_t after(uint64_t m)
{
    return m << 1;
}

static inline __attribute__((always_inline)) uint64_t bit(unsigned i)
{
    return i < 64 ? UINT64_C(1) << i : 0;
}

static inline __attribute__((always_inline)) unsigned lowest(uint64_t m)
{
    return (unsigned)__builtin_ctzll(m);
}

static inline __attribute__((always_inline)) unsigned highest(uint64_t m)
{
    return 63 - (unsigned)__builtin_clzll(m);
}

/* The bits below i, which may be 64. */
static inline __attribute__((always_inline)) uint64_t below(unsigned i)
{
    return i < 64 ? bit(i) - 1 : UINT64_MAX;
}

/* How long the contraction at the quote is: 's 't 'm 'd, 're 've 'll; 0 if it is none. */
static inline __attribute__((always_inline)) unsigned contraction(const char *quote)
{
    int a = quote[1] | 0x20, b = quote[2] | 0x20;

    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/*
 * `quotes` may begin a contraction; those that do are taken out of the starts in o200k, where they belong to
 * the word before, and stay in cl100k, where they are pieces. Either way a piece begins behind them. *end
 * falls to the first quote too close to it to tell.
 */
static inline __attribute__((always_inline)) uint64_t with_contractions(enum encoding e, const char *p,
                                                                        uint64_t starts, uint64_t quotes,
                                                                        uint64_t letter, unsigned *end)
{
    while (quotes) {
        unsigned at = lowest(quotes), n;

        if (at + 3 >= *end) {
            *end = *end < at ? *end : at;
            break;
        }
        quotes &= quotes - 1;
        n = contraction(p + at);
        if (n == 0)
            continue;
        starts &= ~(below(at + n) & ~below(e == ENCODING_O200K ? at : at + 1));
        starts |= bit(at + n) & letter;
        if (e == ENCODING_O200K)
            quotes &= ~bit(at + n); /* a word has one contraction */
    }
    return starts;
}

/* The first of each run, and each third after it. */
static inline __attribute__((always_inline)) uint64_t digit_starts(uint64_t digit)
{
    uint64_t starts = digit & ~after(digit);
    uint64_t fourth = digit & after(digit) & digit << 2 & digit << 3;

    for (uint64_t next = starts << 3 & fourth; next; next = next << 3 & fourth)
        starts |= next;
    return starts;
}

/*
 * Blanks that follow a line break in the same run of white space start a piece if that was the last line
 * break of the run: if no other comes behind the blanks.
 */
static inline __attribute__((always_inline)) uint64_t after_last_newline(uint64_t blank, uint64_t newline)
{
    uint64_t first = blank & after(newline) & ~UINT64_C(1);
    uint64_t more = (blank + first) & ~blank & newline; /* a sum carries through a run of ones */

    while (more) {
        first &= ~bit(highest(first & below(lowest(more))));
        more &= more - 1;
    }
    return first;
}

static inline __attribute__((always_inline)) uint64_t starts_of(enum encoding e, const char *p,
                                                                const struct masks *m)
{
    unsigned end = m->wide ? lowest(m->wide) : 64;
    uint64_t white = m->blank | m->newline, known = below(end), solid = known & ~white;
    uint64_t punct = solid & ~(m->letter | m->digit);
    /* line breaks behind punctuation, and all that they carry on to */
    uint64_t tails = e == ENCODING_O200K ? m->newline | m->slash : m->newline;
    uint64_t tail_first = m->newline & after(punct);
    uint64_t tail = (tails & ~(tails + tail_first)) | tail_first;
    uint64_t punct_starts, letter_starts, starts, quotes;

    if (solid == 0)
        return 0;
    /* white space at the end: only where it begins is certain */
    if (highest(solid) + 2 < end)
        end = highest(solid) + 2;
    /* the first punctuation is a start, whatever stands before the block */
    punct_starts = punct & ~tail & (~after(punct) | after(tail) | 1) & ~after(m->space);
    letter_starts = m->letter & ~after(m->blank | punct_starts | m->letter);
    if (e == ENCODING_O200K)
        letter_starts |= m->letter & ~m->lower & after(m->lower);
    starts = digit_starts(m->digit) | punct_starts | letter_starts;
    starts |= m->newline & after(m->letter | m->digit);
    starts |= (m->blank & (after(solid | tail) | solid >> 1)) | after_last_newline(m->blank, m->newline);
    quotes = m->quote & (e == ENCODING_O200K ? after(m->letter) : punct_starts);
    if (quotes)
        starts = with_contractions(e, p, starts, quotes, m->letter, &end);
    return starts & below(end) & ~UINT64_C(1);
}

/* ---- plain C
 * -------------------------------------------------------------------------------------------------- */

uint64_t block_plain(enum encoding e, const char *p)
{
    struct masks m = {0};

    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        unsigned char c = (unsigned char)p[i];
        uint64_t b = bit(i);

        m.letter |= (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? b : 0;
        m.lower |= c >= 'a' && c <= 'z' ? b : 0;
        m.digit |= c >= '0' && c <= '9' ? b : 0;
        m.space |= c == ' ' ? b : 0;
        m.blank |= c == ' ' || c == '\t' || c == '\v' || c == '\f' ? b : 0;
        m.newline |= c == '\r' || c == '\n' ? b : 0;
        m.slash |= c == '/' ? b : 0;
        m.quote |= c == '\'' ? b : 0;
        m.wide |= c & 0x80 ? b : 0;
    }
    return starts_of(e, p, &m);
}

/* ---- AVX2
 * ------------------------------------------------------------------------------------------------------ */

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi")))

/*
 * Classes as bits of a byte that two look-ups give, one by each half of the character: a class is what both
 * have. Letters take two, as their two columns have different rows.
 */
enum {
    A_TO_O = 1,   /* 0x41..0x4f and 0x61..0x6f */
    P_TO_Z = 2,   /* 0x50..0x5a and 0x70..0x7a */
    DIGIT = 4,    /* 0x30..0x39 */
    SPACE = 8,    /* 0x20 */
    NEWLINE = 16, /* 0x0a, 0x0d */
    TAB = 32,     /* 0x09, 0x0b, 0x0c */
    SLASH = 64,   /* 0x2f */
    QUOTE = 128,  /* 0x27 */
};

#define BY_HIGH                                                                                              \
    NEWLINE | TAB, 0, SPACE | SLASH | QUOTE, DIGIT, A_TO_O, P_TO_Z, A_TO_O, P_TO_Z, 0, 0, 0, 0, 0, 0, 0, 0
#define BY_LOW                                                                                               \
    P_TO_Z | DIGIT | SPACE, A_TO_O | P_TO_Z | DIGIT, A_TO_O | P_TO_Z | DIGIT, A_TO_O | P_TO_Z | DIGIT,       \
        A_TO_O | P_TO_Z | DIGIT, A_TO_O | P_TO_Z | DIGIT, A_TO_O | P_TO_Z | DIGIT,                           \
        A_TO_O | P_TO_Z | DIGIT | QUOTE, A_TO_O | P_TO_Z | DIGIT, A_TO_O | P_TO_Z | DIGIT | TAB,             \
        A_TO_O | P_TO_Z | NEWLINE, A_TO_O | TAB, A_TO_O | TAB, A_TO_O | NEWLINE, A_TO_O, A_TO_O | SLASH

static const unsigned char by_high[32] __attribute__((aligned(32))) = {BY_HIGH, BY_HIGH};
static const unsigned char by_low[32] __attribute__((aligned(32))) = {BY_LOW, BY_LOW};

struct half {
    __m256i bytes, classes;
};

AVX2 static inline __attribute__((always_inline)) struct half half_of(const char *p)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    struct half h;
    __m256i high, low;

    h.bytes = _mm256_loadu_si256((const void *)p);
    high = _mm256_and_si256(_mm256_srli_epi16(h.bytes, 4), nibble);
    low = _mm256_and_si256(h.bytes, nibble);
    h.classes = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_load_si256((const void *)by_high), high),
                                 _mm256_shuffle_epi8(_mm256_load_si256((const void *)by_low), low));
    return h;
}

/* The mask of the bytes' highest bits, once the bit of the value `of` has been moved there. */
#define PICK(a, b, member, of)                                                                               \
    ((uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16((a).member, 7 - (of))) |                               \
     (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16((b).member, 7 - (of))) << 32)

AVX2 static inline __attribute__((always_inline)) struct masks masks_avx2(const char *p)
{
    struct half a = half_of(p), b = half_of(p + 32);
    uint64_t letter = PICK(a, b, classes, 0) | PICK(a, b, classes, 1);
    uint64_t space = PICK(a, b, classes, 3);

    return (struct masks){
        .letter = letter,
        .lower = letter & PICK(a, b, bytes, 5), /* 0x20 */
        .digit = PICK(a, b, classes, 2),
        .space = space,
        .blank = space | PICK(a, b, classes, 5),
        .newline = PICK(a, b, classes, 4),
        .slash = PICK(a, b, classes, 6),
        .quote = PICK(a, b, classes, 7),
        .wide = PICK(a, b, bytes, 7),
    };
}

AVX2 static uint64_t block_avx2(enum encoding e, const char *p)
{
    struct masks m = masks_avx2(p);

    return e == ENCODING_O200K ? starts_of(ENCODING_O200K, p, &m) : starts_of(ENCODING_CL100K, p, &m);
}

block_fn *block_best(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") ? block_avx2 : NULL;
}
#else
block_fn *block_best(void)
{
    return NULL;
}
#endif
