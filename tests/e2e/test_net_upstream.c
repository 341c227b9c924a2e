/* The providers' side: interim answers, endless heads, timeouts, dead connections, TLS. */
#include "net_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metergate/base/clock.h"

#define HOST "Host: x\r\n"

static int start(void **state)
{
    static const struct netfix_options plain;

    *state = netfix_start(&plain);
    return 0;
}

static int start_impatient(void **state)
{
    static const struct netfix_options impatient = {
        .timeouts = {.first_byte_timeout_us = 60 * CLOCK_MS, .idle_timeout_us = 60 * CLOCK_MS},
        .pool = {.keep_idle_us = 50 * CLOCK_MS},
    };

    *state = netfix_start(&impatient);
    return 0;
}

static int start_narrow(void **state)
{
    static const struct netfix_options narrow = {.pool = {.max_transfers = 2}};

    *state = netfix_start(&narrow);
    return 0;
}

static int start_small_window(void **state)
{
    static const struct netfix_options small = {.upstream_window = 2000};

    *state = netfix_start(&small);
    return 0;
}

static int stop(void **state)
{
    netfix_wait_idle(*state);
    netfix_stop(*state);
    return 0;
}

static int ask(struct netfix *nf, const char *request)
{
    int fd = sock_connect(netfix_port(nf));

    sock_send_str(fd, request);
    return fd;
}

static int serve(struct netfix *nf)
{
    char head[4096];
    int up = sock_accept(nf);

    sock_read_until(up, head, sizeof head, "\r\n\r\n");
    return up;
}

static void expect(int fd, const char *status_line, const char *body)
{
    char head[16384], got[4096];

    sock_read_until(fd, head, sizeof head, "\r\n\r\n");
    if (strncmp(head, status_line, strlen(status_line)) != 0)
        fail_msg("wanted %s, got %s", status_line, head);
    got[sock_read_exactly(fd, got, strlen(body))] = '\0';
    assert_string_equal(got, body);
}

#define GET  "GET /pass HTTP/1.1\r\n" HOST "\r\n"
#define POST "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* ---- odd answers --------------------------------------------------------------------------------------- */

static void test_upstream__interim_answers__are_skipped(void **state)
{
    int fd = ask(*state, POST), up = serve(*state);

    sock_send_str(up, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\n"
                      "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n");
    sock_send_str(up, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok");
    expect(fd, "HTTP/1.1 200 OK\r\nDate: ", "ok");
    close(fd);
    close(up);
}

static void test_upstream__answers_that_are_no_http__are_a_protocol_error(void **state)
{
    static const char *const rows[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    };

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        int fd = ask(*state, GET), up = serve(*state);

        sock_send_str(up, rows[i]);
        expect(fd, "HTTP/1.1 502 ", "protocol");
        close(fd);
        close(up);
    }
}

static void test_upstream__endless_interim_answers__are_cut_off(void **state)
{
    int fd = ask(*state, GET), up = serve(*state);

    while (send(up, "HTTP/1.1 102 Processing\r\n\r\n", 27, MSG_NOSIGNAL) > 0)
        ;
    expect(fd, "HTTP/1.1 502 ", "protocol");
    close(fd);
    close(up);
}

static void test_upstream__endless_head__is_cut_off(void **state)
{
    int fd = ask(*state, GET), up = serve(*state);

    sock_send_str(up, "HTTP/1.1 200 OK\r\n");
    while (send(up, "X-Header: value\r\n", 17, MSG_NOSIGNAL) > 0)
        ;
    expect(fd, "HTTP/1.1 502 ", "protocol");
    close(fd);
    close(up);
}

