/* The `metergate` command as a person and a shell script meet it: the real binary, its output and its exit
 * status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/base/json.h"
#include "fixture.h"
#include "tool_fixture.h"

#define HEALTHY                                                                                              \
    {                                                                                                        \
        "/healthz", 200, "ok\n"                                                                              \
    }

static const char status_json[] =
    "{\"version\":\"0.1.0\",\"uptime_s\":7325.3,\"draining\":false,\"paused\":false,\"held\":3,\"held_"
    "bytes\":18231,"
    "\"in_flight\":2,\"totals\":{\"calls\":41,\"dispatched\":36,\"completed\":34,\"refused\":1,\"cancelled\":"
    "1,"
    "\"failed\":0,\"upstream_429\":0,\"retries\":0},\"budgets\":[{\"name\":\"gpt-4o\",\"upstream\":"
    "\"openai\",\"key\":\"k-3f9a02bc\","
    "\"models\":[\"gpt-4o\"],\"held\":3,\"in_flight\":2,\"next_dispatch_ms\":5230,\"headroom\":0.2,\"paused_"
    "until_ms\":0,"
    "\"limits\":[{\"metric\":\"tpm\",\"max\":30000,\"window_s\":60,\"used\":11877,\"reserved\":4100,"
    "\"usable\":24000,"
    "\"learned\":false},{\"metric\":\"concurrent\",\"max\":4,\"window_s\":0,\"used\":0,\"reserved\":2,"
    "\"usable\":4,"
    "\"learned\":true}],\"clients\":[{\"name\":\"nightly\",\"held\":2},{\"name\":\"editor\",\"held\":1}]},"
    "{\"name\":\"other\\u001b[31m\",\"upstream\":\"openai\",\"models\":[],\"held\":0,\"in_flight\":0,"
    "\"next_dispatch_ms\":null,\"headroom\":0.2,\"paused_until_ms\":1500,\"limits\":[],\"clients\":[]}],"
    "\"clients\":[{\"name\":\"nightly\",\"held\":2,\"in_flight\":1,\"calls\":20,\"tokens\":81234,\"cost_"
    "usd\":null,\"limits\":[{\"metric\":\"rpm\",\"max\":60,\"window_s\":60,\"used\":7,\"reserved\":1,\"usable\":60,"
    "\"learned\":false}]}],"
    "\"upstreams\":[{\"name\":\"openai\",\"reachable\":false,\"connections\":2}]}";

static const struct fake_answer daemon_answers[] = {HEALTHY, {"/-/status", 200, status_json}, {0}};

/* ---- the command line
 * --------------------------------------------------------------------------------------------- */

