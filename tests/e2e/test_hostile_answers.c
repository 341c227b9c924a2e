/*
 * hostile: providers, and proxies on the way to them, that mean harm: what they send costs bounded memory and time,
 * and what they get is nobody else's.
 */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <zlib.h>
#include <zstd.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "played.h"

#define MIB ((size_t)1 << 20)

static int64_t cpu_us(const struct fixture *f)
{
    struct timespec t;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(process_pid(f->daemon), &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * CLOCK_S + t.tv_nsec / 1000;
}

/* The most that it ever had, in bytes: a peak between two looks is one too. The kernel's figure is a little off. */
static int64_t peak_bytes(const struct fixture *f)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(f->daemon));
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    fclose(file);
    assert_true(kib > 0);
    return (int64_t)kib * 1024;
}

/* ---- bombs --------------------------------------------------------------------------------------------------------- */

/* `n` bytes of text in gzip, `head` before blanks. */
static void pack_gzip(struct buf *out, const char *head, size_t n)
{
    static unsigned char blanks[MIB];
    z_stream z = {0};
    size_t left = n;

    memset(blanks, ' ', sizeof blanks);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(buf_reserve(out, n / 500 + 4096), 0);
    z.next_out = (Bytef *)out->p;
    z.avail_out = (uInt)out->cap;
    z.next_in = (Bytef *)(uintptr_t)head;
    z.avail_in = (uInt)strlen(head);
    assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    while (left) {
        size_t step = left < sizeof blanks ? left : sizeof blanks;

        z.next_in = blanks;
        z.avail_in = (uInt)step;
        left -= step;
        assert_int_equal(deflate(&z, left ? Z_NO_FLUSH : Z_FINISH), left ? Z_OK : Z_STREAM_END);
    }
    out->n = z.total_out;
    deflateEnd(&z);
}

static void pack_zstd(struct buf *out, size_t n)
{
    char *text = calloc(1, n);
    size_t got;

    assert_non_null(text);
    assert_int_equal(buf_reserve(out, ZSTD_compressBound(n)), 0);
    got = ZSTD_compress(out->p, out->cap, text, n, 3);
    assert_false(ZSTD_isError(got));
    out->n = got;
    free(text);
}

/* What is packed is packed once more. */
static void pack_again(struct buf *b)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    assert_int_equal(buf_reserve(&out, compressBound((uLong)b->n) + 100), 0);
    {
        z_stream z = {.next_in = (Bytef *)b->p, .avail_in = (uInt)b->n};

        z.next_out = (Bytef *)out.p;
        z.avail_out = (uInt)out.cap;
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out.n = z.total_out;
        deflateEnd(&z);
    }
    buf_release(b);
    *b = out;
}

struct bomb {
    const char *coding, *type;
    int status;
    const struct buf *body;
    bool is_read; /* it is tried, and given up */
};

/* The client gets the very bytes; the daemon's log says once that they were not read, and that the usage is a guess. */
static void drop_bomb(struct fixture *f, int listener, const struct bomb *b)
{
    size_t mark = process_log_mark(f->daemon);
    struct client_reply r;
    struct buf answer;
    char *log, *said;

    buf_init(&answer, BUF_UNLIMITED);
    buf_addf(&answer, "HTTP/1.1 %d Boom\r\nContent-Type: %s\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
             b->status, b->type, b->coding, b->body->n);
    buf_add_slice(&answer, buf_slice(b->body));
    r = played_call(f, listener, PLAYED_CHAT, answer.p, answer.n, PLAYED_CLOSES);
    assert_int_equal(r.status, b->status);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.body.n, b->body->n);
    assert_memory_equal(r.body.p, b->body->p, r.body.n);
    client_reply_release(&r);
    buf_release(&answer);
    fixture_wait_log(f, mark, b->status < 400 ? "usage=estimated" : "usage=none");
    log = process_log(f->daemon);
    said = strstr(log + mark, "read no further");
    if ((said != NULL) != b->is_read)
        fail_msg("%s of %s, %d: read no further? %s", b->coding, b->type, b->status, said ? "yes" : "no");
    assert_true(!said || !strstr(said + 1, "read no further"));
    free(log);
}