static void test_upstream__head_as_long_as_allowed__passes(void **state)
{
    static char head[24000];
    int fd = ask(*state, GET), up = serve(*state);
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");

    while (n < 20000)
        n += snprintf(head + n, sizeof head - (size_t)n, "X-Header-%d: value\r\n", n);
    snprintf(head + n, sizeof head - (size_t)n, "\r\nok");
    sock_send_str(up, head);
    sock_read_until(fd, head, sizeof head, "\r\n\r\n");
    assert_memory_equal(head, "HTTP/1.1 200", 12);
    close(fd);
    close(up);
}

static void test_upstream__answers_before_the_body_was_read__pass(void **state)
{
    struct netfix *nf = *state;
    static char body[4 << 20];
    int fd = ask(nf, "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n"), up;

    sock_send(fd, body, sizeof body);
    up = serve(nf);
    sock_send_str(up, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    shutdown(up, SHUT_WR);
    expect(fd, "HTTP/1.1 413 ", "big");
    close(fd);
    close(up);
}

static void test_upstream__answer_in_the_middle_of_a_streamed_body__reaches_the_client(void **state)
{
    struct netfix *nf = *state;
    static char piece[65536];
    int fd = ask(nf, "PUT /stream HTTP/1.1\r\n" HOST "Content-Length: 1000000000\r\n\r\n"), up = serve(nf);
    ssize_t sent;

    sock_send_str(up, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    shutdown(up, SHUT_WR);
    do
        sent = send(fd, piece, sizeof piece, MSG_NOSIGNAL);
    while (sent > 0 && sock_has_nothing(fd));
    expect(fd, "HTTP/1.1 413 ", "big");
    close(fd);
    close(up);
}

static void test_upstream__through_a_proxy__is_asked_in_absolute_form(void **state)
{
    char proxy[64], head[1024];
    struct netfix_options o = {.scheme_host = "http://provider.invalid", .timeouts = {.proxy = proxy}};
    struct netfix *nf;
    int port, listening = sock_listen(&port), fd, up;

    (void)state;
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port);
    nf = netfix_start(&o);
    fd = ask(nf, GET);
    up = accept(listening, NULL, NULL);
    sock_read_until(up, head, sizeof head, "\r\n\r\n");
    assert_memory_equal(head, "GET http://provider.invalid:", 28);
    assert_non_null(strstr(head, "/pass HTTP/1.1\r\nHost: provider.invalid:"));
    assert_null(strstr(head, "Proxy-Connection"));
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    close(fd);
    close(up);
    close(listening);
    netfix_stop(nf);
}

static void test_upstream__http_1_0_provider__ends_with_its_close(void **state)
{
    int fd = ask(*state, GET), up = serve(*state);

    sock_send_str(up, "HTTP/1.0 200 OK\r\n\r\nall of it");
    close(up);
    expect(fd, "HTTP/1.1 200 OK\r\n", "");
    close(fd);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static void test_upstream__refused__is_a_connect_failure(void **state)
{
    char url[64];
    struct netfix_options o = {.upstream = url};
    struct netfix *nf;
    int port, fd = sock_listen(&port);

    (void)state;
    close(fd); /* now nobody listens there */
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    nf = netfix_start(&o);
    fd = ask(nf, POST);
    expect(fd, "HTTP/1.1 502 ", "connect");
    assert_int_equal(netfix_counts(nf).sent, 0);
    close(fd);
    netfix_stop(nf);
}

static void test_upstream__closed_without_an_answer__is_a_reset(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, POST), up = serve(nf);
    char body[4];

    sock_read_exactly(up, body, 4);
    close(up);
    expect(fd, "HTTP/1.1 502 ", "reset");
    assert_false(netfix_counts(nf).last_reused);
    close(fd);
}

static void test_upstream__closed_in_the_head__is_a_reset(void **state)
{
    int fd = ask(*state, GET), up = serve(*state);

    sock_send_str(up, "HTTP/1.1 200 OK\r\nContent-Le");
    close(up);
    expect(fd, "HTTP/1.1 502 ", "reset");
    close(fd);
}

static void test_upstream__silence__is_a_first_byte_timeout(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, POST), up = serve(nf);

    expect(fd, "HTTP/1.1 502 ", "timeout-first-byte");
    assert_int_equal(netfix_counts(nf).sent, 1);
    close(fd);
    close(up);
}

