/*
 * fuzz_refusal: whatever names a caller has put into his call, our own error is JSON in each provider's shape, its message the
 * sentence, and what the sentence says of a wait is read back as that wait. The first byte is the reason, eight bytes are an
 * amount; then come, a line each, model, budget, client, and a sentence of the caller's.
 */
#include <stdint.h>
#include <string.h>

#include "metergate/base/clock.h"
#include "metergate/base/scan_text.h"
#include "metergate/dialect/anthropic.h"
#include "metergate/dialect/azure.h"
#include "metergate/dialect/gemini.h"
#include "metergate/dialect/ollama.h"
#include "metergate/dialect/openai.h"
#include "metergate/dialect/refusal.h"
#include "metergate/dialect/verdict.h"
#include "metergate/tokens/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct dialect *const dialects[] = {&dialect_openai, &dialect_anthropic, &dialect_gemini, &dialect_azure,
                                                 &dialect_ollama};
static const char *const metrics[] = {NULL, "tpm", "rpm", "itpd", "concurrent", "usd_per_day", "learning", "otpm"};

/* As JSON reads it: a byte that is no UTF-8 is U+FFFD. */
static void repair(struct slice s, struct buf *out)
{
    while (s.n) {
        size_t n = slice_utf8(s);

        buf_add(out, n ? s.p : UTF8_REPLACEMENT, n ? n : 3);
        s = slice_skip(s, n ? n : 1);
    }
}

/* The message is the first string member "message", at the top or one level below. Ollama's is "error" itself. */
static bool find_message(struct scan *s, struct buf *ret)
{
    struct scan_value key, v;
    bool found = false;

    if (!scan_enter(s, SCAN_OBJECT))
        return false;
    while (scan_member(s, &key)) {
        bool is_message = scan_is(s, &key, "message") || scan_is(s, &key, "error");

        if (scan_peek(s) == SCAN_OBJECT) {
            found |= find_message(s, ret);
            continue;
        }
        v = scan_value(s);
        if (!is_message || v.type != SCAN_STRING)
            continue;
        MG_ASSERT(scan_decode(scan_text(s, &v), ret) == 0);
        found = true;
    }
    return found;
}

static void check_body(struct slice body, struct slice sentence)
{
    struct buf message, want;
    struct scan s;

    buf_init(&message, BUF_UNLIMITED);
    buf_init(&want, BUF_UNLIMITED);
    repair(sentence, &want);
    scan_init(&s, body);
    MG_ASSERT(find_message(&s, &message) && scan_end(&s) == 0);
    MG_ASSERT(utf8_valid(body.p, body.n) == body.n);
    MG_ASSERT(slice_eq(buf_slice(&message), buf_slice(&want)));
    buf_release(&message);
    buf_release(&want);
}

static struct slice take_line(struct slice *rest)
{
    struct slice line = slice_head(*rest, slice_find(*rest, '\n'));

    *rest = slice_skip(*rest, line.n + 1);
    return line;
}

static void check(const struct refusal *r)
{
    struct refusal_retry retry = refusal_retry(r);
    struct buf sentence, body;

    buf_init(&sentence, BUF_UNLIMITED);
    buf_init(&body, BUF_UNLIMITED);
    refusal_sentence(r, &sentence);
    MG_ASSERT(sentence.n > 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(dialects); i++) {
        buf_reset(&body);
        dialects[i]->refuse(r, &body);
        check_body(buf_slice(&body), buf_slice(&sentence));
    }
    MG_ASSERT(refusal_status(r) >= 400 && refusal_status(r) < 600 && refusal_name(r->reason)[0]);
    if (retry.retry_after) {
        MG_ASSERT(retry.retry_after_s >= 1 && retry.retry_after_ms >= 1 && retry.retry_after_ms / 1000 <= retry.retry_after_s);
        MG_ASSERT(r->reason == REFUSAL_DRAINING || retry.retry_after_ms * 1000 >= r->wait_us);
    }
    buf_release(&sentence);
    buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of((const char *)data, n);
    struct refusal r = {.request_id = "mg-0000001-1"};
    int64_t amount;

    if (n < 10)
        return 0;
    memcpy(&amount, data + 2, sizeof amount);
    amount = (int64_t)((uint64_t)amount & INT64_MAX) >> (data[0] >> 4) * 4;
    rest = slice_skip(rest, 10);
    r.reason = (enum refusal_reason)(data[0] % 16 % REFUSAL_REASONS);
    r.metric = metrics[data[1] % MG_ARRAY_LEN(metrics)];
    r.unpriced = data[1] & 64;
    r.model = take_line(&rest);
    r.budget = take_line(&rest);
    r.client = take_line(&rest);
    r.detail = rest;
    r.limit = r.requested = amount;
    r.wait_us = amount < INT64_C(366) * 86400 * CLOCK_S ? amount : 0;
    r.frees_us = data[1] & 128 ? CLOCK_NEVER : r.wait_us;
    r.max_nano = r.spent_nano = r.reserved_nano = r.wanted_nano = amount / 4;
    r.wall_us = data[1] & 32 ? INT64_C(1795435200) * CLOCK_S : 0;
    check(&r);
    return 0;
}
