/* secret: what is accepted, from where, and that no sentence repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/secret.h"

static void test_secret__set__copies_and_replaces(void **state)
{
    char given[] = "sk-first";
    struct secret s;

    (void)state;
    secret_init(&s);
    assert_false(secret_is_set(&s));
    assert_int_equal(secret_expose(&s).n, 0);
    assert_int_equal(secret_set(&s, slice_str(given)), 0);
    given[0] = 'X';
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-first")));
    assert_int_equal(secret_set(&s, SLICE("sk-second")), 0);
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-second")));
    secret_release(&s);
    assert_false(secret_is_set(&s));
    secret_release(&s);
}

static void test_secret__what_could_end_a_header__is_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "a\n", "a\r\nX: y", "caf\xc3\xa9", "\x7f", "\t"};
    char *huge = malloc(SECRET_MAX + 1);
    struct secret s;

    (void)state;
    assert_non_null(huge);
    secret_init(&s);
    assert_int_equal(secret_set(&s, SLICE("kept")), 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++)
        assert_int_equal(secret_set(&s, slice_str(bad[i])), -EINVAL);
    assert_int_equal(secret_set(&s, SLICE("a\0b")), -EINVAL);
    memset(huge, 'k', SECRET_MAX + 1);
    assert_int_equal(secret_set(&s, slice_of(huge, SECRET_MAX + 1)), -E2BIG);
    assert_true(slice_eq(secret_expose(&s), SLICE("kept")));
    assert_int_equal(secret_set(&s, slice_of(huge, SECRET_MAX)), 0);
    secret_release(&s);
    free(huge);
}

static void test_secret__equality__knows_length_and_unset(void **state)
{
    struct secret s;

    (void)state;
    secret_init(&s);
    assert_false(secret_equals(&s, SLICE("")));
    assert_int_equal(secret_set(&s, SLICE("token")), 0);
    assert_true(secret_equals(&s, SLICE("token")));
    assert_false(secret_equals(&s, SLICE("toke")));
    assert_false(secret_equals(&s, SLICE("tokens")));
    assert_false(secret_equals(&s, SLICE("Token")));
    assert_false(secret_equals(&s, slice_of(NULL, 0)));
    secret_release(&s);
}

static void test_secret__fingerprint__is_sha256(void **state)
{
    struct secret_fingerprint abc = secret_fingerprint_of(SLICE("abc")),
                              none = secret_fingerprint_of(slice_of(NULL, 0));
    struct secret_fingerprint again = secret_fingerprint_of(SLICE("abc"));
    char hex[2 * SECRET_FINGERPRINT_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < SECRET_FINGERPRINT_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", abc.bytes[i]);
    assert_string_equal(hex,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-4 */
    assert_true(secret_fingerprint_eq(&abc, &again));
    assert_false(secret_fingerprint_eq(&abc, &none));
}

static void test_secret__from_the_environment(void **state)
{
    struct errbuf e = {""};
    struct secret s;

    (void)state;
    secret_init(&s);
    unsetenv("METERGATE_TEST_KEY");
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", &e), -ENOENT);
    assert_string_equal(e.text, "the environment variable METERGATE_TEST_KEY is not set");
    setenv("METERGATE_TEST_KEY", "", 1);
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", &e), -EINVAL);
    assert_string_equal(e.text, "the environment variable METERGATE_TEST_KEY is empty");
    setenv("METERGATE_TEST_KEY", "sk-x\ny", 1);
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", &e), -EINVAL);
    assert_null(strstr(e.text, "sk-"));
    setenv("METERGATE_TEST_KEY", "sk-good", 1);
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", NULL), 0);
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-good")));
    unsetenv("METERGATE_TEST_KEY");
    secret_release(&s);
}

/* A file with that text; remove it. */
static const char *file_with(const char *text, size_t n)
{
    static char path[64];
    FILE *f;
    int fd;

    snprintf(path, sizeof path, "/tmp/metergate-secret-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    return path;
}

static void test_secret__from_the_first_line_of_a_file(void **state)
{
    static const struct {
        const char *text, *secret;
    } rows[] = {{"sk-a", "sk-a"},       {"sk-a\n", "sk-a"}, {"sk-a\r\n", "sk-a"},
                {"sk-a\nmore", "sk-a"}, {"", NULL},         {"\nsk-a", NULL}};
    char *huge = malloc(SECRET_MAX + 100);
    const char *path;
    struct errbuf e;
    struct secret s;

    (void)state;
    assert_non_null(huge);
    secret_init(&s);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        path = file_with(rows[i].text, strlen(rows[i].text));
        assert_int_equal(secret_from_file(&s, path, &e), rows[i].secret ? 0 : -EINVAL);
        if (rows[i].secret)
            assert_true(slice_eq(secret_expose(&s), slice_str(rows[i].secret)));
        unlink(path);
    }
    memset(huge, 'k', SECRET_MAX + 100);
    path = file_with(huge, SECRET_MAX + 100);
    assert_int_equal(secret_from_file(&s, path, &e), -E2BIG);
    unlink(path);
    huge[SECRET_MAX] = '\n';
    path = file_with(huge, SECRET_MAX + 1);
    assert_int_equal(secret_from_file(&s, path, &e), 0);
    assert_int_equal(secret_expose(&s).n, SECRET_MAX);
    unlink(path);
    assert_int_equal(secret_from_file(&s, "/nonexistent/key", &e), -ENOENT);
    assert_non_null(strstr(e.text, "/nonexistent/key"));
    assert_int_equal(secret_from_file(&s, "/tmp", &e), -EISDIR);
    secret_release(&s);
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret__set__copies_and_replaces),
        cmocka_unit_test(test_secret__what_could_end_a_header__is_refused),
        cmocka_unit_test(test_secret__equality__knows_length_and_unset),
        cmocka_unit_test(test_secret__fingerprint__is_sha256),
        cmocka_unit_test(test_secret__from_the_environment),
        cmocka_unit_test(test_secret__from_the_first_line_of_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
