/* cookie: ours is found among those of others, and does not leave the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/proxy/cookie.h"
#include "metergate/proxy/headers.h"

/* What a header has of ours (NULL: nothing), and what of it goes to a provider. */
static const struct {
    const char *header, *ours, *others;
} rows[] = {
    {"metergate=abc", "abc", ""},
    {"a=1; metergate=abc; b=2", "abc", "a=1; b=2"},
    {"a=1;metergate=abc;b=2;c=3;d", "abc", "a=1; b=2; c=3; d"},
    {" metergate = abc ", "abc", ""},
    {"metergate=a=b", "a=b", ""},
    {"metergate", "", ""},
    {"metergate=one; metergate=two; x=y", "one", "x=y"},
    {"a;b;metergate=;c;d", "", "a; b; c; d"},
    {"a=1; b=2", NULL, "a=1; b=2"},
    {"Metergate=abc", NULL, "Metergate=abc"}, /* names of cookies have a case */
    {"metergate2=abc; xmetergate=abc", NULL, "metergate2=abc; xmetergate=abc"},
    {"a=metergate=abc", NULL, "a=metergate=abc"},
    {";;  ;", NULL, ";;  ;"},
    {"", NULL, ""},
};

static void assert_text(struct slice got, const char *want, const char *of)
{
    if (!slice_eq(got, slice_str(want)))
        fail_msg("\"%s\" instead of \"%s\" of \"%s\"", got.n ? got.p : "", want, of);
}

static void test_cookie__of_every_header__the_first_of_ours_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice rest = slice_str(rows[i].header), pair, value;
        const char *found = NULL;

        while (!found && cookie_next(&rest, &pair)) {
            if (cookie_is_ours(pair, &value)) {
                assert_text(value, rows[i].ours ? rows[i].ours : "nothing", rows[i].header);
                found = "it is";
            }
        }
        assert_int_equal(found != NULL, rows[i].ours != NULL);
        assert_int_equal(cookie_has_ours(slice_str(rows[i].header)), rows[i].ours != NULL);
    }
}

static void test_headers_for_upstream__a_cookie_of_ours__stays_here(void **state)
{
    const struct headers_upstream_rules nothing = {0};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const struct http_header v[] = {
            {SLICE("Cookie"), SLICE("first=1")},
            {SLICE("COOKIE"), slice_str(rows[i].header)},
            {SLICE("X-Other"), slice_str(rows[i].header)},
            {SLICE("cookie"), SLICE("metergate=zzz; last=1")},
        };
        const struct http_head head = {.headers = v, .header_count = 4};
        struct headers out;
        size_t at = 0;

        headers_init(&out);
        headers_for_upstream(&head, &nothing, &out);
        assert_text(out.v[at++].value, "first=1", "the first");
        if (*rows[i].others || !rows[i].ours)
            assert_text(out.v[at++].value, rows[i].others, rows[i].header);
        assert_text(out.v[at++].value, rows[i].header, "another header");
        assert_text(out.v[at++].value, "last=1", "the last");
        assert_int_equal(out.n, at);
        headers_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookie__of_every_header__the_first_of_ours_is_found),
        cmocka_unit_test(test_headers_for_upstream__a_cookie_of_ours__stays_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
