/* sse: events cut out of streams that are split anywhere, and usage hidden again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/dialect/answer.h"
#include "metergate/dialect/openai.h"
#include "metergate/dialect/sse.h"
#include "metergate/gate/profile.h"

/* ---- the splitter alone
 * ------------------------------------------------------------------------------------------ */

/* Writes down each event as name|data; drops data "drop"; cuts what stands between < and > out of data. */
static void note(void *arg, const struct sse_event *e, struct sse_fate *ret)
{
    struct buf *seen = arg;
    size_t open = slice_find(e->data, '<'), close = slice_find(e->data, '>');

    if (e->name.n || e->data.n) {
        buf_add_slice(seen, e->name);
        buf_add_char(seen, '|');
        buf_add_slice(seen, e->data);
        buf_add_char(seen, '\x01');
    }
    ret->drop = slice_eq(e->data, SLICE("drop"));
    if (open < close && close < e->data.n) {
        ret->cut_at = open;
        ret->cut_n = close + 1 - open;
    }
}

static void run(enum sse_mode mode, struct slice in, size_t first, size_t second, struct buf *out,
                struct buf *seen)
{
    struct sse s;

    sse_init(&s, mode, 64, note, seen);
    assert_int_equal(sse_feed(&s, slice_head(in, first), out), 0);
    assert_int_equal(sse_feed(&s, slice_head(slice_skip(in, first), second), out), 0);
    assert_int_equal(sse_feed(&s, slice_skip(in, first + second), out), 0);
    assert_int_equal(sse_finish(&s, out), 0);
    sse_release(&s);
}

static const struct {
    const char *in, *held, *seen;
} streams[] = {
    {"data: a\n\ndata: b\n\n", "data: a\n\ndata: b\n\n", "|a\x01|b\x01"},
    {"data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\n\r\ndata: b\r\n\r\n", "|a\x01|b\x01"},
    {"data: a\r\rdata: b\r\r", "data: a\r\rdata: b\r\r", "|a\x01|b\x01"},
    {"data: a\n\r\ndata: b\r\n\n", "data: a\n\r\ndata: b\r\n\n", "|a\x01|b\x01"},
    {"event: x\ndata:a\nid: 7\nretry: 1\n\n", "event: x\ndata:a\nid: 7\nretry: 1\n\n", "x|a\x01"},
    {": a comment\n\n: another\r\n\r\n", ": a comment\n\n: another\r\n\r\n", ""},
    {"\n\n\r\n\rdata: a\n\n\n\n", "\n\n\r\n\rdata: a\n\n\n\n", "|a\x01"},
    {"data: a\ndata: b\ndata\ndata:\n\n", "data: a\ndata: b\ndata\ndata:\n\n", "|a\nb\n\n\x01"},
    {"data:  two spaces\n\n", "data:  two spaces\n\n", "| two spaces\x01"},
    {"datax: a\ndat: b\n data: c\n\n", "datax: a\ndat: b\n data: c\n\n", ""},
    {"data: a\n\ndata: drop\n\ndata: b\n\n", "data: a\n\ndata: b\n\n", "|a\x01|drop\x01|b\x01"},
    {"data: a\r\n\r\ndata: drop\r\n\r\ndata: b\r\n\r\n", "data: a\r\n\r\ndata: b\r\n\r\n",
     "|a\x01|drop\x01|b\x01"},
    {"data: drop\r\rdata: drop\r\n\r\n\ndata: b\r\r", "\ndata: b\r\r", "|drop\x01|drop\x01|b\x01"},
    {"data: x<y>z\n\n", "data: xz\n\n", "|x<y>z\x01"},
    {"id: 1\r\ndata:x<y>z\r\nid: 2\r\n\r\n", "id: 1\r\ndata:xz\r\nid: 2\r\n\r\n", "|x<y>z\x01"},
    {"data: a<b\ndata: c\ndata: d>e\n\n", "data: a\ndata: \ndata: e\n\n", "|a<b\nc\nd>e\x01"},
    {"data: last, without its end", "data: last, without its end", "|last, without its end\x01"},
    {"data: drop", "", "|drop\x01"},
    {"data: drop\n", "", "|drop\x01"},
    {"\xEF\xBB\xBF"
     "data: x<y>z\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     "\xEF\xBB\xBF"
     "data: xz\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     "|x<y>z\x01"},
    /* 70 bytes: over the maximum of 64, passes unread; the next is read again */
    {"data: drop0123456789012345678901234567890123456789012345678901234567890\n\ndata: drop\n\n",
     "data: drop0123456789012345678901234567890123456789012345678901234567890\n\n", "|drop\x01"},
    {"data: drop0123456789012345678901234567890123456789012345678901234567890\r\n\r\ndata: drop\r\n\r\n",
     "data: drop0123456789012345678901234567890123456789012345678901234567890\r\n\r\n", "|drop\x01"},
    /* 64 bytes, and the LF of its last line end, which may come later: is read */
    {"data: 1234567890123456789012345678901234567890123456789012345\r\n\r\ndata: drop\r\n\r\n",
     "data: 1234567890123456789012345678901234567890123456789012345\r\n\r\n",
     "|1234567890123456789012345678901234567890123456789012345\x01|drop\x01"},
    /* a byte order mark is one at the very beginning alone, also behind what was not read */
    {"data: drop0123456789012345678901234567890123456789012345678901234567890\n\n\xEF\xBB\xBF"
     "data: drop\n\n",
     "data: drop0123456789012345678901234567890123456789012345678901234567890\n\n\xEF\xBB\xBF"
     "data: drop\n\n",
     ""},
    {"{\"error\":\"not a stream at all\"}", "{\"error\":\"not a stream at all\"}", ""},
    {"", "", ""},
};

static void test_sse__every_split__gives_the_same_output_and_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(streams); i++) {
        struct slice in = slice_str(streams[i].in);

        for (size_t first = 0; first <= in.n; first++) {
            for (size_t second = 0; second <= in.n - first; second++) {
                struct buf out, seen;

                buf_init(&out, BUF_UNLIMITED);
                buf_init(&seen, BUF_UNLIMITED);
                run(SSE_HOLD, in, first, second, &out, &seen);
                if (!slice_eq(buf_slice(&out), slice_str(streams[i].held)) ||
                    !slice_eq(buf_slice(&seen), slice_str(streams[i].seen)))
                    fail_msg("stream %zu split at %zu and %zu: out \"%s\", seen \"%s\"", i, first, second,
                             out.n ? out.p : "", seen.n ? seen.p : "");
                buf_release(&out);
                buf_release(&seen);
            }
        }
    }
}