static void test_tool__wrong_command_line__is_64_and_says_why(void **state)
{
    static const char *const rows[][4] = {
        {"nonsense"},
        {"--nonsense"},
        {"status", "--nonsense"},
        {"top", "--interval", "0"},
        {"top", "--interval", "x"},
        {"status", "operand"},
        {"status", "--url", "ftp://127.0.0.1"},
        {"status", "--url", "http://"},
        {"status", "--url", "http://127.0.0.1/'x"},
        {"status", "--url", "http://127.0.0.1:99999"},
        {"status", "--url", "http://127.0.0.1:port"},
        {"status", "--url", "http://[::1:4283"},
        {"status", "--token-file", "/nowhere/token"},
        {"run", "--token-file", "/dev/null", "true"},
        {"env", "--token-file"},
        {"env", "operand"},
        {"env", "--client", "two words"},
        {"env", "--client", "..."},
        {"env", "--priority", "urgent"},
        {"env", "--url", "unix:/run/metergate.sock"},
        {"run"},
        {"run", "--client", "", "true"},
        {"count", "--encoding", "latin1"},
        {"usage", "operand"},
        {"usage", "--by"},
        {"usage", "--json", "--csv"},
        {"calls", "--csv", "-j"},
        {"calls", "operand"},
        {"explain"},
        {"explain", ""},
        {"explain", "mg-0000001-1", "mg-0000001-2"},
        {"explain", "--csv", "mg-0000001-1"},
        {"doctor", "operand"},
        {"doctor", "--url", "http://"},
        {"doctor", "--token-file", "/nowhere/token"},
        {"compare"},
        {"compare", "gpt-4o"},
        {"compare", "--csv", "gpt-4o", "gpt-4"},
        {"prices", "gpt-4o", "gpt-4"},
        {"count", "--chat", "--encoding", "o200k_base"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const char *argv[6] = {tool_path(), rows[i][0], rows[i][1], rows[i][2], rows[i][3], NULL};
        struct outcome o = tool_run_program(argv, NULL);

        assert_int_equal(o.status, 64);
        assert_string_equal(o.out, "");
        assert_in_range(text_lines(o.err), 1, 2);
        assert_memory_equal(o.err, "metergate", 9);
        outcome_release(&o);
    }
}

static void test_tool__no_command__is_64_and_shows_the_commands(void **state)
{
    const char *argv[] = {tool_path(), NULL};
    struct outcome o = tool_run_program(argv, NULL);

    (void)state;
    assert_int_equal(o.status, 64);
    text_has(o.err, "status");
    outcome_release(&o);
}

static void test_tool__help__tells_every_command_and_its_options(void **state)
{
    static const char *const commands[] = {"run",     "env",    "status", "top", "usage",  "calls",  "explain",
                                           "compare", "prices", "pause",  "resume", "reload", "count", "doctor"};
    struct outcome all = TOOL("--help"), version = TOOL("-V");

    (void)state;
    assert_int_equal(all.status, 0);
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        struct outcome one = TOOL(commands[i], "--help");

        text_has(all.out, commands[i]);
        assert_int_equal(one.status, 0);
        text_has(one.out, "Usage: metergate ");
        text_has(one.out, commands[i]);
        text_has(one.out, "--help");
        outcome_release(&one);
    }
    assert_int_equal(version.status, 0);
    assert_string_equal(version.out, "metergate " METERGATE_VERSION "\n");
    outcome_release(&all);
    outcome_release(&version);
}

static void read_text(const char *path, char *ret, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n;

    assert_non_null(f);
    n = fread(ret, 1, size - 1, f);
    assert_in_range(n, 1, size - 2);
    ret[n] = '\0';
    fclose(f);
}

/* A man page writes a dash as "\-". */
static void read_man(const char *path, char *ret, size_t size)
{
    char *to = ret;

    read_text(path, ret, size);
    for (const char *from = ret; *from; from++)
        if (from[0] != '\\' || from[1] != '-')
            *to++ = *from;
    *to = '\0';
}

/* Every long option of the help stands in both texts. */
static void assert_documented(char *help, const char *completion, const char *page)
{
    char *save = NULL;

    for (char *word = strtok_r(help, " .,:=\n", &save); word; word = strtok_r(NULL, " .,:=\n", &save)) {
        if (strncmp(word, "--", 2) != 0 || !word[2])
            continue;
        text_has(completion, word);
        text_has(page, word);
    }
}

static void test_tool__completion_and_manual__know_every_option_that_help_shows(void **state)
{
    static const char *const commands[] = {"run",     "env",    "status", "top", "usage",  "calls",  "explain",
                                           "compare", "prices", "pause",  "resume", "reload", "count", "doctor"};
    static char completion[8192], page[32768];

    (void)state;
    read_text("conf/completion/metergate.bash", completion, sizeof completion);
    read_man("man/metergate.1", page, sizeof page);
    for (size_t i = 0; i < MG_ARRAY_LEN(commands); i++) {
        struct outcome one = TOOL(commands[i], "--help");

        assert_documented(one.out, completion, page);
        text_has(page, commands[i]);
        outcome_release(&one);
    }
}

static void test_daemon__completion_and_manual__know_every_option_that_help_shows(void **state)
{
    static char completion[8192], page[16384], path[256];
    const char *argv[] = {path, "--help", NULL};
    struct outcome help;

    (void)state;
    fixture_program("metergated", path, sizeof path);
    help = tool_run_program(argv, NULL);
    read_text("conf/completion/metergated.bash", completion, sizeof completion);
    read_man("man/metergated.8", page, sizeof page);
    assert_documented(help.out, completion, page);
    outcome_release(&help);
}

