/*
 * image_size: a few fixed places, and for JPEG a walk from segment to segment.
 *
 * Always true: a place is read only after it was checked to lie inside.
 */
#include "metergate/tokens/image_size.h"

#include <stdbool.h>
#include <string.h>

#include "metergate/tokens/base64.h"

static const struct image_size unknown;

static uint32_t byte(struct slice d, size_t at)
{
    return (unsigned char)d.p[at];
}

static uint32_t be16(struct slice d, size_t at)
{
    return byte(d, at) << 8 | byte(d, at + 1);
}

static uint32_t be32(struct slice d, size_t at)
{
    return be16(d, at) << 16 | be16(d, at + 2);
}

static uint32_t le16(struct slice d, size_t at)
{
    return byte(d, at) | byte(d, at + 1) << 8;
}

static uint32_t le24(struct slice d, size_t at)
{
    return le16(d, at) | byte(d, at + 2) << 16;
}

static struct image_size size_of(uint32_t width, uint32_t height)
{
    return width && height ? (struct image_size){width, height} : unknown;
}

static bool has(struct slice d, size_t at, struct slice what)
{
    return at <= d.n && slice_starts(slice_skip(d, at), what);
}

/* ITU-T T.81, B.1.1.3: SOF0 to SOF15 but for DHT (C4), JPG (C8) and DAC (CC). */
static bool is_frame(uint32_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Markers that have no length behind them: TEM, RST0 to RST7, SOI. */
static bool is_bare(uint32_t marker)
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/* ---- JPEG ---- */

/* The file that is walked through: its bytes, or base64 of them without anything between. */
struct source {
    struct slice text;
    bool is_base64;
};

/* A segment's marker, its length, and what a frame says behind that. */
#define SEGMENT_HEAD 9

/* A file made to keep us walking is not worth it. */
#define SEGMENTS_MAX 4096

/* Up to SEGMENT_HEAD bytes from there on. */
static struct slice read_at(const struct source *s, size_t at, char to[SEGMENT_HEAD + 3])
{
    size_t before = at % 3, n;

    if (!s->is_base64)
        return slice_head(slice_skip(s->text, at), SEGMENT_HEAD);
    if (at / 3 * 4 >= s->text.n)
        return slice_of(to, 0);
    n = base64_decode(slice_head(slice_skip(s->text, at / 3 * 4), 16), to, SEGMENT_HEAD + before);
    return slice_skip(slice_of(to, n), before);
}

static struct image_size size_of_jpeg(const struct source *s)
{
    size_t at = 2;

    for (int steps = 0; steps < SEGMENTS_MAX; steps++) {
        char room[SEGMENT_HEAD + 3];
        struct slice d = read_at(s, at, room);
        uint32_t marker;

        if (d.n < 4 || byte(d, 0) != 0xff)
            return unknown;
        marker = byte(d, 1);
        if (marker == 0xff || is_bare(marker)) { /* fill bytes */
            at += marker == 0xff ? 1 : 2;
            continue;
        }
        if (is_frame(marker))
            return d.n >= 9 ? size_of(be16(d, 7), be16(d, 5)) : unknown;
        if (marker == 0xd9 || marker == 0xda || be16(d, 2) < 2) /* the end, or the picture before any frame */
            return unknown;
        at += 2 + be16(d, 2);
    }
    return unknown;
}

/* ---- the others ---- */

/* RFC 9649, sections 2.5 to 2.7. */
static struct image_size size_of_webp(struct slice d)
{
    if (has(d, 12, SLICE("VP8 ")) && d.n >= 30 && has(d, 23, SLICE("\x9d\x01\x2a")))
        return size_of(le16(d, 26) & 0x3fff, le16(d, 28) & 0x3fff);
    if (has(d, 12, SLICE("VP8L")) && d.n >= 25 && byte(d, 20) == 0x2f)
        return size_of((le16(d, 21) & 0x3fff) + 1, (le24(d, 22) >> 6 & 0x3fff) + 1);
    if (has(d, 12, SLICE("VP8X")) && d.n >= 30)
        return size_of(le24(d, 24) + 1, le24(d, 27) + 1);
    return unknown;
}

struct image_size image_size_of(struct slice d)
{
    if (has(d, 0, SLICE("\x89PNG\r\n\x1a\n")))
        return d.n >= 24 && has(d, 12, SLICE("IHDR")) ? size_of(be32(d, 16), be32(d, 20)) : unknown;
    if (has(d, 0, SLICE("\xff\xd8\xff")))
        return size_of_jpeg(&(struct source){.text = d});
    if (has(d, 0, SLICE("GIF87a")) || has(d, 0, SLICE("GIF89a")))
        return d.n >= 10 ? size_of(le16(d, 6), le16(d, 8)) : unknown;
    if (has(d, 0, SLICE("RIFF")) && has(d, 8, SLICE("WEBP")))
        return size_of_webp(d);
    return unknown;
}

struct image_size image_size_in_text(struct slice text)
{
    struct slice data = base64_of_url(text);
    char small[64], large[IMAGE_HEADER_MAX];
    size_t n = base64_decode(data, small, sizeof small);
    struct image_size size = image_size_of(slice_of(small, n));

    if (size.width || n < 3 || !has(slice_of(small, n), 0, SLICE("\xff\xd8\xff")))
        return size;
    if (!memchr(data.p, '\\', data.n) && !memchr(data.p, ' ', data.n))
        return size_of_jpeg(&(struct source){.text = data, .is_base64 = true});
    /* something stands between the digits */
    return image_size_of(slice_of(large, base64_decode(data, large, sizeof large)));
}
