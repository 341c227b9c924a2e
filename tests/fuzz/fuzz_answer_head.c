/* answer_head over anything, line by line: it stays inside its bound, and its slices inside its text. */
#include "metergate/net/answer_head.h"

#include <stdint.h>

#define BOUND 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_done(const struct answer_head *h)
{
    MG_ASSERT(h->status >= 200 && h->status <= 999);
    MG_ASSERT(h->minor == 0 || h->minor == 1);
    for (size_t i = 0; i < h->line_n; i++) {
        struct slice name = h->headers[i].name, value = h->headers[i].value;

        MG_ASSERT(name.p >= h->text.p && name.p + name.n <= h->text.p + h->text.n);
        MG_ASSERT(value.p >= h->text.p && value.p + value.n <= h->text.p + h->text.n);
        MG_ASSERT(slice_find(name, ':') == name.n);
        MG_ASSERT(slice_find(value, '\n') == value.n);
    }
    MG_ASSERT(answer_head_content_length(h) >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data, n);
    struct answer_head h;
    int rc = 0;

    answer_head_init(&h, BOUND);
    while (rest.n && rc >= 0) {
        size_t end = slice_find(rest, '\n');
        bool was_done = h.done;

        rc = answer_head_add(&h, slice_head(rest, end + 1));
        MG_ASSERT((rc == 1) == (h.done && !was_done));
        MG_ASSERT(h.text.n <= BOUND);
        rest = slice_skip(rest, end + 1);
    }
    if (h.done)
        check_done(&h);
    answer_head_release(&h);
    return 0;
}