static void test_bombs__cost_little_and_pass_as_they_came(void **state)
{
    struct buf ten, nested, error, vast, zstd;
    const struct bomb bombs[] = {
        {"gzip", "application/json", 200, &ten, true},
        {"gzip", "text/event-stream", 200, &ten, true},
        {"gzip", "text/plain", 200, &nested, false}, /* only the layer that is announced is taken off */
        {"gzip, gzip", "application/json", 200, &nested, false},
        {"br", "application/json", 200, &ten, false},
        {"deflate", "application/json", 200, &ten, true}, /* it is none */
        {"gzip", "application/json", 200, &vast, true},
        {"zstd", "application/json", 200, &zstd, true},
        {"gzip", "application/json", 429, &error, false}, /* judged by its head alone */
        {"gzip", "application/json", 500, &error, true},
    };
    struct buf *const all[] = {&ten, &nested, &error, &vast, &zstd};
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");
    int64_t peak;
    int64_t cpu;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++)
        buf_init(all[i], BUF_UNLIMITED);
    pack_gzip(&ten, "{\"usage\":", 10 * MIB);
    pack_gzip(&nested, "", 100 * MIB);
    pack_again(&nested);
    pack_gzip(&error, "{\"error\":{\"message\":\"", 30 * MIB);
    pack_gzip(&vast, "{", 100 * MIB);
    pack_zstd(&zstd, 64 * MIB);
    assert_true(vast.n < MIB && zstd.n < 1 * MIB && nested.n < 100000);
    drop_bomb(&f, listener, &bombs[0]); /* what is once needed is there now */
    peak = peak_bytes(&f);
    cpu = cpu_us(&f);
    for (size_t i = 0; i < MG_ARRAY_LEN(bombs); i++)
        drop_bomb(&f, listener, &bombs[i]);
    if (peak_bytes(&f) - peak > 8 * (int64_t)MIB || cpu_us(&f) - cpu > 2 * CLOCK_S)
        fail_msg("%lld KiB and %lld ms of CPU", (long long)(peak_bytes(&f) - peak) / 1024,
                 (long long)((cpu_us(&f) - cpu) / 1000));
    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++)
        buf_release(all[i]);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* Says it for as long as anybody listens, two seconds at most. */
static void flood(int fd, const char *text)
{
    int64_t until_us = clock_now_us() + 2 * CLOCK_S;
    struct timeval patience = {.tv_usec = 100000};
    struct buf b;

    buf_init(&b, BUF_UNLIMITED);
    for (int i = 0; i < 1000; i++)
        buf_add_str(&b, text);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (clock_now_us() < until_us && send(fd, b.p, b.n, MSG_NOSIGNAL) > 0)
        ;
    buf_release(&b);
}

/* A call with one header more, answered with `answer`. */
static struct client_reply call_with(const struct fixture *f, int listener, const char *header, const char *answer, size_t n)
{
    char url[128];
    const char *const headers[] = {"Authorization: Bearer sk-0", header, NULL};
    struct client_call call = {.url = url, .headers = headers, .body = PLAYED_CHAT};
    struct client_async *a;
    int fd;

    snprintf(url, sizeof url, "%s/v1/chat/completions", f->url);
    a = client_start(&call);
    fd = played_take(listener);
    raw_send(fd, answer, n);
    played_end(fd, PLAYED_CLOSES);
    return client_finish(a);
}

