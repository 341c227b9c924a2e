/*
 * pretoken: the patterns by hand. See pretoken.h.
 *
 * The patterns are tried in their order, as a backtracking matcher would, but the backtracking is worked out
 * beforehand:
 *
 *   - A run of capitals and caseless letters, [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*, must leave something for the
 * small letters that follow. If no small letter comes after the run, the run gives back down to its last
 * caseless letter or mark, which both sets hold: struct word remembers where that ends.
 *   - A mark may be the one character before a word as well as its first letter; the first is tried before
 * the second, and both of them for a word with small letters before either for one without.
 *   - \s*[\r\n]+ ends behind the last line break of a run of white space; \s+(?!\S) leaves the last character
 * of it to the next piece unless the text ends there.
 *
 * Always true: a cursor is between p and end and stands at the first byte of a character.
 */
#include "metergate/tokens/pretoken.h"

#include <stdbool.h>
#include <stdint.h>

#include "metergate/tokens/tables.h"

#define SET(class) (1u << (class))

#define LETTERS  (SET(CHAR_UPPER) | SET(CHAR_LOWER) | SET(CHAR_LETTER))
#define CASELESS (SET(CHAR_LETTER) | SET(CHAR_MARK))
#define CAPITALS (SET(CHAR_UPPER) | CASELESS)
#define SMALLS   (SET(CHAR_LOWER) | CASELESS)
#define PUNCT    (SET(CHAR_OTHER) | SET(CHAR_MARK))
#define SPACES   (SET(CHAR_SPACE) | SET(CHAR_NEWLINE))
#define NOTHING  SET(CHAR_CLASSES) /* the end of the text */

typedef const unsigned char *cursor;

