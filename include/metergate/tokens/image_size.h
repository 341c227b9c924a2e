/*
 * image_size: how large an image is, from the first bytes of its file. Orientation (Exif) is not looked at:
 * every formula that uses the answer treats both sides alike.
 */
#ifndef METERGATE_TOKENS_IMAGE_SIZE_H
#define METERGATE_TOKENS_IMAGE_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/slice.h"

struct image_size {
    uint32_t width, height; /* pixels; both above 0, or both 0: not known */
};

/*
 * PNG (IHDR), JPEG (the first SOF), GIF and WebP (VP8, VP8L, VP8X), by the documents of each. `data` are a
 * few bytes for most of them; of a JPEG the size may stand behind many kilobytes of metadata. Unknown for
 * anything else, and for what is cut off before the size. Linear, reads nothing but `data`.
 */
struct image_size image_size_of(struct slice data);

/*
 * The same for an image in base64 (base64.h has what may stand between its digits), as it stands in a JSON
 * string, or in a `data:` URL there. Decodes no more than it needs; where something stands between the
 * digits, the size must stand within the first IMAGE_HEADER_MAX bytes.
 */
#define IMAGE_HEADER_MAX ((size_t)64 << 10)
struct image_size image_size_in_text(struct slice text);

#endif
