/* media: read in one pass over the value, whatever the order of its members. */
#include "metergate/dialect/media.h"

#include <string.h>

#include "metergate/base/scan_text.h"
#include "metergate/dialect/fields.h"

/*
 * A document in the body costs a page's text and image per page: "1,500-3,000 tokens per page" (Anthropic,
 * PDF support), 258 at Gemini. At the 100 KB that a page takes in base64, 40 bytes are a token.
 */
#define DOCUMENT_BYTES_PER_TOKEN 40

/* A text in base64: four letters a token, as Google has it. */
#define BASE64_BYTES_PER_TOKEN 5

static bool says(struct slice text, const char *what)
{
    text = slice_head(text, 512); /* the kind stands before the data */
    return text.n && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

/* What the value of a block's image_url, source, inlineData, ... says, as it stands between its quotes; empty
 * where it says nothing. */
struct media {
    struct slice text;   /* the bytes in base64, the data: URL or the address */
    struct slice kind;   /* the beginning of its media type; a slash in it may be escaped */
    struct slice detail; /* OpenAI's */
    bool is_base64;      /* `text` is, by who wrote it: Google */
};

static struct slice text_of(struct slice object, const struct field *f)
{
    return f->value.type == SCAN_STRING ? scan_inside(object, &f->value) : SLICE("");
}

static struct media read_media(struct slice value)
{
    enum { URL, DATA, URI, MIME, TYPE, DETAIL, N };
    struct field f[N] = {
        [URL] = {.name = "url"},
        [DATA] = {.name = "data"},
        [URI] = {.name = "fileUri", .other_name = "file_uri"},
        [MIME] = {.name = "mimeType", .other_name = "mime_type"},
        [TYPE] = {.name = "media_type"},
        [DETAIL] = {.name = "detail"},
    };
    struct media m = {.text = SLICE(""), .kind = SLICE(""), .detail = SLICE("")};

    if (slice_starts(value, SLICE("\""))) {
        m.text = slice_head(slice_skip(value, 1), value.n - 2);
    } else if (slice_starts(value, SLICE("{")) && fields_read(value, f, N, NULL) == 0) {
        for (int i = URL; i <= URI && m.text.n == 0; i++)
            m.text = text_of(value, &f[i]);
        m.is_base64 = f[MIME].times > 0;
        m.kind = text_of(value, &f[m.is_base64 ? MIME : TYPE]);
        m.detail = text_of(value, &f[DETAIL]);
    }
    if (m.kind.n == 0 && slice_starts(m.text, SLICE("data:")))
        m.kind = slice_skip(m.text, sizeof "data:" - 1);
    return m;
}

static bool is_address(struct slice text)
{
    return text.n == 0 || (!slice_starts(text, SLICE("data:")) && slice_find(slice_head(text, 32), ':') < 32);
}

/* A document whose text stands in it (Anthropic's plain and custom ones). */
static void count_written(struct counter *k, struct slice value)
{
    struct scan_value key, v;
    struct scan s;

    scan_init(&s, value);
    if (!scan_enter(&s, SCAN_OBJECT))
        return;
    while (scan_member(&s, &key)) {
        bool data = scan_is(&s, &key, "data");

        if (scan_is(&s, &key, "content")) {
            counter_blocks(k, &s);
            continue;
        }
        v = scan_value(&s);
        if (data && v.type == SCAN_STRING)
            counter_string(k, &s, &v, MEANS_CONTENT);
    }
}

void media_count(struct counter *k, struct slice before, struct slice value, struct slice detail)
{
    struct media m = read_media(value);
    bool video = slice_starts(m.kind, SLICE("video")), text = slice_starts(m.kind, SLICE("text"));

    if (slice_starts(m.kind, SLICE("image")) || slice_starts(before, SLICE("image")) ||
        says(before, "\"image") || says(before, "input_image"))
        chat_count_image(&k->chat, m.text, image_detail_of(m.detail.n ? m.detail : detail));
    else if ((video || slice_starts(m.kind, SLICE("audio")) || says(before, "input_audio")) &&
             !is_address(m.text))
        chat_count_sound(&k->chat, m.text, video);
    else if (text && m.is_base64)
        chat_count_hidden(&k->chat, (int64_t)(m.text.n / BASE64_BYTES_PER_TOKEN));
    else if (text || says(value, "\"content\""))
        count_written(k, value);
    else
        chat_count_hidden(&k->chat, COUNTER_UNKNOWN_TOKENS + (int64_t)(value.n / DOCUMENT_BYTES_PER_TOKEN));
}
