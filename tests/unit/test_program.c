/* program: what a command is called, row by row; and that no vector takes it out of bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "metergate/base/prng.h"
#include "metergate/base/program.h"

#define ARGUMENTS 12

static const struct {
    const char *v[ARGUMENTS];
    const char *want;
} rows[] = {
    {{"/usr/bin/curl", "-s", "http://x/"}, "curl"},
    {{"aider"}, "aider"},
    {{"python", "nightly.py"}, "nightly.py"},
    {{"/usr/bin/python3.11", "-u", "/srv/jobs/nightly.py", "--all"}, "nightly.py"},
    {{"python3", "-W", "ignore", "-Xdev", "-X", "utf8", "job.py"}, "job.py"},
    {{"python3", "-m", "pkg.mod", "x.py"}, "pkg.mod"},
    {{"python3", "-Im", "pkg.mod"}, "pkg.mod"},
    {{"python3", "-uc", "import secret"}, "python3"},
    {{"python3", "-c", "import x"}, "python3"},
    {{"python3", "-"}, "python3"},
    {{"python3"}, "python3"},
    {{"python3", "-m"}, "python3"},
    {{"python", "."}, "python"},
    {{"python", "jobs/"}, "jobs"},
    {{"pythonic", "a.py"}, "pythonic"},
    {{"node", "--require", "dotenv/config", "dist/index.js"}, "index.js"},
    {{"node", "-e", "1", "x.js"}, "node"},
    {{"node", "--max-old-space-size=4096", "a.mjs"}, "a.mjs"},
    {{"ruby", "-I", "lib", "bin/report"}, "report"},
    {{"perl", "-e", "print"}, "perl"},
    {{"perl", "-lne", "print", "input.txt"}, "perl"},
    {{"perl", "-w", "-MCarp", "report.pl"}, "report.pl"},
    {{"bash", "/etc/cron.daily/summaries"}, "summaries"},
    {{"bash", "-eu", "-o", "pipefail", "run.sh"}, "run.sh"},
    {{"bash", "-euo", "pipefail", "run.sh"}, "run.sh"},
    {{"bash", "-c", "curl x"}, "bash"},
    {{"bash", "-euxc", "curl x"}, "bash"},
    {{"bash", "-s", "argument"}, "bash"},
    {{"-bash"}, "bash"},
    {{"sh", "+o", "posix", "x.sh"}, "x.sh"},
    {{"java", "-Xmx1g", "-cp", "a.jar:b.jar", "-jar", "/opt/app.jar", "serve"}, "app.jar"},
    {{"java", "-cp", "a.jar", "com.example.Main"}, "com.example.Main"},
    {{"dotnet", "bot.dll"}, "bot.dll"},
    {{"deno", "run", "--allow-net", "bot.ts"}, "bot.ts"},
    {{"deno", "repl"}, "deno"},
    {{"bun", "run", "bot.ts"}, "bot.ts"},
    {{"bun", "bot.ts"}, "bot.ts"},
    {{"uv", "run", "nightly.py"}, "nightly.py"},
    {{"uv", "run", "--with", "openai", "python", "nightly.py"}, "nightly.py"},
    {{"uv", "run", "--", "pytest", "-x"}, "pytest"},
    {{"uv", "pip", "install", "x"}, "uv"},
    {{"uv", "--directory", "/srv", "run", "python", "-m", "jobs.nightly"}, "jobs.nightly"},
    {{"poetry", "run", "python", "a.py"}, "a.py"},
    {{"conda", "run", "-n", "base", "python", "a.py"}, "a.py"},
    {{"npx", "-y", "@openai/codex", "exec"}, "codex"},
    {{"npm", "run", "build"}, "build"},
    {{"npm", "exec", "--", "tsx", "bot.ts"}, "bot.ts"},
    {{"npm", "install"}, "npm"},
    {{"env", "-u", "HOME", "A=1", "B=", "python3", "a.py"}, "a.py"},
    {{"env", "-i"}, "env"},
    {{"nice", "-n", "5", "ionice", "-c3", "python3", "a.py"}, "a.py"},
    {{"timeout", "-k", "5", "10m", "nice", "python3", "a.py"}, "a.py"},
    {{"timeout", "5"}, "timeout"},
    {{"nohup", "./worker", "--x"}, "worker"},
    {{"sudo", "-u", "ana", "A=1", "python3", "a.py"}, "a.py"},
    {{"flock", "-n", "/run/lock/x", "python3", "a.py"}, "a.py"},
    {{"metergate", "run", "--client", "x", "--", "python3", "a.py"}, "a.py"},
    {{"nginx: worker process"}, "nginx"},
    {{"gunicorn: master [shop/api]"}, "gunicorn"},
    {{"/opt/My App/bin/my tool"}, "my_tool"},
    {{"python", "b\xc3\xa4ume (2).py"}, "b_ume__2_.py"},
    {{"python", "\xff\xfe.py"}, "__.py"},
    {{""}, ""},
    {{"/"}, ""},
    {{".."}, ""},
    {{NULL}, ""},
    {{"0123456789012345678901234567890123456789012345678901234567890123456789"},
     "0123456789012345678901234567890123456789012345678901234567890123"},
};

static void test_name__every_row__is_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice v[ARGUMENTS];
        char name[CLIENT_NAME_SIZE];
        size_t n = 0;
        bool some;

        while (n < ARGUMENTS && rows[i].v[n]) {
            v[n] = slice_str(rows[i].v[n]);
            n++;
        }
        some = program_name(v, n, name);
        if (strcmp(name, rows[i].want) != 0 || some != (name[0] != '\0'))
            fail_msg("row %zu (%s %s): got \"%s\", want \"%s\"", i, n ? rows[i].v[0] : "", n > 1 ? rows[i].v[1] : "",
                     name, rows[i].want);
    }
}

static void test_name__of_a_cmdline__ends_arguments_at_nul(void **state)
{
    static const char cmdline[] = "/usr/bin/python3\0-u\0/srv/nightly.py\0--all";
    char name[CLIENT_NAME_SIZE];

    (void)state;
    assert_true(program_name_of_cmdline(slice_of(cmdline, sizeof cmdline), name));
    assert_string_equal(name, "nightly.py");
    assert_true(program_name_of_cmdline(slice_of(cmdline, 16), name)); /* cut before the first NUL */
    assert_string_equal(name, "python3");
    assert_false(program_name_of_cmdline(SLICE(""), name));
    assert_string_equal(name, "");
    assert_false(program_name_of_cmdline(slice_of("\0\0\0", 3), name));
}

/* Words of the table and odd bytes in any order: always a name that a client can have, or none. */
static void test_name__of_any_arguments__is_a_clients_name_or_none(void **state)
{
    static const char *const words[] = {"python3", "-m",  "-c",  "env", "uv",  "run", "--", "-",    "",   "timeout",
                                        "nice",    "A=1", "npx", "-jar", "java", "..",  "/",  "bash", ": ", "\xc3("};
    struct prng random = {.state = 7};
    char cmdline[4096], name[CLIENT_NAME_SIZE];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        int count = (int)(prng_next(&random) % (round % 100 == 0 ? 300 : 12));

        for (int i = 0; i < count; i++) {
            const char *word = words[prng_next(&random) % MG_ARRAY_LEN(words)];

            memcpy(cmdline + n, word, strlen(word) + 1);
            n += strlen(word) + 1;
        }
        if (program_name_of_cmdline(slice_of(cmdline, n), name))
            assert_true(client_name_ok(slice_str(name)));
        else
            assert_string_equal(name, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name__every_row__is_as_it_says),
        cmocka_unit_test(test_name__of_a_cmdline__ends_arguments_at_nul),
        cmocka_unit_test(test_name__of_any_arguments__is_a_clients_name_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