/* ---- no daemon
 * --------------------------------------------------------------------------------------------------- */

static void test_tool__no_daemon__is_69_and_one_line(void **state)
{
    struct outcome all[] = {TOOL("status", "--url", unanswered_url()),
                            TOOL("--url", unanswered_url(), "status", "--json"),
                            TOOL("run", "--url", unanswered_url(), "--", "echo", "started"),
                            TOOL("status", "--url", "unix:/nowhere/metergate.sock"),
                            TOOL("usage", "--url", unanswered_url()),
                            TOOL("calls", "--url", unanswered_url(), "--csv"),
                            TOOL("explain", "--url", unanswered_url(), "mg-0000001-1"),
                            TOOL("compare", "--url", unanswered_url(), "a", "b"),
                            TOOL("prices", "--url", unanswered_url(), "--json")};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++) {
        assert_int_equal(all[i].status, 69);
        assert_string_equal(all[i].out, "");
        assert_int_equal(text_lines(all[i].err), 1);
        text_has(all[i].err, "no daemon answers at ");
        outcome_release(&all[i]);
    }
}

static void test_tool__something_else_answers__is_69_and_says_so(void **state)
{
    static const struct fake_answer others[] = {
        {"/healthz", 200, "<html>"}, {"/-/status", 200, "<html>"},         {"/-/pause", 200, "<html>"},
        {"/-/resume", 200, "{}"},    {"/-/reload", 200, "{\"paused\":1}"}, {0}};
    static const struct fake_answer nothing[] = {{0}};
    struct fake_server *web = fake_server_start(others), *bare = fake_server_start(nothing);
    struct outcome all[] = {TOOL("status", "--url", fake_server_url(web)),
                            TOOL("status", "--url", fake_server_url(bare)),
                            TOOL("run", "--url", fake_server_url(web), "echo", "started"),
                            TOOL("run", "--url", fake_server_url(bare), "echo", "started"),
                            TOOL("pause", "--url", fake_server_url(web)),
                            TOOL("resume", "--url", fake_server_url(web)),
                            TOOL("reload", "--url", fake_server_url(web)),
                            TOOL("pause", "--url", fake_server_url(bare))};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(all); i++) {
        assert_int_equal(all[i].status, 69);
        assert_string_equal(all[i].out, "");
        assert_int_equal(text_lines(all[i].err), 1);
        text_has(all[i].err, "Metergate");
        outcome_release(&all[i]);
    }
    fake_server_stop(web);
    fake_server_stop(bare);
}

static void test_tool__password_in_the_url__is_used_and_shown_by_no_command(void **state)
{
    static const struct fake_answer answers[] = {
        {"/healthz", 200, "ok"}, {"/", 200, "Metergate"}, {"/-/status", 200, "{}"}, {"/-/prices", 200, "no"}, {0}};
    static const char *const passwords[] = {"ann:s3cr3t", "ann:s3c%40r3t", "s3cr3t"};
    struct fake_server *daemon = fake_server_start(answers);
    char there[256], nobody[256], odd[256];

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(passwords); i++) {
        snprintf(there, sizeof there, "http://%s@%s", passwords[i], fake_server_url(daemon) + strlen("http://"));
        snprintf(nobody, sizeof nobody, "http://%s@%s", passwords[i], unanswered_url() + strlen("http://"));
        snprintf(odd, sizeof odd, "http://%s^@r3t/x@127.0.0.1", passwords[i]);
        struct outcome all[] = {
            TOOL("status", "--url", there),     TOOL("prices", "--url", there),  TOOL("doctor", "--url", there),
            TOOL("usage", "--url", there),      TOOL("status", "--url", nobody), TOOL("pause", "--url", nobody),
            TOOL("run", "--url", nobody, "id"), TOOL("usage", "--url", nobody),  TOOL("doctor", "--url", nobody),
            TOOL("status", "--url", odd),
        };

        text_has(all[0].out, "Metergate  at http://***@127.0.0.1:");
        text_has(all[4].err, "no daemon answers at http://***@127.0.0.1:");
        assert_int_equal(all[9].status, 64);
        for (size_t k = 0; k < MG_ARRAY_LEN(all); k++) {
            if (strstr(all[k].out, "s3c") || strstr(all[k].err, "s3c") || strstr(all[k].err, "r3t"))
                fail_msg("%zu: %s%s", k, all[k].out, all[k].err);
            outcome_release(&all[k]);
        }
    }
    fake_server_stop(daemon);
}

