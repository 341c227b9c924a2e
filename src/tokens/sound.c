/* sound: only a header is decoded. */
#include "metergate/tokens/sound.h"

#include "metergate/tokens/base64.h"
#include "metergate/tokens/encoding.h"

#define SOUND_BYTES_PER_S 16000
#define VIDEO_BYTES_PER_S 125000

/* "RIFF" size "WAVE" "fmt " size format channels rate bytes/s ...: 0 when it is no such file. */
static int64_t wav_bytes_per_s(struct slice text)
{
    char head[32];
    size_t n = base64_decode(text, head, sizeof head);
    int64_t rate = 0;

    if (n < sizeof head || !slice_eq(slice_of(head, 4), SLICE("RIFF")) ||
        !slice_eq(slice_of(head + 8, 4), SLICE("WAVE")))
        return 0;
    for (int i = 3; i >= 0; i--)
        rate = rate * 256 + (unsigned char)head[28 + i];
    return rate;
}

int64_t sound_tokens(struct slice model, struct slice text, bool is_video)
{
    struct slice name = encoding_base_model(model.p, model.n), data = base64_of_url(text);
    int64_t bytes = (int64_t)(data.n / 4 * 3), per_s = wav_bytes_per_s(data), tokens_per_s = 10;

    if (slice_starts(name, SLICE("gemini")))
        tokens_per_s = is_video ? 263 : 32;
    if (per_s <= 0)
        per_s = is_video ? VIDEO_BYTES_PER_S : SOUND_BYTES_PER_S;
    return (bytes * tokens_per_s + per_s - 1) / per_s;
}