static void test_sse__watching__lets_every_byte_pass_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(streams); i++) {
        struct slice in = slice_str(streams[i].in);
        struct buf out, seen;
        struct sse s;

        buf_init(&out, BUF_UNLIMITED);
        buf_init(&seen, BUF_UNLIMITED);
        sse_init(&s, SSE_WATCH, 64, note, &seen);
        for (size_t at = 0; at < in.n; at++) {
            assert_int_equal(sse_feed(&s, slice_of(in.p + at, 1), &out), 0);
            assert_int_equal(out.n, at + 1);
        }
        assert_int_equal(sse_finish(&s, &out), 0);
        assert_true(slice_eq(buf_slice(&out), in));
        assert_true(slice_eq(buf_slice(&seen), slice_str(streams[i].seen)));
        sse_release(&s);
        buf_release(&out);
        buf_release(&seen);
    }
}

static void test_sse__holding__an_event_leaves_with_the_byte_that_completes_it(void **state)
{
    static const char *const ends[] = {"\n\n", "\r\n\r\n", "\r\r"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(ends); i++) {
        struct buf out, seen;
        struct sse s;

        buf_init(&out, BUF_UNLIMITED);
        buf_init(&seen, BUF_UNLIMITED);
        sse_init(&s, SSE_HOLD, 64, note, &seen);
        assert_int_equal(sse_feed(&s, SLICE("data: a"), &out), 0);
        assert_int_equal(sse_feed(&s, slice_of(ends[i], strlen(ends[i]) / 2), &out), 0);
        assert_int_equal(out.n, 0);
        /* the CR of the blank line is enough: its LF may never come */
        assert_int_equal(sse_feed(&s, slice_of(ends[i] + strlen(ends[i]) / 2, 1), &out), 0);
        assert_true(out.n >= strlen("data: a") + 2);
        sse_release(&s);
        buf_release(&out);
        buf_release(&seen);
    }
}