static void test_env__password_with_an_at_sign__the_host_is_what_comes_last(void **state)
{
    struct outcome o = TOOL("env", "--url", "http://ann:p@ss@llm.example:4283/@nightly");

    (void)state;
    assert_int_equal(o.status, 0);
    text_has(o.out, "export METERGATE_URL='http://ann:p@ss@llm.example:4283/@nightly';");
    text_has(o.out, "llm.example'");
    assert_null(strstr(o.out, "ss@llm.example'"));
    outcome_release(&o);
}

/* ---- env and run
 * ------------------------------------------------------------------------------------------------- */

static void test_env__evaluated_in_sh__sets_every_variable(void **state)
{
    struct outcome o = tool_shell(
        "eval \"$(\"$0\" env --url http://127.0.0.1:999/ --client nightly --priority low)\"\n"
        "echo $OPENAI_BASE_URL $OPENAI_API_BASE $ANTHROPIC_BASE_URL $ANTHROPIC_API_URL\n"
        "echo $ANTHROPIC_API_BASE $GOOGLE_GEMINI_BASE_URL ${AZURE_OPENAI_ENDPOINT:-left} $METERGATE_URL\n"
        "echo $GEMINI_API_BASE ${AZURE_API_BASE:-left} ${GOOGLE_VERTEX_BASE_URL:-left} $ENABLE_TOOL_SEARCH\n"
        "sh -c 'echo exported: $OPENAI_BASE_URL'\n");

    (void)state;
    assert_string_equal(o.err, "");
    assert_string_equal(o.out, "http://127.0.0.1:999/@nightly:low/v1 http://127.0.0.1:999/@nightly:low/v1 "
                               "http://127.0.0.1:999/@nightly:low http://127.0.0.1:999/@nightly:low\n"
                               "http://127.0.0.1:999/@nightly:low http://127.0.0.1:999/@nightly:low "
                               "left http://127.0.0.1:999\n"
                               "http://127.0.0.1:999/@nightly:low/v1beta left left true\n"
                               "exported: http://127.0.0.1:999/@nightly:low/v1\n");
    outcome_release(&o);
}

static void test_env__evaluated_without_quotes__does_the_same(void **state)
{
    struct outcome o = tool_shell("eval $(\"$0\" env)\necho $OPENAI_BASE_URL $no_proxy\n");

    (void)state;
    assert_string_equal(o.out, "http://127.0.0.1:4283/v1 127.0.0.1,localhost\n");
    outcome_release(&o);
}

static void test_env__with_a_token__it_stands_where_a_program_has_no_key(void **state)
{
    static const char show[] = "export METERGATE_TOKEN=a-token\n"
                               "eval \"$(\"$0\" env)\"\necho $METERGATE_TOKEN $OPENAI_API_KEY\n"
                               "OPENAI_API_KEY=own\neval \"$(\"$0\" env)\"\necho $OPENAI_API_KEY\n"
                               "\"$0\" env | grep -c a-token || true\n";
    struct outcome o = tool_shell(show);

    (void)state;
    assert_string_equal(o.out, "a-token a-token\nown\n0\n");
    assert_string_equal(o.err, "");
    outcome_release(&o);
}

