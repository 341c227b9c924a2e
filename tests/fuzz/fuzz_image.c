/*
 * fuzz_image: any bytes as a file, and as base64 of one: nothing is read behind them, sizes are priced within bounds, and the
 * size of a file is the same when it stands in a JSON string as base64, in either alphabet, in a URL, with its slashes or
 * pluses escaped or in lines as mail has them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/tokens/image.h"
#include "metergate/tokens/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(struct image_size size)
{
    static const char *const models[] = {"gpt-4o", "gpt-4.1-mini", "gpt-5.4", "gpt-6-astra", "claude-opus-4-8", "gemini-2.5-pro", "?"};

    MG_ASSERT(!size.width == !size.height);
    for (size_t m = 0; m < MG_ARRAY_LEN(models); m++)
        for (int d = IMAGE_AUTO; d <= IMAGE_ORIGINAL; d++) {
            int64_t tokens = image_tokens(slice_str(models[m]), size, (enum image_detail)d);

            MG_ASSERT(tokens > 0 && tokens <= INT64_C(20000000000));
        }
}

/* RFC 4648, with something between the digits. */
enum between { NOTHING, SLASHES, PLUSES, LINES, BLANKS, BETWEENS };

static void encode(struct buf *out, struct slice file, const char *last_two, enum between between)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t written = 0;

    for (size_t i = 0; i < file.n; i += 3) {
        uint32_t bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < file.n ? (unsigned char)file.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++) {
            uint32_t digit = bits >> (18 - 6 * k) & 63;
            char c = digit < 62 ? digits[digit] : last_two[digit - 62];

            if (c == '/' && between == SLASHES)
                buf_add_char(out, '\\');
            if (c == '+' && between == PLUSES)
                buf_add_str(out, "\\u002B");
            else
                buf_add_char(out, i + k <= file.n ? c : '=');
            if (++written % 76 == 0 && between >= LINES)
                buf_add_str(out, between == LINES ? "\\r\\n" : " ");
        }
    }
}

static void check_text(struct slice file, const char *last_two, enum between between, const char *before)
{
    struct image_size size = image_size_of(file), other;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, before);
    encode(&text, file, last_two, between);
    other = image_size_in_text(buf_slice(&text));
    MG_ASSERT(size.width == other.width && size.height == other.height);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    struct slice text = slice_of(copy, n);

    MG_ASSERT(copy);
    if (n)
        memcpy(copy, data, n);
    check(image_size_of(text));
    check(image_size_in_text(text));
    if (n <= IMAGE_HEADER_MAX) {
        for (int between = NOTHING; between < BETWEENS; between++)
            check_text(text, "+/", (enum between)between, "data:image\\/jpeg;base64,");
        check_text(text, "-_", NOTHING, "");
    }
    MG_ASSERT(sound_tokens(SLICE("gemini-x"), text, false) >= 0);
    free(copy);
    return 0;
}