static void test_upstream__stall_in_the_answer__is_an_idle_timeout(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, GET), up = serve(nf);

    sock_send_str(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    expect(fd, "HTTP/1.1 200 OK\r\n", "half");
    assert_true(sock_is_closed(fd));
    assert_int_equal(netfix_counts(nf).last_result, TRANSFER_TIMEOUT_IDLE);
    close(fd);
    close(up);
}

static void test_upstream__unused_connection__is_closed_after_a_while(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, GET), up = serve(nf);

    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    assert_true(sock_is_closed(up));
    assert_int_equal(netfix_counts(nf).pool.connections, 0);
    close(fd);
    close(up);
}

/* ---- kept connections that die ------------------------------------------------------------------------- */

static void test_upstream__kept_connection_closed_meanwhile__is_not_used(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, POST), up = serve(nf);
    char body[4];

    sock_read_exactly(up, body, 4);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    close(up);
    sock_send_str(fd, POST);
    up = serve(nf);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    assert_int_equal(netfix_counts(nf).pool.retried, 0);
    close(fd);
    close(up);
}

static void test_upstream__kept_connection_closed_after_the_request__is_not_repeated(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, POST), up = serve(nf);
    char head[1024];

    sock_read_exactly(up, head, 4);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    sock_send_str(fd, POST);
    sock_read_until(up, head, sizeof head, "\r\n\r\nbody");
    close(up); /* it has had the whole request: it may have been charged */
    expect(fd, "HTTP/1.1 502 ", "reset");
    assert_true(netfix_counts(nf).last_reused);
    assert_int_equal(netfix_counts(nf).pool.retried, 0);
    close(fd);
}

static void test_upstream__get_on_a_kept_connection_that_died__is_repeated(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, GET), up = serve(nf);
    char head[1024];

    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    sock_send_str(fd, GET);
    sock_read_until(up, head, sizeof head, "\r\n\r\n");
    close(up);
    up = serve(nf);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    assert_int_equal(netfix_counts(nf).pool.retried, 1);
    close(fd);
    close(up);
}

/* The provider's window is far smaller than the request, so its last byte is never acknowledged. */
static void test_upstream__request_that_never_arrived_whole__is_repeated(void **state)
{
    struct netfix *nf = *state;
    static char request[60000];
    int n = snprintf(request, sizeof request, "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n");
    int fd = ask(nf, GET), up = serve(nf);
    char head[1024], *got = malloc(50000);

    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    for (int i = 0; i < 50000; i++)
        request[n + i] = (char)(i >> 3);
    sock_send(fd, request, (size_t)n + 50000);
    sock_read_until(up, head, sizeof head, "\r\n\r\n");
    close(up);
    up = serve(nf);
    assert_int_equal(sock_read_exactly(up, got, 50000), 50000);
    assert_memory_equal(got, request + n, 50000);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    assert_int_equal(netfix_counts(nf).pool.retried, 1);
    free(got);
    close(fd);
    close(up);
}

static void test_upstream__reset__says_whether_the_request_may_have_arrived(void **state)
{
    struct netfix *nf = *state;
    static char body[50000];
    char head[1024];
    int fd = ask(nf, "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n"), up;

    sock_send(fd, body, sizeof body);
    up = serve(nf);
    close(up);
    expect(fd, "HTTP/1.1 502 ", "reset");
    assert_false(netfix_counts(nf).last_may_have_arrived);

    sock_send_str(fd, POST);
    up = serve(nf);
    sock_read_exactly(up, head, 4);
    close(up);
    expect(fd, "HTTP/1.1 502 ", "reset");
    assert_true(netfix_counts(nf).last_may_have_arrived);
    close(fd);
}

