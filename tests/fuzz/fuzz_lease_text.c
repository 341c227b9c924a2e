/*
 * fuzz_lease_text: a body of /-/reserve or /-/settle is either refused with a sentence, and nothing of it is
 * taken, or every figure of it lies within its bounds. No body is both: each has a member that means nothing
 * to the other.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/proxy/lease_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_count(int64_t v)
{
    return v >= 0 && v <= DIALECT_TOKENS_MAX;
}

static bool is_wish(struct slice body)
{
    struct lease_wish w = {.input = -7};
    struct errbuf e = {""};

    if (lease_wish_read(body, &w, &e) < 0) {
        MG_ASSERT(e.text[0] && w.input == -7);
        return false;
    }
    MG_ASSERT(w.model[0] && strlen(w.model) < sizeof w.model && strlen(w.upstream) < sizeof w.upstream);
    MG_ASSERT(is_count(w.input) && is_count(w.output) && w.max_wait_us >= -1 &&
              w.max_wait_us < CLOCK_NEVER / 2);
    return true;
}

static bool is_report(struct slice body)
{
    struct lease_report r = {.retry_after_us = -7};
    struct errbuf e = {""};

    if (lease_report_read(body, &r, &e) < 0) {
        MG_ASSERT(e.text[0] && r.retry_after_us == -7);
        return false;
    }
    MG_ASSERT(strlen(r.id) < sizeof r.id);
    MG_ASSERT(is_count(r.usage.input) && is_count(r.usage.output) && is_count(r.usage.cached));
    MG_ASSERT(r.usage.cached <= r.usage.input && r.retry_after_us >= -1 &&
              r.retry_after_us < CLOCK_NEVER / 2);
    MG_ASSERT(r.refused || r.retry_after_us == -1);
    MG_ASSERT(!r.refused || r.usage.input + r.usage.output == 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice body = slice_of((const char *)data, n);

    if (n <= LEASE_TEXT_MAX)
        MG_ASSERT(!(is_wish(body) & is_report(body)));
    return 0;
}
