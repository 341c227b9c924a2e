/*
 * count_strings: the counter's side of oracle.mjs. Reads strings, each as its length (32 bits, little-endian)
 * and its bytes, and writes for each the count of every encoding (32 bits each), until the end of its input.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "metergate/tokens/count.h"
#include "metergate/tokens/feed.h"

/* In parts as well: the same, or the test is over. */
static int64_t counted(enum encoding e, const char *text, size_t n)
{
    int64_t tokens = tokens_count(e, text, n);
    struct tokens_feed f;

    feed_init(&f, e, INT64_MAX);
    for (size_t at = 0; at < n; at += 7)
        feed_add(&f, text + at, n - at < 7 ? n - at : 7);
    if (feed_finish(&f) != tokens) {
        fprintf(stderr, "count_strings: in parts a text of %zu bytes has another count\n", n);
        exit(1);
    }
    return tokens;
}

int main(void)
{
    static char text[1 << 20];
    uint32_t n;

    while (fread(&n, sizeof n, 1, stdin) == 1) {
        n = le32toh(n);
        if (n > sizeof text || fread(text, 1, n, stdin) != n)
            return 1;
        for (int e = 0; e < ENCODINGS; e++) {
            uint32_t tokens = htole32((uint32_t)counted((enum encoding)e, text, n));

            fwrite(&tokens, sizeof tokens, 1, stdout);
        }
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