/* ---- when the request was sent ------------------------------------------------------------------------- */

static void test_upstream__sent__is_said_without_an_answer(void **state)
{
    struct netfix *nf = *state;
    int fd = ask(nf, POST), up = serve(nf);

    netfix_wait_sent(nf, 1);
    sock_send_str(up, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    assert_int_equal(netfix_counts(nf).sent, 1);
    close(fd);
    close(up);
}

static void test_upstream__provider_that_does_not_read__has_not_been_sent_to(void **state)
{
    struct netfix *nf = *state;
    static char body[32 << 20];
    char head[1024], *got = malloc(sizeof body);
    int fd = ask(nf, "POST /pass HTTP/1.1\r\n" HOST "Content-Length: 33554432\r\n\r\n"), other, up, up2;

    sock_send(fd, body, sizeof body);
    up = sock_accept(nf);
    /* Another call is reported as sent meanwhile, later than the first look at this one. */
    other = ask(nf, POST);
    up2 = serve(nf);
    netfix_wait_sent(nf, 1);
    sock_read_until(up, head, sizeof head, "\r\n\r\n");
    sock_read_exactly(up, got, sizeof body);
    netfix_wait_sent(nf, 2);
    sock_send_str(up, OK);
    sock_send_str(up2, OK);
    expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    expect(other, "HTTP/1.1 200 OK\r\n", "ok");
    free(got);
    close(fd);
    close(up);
    close(other);
    close(up2);
}

static void test_upstream__more_than_may_run__wait_in_order(void **state)
{
    struct netfix *nf = *state;
    int fds[4], ups[2];

    for (int i = 0; i < 4; i++) {
        fds[i] = ask(nf, GET);
        if (i < 2)
            ups[i] = serve(nf);
    }
    netfix_wait_waiting(nf, 2);
    assert_int_equal(netfix_counts(nf).pool.active, 2);
    for (int i = 0; i < 4; i++) {
        char head[1024];

        if (i >= 2)
            sock_read_until(ups[i - 2], head, sizeof head, "\r\n\r\n");
        sock_send_str(ups[i % 2], OK);
        expect(fds[i], "HTTP/1.1 200 OK\r\n", "ok");
    }
    close(ups[0]);
    close(ups[1]);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

/* ---- TLS ----------------------------------------------------------------------------------------------- */

struct authority {
    EVP_PKEY *key;
    X509 *cert;
};

static X509 *make_cert(EVP_PKEY *key, const char *name, const struct authority *by)
{
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), by ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name,
                               -1, -1, 0);
    X509_set_issuer_name(cert, by ? X509_get_subject_name(by->cert) : X509_get_subject_name(cert));
    X509V3_set_ctx(&ctx, by ? by->cert : cert, cert, NULL, NULL, 0);
    ext = by ? X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:localhost")
             : X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(cert, by ? by->key : key, EVP_sha256());
    return cert;
}

static struct authority make_authority(const char *name)
{
    struct authority a = {.key = EVP_EC_gen("P-256")};

    a.cert = make_cert(a.key, name, NULL);
    return a;
}

static void free_authority(struct authority a)
{
    X509_free(a.cert);
    EVP_PKEY_free(a.key);
}

static struct trust *make_trust(const struct authority *a)
{
    char path[] = "/tmp/metergate-test-ca-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    struct trust *t;
    struct errbuf e;

    PEM_write_X509(f, a->cert);
    fclose(f);
    assert_int_equal(trust_new(path, &t, &e), 0);
    unlink(path);
    return t;
}

/* A provider that speaks TLS: answers `calls` requests on one connection, or fails the handshake. */
struct tls_provider {
    struct netfix *nf;
    SSL_CTX *ctx;
    int calls;
    bool shook;
};

