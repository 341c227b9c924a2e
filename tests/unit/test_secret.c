/* secret: what is accepted, from where, and that no sentence repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>
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

static void test_secret__bearer__is_the_header_without_a_copy(void **state)
{
    struct secret s;

    (void)state;
    secret_init(&s);
    assert_int_equal(secret_bearer(&s).n, 0);
    assert_int_equal(secret_set(&s, SLICE("sk-one")), 0);
    assert_true(slice_eq(secret_bearer(&s), SLICE("Bearer sk-one")));
    assert_ptr_equal(secret_bearer(&s).p + 7, secret_expose(&s).p);
    secret_release(&s);
}

/* A file that is ours alone, of root's with a group that may read it. */
static void test_secret__private_file__is_one_that_nobody_else_can_use(void **state)
{
    const char *path = file_with("sk-private", 10);
    struct errbuf e;
    struct secret s;

    (void)state;
    secret_init(&s);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(secret_from_private_file(&s, path, &e), 0);
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-private")));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(secret_from_private_file(&s, path, &e), -EACCES);
    assert_non_null(strstr(e.text, "others may read or write it (its mode is 0644): chmod 600"));
    assert_int_equal(secret_from_file(&s, path, &e), 0); /* of the tool's user */
    unlink(path);
    secret_release(&s);
}

/* The flags of the mapping that the address lies in, as /proc/self/smaps has them. */
static void flags_of(const void *p, char ret[256])
{
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[512];
    bool in = false;

    assert_non_null(f);
    ret[0] = '\0';
    while (fgets(line, sizeof line, f)) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            in = (unsigned long)p >= from && (unsigned long)p < to;
        else if (in && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(ret, 256, "%.250s", line);
    }
    fclose(f);
}

/* The last test: it cannot be undone. */
static void test_secret__protected__lies_in_locked_memory_that_is_not_dumped_and_leaves_the_environment(void **state)
{
    static char first[] = "METERGATE_TEST_KEY=sk-of-the-environment", twin[] = "METERGATE_TEST_KEY=sk-of-its-twin",
                other[] = "METERGATE_TEST_KEYS=another";
    static char *two_of_one_name[] = {first, other, twin, NULL};
    static struct secret many[80];
    char **before = environ, *value, flags[256], key[1001];
    struct secret s;
    int protected;

    (void)state;
    environ = two_of_one_name;
    value = getenv("METERGATE_TEST_KEY");
    secret_init(&s);
    protected = secret_protect();
    assert_int_not_equal(protected, -ENOMEM);
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", NULL), 0);
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-of-the-environment")));
    for (size_t i = 0; value && i < strlen("sk-of-the-environment"); i++)
        assert_int_equal(value[i], 0);
    assert_ptr_equal(getenv("METERGATE_TEST_KEY"), value); /* the name stays */
    for (size_t i = strlen("METERGATE_TEST_KEY="); i < sizeof twin; i++)
        assert_int_equal(twin[i], 0);
    assert_string_equal(other, "METERGATE_TEST_KEYS=another");
    flags_of(secret_expose(&s).p, flags);
    if (protected == 0) /* a container may forbid it */
        assert_non_null(strstr(flags, " lo")); /* locked */
    assert_non_null(strstr(flags, " dd")); /* do not dump */
    assert_non_null(strstr(flags, " wf")); /* wiped in a child */
    secret_release(&s);
    assert_int_equal(secret_from_env(&s, "METERGATE_TEST_KEY", NULL), 0); /* a reload reads it again */
    assert_true(slice_eq(secret_expose(&s), SLICE("sk-of-the-environment")));
    secret_release(&s);
    environ = before;

    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(secret_unprotected(), 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(many); i++)
        assert_int_equal(secret_set(&many[i], slice_str(key)), 0);
    assert_true(secret_unprotected() > 0 && secret_unprotected() < MG_ARRAY_LEN(many)); /* 64 KiB are full */
    for (size_t i = 0; i < MG_ARRAY_LEN(many); i++) {
        assert_true(slice_eq(secret_expose(&many[i]), slice_str(key)));
        secret_release(&many[i]);
    }
    assert_int_equal(secret_unprotected(), 0);
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
        cmocka_unit_test(test_secret__bearer__is_the_header_without_a_copy),
        cmocka_unit_test(test_secret__private_file__is_one_that_nobody_else_can_use),
        cmocka_unit_test(test_secret__protected__lies_in_locked_memory_that_is_not_dumped_and_leaves_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
