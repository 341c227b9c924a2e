/* file: nothing but a regular file is opened, and nothing is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/base/file.h"
#include "metergate/net/trust.h"

static char dir[64];
static const char *const made[] = {"fifo", "socket", "text", "link"};

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_text(const char *text)
{
    FILE *f = fopen(path_of("text"), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static int make_dir(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/metergate-file-XXXXXX");
    if (fd < 0 || !mkdtemp(dir) || mkfifo(path_of("fifo"), 0600) < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path_of("socket"));
    rc = bind(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return rc < 0 ? rc : symlink("fifo", path_of("link"));
}

static int remove_dir(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(made); i++)
        unlink(path_of(made[i]));
    return rmdir(dir);
}

static const struct {
    const char *name; /* in the directory, or from / */
    int rc;
    const char *why;
} refused[] = {
    {"fifo", -ENOTSUP, "it is a FIFO, not a file"},        {"link", -ENOTSUP, "it is a FIFO, not a file"},
    {"socket", -ENOTSUP, "it is a socket, not a file"},    {"", -EISDIR, "it is a directory, not a file"},
    {"/dev/zero", -ENOTSUP, "it is a device, not a file"}, {"none", -ENOENT, "No such file or directory"},
    {"/dev/null/x", -ENOTDIR, "Not a directory"},
};

static void test_file__what_is_no_regular_file__is_named_and_not_opened(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(refused); i++) {
        const char *path = refused[i].name[0] == '/' ? refused[i].name : path_of(refused[i].name);
        struct errbuf e;
        struct buf text;

        buf_init(&text, 10);
        assert_int_equal(file_open(path, &e), refused[i].rc);
        assert_string_equal(e.text, refused[i].why);
        assert_int_equal(file_read(path, &text, &e), refused[i].rc);
        assert_string_equal(e.text, refused[i].why);
        assert_int_equal(text.n, 0);
        buf_release(&text);
    }
}

static void test_file__a_regular_file__is_read_whole_or_too_large(void **state)
{
    struct errbuf e;
    struct buf text;

    (void)state;
    buf_init(&text, 10);
    write_text("");
    assert_int_equal(file_read(path_of("text"), &text, &e), 0);
    assert_int_equal(text.n, 0);
    write_text("0123456789");
    assert_int_equal(file_read(path_of("text"), &text, &e), 0);
    assert_true(slice_eq(buf_slice(&text), SLICE("0123456789")));
    buf_reset(&text);
    write_text("0123456789a");
    assert_int_equal(file_read(path_of("text"), &text, &e), -E2BIG);
    assert_string_equal(e.text, "it is larger than 10 bytes");
    buf_release(&text);
}

static void test_file__a_pipe_that_was_given__is_read_to_its_end_where_asked(void **state)
{
    char path[32];
    struct errbuf e;
    struct buf text;
    int fds[2];

    (void)state;
    buf_init(&text, 10);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "a: 1\n", 5), 5);
    close(fds[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", fds[0]);
    assert_int_equal(file_read(path, &text, &e), -ENOTSUP);
    assert_int_equal(file_read_given(path, &text, &e), 0);
    assert_true(slice_eq(buf_slice(&text), SLICE("a: 1\n")));
    close(fds[0]);
    assert_int_equal(file_read_given(path, &text, &e), -ENOENT);
    assert_int_equal(file_read_given(path_of("fifo"), &text, &e), -ENOTSUP); /* nobody gave us that one */
    buf_release(&text);
}

/* A file that only looks like one with a certificate gets as far as this. */
static void test_trust__what_has_no_certificate__is_refused_at_once(void **state)
{
    static const struct {
        const char *name, *why;
    } rows[] = {{"fifo", ": it is a FIFO, not a file"},
                {"none", ": No such file or directory"},
                {"text", " has no CA certificate in PEM form"}};
    struct trust *t = NULL;
    struct errbuf e;

    (void)state;
    write_text("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n");
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        assert_true(trust_new(path_of(rows[i].name), &t, &e) < 0);
        assert_null(t);
        if (!slice_ends(slice_str(e.text), slice_str(rows[i].why)))
            fail_msg("%s: %s", rows[i].name, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__what_is_no_regular_file__is_named_and_not_opened),
        cmocka_unit_test(test_file__a_regular_file__is_read_whole_or_too_large),
        cmocka_unit_test(test_file__a_pipe_that_was_given__is_read_to_its_end_where_asked),
        cmocka_unit_test(test_trust__what_has_no_certificate__is_refused_at_once),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
