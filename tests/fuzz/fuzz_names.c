/*
 * fuzz_names: whatever a control group, an argument vector or a text of a stranger says, what comes out is a client's name or
 * nothing, and a name stays as it is. The first byte says what the rest is: `c` a control group's path, `p` a /proc/PID/cmdline,
 * `m` a mountinfo, else a text.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "metergate/base/buf.h"
#include "metergate/base/cgroup.h"
#include "metergate/base/client_name.h"
#include "metergate/base/program.h"
#include "metergate/base/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* By the manual, letter for letter. */
static bool naive_ok(const char *name, size_t n)
{
    return n >= 1 && n <= 64 && !memchr(name, '\0', n) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") >= n && strspn(name, ".") < n;
}

static void check_name(bool made, const char name[CLIENT_NAME_SIZE])
{
    size_t n = strnlen(name, CLIENT_NAME_SIZE);

    MG_ASSERT(n < CLIENT_NAME_SIZE && made == (n > 0));
    MG_ASSERT(!made || (client_name_ok(slice_of(name, n)) && naive_ok(name, n)));
}

static void check_text(struct slice text)
{
    char name[CLIENT_NAME_SIZE], again[CLIENT_NAME_SIZE], copy[CLIENT_NAME_SIZE + 1] = "";
    bool made = client_name_make(text, name);

    check_name(made, name);
    if (text.n <= CLIENT_NAME_MAX) {
        if (text.n)
            memcpy(copy, text.p, text.n);
        MG_ASSERT(client_name_ok(text) == naive_ok(copy, text.n));
    }
    if (client_name_ok(text))
        MG_ASSERT(slice_eq(slice_str(name), text));
    if (made)
        MG_ASSERT(client_name_make(slice_str(name), again) && strcmp(name, again) == 0);
}

/* Whatever stands before it, the innermost unit counts. */
static void check_cgroup(struct slice path)
{
    struct unit u = unit_of_cgroup(path), again;
    struct buf longer;

    check_name(u.name[0] != '\0', u.name);
    MG_ASSERT(u.name[0] || !u.is_general);
    buf_init(&longer, BUF_UNLIMITED);
    buf_add_str(&longer, "/system.slice/other.service/");
    buf_add_slice(&longer, path);
    again = unit_of_cgroup(buf_slice(&longer));
    MG_ASSERT(!u.name[0] || (strcmp(u.name, again.name) == 0 && u.is_general == again.is_general));
    if (!u.name[0])
        check_name(again.name[0] != '\0', again.name);
    buf_release(&longer);
}

/* The launcher before it says nothing that the program itself does not say better. */
static void check_cmdline(struct slice cmdline)
{
    char name[CLIENT_NAME_SIZE], behind[CLIENT_NAME_SIZE];
    bool made = program_name_of_cmdline(cmdline, name);
    struct buf longer;

    check_name(made, name);
    buf_init(&longer, BUF_UNLIMITED);
    buf_add(&longer, "nice\0-n\0005\0", 10);
    buf_add_slice(&longer, cmdline);
    check_name(program_name_of_cmdline(buf_slice(&longer), behind), behind);
    if (made && cmdline.p[0] != '-' && cmdline.p[0] != '+' && !memchr(cmdline.p, '=', slice_find(cmdline, '\0')) &&
        cmdline.n < PROGRAM_ARGUMENTS_MAX - 3)
        MG_ASSERT(strcmp(name, behind) == 0);
    buf_release(&longer);
}

static void check_mountinfo(struct slice text)
{
    char path[CGROUP_PATH_SIZE];

    path[0] = 'x';
    if (cgroup_mount_in(text, path) == 0)
        MG_ASSERT(strnlen(path, sizeof path) < sizeof path && strlen(path) <= text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of((const char *)data + (n > 0), n - (n > 0));

    switch (n ? data[0] : 0) {
    case 'c':
        check_cgroup(text);
        break;
    case 'p':
        check_cmdline(text);
        break;
    case 'm':
        check_mountinfo(text);
        break;
    default:
        check_text(text);
    }
    return 0;
}