/* The two heads share one piece of memory: what has no room in it must not cost the answer. */
static void test_big_head__on_both_sides__costs_one_header_and_no_answer(void **state)
{
    struct fixture f = {0};
    int listener;

    (void)state;
    listener = played_start(&f, ", retry: {attempts: 1}", "");
    for (int request_bytes = 100; request_bytes < 27000; request_bytes += 2690) {
        for (int answer_bytes = 100; answer_bytes < 23000; answer_bytes += 2290) {
            struct buf line, answer;
            struct client_reply r;

            buf_init(&line, BUF_UNLIMITED);
            buf_init(&answer, BUF_UNLIMITED);
            buf_add_str(&line, "X-Mine: ");
            for (int i = 0; i < request_bytes; i++)
                buf_add_char(&line, 'm');
            buf_add_str(&answer, "HTTP/1.1 200 OK\r\nX-Yours: ");
            for (int i = 0; i < answer_bytes; i++)
                buf_add_char(&answer, 'y');
            buf_add_str(&answer, "\r\nContent-Length: 2\r\n\r\n{}");
            r = call_with(&f, listener, line.p, answer.p, answer.n);
            if (r.status != 200 || r.error || r.body.n != 2)
                fail_msg("%d and %d bytes: %d, %s", request_bytes, answer_bytes, r.status, r.error_text);
            if (request_bytes + answer_bytes < 28000)
                assert_non_null(client_header(&r, "X-Yours"));
            client_reply_release(&r);
            buf_release(&line);
            buf_release(&answer);
        }
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- without end --------------------------------------------------------------------------------------------------- */

#define ENDLESS "{\"model\":\"gpt-4o\",\"stream\":true,\"stream_options\":null,\"messages\":[]}"

/* AddressSanitizer keeps what was freed. */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT_BYTES (1024 * (int64_t)MIB)
#else
#define KEPT_BYTES (8 * (int64_t)MIB)
#endif

/* What no line end ever ends is not kept until it comes. */
static void test_line_without_end__passes_in_bounded_memory(void **state)
{
    static const char *const types[] = {"text/event-stream", "application/json", "text/plain"};
    static const char *const begins[] = {"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"", "{\"usage\":\"", "x"};
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", "");
    char *piece = malloc(MIB);

    (void)state;
    assert_non_null(piece);
    memset(piece, 'a', MIB);
    for (size_t i = 0; i < MG_ARRAY_LEN(types); i++) {
        struct client_async *a = fixture_chat_start(&f, ENDLESS);
        int fd = played_take(listener);
        struct client_reply r;
        int64_t peak;
        char head[256];

        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n%s", types[i],
                 begins[i]);
        raw_send_text(fd, head);
        raw_send(fd, piece, MIB);
        raw_send(fd, piece, MIB);
        assert_true(client_wait_body(a, "aaaa", FIXTURE_TIMEOUT_MS));
        peak = peak_bytes(&f);
        for (int k = 0; k < 62; k++)
            raw_send(fd, piece, MIB);
        close(fd);
        r = client_finish(a);
        assert_int_equal(r.body.n, 64 * MIB + strlen(begins[i]));
        client_reply_release(&r);
        if (peak_bytes(&f) - peak > KEPT_BYTES)
            fail_msg("%s: %lld KiB", types[i], (long long)(peak_bytes(&f) - peak) / 1024);
        fixture_assert_idle(&f);
    }
    free(piece);
    fixture_stop(&f);
    close(listener);
}

/* libcurl keeps a copy of every trailer, and an idle timeout sees only the body. */
static void test_trailers_without_end__are_cut_at_once(void **state)
{
    struct fixture f = {0};
    int listener = played_start(&f, ", retry: {attempts: 1}", ""), fd;
    struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
    int64_t peak = peak_bytes(&f);
    struct client_reply r;

    (void)state;
    fd = played_take(listener);
    raw_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n");
    flood(fd, "x-many: 1\r\n");
    r = client_finish(a);
    assert_int_not_equal(r.error, 0);
    assert_true(r.end_us - r.start_us < 5 * CLOCK_S);
    assert_true(peak_bytes(&f) - peak < 8 * (int64_t)MIB);
    client_reply_release(&r);
    close(fd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- TLS and tunnels ----------------------------------------------------------------------------------------------- */

/* A daemon whose provider has that address, behind that proxy (0: none). */
static void start_before(struct fixture *f, const char *base_url, int proxy)
{
    char yaml[512], via[64] = "";

    if (proxy)
        snprintf(via, sizeof via, ", proxy: \"http://127.0.0.1:%d\"", proxy);
    fixture_start_simulator(f, NULL, NULL);
    snprintf(yaml, sizeof yaml,
             "upstreams:\n  openai: {dialect: openai, base_url: \"%s\", retry: {attempts: 1}, timeout: {connect: 500ms}%s}\n"
             "models:\n  gpt-4o: {tpm: 1M}\n",
             base_url, via);
    fixture_start_daemon(f, yaml, NULL);
}

static int take_until(int listener, const char *end, struct buf *ret)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    int fd;

    assert_int_equal(poll(&p, 1, FIXTURE_TIMEOUT_MS), 1);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    buf_init(ret, BUF_UNLIMITED);
    assert_true(raw_read(fd, ret, end, FIXTURE_TIMEOUT_MS) > 0);
    return fd;
}

static void assert_unconnected(struct client_reply r, int64_t at_most_us)
{
    if (r.status != 502 || r.end_us - r.start_us > at_most_us)
        fail_msg("%d after %lld us: %s", r.status, (long long)(r.end_us - r.start_us), r.body.n ? r.body.p : "nothing");
    assert_string_equal(client_header(&r, "Metergate-Refused"), "upstream-connect");
    client_reply_release(&r);
}

/* Nothing of the call is said before the other end has shown who it is. */
static void test_handshake__that_fails_or_never_ends__is_no_connection(void **state)
{
    static const char *const says[] = {"", "\x15\x03\x01\x00\x02\x02\x46", "HTTP/1.1 400 plain\r\n\r\n", "\x16\x03\x03\x40"};
    struct fixture f = {0};
    char url[64];
    int port, listener = played_listen(&port);

    (void)state;
    snprintf(url, sizeof url, "https://127.0.0.1:%d/v1", port);
    start_before(&f, url, 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(says); i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        struct buf hello;
        int fd = take_until(listener, "\x03", &hello);

        raw_send_text(fd, says[i]);
        assert_unconnected(client_finish(a), 5 * CLOCK_S);
        assert_null(hello.n ? memmem(hello.p, hello.n, "sk-test", 7) : NULL);
        buf_release(&hello);
        close(fd);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* The proxy learns the host's name and nothing of the call; whatever it says is not the provider's answer. */
static void test_tunnel__by_a_hostile_proxy__is_given_up_at_once(void **state)
{
    static const struct {
        const char *says, *more; /* `more` again and again */
    } rows[] = {
        {"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 999999999999\r\n\r\n", "abcdefghijklmnop"},
        {"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n"},
        {"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n", ""},
        {"HTTP/1.1 200 OK\r\n", "x-many: 1\r\n"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""}, /* that is no TLS */
        {"garbage\r\n\r\n", ""},
        {"", "x"},
    };
    struct fixture f = {0};
    int port, listener = played_listen(&port);

    (void)state;
    start_before(&f, "https://provider.invalid/v1", port);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        struct client_reply own;
        struct buf asked;
        int fd = take_until(listener, "\r\n\r\n", &asked);

        assert_string_equal(asked.p, "CONNECT provider.invalid:443 HTTP/1.1\r\nHost: provider.invalid:443\r\n"
                                     "Proxy-Connection: Keep-Alive\r\n\r\n");
        buf_release(&asked);
        raw_send_text(fd, rows[i].says);
        if (rows[i].more[0])
            flood(fd, rows[i].more);
        own = fixture_call(&f, "GET", "/healthz", NULL); /* the loop turns */
        assert_int_equal(own.status, 200);
        if (own.end_us - own.start_us > CLOCK_S)
            fail_msg("%s: the loop stood for %lld us", rows[i].says, (long long)(own.end_us - own.start_us));
        client_reply_release(&own);
        assert_unconnected(client_finish(a), 5 * CLOCK_S);
        close(fd);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* ---- whose connection it is ---------------------------------------------------------------------------------------- */

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

/* NTLM and Negotiate sign in a connection, and not a request: who comes next on it would be who came before. */
static void test_connection__that_somebody_has_signed_in__is_nobody_elses(void **state)
{
    static const char *const rows[] = {"Authorization: NTLM TlRMTVNTUAAB", "Authorization: Negotiate YII"};
    struct fixture f = {0};
    int listener = played_start(&f, "", "");
    char url[128];

    (void)state;
    snprintf(url, sizeof url, "%s/v1/chat/completions", f.url);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct client_async *a = fixture_chat_start(&f, PLAYED_CHAT);
        int kept = played_take(listener), own, next;
        struct client_reply r;

        raw_send_text(kept, GOOD);
        r = client_finish(a);
        client_reply_release(&r);
        a = client_start(
            &(struct client_call){.url = url, .headers = (const char *const[]){rows[i], NULL}, .body = PLAYED_CHAT});
        own = played_take(listener); /* not the kept one */
        raw_send_text(own, GOOD);
        r = client_finish(a);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        played_end(kept, PLAYED_CLOSES);
        a = fixture_chat_start(&f, PLAYED_CHAT);
        next = played_take(listener); /* nor that one */
        raw_send_text(next, GOOD);
        r = client_finish(a);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
        close(own);
        played_end(next, PLAYED_CLOSES);
    }
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(listener);
}

/* The configuration of a provider that is the test: its address, and its key from the environment of that name. */
static void write_provider(char *yaml, size_t size, int port, const char *key)
{
    snprintf(yaml, size,
             "upstreams:\n  openai: {dialect: openai, base_url: \"http://127.0.0.1:%d/v1\", api_key: {env: %s}}\n"
             "headroom: 0%%\nmodels:\n  gpt-4o: {rpm: 100}\n",
             port, key);
}

/* A call that was refused waits for its next attempt; meanwhile its provider gets another address and another key. */
static void test_reload__between_two_attempts__sends_each_key_to_its_own_address_alone(void **state)
{
    static const char later[] = "HTTP/1.1 429 Later\r\nretry-after-ms: 1000\r\nContent-Length: 2\r\n\r\n{}";
    int old_port, new_port, old = played_listen(&old_port), new = played_listen(&new_port), fd;
    struct fixture f = {0};
    struct client_async *a;
    struct client_reply r;
    struct buf first, second;
    size_t mark;
    char yaml[512];

    (void)state;
    setenv("KEY_OF_THE_OLD", "configured-key-old", 1);
    setenv("KEY_OF_THE_NEW", "configured-key-new", 1);
    fixture_start_simulator(&f, NULL, NULL);
    write_provider(yaml, sizeof yaml, old_port, "KEY_OF_THE_OLD");
    fixture_start_daemon(&f, yaml, NULL);
    mark = process_log_mark(f.daemon);
    a = fixture_chat_start(&f, PLAYED_CHAT);
    fd = take_until(old, "]}", &first);
    raw_send_text(fd, later);
    fixture_wait_log(&f, mark, "again in");
    write_provider(yaml, sizeof yaml, new_port, "KEY_OF_THE_NEW");
    fixture_write_config(&f, yaml);
    process_signal(f.daemon, SIGHUP);
    close(fd);
    fd = take_until(new, "]}", &second); /* and not over the connection that was kept */
    raw_send_text(fd, GOOD);
    r = client_finish(a);
    assert_int_equal(r.status, 200);
    assert_string_equal(client_header(&r, "Metergate-Attempts"), "2");
    client_reply_release(&r);
    assert_non_null(strstr(first.p, "Authorization: Bearer configured-key-old\r\n"));
    assert_null(strstr(first.p, "configured-key-new"));
    assert_non_null(strstr(second.p, "Authorization: Bearer configured-key-new\r\n"));
    assert_null(strstr(second.p, "configured-key-old"));
    assert_null(strstr(second.p, "sk-test"));
    buf_release(&first);
    buf_release(&second);
    close(fd);
    fixture_assert_idle(&f);
    fixture_stop(&f);
    close(old);
    close(new);
    unsetenv("KEY_OF_THE_OLD");
    unsetenv("KEY_OF_THE_NEW");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bombs__cost_little_and_pass_as_they_came),
        cmocka_unit_test(test_big_head__on_both_sides__costs_one_header_and_no_answer),
        cmocka_unit_test(test_line_without_end__passes_in_bounded_memory),
        cmocka_unit_test(test_trailers_without_end__are_cut_at_once),
        cmocka_unit_test(test_handshake__that_fails_or_never_ends__is_no_connection),
        cmocka_unit_test(test_tunnel__by_a_hostile_proxy__is_given_up_at_once),
        cmocka_unit_test(test_connection__that_somebody_has_signed_in__is_nobody_elses),
        cmocka_unit_test(test_reload__between_two_attempts__sends_each_key_to_its_own_address_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
