/* headers: what of an answer is for the provider's own host does not come to this one; what browsers add does not leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/err.h"
#include "metergate/proxy/headers.h"

/* A request with one header. */
struct asker {
    struct http_header header;
    struct http_head head;
};

static struct http_head *asked_with(struct asker *a, const char *name, const char *value)
{
    a->header = (struct http_header){slice_str(name), slice_str(value)};
    a->head = (struct http_head){.headers = &a->header, .header_count = 1};
    return &a->head;
}

static struct http_head *by_program(struct asker *a)
{
    return asked_with(a, "User-Agent", "OpenAI/Python");
}

static struct http_head *by_page(struct asker *a)
{
    return asked_with(a, "Origin", "http://localhost:3000");
}

static struct http_head *by_navigation(struct asker *a)
{
    return asked_with(a, "Sec-Fetch-Site", "none");
}

static struct slice value_of(const struct headers *h, const char *name)
{
    return http_header_get(h->v, h->n, slice_str(name));
}

static void assert_value(const struct headers *h, const char *name, const char *value)
{
    if (!slice_eq(value_of(h, name), slice_str(value)))
        fail_msg("%s: %.*s", name, (int)value_of(h, name).n, value_of(h, name).p);
}

static void test_headers_for_client__what_is_meant_for_the_providers_host__stays_away(void **state)
{
    static const char *const kept_away[] = {
        "Set-Cookie", "set-cookie", "SET-COOKIE2", "Clear-Site-Data", "Strict-Transport-Security", "Public-Key-Pins", "Alt-Svc",
        "NEL", "Report-To", "Reporting-Endpoints", "Accept-CH", "Critical-CH", "Service-Worker-Allowed", "Origin-Trial",
        "Origin-Agent-Cluster", "Refresh", "SourceMap", "X-SourceMap", "Content-Security-Policy-Report-Only", "Set-Login",
        "Location", "Connection", "X-Named", "Content-Length", "Metergate-Client", "Transfer-Encoding", "Keep-Alive",
    };
    struct http_head *(*const askers[])(struct asker *) = {by_program, by_page, by_navigation};
    struct http_header v[MG_ARRAY_LEN(kept_away) + 2];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(kept_away); i++)
        v[n++] = (struct http_header){slice_str(kept_away[i]), SLICE("metergate=evil, x-named")};
    v[n++] = (struct http_header){SLICE("Link"), SLICE("<https://api.example/?page=2>; rel=\"next\"")};
    v[n++] = (struct http_header){SLICE("x-request-id"), SLICE("7")};
    for (size_t i = 0; i < MG_ARRAY_LEN(askers); i++) {
        struct headers out;
        struct asker a;

        headers_init(&out);
        headers_for_client(askers[i](&a), v, n, &out);
        for (size_t k = 0; k < out.n; k++)
            if (memmem(out.v[k].value.p, out.v[k].value.n, "evil", 4))
                fail_msg("%.*s came through", (int)out.v[k].name.n, out.v[k].name.p);
        assert_value(&out, "link", "<https://api.example/?page=2>; rel=\"next\"");
        assert_value(&out, "x-request-id", "7");
        assert_int_equal(out.n, 4);
        headers_release(&out);
    }
}

/* Whatever it is, and however it was asked for: old browsers do not say that they are one. */
static void test_headers_for_client__any_answer__runs_nothing_in_a_browser(void **state)
{
    const struct http_header v[] = {
        {SLICE("Content-Type"), SLICE("text/html")},
        {SLICE("Content-Security-Policy"), SLICE("script-src *")},
        {SLICE("x-content-type-options"), SLICE("sniff")},
    };
    struct headers out;
    struct asker a;

    (void)state;
    headers_init(&out);
    headers_for_client(by_program(&a), v, MG_ARRAY_LEN(v), &out);
    assert_int_equal(out.n, 3);
    assert_value(&out, "content-type", "text/html");
    assert_value(&out, "x-content-type-options", "nosniff");
    assert_value(&out, "content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'");
    headers_release(&out);
}

static void test_headers_for_client__a_browser__is_asked_for_no_password(void **state)
{
    const struct http_header v[] = {{SLICE("WWW-Authenticate"), SLICE("Basic realm=\"metergate\"")}};
    struct headers out;
    struct asker a;

    (void)state;
    headers_init(&out);
    headers_for_client(by_program(&a), v, 1, &out);
    assert_value(&out, "www-authenticate", "Basic realm=\"metergate\"");
    headers_release(&out);
    headers_for_client(by_navigation(&a), v, 1, &out);
    assert_null(value_of(&out, "www-authenticate").p);
    headers_release(&out);
    headers_for_client(by_page(&a), v, 1, &out);
    assert_null(value_of(&out, "www-authenticate").p);
    headers_release(&out);
}

static void test_headers_for_upstream__of_a_browser__its_cookies_and_referer_stay(void **state)
{
    const struct http_header browsers[] = {{SLICE("Origin"), SLICE("http://localhost:3000")},
                                                  {SLICE("Sec-Fetch-Site"), SLICE("same-site")}};
    const struct headers_upstream_rules nothing = {0};
    struct http_header v[] = {
        {SLICE("X-Asked"), SLICE("1")},
        {SLICE("Cookie"), SLICE("jupyter=secret")},
        {SLICE("Referer"), SLICE("http://localhost:8888/?token=secret")},
        {SLICE("Authorization"), SLICE("Bearer sk-own")},
    };
    const struct http_head head = {.headers = v, .header_count = MG_ARRAY_LEN(v)};
    struct headers out;

    (void)state;
    headers_init(&out);
    headers_for_upstream(&head, &nothing, &out);
    assert_int_equal(out.n, 4); /* a program means what it sends */
    for (size_t i = 0; i < MG_ARRAY_LEN(browsers); i++) {
        v[0] = browsers[i];
        headers_for_upstream(&head, &nothing, &out);
        assert_int_equal(out.n, 2);
        assert_value(&out, "authorization", "Bearer sk-own");
    }
    headers_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_for_client__what_is_meant_for_the_providers_host__stays_away),
        cmocka_unit_test(test_headers_for_client__any_answer__runs_nothing_in_a_browser),
        cmocka_unit_test(test_headers_for_client__a_browser__is_asked_for_no_password),
        cmocka_unit_test(test_headers_for_upstream__of_a_browser__its_cookies_and_referer_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
