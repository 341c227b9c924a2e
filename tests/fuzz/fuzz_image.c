/* fuzz_image: any bytes as a file, and as base64 of one: nothing is read behind them, and sizes are priced within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    struct slice text = slice_of(copy, n);

    MG_ASSERT(copy);
    if (n)
        memcpy(copy, data, n);
    check(image_size_of(text));
    check(image_size_in_text(text));
    MG_ASSERT(sound_tokens(SLICE("gemini-x"), text, false) >= 0);
    free(copy);
    return 0;
}