static void test_sse__a_full_output__is_an_error(void **state)
{
    struct buf out, seen;
    struct sse s;

    (void)state;
    buf_init(&out, 5);
    buf_init(&seen, BUF_UNLIMITED);
    sse_init(&s, SSE_HOLD, 64, note, &seen);
    assert_int_equal(sse_feed(&s, SLICE("data: a\n\n"), &out), -E2BIG);
    sse_release(&s);
    buf_release(&out);
    buf_release(&seen);
}

/* ---- usage hidden again
 * ------------------------------------------------------------------------------------------- */

static struct answer *stream_answer(bool hide)
{
    struct answer_conf conf = {.dialect = &dialect_openai,
                               .model = "gpt-4o",
                               .stream = true,
                               .hide_usage = hide,
                               .content_type = SLICE("text/event-stream; charset=utf-8")};

    return answer_new(&conf);
}

#define HEAD "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o\",\"choices\":"
#define USAGE                                                                                                \
    "{\"prompt_tokens\":19,\"completion_tokens\":2,\"total_tokens\":21,\"prompt_tokens_details\":{\"cached_" \
    "tokens\":7},"                                                                                           \
    "\"completion_tokens_details\":{\"reasoning_tokens\":1}}"

static const char *const with_usage = HEAD
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n" HEAD
    "[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}],\"usage\":null,\"obfuscation\":\"x7\"}\n\n" HEAD
    "[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}], \"usage\" : null }\n\n" HEAD
    "[],\"usage\":" USAGE "}\n\n"
    "data: [DONE]\n\n";

static const char *const without_usage =
    HEAD "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n" HEAD
         "[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}],\"obfuscation\":\"x7\"}\n\n" HEAD
         "[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}] }\n\n"
         "data: [DONE]\n\n";

static void feed_split(struct answer *a, struct slice in, size_t at, struct buf *out)
{
    assert_int_equal(answer_feed(a, slice_head(in, at), out), 0);
    assert_int_equal(answer_feed(a, slice_skip(in, at), out), 0);
    assert_int_equal(answer_finish(a, out), 0);
}

static void test_stream__usage_that_we_asked_for__is_taken_out_again(void **state)
{
    struct slice in = slice_str(with_usage);

    (void)state;
    for (size_t at = 0; at <= in.n; at++) {
        struct answer *a = stream_answer(true);
        struct usage u;
        struct buf out;

        buf_init(&out, BUF_UNLIMITED);
        assert_true(answer_rewrites(a));
        feed_split(a, in, at, &out);
        assert_string_equal(out.p, without_usage);
        assert_true(answer_usage(a, &u));
        assert_int_equal(u.input, 19);
        assert_int_equal(u.cached, 7);
        assert_int_equal(u.output, 2);
        assert_int_equal(u.reasoning, 1);
        assert_true(answer_complete(a));
        assert_null(answer_error(a));
        buf_release(&out);
        answer_free(a);
    }
}

static void test_stream__usage_that_the_client_asked_for__passes(void **state)
{
    struct answer *a = stream_answer(false);
    struct usage u;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    assert_false(answer_rewrites(a));
    feed_split(a, slice_str(with_usage), 100, &out);
    assert_string_equal(out.p, with_usage);
    assert_true(answer_usage(a, &u));
    assert_int_equal(u.output, 2);
    buf_release(&out);
    answer_free(a);
}

static void test_stream__without_usage__its_text_is_counted(void **state)
{
    struct answer *a = stream_answer(true);
    struct usage u;
    struct buf out;

    (void)state;
    buf_init(&out, BUF_UNLIMITED);
    feed_split(a, slice_str(without_usage), 200, &out);
    assert_string_equal(out.p, without_usage);
    assert_false(answer_usage(a, &u));
    assert_int_equal(answer_counted_output(a), 1); /* "Hello", though it came in two pieces */
    buf_release(&out);
    answer_free(a);
}

