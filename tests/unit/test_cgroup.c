/* cgroup, process, holders: mountinfo as the kernel writes it, a tree of directories in place of control groups, and this process itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metergate/base/cgroup.h"
#include "metergate/base/clock.h"
#include "metergate/base/holders.h"

/* ---- mountinfo ---- */

static void test_mount__every_row__is_as_it_says(void **state)
{
    static const struct {
        const char *mountinfo, *want; /* NULL: none */
    } rows[] = {
        {"31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"},
        {"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
         "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
         "/sys/fs/cgroup/unified"},
        {"41 31 0:38 / /a\\040b\\134c rw shared:1 master:2 - cgroup2 x rw", "/a b\\c"},
        {"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", NULL},
        {"31 23 0:28 / /cgroup2 rw - tmpfs cgroup2 rw\n", NULL},
        {"31 23 0:28 / /sys/fs/cgroup rw cgroup2\n", NULL},
        {"cgroup2", NULL},
        {"- cgroup2", NULL},
        {"\n\n - - -\n", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        char got[CGROUP_PATH_SIZE] = "?";
        int rc = cgroup_mount_in(slice_str(rows[i].mountinfo), got);

        if (rc != (rows[i].want ? 0 : -ENOENT) || strcmp(got, rows[i].want ? rows[i].want : "?") != 0)
            fail_msg("row %zu: got %d, %s", i, rc, got);
    }
}

/* ---- the tree ---- */

static char root[64];

static const char *const groups[] = {"system.slice", "system.slice/nightly.service", "user.slice", "user.slice/a", "user.slice/a/b"};

static const char *in_root(const char *path)
{
    static char full[CGROUP_PATH_SIZE];

    snprintf(full, sizeof full, "%s/%s", root, path);
    return full;
}

static int make_tree(void **state)
{
    FILE *f;

    (void)state;
    snprintf(root, sizeof root, "/tmp/metergate-cgroup-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    for (size_t i = 0; i < MG_ARRAY_LEN(groups); i++) {
        if (mkdir(in_root(groups[i]), 0700) < 0)
            return -1;
    }
    f = fopen(in_root("system.slice/cgroup.procs"), "we");
    if (!f)
        return -1;
    fprintf(f, "1\nx\n-5\n99999999999\n%d\n", (int)getpid());
    return fclose(f);
}

static int remove_tree(void **state)
{
    (void)state;
    unlink(in_root("system.slice/cgroup.procs"));
    for (size_t i = MG_ARRAY_LEN(groups); i > 0; i--)
        rmdir(in_root(groups[i - 1]));
    return rmdir(root);
}

static uint64_t id_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void test_path__of_every_group__is_found_by_its_id(void **state)
{
    char got[CGROUP_PATH_SIZE];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(groups); i++) {
        assert_int_equal(cgroup_path(root, id_of(in_root(groups[i])), CLOCK_NEVER, got), 0);
        assert_int_equal(got[0], '/');
        assert_string_equal(got + 1, groups[i]);
    }
    assert_int_equal(cgroup_path(root, id_of(root), CLOCK_NEVER, got), 0);
    assert_string_equal(got, "/");
    /* a file is no group */
    assert_int_equal(cgroup_path(root, id_of(in_root("system.slice/cgroup.procs")), CLOCK_NEVER, got), -ENOENT);
    assert_int_equal(cgroup_path("/nonexistent", 1, CLOCK_NEVER, got), -ENOENT);
}

static void test_path__when_time_is_over__is_not_looked_for(void **state)
{
    char got[CGROUP_PATH_SIZE];

    (void)state;
    assert_int_equal(cgroup_path(root, id_of(in_root("user.slice/a/b")), 0, got), -ETIMEDOUT);
    assert_int_equal(cgroup_path(root, id_of(in_root("user.slice")), 0, got), 0); /* one look is always taken */
}

/* ---- this process ---- */

static int open_socket(struct process_wanted *ret)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *ret = (struct process_wanted){.uid = geteuid(), .inode = (uint32_t)st.st_ino};
    return fd;
}

static void test_process__who_has_a_socket__is_found_and_named(void **state)
{
    struct process_wanted w, other;
    char name[CLIENT_NAME_SIZE];
    int fd = open_socket(&w), got = -1;
    const char *procs = in_root("system.slice/cgroup.procs");

    (void)state;
    assert_int_equal(process_find(NULL, &w, CLOCK_NEVER, &got), getpid());
    assert_int_equal(got, fd);
    assert_int_equal(process_find(procs, &w, CLOCK_NEVER, &got), getpid());
    assert_int_equal(process_find(NULL, &w, 0, &got), 0);
    assert_int_equal(process_find("/nonexistent", &w, CLOCK_NEVER, &got), 0);
    other = (struct process_wanted){.uid = w.uid + 1, .inode = w.inode};
    assert_int_equal(process_find(NULL, &other, CLOCK_NEVER, &got), 0);
    other = (struct process_wanted){.uid = w.uid, .inode = 0};
    assert_int_equal(process_find(NULL, &other, CLOCK_NEVER, &got), 0);
    assert_int_equal(process_descriptor(getpid(), &w, fd - 3, fd + 3), fd);
    assert_int_equal(process_descriptor(getpid(), &w, fd + 1, fd + 3), -1);
    assert_true(process_program(getpid(), w.uid, name));
    assert_string_equal(name, "test_cgroup");
    assert_false(process_program(getpid(), w.uid + 1, name));
    assert_string_equal(name, "");
    close(fd);
}

static void test_holders__the_next_socket_of_a_process__is_found_like_the_first(void **state)
{
    struct holders *h = holders_new();
    struct process_wanted w, first;
    int fds[100];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(fds); i++) {
        fds[i] = open_socket(&w);
        if (i == 0)
            first = w;
        if (i % 50 == 0 || i == 51)
            assert_int_equal(holders_find(h, NULL, &w), getpid());
    }
    assert_int_equal(holders_find(h, NULL, &w), getpid());
    assert_int_equal(holders_find(h, NULL, &first), getpid());
    for (size_t i = 0; i < MG_ARRAY_LEN(fds); i++)
        close(fds[i]);
    assert_int_equal(holders_find(h, NULL, &w), 0); /* as long as it is open */
    holders_free(h);
}

static void test_process__this_one__is_in_a_group_where_there_are_any(void **state)
{
    char mount[CGROUP_PATH_SIZE], path[CGROUP_PATH_SIZE];

    (void)state;
    if (cgroup_mount(mount) < 0)
        skip();
    assert_int_equal(cgroup_of_process(getpid(), path), 0);
    assert_int_equal(path[0], '/');
    assert_int_equal(cgroup_of_process(0x7fffffff, path), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mount__every_row__is_as_it_says),
        cmocka_unit_test(test_path__of_every_group__is_found_by_its_id),
        cmocka_unit_test(test_path__when_time_is_over__is_not_looked_for),
        cmocka_unit_test(test_process__who_has_a_socket__is_found_and_named),
        cmocka_unit_test(test_holders__the_next_socket_of_a_process__is_found_like_the_first),
        cmocka_unit_test(test_process__this_one__is_in_a_group_where_there_are_any),
    };

    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
