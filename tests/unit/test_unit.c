/* unit: which unit a control group is, row by row; and that no path takes it out of bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/prng.h"
#include "metergate/base/unit.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UUID  "0b5a1f0e-1234-4321-abcd-0123456789ab"
#define USER  "/user.slice/user-1000.slice/user@1000.service"

static const struct {
    const char *path, *want;
    bool is_general;
} rows[] = {
    {"/system.slice/nightly.service", "nightly", false},
    {"system.slice/nightly.service", "nightly", false},
    {"/nightly.service", "nightly", false},
    {"/system.slice/system-backup.slice/backup@ana.service", "backup_ana", false},
    {"/system.slice/web.service/workers/3", "web", false},
    {"/system.slice/my\\x2djob.service", "my-job", false},
    {"/system.slice/my\\x2", "", false},
    {"/system.slice/my\\x2.service", "my_x2", false},
    {"/system.slice/with space.service", "with_space", false},
    {USER "/app.slice/app-foo-1234.scope", "foo", false},
    {USER "/app.slice/app-gnome-org.example.Editor-1234.scope", "org.example.Editor", false},
    {USER "/app.slice/app-gnome-my\\x2dapp-1234.scope", "my-app", false},
    {USER "/app.slice/app-flatpak-org.example.Chat-99.scope", "org.example.Chat", false},
    {USER "/app.slice/app-foo@autostart.service", "foo", false},
    {USER "/app.slice/app-kde-foo@0123abcd.service", "foo", false},
    {USER "/app.slice/app-foo.scope", "foo", false},
    {USER "/app.slice/nightly.service", "nightly", false},
    {USER "/app.slice/snap.pycharm.pycharm-" UUID ".scope", "snap.pycharm.pycharm", false},
    {"/system.slice/run-u12.service", "run-u12", true},
    {"/system.slice/run-r0123456789abcdef0123456789abcdef.scope", "run-r0123456789abcdef0123456789abcdef", true},
    {"/system.slice/run-p812-i9731.service", "run-p812-i9731", true},
    {"/system.slice/run-report.service", "run-report", false},
    {"/system.slice/run-updates.service", "run-updates", false},
    {"/system.slice/cron.service", "cron", true},
    {"/system.slice/ssh.service", "ssh", true},
    {USER "/app.slice/app-gnome-code-77.scope", "code", true},
    {"/user.slice/user-1000.slice/session-3.scope", "", false},
    {USER "/init.scope", "", false},
    {USER, "", false},
    {"/init.scope", "", false},
    {"/", "", false},
    {"", "", false},
    {"//", "", false},
    {"/system.slice", "", false},
    {USER "/app.slice/app-org.gnome.Terminal.slice/vte-spawn-" UUID ".scope", "", false},
    {USER "/app.slice/app-org.gnome.Terminal.slice/gnome-terminal-server.service", "", false},
    {USER "/tmux-spawn-" UUID ".scope", "", false},
    {USER "/app.slice/app-org.kde.konsole-4711.scope", "", false},
    {"/system.slice/docker-" HEX64 ".scope", "docker-0123456789ab", false},
    {"/system.slice/docker-" HEX64 ".scope/init.scope", "docker-0123456789ab", false},
    {"/machine.slice/libpod-" HEX64 ".scope/container", "libpod-0123456789ab", false},
    {"/kubepods.slice/kubepods-podX.slice/cri-containerd-" HEX64 ".scope", "cri-containerd-0123456789ab", false},
    {"/docker/" HEX64, "docker-0123456789ab", false},
    {"/" HEX64, "", false},
    {"/machine.slice/systemd-nspawn@box.service/payload/system.slice/nightly.service", "nightly", false},
    {"/machine.slice/systemd-nspawn@box.service/payload/init.scope", "systemd-nspawn_box", false},
    {"/machine.slice/machine-box.scope/payload", "machine-box", false},
    {"/system.slice/...service", "", false},
    {"/.service", "", false},
};

static void test_unit__every_row__is_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct unit u = unit_of_cgroup(slice_str(rows[i].path));

        if (strcmp(u.name, rows[i].want) != 0 || u.is_general != rows[i].is_general)
            fail_msg("%s: got \"%s\"%s, want \"%s\"", rows[i].path, u.name, u.is_general ? ", general" : "", rows[i].want);
    }
}

static void test_unit__of_a_name_too_long_for_a_client__is_cut(void **state)
{
    char path[400] = "/system.slice/";
    size_t n = strlen(path);
    struct unit u;

    (void)state;
    memset(path + n, 'a', 300);
    memcpy(path + n + 300, ".service", sizeof ".service");
    assert_string_equal(unit_of_cgroup(slice_str(path)).name, ""); /* no directory is called that */
    memcpy(path + n + 200, ".service", sizeof ".service");
    u = unit_of_cgroup(slice_str(path));
    assert_int_equal(strlen(u.name), CLIENT_NAME_MAX);
}

/* Whoever has a subtree of his own may make directories of any name. */
static void test_unit__of_any_path__is_a_clients_name_or_none(void **state)
{
    static const char *const parts[] = {"/",    "app-", ".scope", ".service", "\\x2d", "\\x", "-",     "@",
                                        HEX64,  UUID,   "run-",   "init",     "user@", "..",  "\xff(", "docker-"};
    struct prng random = {.state = 11};
    char path[4096];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        int count = (int)prng_below(&random, 16);
        struct unit u;
        size_t n = 0;

        for (int i = 0; i < count; i++) {
            for (const char *c = parts[prng_below(&random, MG_ARRAY_LEN(parts))]; *c; c++)
                path[n++] = *c;
        }
        u = unit_of_cgroup(slice_of(path, n));
        assert_true(!u.name[0] || client_name_ok(slice_str(u.name)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit__every_row__is_as_it_says),
        cmocka_unit_test(test_unit__of_a_name_too_long_for_a_client__is_cut),
        cmocka_unit_test(test_unit__of_any_path__is_a_clients_name_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