/* One event in, what comes out, and the usage seen (-1: none). */
static const struct {
    const char *in, *out;
    int64_t output_tokens;
} events[] = {
    /* usage on a chunk that has choices stays where it is (llama.cpp, Mistral, vLLM's continuous statistics)
     */
    {"{\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":5}}",
     NULL, 5},
    {"{\"choices\":[{\"index\":0,\"delta\":{}}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":1,"
     "\"completion_tokens\":6}}}",
     NULL, 6},
    /* no choices and no usage: Azure's first chunk, an error, OpenRouter's */
    {"{\"choices\":[],\"prompt_filter_results\":[]}", NULL, -1},
    {"{\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}",
     "{\"choices\":[],\"prompt_filter_results\":[]}", -1},
    {"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":7}}", NULL, 7},
    {"{\"choices\":[],\"usage\":{}}", NULL, -1},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}", NULL, -1},
    /* the member wherever it stands */
    {"{\"usage\":null,\"choices\":[1]}", "{\"choices\":[1]}", -1},
    {"{ \"usage\": null , \"choices\":[1]}", "{ \"choices\":[1]}", -1},
    {"{\"usage\":null}", "{}", -1},
    {"{\"a\":1,\"usage\":null,\"b\":2}", "{\"a\":1,\"b\":2}", -1},
    {"{\"a\":1 , \"us\\u0061ge\" : null}", "{\"a\":1}", -1},
    {"{\"a\":{\"usage\":null},\"b\":\"\\\"usage\\\":null\"}", NULL, -1},
    /* not JSON: not touched */
    {"{\"a\":1,\"usage\":null", NULL, -1},
    {"{\"a\":1,\"usage\":null}}", NULL, -1},
    {"[{\"usage\":null}]", NULL, -1},
    {"[DONE]", NULL, -1},
};

static void test_stream__each_kind_of_event__is_changed_only_by_what_we_added(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(events); i++) {
        struct answer *a = stream_answer(true);
        struct buf in, want, out;
        struct usage u = {.output = -1};

        buf_init(&in, BUF_UNLIMITED);
        buf_init(&want, BUF_UNLIMITED);
        buf_init(&out, BUF_UNLIMITED);
        buf_addf(&in, "data: %s\r\n\r\n", events[i].in);
        buf_addf(&want, "data: %s\r\n\r\n", events[i].out ? events[i].out : events[i].in);
        feed_split(a, buf_slice(&in), 0, &out);
        if (!slice_eq(buf_slice(&out), buf_slice(&want)))
            fail_msg("event %zu became %s", i, out.n ? out.p : "nothing");
        (void)answer_usage(a, &u);
        assert_int_equal(u.output, events[i].output_tokens);
        buf_release(&in);
        buf_release(&want);
        buf_release(&out);
        answer_free(a);
    }
}

/* ---- property: what a provider adds for include_usage is what is taken out
 * --------------------------------------- */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* One event to both streams; `null` is what the provider adds to each chunk when it was asked for usage. */
static void add_event(struct buf *plain, struct buf *asked, const char *end, const char *head,
                      const char *tail, const char *null)
{
    buf_addf(plain, "data: %s%s%s%s", head, tail, end, end);
    buf_addf(asked, "data: %s%s%s%s%s", head, null, tail, end, end);
}

static void random_stream(struct buf *plain, struct buf *asked, uint64_t *seed)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    static const char *const nulls[] = {",\"usage\":null", " , \"usage\" : null"};
    const char *end = ends[random_next(seed) % 3], *null = nulls[random_next(seed) % 2];
    size_t many = random_next(seed) % 6;

    for (size_t i = 0; i < many; i++) {
        const char *tail = random_next(seed) % 2 ? ",\"obfuscation\":\"zz\"}" : "}";

        if (random_next(seed) % 4 == 0) {
            buf_addf(plain, ": wait%s%s", end, end);
            buf_addf(asked, ": wait%s%s", end, end);
        }
        add_event(plain, asked, end,
                  "{\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":null\"}}]", tail, null);
    }
    buf_addf(asked, "data: {\"choices\":[] , \"usage\":%s}%s%s", USAGE, end, end);
    buf_addf(plain, "data: [DONE]%s%s", end, end);
    buf_addf(asked, "data: [DONE]%s%s", end, end);
}

static void test_stream__added_and_taken_out__is_the_stream_without(void **state)
{
    uint64_t seed = 20261123;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct answer *a = stream_answer(true);
        struct buf plain, asked, out;
        struct slice in;

        buf_init(&plain, BUF_UNLIMITED);
        buf_init(&asked, BUF_UNLIMITED);
        buf_init(&out, BUF_UNLIMITED);
        random_stream(&plain, &asked, &seed);
        for (in = buf_slice(&asked); in.n;) {
            size_t piece = 1 + random_next(&seed) % 40;

            assert_int_equal(answer_feed(a, slice_head(in, piece), &out), 0);
            in = slice_skip(in, piece);
        }
        assert_int_equal(answer_finish(a, &out), 0);
        assert_string_equal(out.p, plain.p);
        buf_release(&plain);
        buf_release(&asked);
        buf_release(&out);
        answer_free(a);
    }
}