static uint32_t code_point(cursor p, unsigned size)
{
    if (size == 2)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (size == 3)
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

/* The set that the character of two and more bytes at p belongs to. Ill-formed bytes count as CHAR_OTHER, one
 * by one. */
static unsigned wide_set_at(cursor p, cursor end, unsigned *ret_size)
{
    unsigned size = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    uint32_t cp;

    *ret_size = 1;
    if (*p < 0xc2 || size > (size_t)(end - p))
        return SET(CHAR_OTHER);
    cp = code_point(p, size);
    if (cp > 0x10ffff)
        return SET(CHAR_OTHER);
    *ret_size = size;
    return SET(char_class_of(cp));
}

/* The set of the character at p, a single bit, and its size; NOTHING and 0 at the end. */
static inline unsigned set_at(cursor p, cursor end, unsigned *ret_size)
{
    if (p == end) {
        *ret_size = 0;
        return NOTHING;
    }
    if (*p < 0x80) {
        *ret_size = 1;
        return SET(char_class_of(*p));
    }
    return wide_set_at(p, end, ret_size);
}

/* Past the characters of `set`. */
static inline cursor skip(cursor p, cursor end, unsigned set)
{
    unsigned size;

    while (set_at(p, end, &size) & set)
        p += size;
    return p;
}

/* Past 's 't 're 've 'm 'll 'd of any case (and, by Unicode's case folding, past an apostrophe and U+017F),
 * if there. */
static cursor skip_contraction(cursor p, cursor end)
{
    size_t left = (size_t)(end - p);
    int a, b;

    if (left < 2 || *p != '\'')
        return p;
    a = p[1] | 0x20;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return p + 2;
    if (left < 3)
        return p;
    b = p[2] | 0x20;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return p + 3;
    return p[1] == 0xc5 && p[2] == 0xbf ? p + 3 : p;
}

/* What the two word patterns of o200k match from one place, the contraction not included; NULL for no match.
 */
struct word {
    cursor small;   /* the first: it has a small or caseless letter at its end */
    cursor capital; /* the second, if the first fails: capitals alone */
};

static inline struct word word_at(cursor p, cursor end)
{
    struct word w = {NULL, NULL};
    cursor at = p;
    unsigned set, size;

    for (set = set_at(at, end, &size); set & CAPITALS; set = set_at(at, end, &size)) {
        at += size;
        if (set & CASELESS)
            w.small = at;
    }
    if (set & SMALLS)
        w.small = skip(at + size, end, SMALLS);
    else if (at > p)
        w.capital = at;
    return w;
}

/* The word patterns of o200k; NULL when neither matches. `first` is the set of the character at p, `size` its
 * size. */
static cursor o200k_word(cursor p, cursor end, unsigned first, unsigned size)
{
    struct word with = {NULL, NULL}, bare = {NULL, NULL};

    if (first & LETTERS) {
        bare = word_at(p, end);
    } else {
        with = word_at(p + size, end);
        if (!with.small && (first & CASELESS))
            bare = word_at(p, end);
    }
    if (with.small || bare.small)
        return with.small ? with.small : bare.small;
    return with.capital ? with.capital : bare.capital;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+ */
static cursor white_space(cursor p, cursor end)
{
    cursor at = p, last = p, line = NULL;
    unsigned set, size;

    for (set = set_at(at, end, &size); set & SPACES; set = set_at(at, end, &size)) {
        last = at;
        at += size;
        if (set & SET(CHAR_NEWLINE))
            line = at;
    }
    if (line)
        return line;
    return at == end || last == p ? at : last;
}

static cursor number(cursor p, cursor end)
{
    unsigned size;

    for (int i = 0; i < 3 && set_at(p, end, &size) & SET(CHAR_NUMBER); i++)
        p += size;
    return p;
}

/* The patterns that follow the words, which both encodings share but for the slash after punctuation. */
static cursor no_word(cursor p, cursor end, unsigned first, bool slash)
{
    cursor at = *p == ' ' ? p + 1 : p;
    cursor past;

    if (first & SET(CHAR_NUMBER))
        return number(p, end);
    past = skip(at, end, PUNCT);
    if (past == at)
        return white_space(p, end);
    while (past < end && (*past == '\r' || *past == '\n' || (slash && *past == '/')))
        past++;
    return past;
}

static cursor o200k_end(cursor p, cursor end)
{
    unsigned size;
    unsigned first = set_at(p, end, &size);
    cursor word = first & (SET(CHAR_NUMBER) | SET(CHAR_NEWLINE)) ? NULL : o200k_word(p, end, first, size);

    return word ? skip_contraction(word, end) : no_word(p, end, first, true);
}

static cursor cl100k_end(cursor p, cursor end)
{
    cursor contraction = skip_contraction(p, end);
    unsigned size, next_size;
    unsigned first = set_at(p, end, &size);

    if (contraction > p)
        return contraction;
    if (first & LETTERS)
        return skip(p + size, end, LETTERS);
    if (!(first & (SET(CHAR_NUMBER) | SET(CHAR_NEWLINE))) && set_at(p + size, end, &next_size) & LETTERS)
        return skip(p + size + next_size, end, LETTERS);
    return no_word(p, end, first, false);
}

const char *pretoken_end(enum encoding e, const char *p, const char *end)
{
    cursor from = (cursor)p, to = (cursor)end;

    return (const char *)(e == ENCODING_CL100K ? cl100k_end(from, to) : o200k_end(from, to));
}

/* Where the characters of `set` that the text ends with begin. */
static cursor trailing(cursor from, cursor end, unsigned set)
{
    while (end > from) {
        cursor p = end - 1;
        unsigned size;

        while (p > from && (*p & 0xc0) == 0x80)
            p--;
        if (!(set_at(p, end, &size) & set))
            break;
        end = p;
    }
    return end;
}

/* A contraction is looked for in the four bytes behind a word: an apostrophe and up to three more. */
#define LOOK_AHEAD 4

/*
 * Two things are looked at farther than that: white space up to its end, for the last line break in it, and capitals that
 * follow caseless letters, for a small letter behind them.
 */
size_t pretoken_certain(struct slice text)
{
    cursor from = (cursor)text.p, end = from + text.n;
    cursor white = trailing(from, end, SPACES), capitals = trailing(from, end, CAPITALS);
    cursor run = white < capitals ? white : capitals;
    size_t n = (size_t)(run - from);

    if (text.n <= LOOK_AHEAD)
        return 0;
    return n < text.n - LOOK_AHEAD ? n : text.n - LOOK_AHEAD;
}