static void test_env__url_of_the_environment__is_used_and_an_option_wins(void **state)
{
    struct outcome o = tool_shell("export METERGATE_URL=127.0.0.1:77\n\"$0\" env | head -n 1\n\"$0\" env -u "
                             "127.0.0.1:78 | head -n 1\n");

    (void)state;
    assert_string_equal(o.out, "export OPENAI_BASE_URL='http://127.0.0.1:77/v1';\nexport "
                               "OPENAI_BASE_URL='http://127.0.0.1:78/v1';\n");
    outcome_release(&o);
}

static void test_env__priority_alone__keeps_the_users_own_name(void **state)
{
    struct outcome o = tool_shell("eval \"$(\"$0\" env --priority high)\"\n"
                             "test \"$OPENAI_BASE_URL\" = \"http://127.0.0.1:4283/@$(id -un):high/v1\"\n");

    (void)state;
    assert_int_equal(o.status, 0);
    outcome_release(&o);
}

/* What a program for Azure is given; "left" when the variable is. */
static void assert_azure(const char *status, const char *expect)
{
    const struct fake_answer answers[] = {HEALTHY, {"/-/status", 200, status}, {0}};
    struct fake_server *s = fake_server_start(answers);
    static const char script[] = "test \"${AZURE_OPENAI_ENDPOINT-}\" = \"${AZURE_API_BASE-}\" || exit 1\n"
                                 "echo ${AZURE_OPENAI_ENDPOINT:-left}";
    struct outcome o = TOOL("run", "--url", fake_server_url(s), "-c", "nightly", "--", "sh", "-c", script);
    char want[128];

    snprintf(want, sizeof want, "%s%s\n", strcmp(expect, "left") == 0 ? "" : fake_server_url(s), expect);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, want);
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_run__azure__is_sent_here_only_where_there_is_an_upstream_for_it(void **state)
{
    (void)state;
    assert_azure(
        "{\"upstreams\":[{\"name\":\"o\",\"dialect\":\"openai\"},{\"name\":\"a\",\"dialect\":\"azure\"}]}",
        "/@nightly");
    assert_azure("{\"upstreams\":[{\"name\":\"azure\",\"dialect\":\"openai\"}]}", "left");
    assert_azure("no JSON", "left");
}

static void test_run__command__gets_the_variables_and_gives_its_exit_status(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome o = TOOL("run", "--url", fake_server_url(s), "-c", "nightly", "--", "sh", "-c",
                            "echo \"$OPENAI_BASE_URL $NO_PROXY $1\"; exit 42", "sh", "--url");
    char want[256];

    (void)state;
    snprintf(want, sizeof want, "%s/@nightly/v1 127.0.0.1,localhost --url\n", fake_server_url(s));
    assert_string_equal(o.out, want);
    assert_string_equal(o.err, "");
    assert_int_equal(o.status, 42);
    outcome_release(&o);
    fake_server_stop(s);
}

/* The client that a command's calls are counted under; `priority` NULL: none is asked for. */
static void assert_client(const struct fake_server *s, const char *priority, const char *const *command, const char *want)
{
    const char *argv[16] = {tool_path(), "run", "--url", fake_server_url(s)};
    struct outcome o;
    char expect[128];
    size_t n = 4;

    if (priority) {
        argv[n++] = "--priority";
        argv[n++] = priority;
    }
    argv[n++] = "--";
    while (*command)
        argv[n++] = *command++;
    o = tool_run_program(argv, NULL);
    snprintf(expect, sizeof expect, "%s/@%s\n", fake_server_url(s), want);
    assert_string_equal(o.out, expect);
    assert_int_equal(o.status, 0);
    outcome_release(&o);
}

static void test_run__without_a_client__is_named_after_the_command(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    char dir[] = "/tmp/metergate-run-XXXXXX", script[64];
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(script, sizeof script, "%s/nightly job", dir);
    f = fopen(script, "we");
    assert_non_null(f);
    assert_true(fputs("#!/bin/sh\necho \"$ANTHROPIC_BASE_URL\"\n", f) > 0);
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    assert_int_equal(fclose(f), 0);
    assert_client(s, NULL, (const char *const[]){script, NULL}, "nightly_job");
    assert_client(s, NULL, (const char *const[]){"sh", script, "--all", NULL}, "nightly_job");
    assert_client(s, "low", (const char *const[]){"env", "A=1", "nice", "-n", "1", "sh", script, NULL}, "nightly_job:low");
    assert_client(s, NULL, (const char *const[]){"sh", "-c", "echo \"$ANTHROPIC_BASE_URL\"", NULL}, "sh");
    assert_client(s, NULL, (const char *const[]){"printenv", "ANTHROPIC_BASE_URL", NULL}, "printenv");
    unlink(script);
    rmdir(dir);
    fake_server_stop(s);
}