static void test_stream__an_error_inside_it__is_told(void **state)
{
    static const struct {
        const char *in, *code;
        int status; /* that it would have had */
        const char *object;
    } rows[] = {
        {"data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n", "server_error", 0,
         "{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}"},
        {"data: {\"error\":{\"code\":429,\"message\":\"m\"},\"choices\":[]}\n\n", "429", 429,
         "{\"code\":429,\"message\":\"m\"}"},
        {"data: {\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}\n\n", "rate_limit_exceeded", 429,
         "{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}"},
        {"event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_"
         "exceeded\",\"message\":\"Please try again in 34.337s.\"}}}\n\n",
         "rate_limit_exceeded", 429, "{\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 34.337s.\"}"},
        {"data: {\"error\":{\"code\":503}}\n\n", "503", 503, "{\"code\":503}"},
        {"data: {\"error\":\"out of memory\"}\n\n", "error", 0, "\"out of memory\""},
        {"data: {\"error\":null,\"choices\":[]}\n\n", NULL, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct answer *a = stream_answer(false);

        assert_int_equal(answer_feed(a, slice_str(rows[i].in), NULL), 0);
        if (rows[i].code)
            assert_string_equal(answer_error(a), rows[i].code);
        else
            assert_null(answer_error(a));
        assert_int_equal(answer_error_status(a), rows[i].status);
        assert_true(slice_eq(answer_error_object(a), slice_str(rows[i].object)));
        answer_free(a);
    }
}

/* Bounded, whatever the provider sends. */
static void test_stream__an_endless_error_inside_it__is_kept_in_part(void **state)
{
    struct answer *a = stream_answer(false);
    struct buf in;

    (void)state;
    buf_init(&in, BUF_UNLIMITED);
    buf_add_str(&in, "data: {\"error\":{\"code\":429,\"message\":\"");
    for (size_t i = 0; i < 20000; i++)
        buf_add_str(&in, "01234567");
    buf_add_str(&in, "\"}}\n\n");
    assert_int_equal(answer_feed(a, buf_slice(&in), NULL), 0);
    assert_int_equal(answer_error_status(a), 429);
    assert_int_equal(answer_error_object(a).n, 4096);
    buf_release(&in);
    answer_free(a);
}

static void test_stream__an_event_over_a_mebibyte__passes_unread(void **state)
{
    struct answer *a = stream_answer(true);
    struct buf in, out;
    struct usage u;

    (void)state;
    buf_init(&in, BUF_UNLIMITED);
    buf_init(&out, BUF_UNLIMITED);
    buf_add_str(&in, "data: {\"usage\":null,\"pad\":\"");
    for (size_t i = 0; i < ANSWER_EVENT_MAX / 8; i++)
        buf_add_str(&in, "01234567");
    buf_add_str(&in, "\"}\n\n");
    assert_int_equal(answer_feed(a, buf_slice(&in), &out), 0);
    assert_true(slice_eq(buf_slice(&in), buf_slice(&out)));
    buf_reset(&out);
    assert_int_equal(answer_feed(a, SLICE("data: {\"choices\":[],\"usage\":" USAGE "}\n\n"), &out), 0);
    assert_int_equal(out.n, 0);
    assert_true(answer_usage(a, &u));
    buf_release(&in);
    buf_release(&out);
    answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse__every_split__gives_the_same_output_and_events),
        cmocka_unit_test(test_sse__watching__lets_every_byte_pass_at_once),
        cmocka_unit_test(test_sse__holding__an_event_leaves_with_the_byte_that_completes_it),
        cmocka_unit_test(test_sse__a_full_output__is_an_error),
        cmocka_unit_test(test_stream__usage_that_we_asked_for__is_taken_out_again),
        cmocka_unit_test(test_stream__usage_that_the_client_asked_for__passes),
        cmocka_unit_test(test_stream__without_usage__its_text_is_counted),
        cmocka_unit_test(test_stream__each_kind_of_event__is_changed_only_by_what_we_added),
        cmocka_unit_test(test_stream__added_and_taken_out__is_the_stream_without),
        cmocka_unit_test(test_stream__an_error_inside_it__is_told),
        cmocka_unit_test(test_stream__an_endless_error_inside_it__is_kept_in_part),
        cmocka_unit_test(test_stream__an_event_over_a_mebibyte__passes_unread),
    };

    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