static void *run_tls_provider(void *arg)
{
    struct tls_provider *p = arg;
    int fd = sock_accept(p->nf);
    SSL *ssl = SSL_new(p->ctx);
    char buf[4096];

    SSL_set_fd(ssl, fd);
    p->shook = SSL_accept(ssl) == 1;
    for (int i = 0; p->shook && i < p->calls; i++) {
        size_t n = 0;

        buf[0] = '\0';
        while (!strstr(buf, "\r\n\r\nbody")) {
            int got = SSL_read(ssl, buf + n, (int)(sizeof buf - 1 - n));

            if (got <= 0) /* the name did not fit, which shows after the handshake */
                break;
            n += (size_t)got;
            buf[n] = '\0';
        }
        if (n)
            SSL_write(ssl, OK, (int)strlen(OK));
    }
    /* A failed handshake's alert must be read, not reset away. */
    while (SSL_read(ssl, buf, sizeof buf) > 0)
        ;
    SSL_free(ssl);
    ERR_clear_error();
    close(fd);
    return NULL;
}

static SSL_CTX *make_server(const struct authority *a)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, "localhost", a);

    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

/* One call, or two over the same connection, to the fixture; what the client gets. */
static void call_tls(const char *scheme_host, const struct trust *trust, SSL_CTX *server, int calls,
                     const char *status)
{
    struct netfix_options o = {.scheme_host = scheme_host, .pool = {.trust = trust}};
    struct tls_provider p = {.ctx = server, .calls = calls};
    bool answered = strstr(status, "200") != NULL;
    pthread_t thread;
    int fd;

    p.nf = netfix_start(&o);
    assert_int_equal(pthread_create(&thread, NULL, run_tls_provider, &p), 0);
    fd = ask(p.nf, POST);
    for (int i = 0; i < calls; i++) {
        if (i > 0)
            sock_send_str(fd, POST);
        expect(fd, status, answered ? "ok" : "connect");
    }
    assert_int_equal(netfix_counts(p.nf).sent, answered ? calls : 0);
    close(fd);
    if (!answered) /* it may not have accepted yet, and wants the fixture's socket for that */
        pthread_join(thread, NULL);
    netfix_stop(p.nf);
    if (answered) /* its connection is kept until here */
        pthread_join(thread, NULL);
}

static void test_upstream__https__is_verified_against_the_trust_store(void **state)
{
    struct authority ours = make_authority("ours"), theirs = make_authority("theirs");
    struct trust *trust_ours = make_trust(&ours), *trust_theirs = make_trust(&theirs);
    SSL_CTX *server = make_server(&ours);

    (void)state;
    call_tls("https://localhost", trust_ours, server, 2, "HTTP/1.1 200 OK\r\n");
    call_tls("https://localhost", trust_theirs, server, 1, "HTTP/1.1 502 ");
    call_tls("https://127.0.0.1", trust_ours, server, 1,
             "HTTP/1.1 502 "); /* the certificate names localhost alone */
    call_tls("https://localhost", NULL, server, 1, "HTTP/1.1 502 ");
    SSL_CTX_free(server);
    trust_free(trust_ours);
    trust_free(trust_theirs);
    free_authority(ours);
    free_authority(theirs);
}

/* The head, then in one record the body and what nobody has asked for: a reader of just the body leaves it inside OpenSSL. */
static void *run_tls_babbler(void *arg)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    static const char more[] = "okHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    struct tls_provider *p = arg;

    for (int i = 0; i < p->calls; i++) {
        int fd = sock_accept(p->nf);
        SSL *ssl = SSL_new(p->ctx);
        char buf[4096];

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, buf, sizeof buf) > 0) {
            SSL_write(ssl, head, sizeof head - 1);
            SSL_write(ssl, more, sizeof more - 1);
        }
        while (SSL_read(ssl, buf, sizeof buf) > 0)
            ;
        SSL_free(ssl);
        ERR_clear_error();
        close(fd);
    }
    return NULL;
}