static void test_run__options_after_the_command__are_the_commands(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome o;

    (void)state;
    setenv("METERGATE_URL", fake_server_url(s), 1);
    o = TOOL("run", "echo", "--client", "x", "--help");
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "--client x --help\n");
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_run__command_killed_by_a_signal__is_seen_to_be(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome o = TOOL("run", "--url", fake_server_url(s), "sh", "-c", "kill -TERM $$");

    (void)state;
    assert_int_equal(o.status, 128 + 15);
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_run__command_that_cannot_run__is_126_or_127(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome missing = TOOL("run", "--url", fake_server_url(s), "no-such-program-here");
    struct outcome directory = TOOL("run", "--url", fake_server_url(s), "/");

    (void)state;
    assert_int_equal(missing.status, 127);
    assert_int_equal(text_lines(missing.err), 1);
    assert_int_equal(directory.status, 126);
    assert_int_equal(text_lines(directory.err), 1);
    outcome_release(&missing);
    outcome_release(&directory);
    fake_server_stop(s);
}

/* ---- status
 * ------------------------------------------------------------------------------------------------------- */

static void test_status__text__shows_every_figure_of_the_snapshot(void **state)
{
    static const char *const parts[] = {
        "Metergate 0.1.0 at http://127.0.0.1:",
        "up 2h 2m",
        "3 held (18 KiB), 2 in flight",
        "41 calls: 34 completed",
        "429s from providers: 0, retries: 0",
        "in 5.2 s",
        "concurrent (learned)",
        "other?[31m",
        "none known",
        "paused for 1.5 s",
        "81,234",
        "The last connection to upstream openai failed.",
    };
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome o = TOOL("status", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err, "");
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++)
        text_has(o.out, parts[i]);
    text_has(o.out, "30,000  24,000  11,877     4,100  8,023     3          2  in 5.2 s\n");
    text_has(o.out, "gpt-4o (k-3f9a02bc)  tpm ");
    text_has(o.out, "client nightly       rpm                     60 s      60      60       7         1     52 ");
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_status__json__is_the_daemons_own(void **state)
{
    struct fake_server *s = fake_server_start(daemon_answers);
    struct outcome o = TOOL("status", "--json", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    assert_int_equal(o.out_n, sizeof status_json);
    assert_memory_equal(o.out, status_json, sizeof status_json - 1);
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_status__empty_document__is_shown_as_far_as_it_goes(void **state)
{
    static const struct fake_answer answers[] = {{"/-/status", 200, "{}"}, {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("status", "--url", fake_server_url(s));

    (void)state;
    assert_int_equal(o.status, 0);
    text_has(o.out, "0 held");
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_status__answer_without_end__is_refused(void **state)
{
    size_t n = (size_t)9 << 20;
    char *big = xmalloc(n + 1);
    const struct fake_answer answers[] = {{"/-/status", 200, big}, {0}};
    struct fake_server *s;
    struct outcome o;

    (void)state;
    memset(big, ' ', n);
    big[n] = '\0';
    s = fake_server_start(answers);
    o = TOOL("status", "--url", fake_server_url(s));
    assert_int_equal(o.status, 69);
    text_has(o.err, "too long");
    outcome_release(&o);
    fake_server_stop(s);
    free(big);
}

/* A daemon that is none: figures that no sum takes, and names that would make each line of a table as long. */
static void test_status__figures_and_names_without_end__are_cut(void **state)
{
    static const char limit[] = "{\"metric\":\"tpm\",\"max\":99999999999999999999},";
    struct fake_answer answers[] = {{"/-/status", 200, NULL}, {0}};
    struct fake_server *s;
    struct outcome o;
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNLIMITED);
    buf_addf(&b, "{\"held\":3,\"held_bytes\":99999999999999999999,\"budgets\":[{\"name\":\"%0100000d\",\"limits\":[", 7);
    for (int i = 0; i < 1000; i++)
        buf_add_str(&b, limit);
    buf_add_str(&b, "{}]}]}");
    answers[0].body = b.p;
    s = fake_server_start(answers);
    o = TOOL("status", "--url", fake_server_url(s));
    assert_int_equal(o.status, 0);
    text_has(o.out, "3 held (9007199254740991 KiB)");
    assert_in_range(o.out_n, 1, 2000000);
    outcome_release(&o);
    fake_server_stop(s);
    buf_release(&b);
}

static void test_tool__output_that_cannot_be_written__is_74(void **state)
{
    struct outcome o = tool_shell("echo water | \"$0\" count >/dev/full");

    (void)state;
    assert_int_equal(o.status, 74);
    assert_int_equal(text_lines(o.err), 1);
    outcome_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_tool__wrong_command_line__is_64_and_says_why, tool_environment),
        cmocka_unit_test_setup(test_tool__no_command__is_64_and_shows_the_commands, tool_environment),
        cmocka_unit_test_setup(test_tool__help__tells_every_command_and_its_options, tool_environment),
        cmocka_unit_test_setup(test_tool__completion_and_manual__know_every_option_that_help_shows,
                               tool_environment),
        cmocka_unit_test_setup(test_daemon__completion_and_manual__know_every_option_that_help_shows,
                               tool_environment),
        cmocka_unit_test_setup(test_tool__no_daemon__is_69_and_one_line, tool_environment),
        cmocka_unit_test_setup(test_tool__something_else_answers__is_69_and_says_so, tool_environment),
        cmocka_unit_test_setup(test_tool__password_in_the_url__is_used_and_shown_by_no_command, tool_environment),
        cmocka_unit_test_setup(test_env__password_with_an_at_sign__the_host_is_what_comes_last, tool_environment),
        cmocka_unit_test_setup(test_tool__output_that_cannot_be_written__is_74, tool_environment),
        cmocka_unit_test_setup(test_env__evaluated_in_sh__sets_every_variable, tool_environment),
        cmocka_unit_test_setup(test_env__evaluated_without_quotes__does_the_same, tool_environment),
        cmocka_unit_test_setup(test_env__with_a_token__it_stands_where_a_program_has_no_key,
                               tool_environment),
        cmocka_unit_test_setup(test_env__url_of_the_environment__is_used_and_an_option_wins,
                               tool_environment),
        cmocka_unit_test_setup(test_env__priority_alone__keeps_the_users_own_name, tool_environment),
        cmocka_unit_test_setup(test_run__azure__is_sent_here_only_where_there_is_an_upstream_for_it,
                               tool_environment),
        cmocka_unit_test_setup(test_run__command__gets_the_variables_and_gives_its_exit_status,
                               tool_environment),
        cmocka_unit_test_setup(test_run__without_a_client__is_named_after_the_command, tool_environment),
        cmocka_unit_test_setup(test_run__options_after_the_command__are_the_commands, tool_environment),
        cmocka_unit_test_setup(test_run__command_killed_by_a_signal__is_seen_to_be, tool_environment),
        cmocka_unit_test_setup(test_run__command_that_cannot_run__is_126_or_127, tool_environment),
        cmocka_unit_test_setup(test_status__text__shows_every_figure_of_the_snapshot, tool_environment),
        cmocka_unit_test_setup(test_status__json__is_the_daemons_own, tool_environment),
        cmocka_unit_test_setup(test_status__empty_document__is_shown_as_far_as_it_goes, tool_environment),
        cmocka_unit_test_setup(test_status__answer_without_end__is_refused, tool_environment),
        cmocka_unit_test_setup(test_status__figures_and_names_without_end__are_cut, tool_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