static void test_upstream__bytes_behind_an_answer_in_its_tls_record__are_not_the_next_answer(void **state)
{
    struct authority ours = make_authority("ours");
    struct trust *trust = make_trust(&ours);
    struct netfix_options o = {.scheme_host = "https://localhost", .pool = {.trust = trust}};
    struct tls_provider p = {.ctx = make_server(&ours), .calls = 3};
    pthread_t thread;
    int fd;

    (void)state;
    p.nf = netfix_start(&o);
    assert_int_equal(pthread_create(&thread, NULL, run_tls_babbler, &p), 0);
    fd = sock_connect(netfix_port(p.nf));
    for (int i = 0; i < p.calls; i++) {
        sock_send_str(fd, GET);
        expect(fd, "HTTP/1.1 200 OK\r\n", "ok");
    }
    close(fd);
    netfix_stop(p.nf);
    pthread_join(thread, NULL);
    SSL_CTX_free(p.ctx);
    trust_free(trust);
    free_authority(ours);
}

static void test_trust__file_without_a_certificate__is_an_error_with_its_name(void **state)
{
    struct trust *t = NULL;
    struct errbuf e;

    (void)state;
    assert_true(trust_new("/nonexistent/ca.pem", &t, &e) < 0);
    assert_non_null(strstr(e.text, "/nonexistent/ca.pem"));
    assert_true(trust_new("/proc/self/status", &t, &e) < 0);
    assert_non_null(strstr(e.text, "/proc/self/status"));
    assert_null(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_upstream__interim_answers__are_skipped),
        TEST(test_upstream__answers_that_are_no_http__are_a_protocol_error),
        TEST(test_upstream__endless_interim_answers__are_cut_off),
        TEST(test_upstream__endless_head__is_cut_off),
        TEST(test_upstream__head_as_long_as_allowed__passes),
        TEST(test_upstream__answers_before_the_body_was_read__pass),
        TEST(test_upstream__answer_in_the_middle_of_a_streamed_body__reaches_the_client),
        cmocka_unit_test(test_upstream__through_a_proxy__is_asked_in_absolute_form),
        TEST(test_upstream__http_1_0_provider__ends_with_its_close),
        cmocka_unit_test(test_upstream__refused__is_a_connect_failure),
        TEST(test_upstream__closed_without_an_answer__is_a_reset),
        TEST(test_upstream__closed_in_the_head__is_a_reset),
        cmocka_unit_test_setup_teardown(test_upstream__silence__is_a_first_byte_timeout, start_impatient,
                                        stop),
        cmocka_unit_test_setup_teardown(test_upstream__stall_in_the_answer__is_an_idle_timeout,
                                        start_impatient, stop),
        cmocka_unit_test_setup_teardown(test_upstream__unused_connection__is_closed_after_a_while,
                                        start_impatient, stop),
        TEST(test_upstream__kept_connection_closed_meanwhile__is_not_used),
        TEST(test_upstream__kept_connection_closed_after_the_request__is_not_repeated),
        TEST(test_upstream__get_on_a_kept_connection_that_died__is_repeated),
        cmocka_unit_test_setup_teardown(test_upstream__request_that_never_arrived_whole__is_repeated,
                                        start_small_window, stop),
        cmocka_unit_test_setup_teardown(test_upstream__reset__says_whether_the_request_may_have_arrived,
                                        start_small_window, stop),
        TEST(test_upstream__sent__is_said_without_an_answer),
        TEST(test_upstream__provider_that_does_not_read__has_not_been_sent_to),
        cmocka_unit_test_setup_teardown(test_upstream__more_than_may_run__wait_in_order, start_narrow, stop),
        cmocka_unit_test(test_upstream__https__is_verified_against_the_trust_store),
        cmocka_unit_test(test_upstream__bytes_behind_an_answer_in_its_tls_record__are_not_the_next_answer),
        cmocka_unit_test(test_trust__file_without_a_certificate__is_an_error_with_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
