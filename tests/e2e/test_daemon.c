/* metergated as an operator and a service manager meet it: its command line, what it says of a bad file, how
 * it starts and ends. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "metergate/base/err.h"
#include "process.h"
#include "remains.h"
#include "tool_fixture.h"

#define TIMEOUT_MS 20000
#define KEY        "sk-daemon-test-key"

/* A directory of our own, in which $HOME is: no configuration of this machine is found. */
static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][160];
    static unsigned turn;
    char *at = path[turn++ % 4];

    snprintf(at, sizeof path[0], "%s/%s", dir, name);
    return at;
}

static const char *write_config(const char *name, const char *yaml)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(yaml, 1, strlen(yaml), f), strlen(yaml));
    fclose(f);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/metergate-daemon-XXXXXX");
    if (!mkdtemp(dir) || mkdir(in_dir(".config"), 0700) < 0 || mkdir(in_dir(".config/metergate"), 0700) < 0)
        return -1;
    unsetenv("METERGATE_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    return setenv("HOME", dir, 1);
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"good",    "bad",    "other",
                                        "printed", "socket", ".config/metergate/metergate.yaml"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++)
        unlink(in_dir(names[i]));
    rmdir(in_dir(".config/metergate"));
    rmdir(in_dir(".config"));
    rmdir(dir);
    return 0;
}

/* Runs metergated with arguments that let it end by itself. */
#define RUN(...) tool_run_program((const char *const[]){program_path("metergated"), __VA_ARGS__, NULL}, NULL)

static void assert_outcome(struct outcome o, int status, const char *out, const char *err)
{
    if (o.status != status || strcmp(o.out, out) != 0 || strcmp(o.err, err) != 0)
        fail_msg("got %d\n%s%s\nwant %d\n%s%s", o.status, o.out, o.err, status, out, err);
    outcome_release(&o);
}

/* ---- the command line ---- */

static void test_help__goes_to_stdout_and_names_every_option(void **state)
{
    static const char *const options[] = {"-c, --config FILE",  "-t, --test",
                                          "-p, --print-config", "-l, --listen ADDR",
                                          "--log-level LEVEL",  "-V, --version",
                                          "-h, --help",         "$METERGATE_CONFIG",
                                          "/etc/metergate",     "78 wrong configuration"};
    struct outcome o = RUN("--help");

    (void)state;
    assert_int_equal(o.status, EX_OK);
    assert_string_equal(o.err, "");
    for (size_t i = 0; i < MG_ARRAY_LEN(options); i++) {
        if (!strstr(o.out, options[i]))
            fail_msg("--help does not say %s:\n%s", options[i], o.out);
    }
    assert_outcome(RUN("-h"), EX_OK, o.out, "");
    outcome_release(&o);
}

static void test_version__is_one_line(void **state)
{
    (void)state;
    assert_outcome(RUN("-V"), EX_OK, "metergated " METERGATE_VERSION "\n", "");
    assert_outcome(RUN("--version"), EX_OK, "metergated " METERGATE_VERSION "\n", "");
}

/* Exit status 64, nothing on stdout, and this on stderr. */
static void assert_usage(struct outcome o, const char *say)
{
    if (o.status != EX_USAGE || o.out_n != 0 || !strstr(o.err, say))
        fail_msg("got %d\n%s%s\nwant 64 and %s", o.status, o.out, o.err, say);
    outcome_release(&o);
}

static void test_usage__what_is_no_option__is_64(void **state)
{
    (void)state;
    assert_usage(RUN("--nonsense"), "Try 'metergated --help'.");
    assert_usage(RUN("-x"), "Try 'metergated --help'.");
    assert_usage(RUN("--config"), "Try 'metergated --help'.");
    assert_usage(RUN("-t", "file.yaml"), "metergated: this program takes options only");
    assert_usage(RUN("--log-level", "loud"),
                 "metergated: log.level: \"loud\" is not error, warn, info or debug");
    assert_usage(RUN("-l", "4283"), "metergated: listen: \"4283\" is not an address");
    assert_usage(RUN("-t", "-l", "nowhere"),
                 "metergated: listen: \"nowhere\" is not an address"); /* and not "OK" */
}

/* ---- the configuration ---- */

#define GOOD "listen: [\"127.0.0.1:0\"]\nstate_dir: none\nmodels:\n  gpt-4o: {tpm: 30k, rpm: 500}\n"

static void test_check__a_good_file__is_ok_and_warned_of(void **state)
{
    char ok[200], warning[200];
    const char *path = write_config("good", GOOD);

    (void)state;
    snprintf(ok, sizeof ok, "%s: OK\n", path);
    assert_outcome(RUN("-t", "-c", path), EX_OK, ok, "");
    path = write_config("good", GOOD "prices: {\"*\": {input: 1}, b: {input: 1}}\n");
    snprintf(warning, sizeof warning, "%s:5:27: prices.b: never used; prices.* in line 5 matches its names first\n", path);
    assert_outcome(RUN("--test", "--config", path), EX_OK, ok, warning);
    assert_outcome(RUN("-t"), EX_OK, "built-in configuration: OK\n", "");
}

static void test_check__every_mistake_of_a_bad_file__is_a_line_and_the_status_78(void **state)
{
    const char *path =
        write_config("bad", "listn: [a]\nqueue:\n  max_wait: soon\nmodels:\n  gpt-4o: {tpm: 0}\n");
    char problems[800];

    (void)state;
    snprintf(problems, sizeof problems,
             "%s:1:1: unknown key \"listn\"; did you mean \"listen\"?\n"
             "%s:3:13: queue.max_wait: \"soon\" is not a duration (250ms, 15s, 10m, 2h, 1d)\n"
             "%s:5:17: models.gpt-4o.tpm: \"0\" is out of range (1 to 1000G)\n",
             path, path, path);
    assert_outcome(RUN("-t", "-c", path), EX_CONFIG, "", problems);
    assert_outcome(RUN("-p", "-c", path), EX_CONFIG, "", problems);
    assert_outcome(RUN("-c", path), EX_CONFIG, "", problems); /* it does not start with it either */
    path = write_config("bad", "a: [1\n");
    snprintf(problems, sizeof problems, "%s:2:1: a list wants , or ] here; its [ stands in line 1\n", path);
    assert_outcome(RUN("-t", "-c", path), EX_CONFIG, "", problems);
    path = in_dir("missing");
    snprintf(problems, sizeof problems, "%s: cannot be read: No such file or directory\n", path);
    assert_outcome(RUN("-t", "-c", path), EX_CONFIG, "", problems);
    assert_outcome(RUN("-c", path), EX_CONFIG, "", problems);
}

/* An open that waits for a writer would wait for ever. */
static void test_check__a_fifo_in_the_files_place__is_an_error_at_once(void **state)
{
    const char *path = in_dir("fifo");
    char problems[200];

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(problems, sizeof problems, "%s: cannot be read: it is a FIFO, not a file\n", path);
    assert_outcome(RUN("-t", "-c", path), EX_CONFIG, "", problems);
    assert_outcome(RUN("-c", path), EX_CONFIG, "", problems);
    assert_int_equal(unlink(path), 0);
}

static void test_check__goes_by_the_search_order(void **state)
{
    const char *home = write_config(".config/metergate/metergate.yaml", GOOD),
               *other = write_config("other", GOOD);
    char home_ok[200], other_ok[200];

    (void)state;
    snprintf(home_ok, sizeof home_ok, "%s: OK\n", home);
    snprintf(other_ok, sizeof other_ok, "%s: OK\n", other);
    assert_outcome(RUN("-t"), EX_OK, home_ok, "");
    setenv("METERGATE_CONFIG", other, 1);
    assert_outcome(RUN("-t"), EX_OK, other_ok, "");
    assert_outcome(RUN("-t", "-c", home), EX_OK, home_ok, "");
    unsetenv("METERGATE_CONFIG");
    unlink(home);
}

static void test_print__is_loadable_and_has_no_key(void **state)
{
    const char *path = write_config(
        "good",
        GOOD "upstreams:\n  openai: {api_key: {env: METERGATE_TEST_KEY}, proxy: \"http://127.0.0.1:1\"}\n");
    struct outcome first, second;

    (void)state;
    setenv("METERGATE_TEST_KEY", KEY, 1);
    first = RUN("-p", "-c", path, "-l", "unix:/tmp/x", "--log-level", "debug");
    assert_int_equal(first.status, EX_OK);
    assert_string_equal(first.err, "");
    assert_non_null(strstr(first.out, "listen: [\"unix:/tmp/x\"]\nstate_dir: none\nuser: \"\"\nlog:\n  level: debug\n"));
    assert_non_null(strstr(first.out, "env: METERGATE_TEST_KEY"));
    assert_null(strstr(first.out, KEY));
    second = RUN("-p", "-c", write_config("printed", first.out));
    assert_string_equal(second.out, first.out);
    outcome_release(&first);
    outcome_release(&second);
    unsetenv("METERGATE_TEST_KEY");
}

/* ---- starting and ending ---- */

#define START(...) process_start((const char *const[]){program_path("metergated"), __VA_ARGS__, NULL})

static void show_log(struct process *p)
{
    char *log = process_log(p);

    print_error("%s", log);
    free(log);
}

static void await(struct process *p, const char *text)
{
    if (process_wait_log(p, 0, text, TIMEOUT_MS))
        return;
    show_log(p);
    fail_msg("'%s' does not come", text);
}

/* The port that it listens on, once it does. */
static int await_port(struct process *p)
{
    char *log, *at;
    int64_t port = 0;

    await(p, "ready, listening on 127.0.0.1:");
    await(p, "\n");
    log = process_log(p);
    at = strstr(log, "127.0.0.1:") + strlen("127.0.0.1:");
    assert_int_equal(slice_int64(slice_head(slice_str(at), strspn(at, "0123456789")), &port), 0);
    free(log);
    return (int)port;
}

static void assert_ends(struct process *p, int status)
{
    int got = process_wait_exit(p, TIMEOUT_MS);

    if (got != status) {
        show_log(p);
        fail_msg("ended with %d, want %d", got, status);
    }
}

static int health(int port)
{
    char url[64];
    struct client_reply r;
    int status;

    snprintf(url, sizeof url, "http://127.0.0.1:%d/healthz", port);
    r = client_run(&(struct client_call){.url = url});
    status = r.status;
    client_reply_release(&r);
    return status;
}

static void test_stop__either_signal__ends_it_with_0(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    const char *path = write_config("good", GOOD);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(signals); i++) {
        struct process *p = START("-c", path);
        int port = await_port(p);

        assert_int_equal(health(port), 200);
        process_signal(p, signals[i]);
        assert_ends(p, EXIT_SUCCESS);
        assert_true(process_wait_log(p, 0, "stopped\n", TIMEOUT_MS));
        assert_int_equal(health(port), 0); /* nobody is there any more */
        process_free(p);
    }
}

static void test_hangup__reads_the_configuration_again(void **state)
{
    struct process *p = START("-c", write_config("good", GOOD));
    int port = await_port(p);

    (void)state;
    process_signal(p, SIGHUP);
    await(p, "reload: done");
    assert_int_equal(health(port), 200);
    process_signal(p, SIGTERM);
    assert_ends(p, EXIT_SUCCESS);
    process_free(p);
}

static void test_start__the_file_of_the_environment__is_used(void **state)
{
    struct process *p;

    (void)state;
    setenv("METERGATE_CONFIG", write_config("other", GOOD), 1);
    p = process_start((const char *const[]){program_path("metergated"), NULL});
    unsetenv("METERGATE_CONFIG");
    assert_int_equal(health(await_port(p)), 200);
    process_signal(p, SIGTERM);
    assert_ends(p, EXIT_SUCCESS);
    process_free(p);
}

/* A socket that listens on a port of 127.0.0.1 which nobody else can take. */
static int occupy(char address[32])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    snprintf(address, 32, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

/* Ends with `status` after one line, which ends with `sentence`; where memory cannot be locked another one says so before it. */
static void assert_one_sentence(struct process *p, int status, const char *sentence)
{
    struct slice said;
    char *log;

    assert_ends(p, status);
    await(p, sentence);
    log = process_log(p);
    said = slice_str(log);
    if (!remains_can_be_locked() && strstr(log, "cannot lock the memory of keys"))
        said = slice_skip(said, slice_find(said, '\n') + 1);
    if (!slice_ends(said, slice_str(sentence)) || slice_find(said, '\n') != said.n - 1)
        fail_msg("got\n%swant one line, ending\n%s", log, sentence);
    free(log);
    process_free(p);
}

static void test_start__an_address_in_use__is_one_sentence_and_1(void **state)
{
    char address[32], sentence[100];
    int fd = occupy(address);

    (void)state;
    snprintf(sentence, sizeof sentence, " error cannot listen on %s: Address already in use\n", address);
    assert_one_sentence(START("-c", write_config("good", GOOD), "-l", address), EXIT_FAILURE, sentence);
    close(fd);
    assert_one_sentence(START("-c", in_dir("good"), "-l", "unix:/nonexistent/socket"), EXIT_FAILURE,
                        " error cannot listen on unix:/nonexistent/socket: No such file or directory\n");
}

static void test_start__an_address_for_other_machines__is_refused(void **state)
{
    const char *path = write_config("bad", "listen: [\"0.0.0.0:4283\"]\n");
    char problem[300];

    (void)state;
    snprintf(problem, sizeof problem,
             "%s:1:10: listen: 0.0.0.0 can be reached from other machines: that needs clients.require_token: "
             "true and tokens for the clients; else listen on 127.0.0.1, [::1] or unix:/PATH\n",
             path);
    assert_one_sentence(START("-c", path), EX_CONFIG, problem);
    assert_one_sentence(
        START("-c", write_config("good", GOOD), "-l", "[::]:4283"), EX_USAGE,
        "metergated: listen: :: can be reached from other machines: that needs clients.require_token: "
        "true and tokens for the clients; else listen on 127.0.0.1, [::1] or unix:/PATH\n");
}

/* Whether somebody answers at the socket. */
static bool answers_at(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    assert_true(fd >= 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    rc = connect(fd, (struct sockaddr *)&un, sizeof un);
    close(fd);
    return rc == 0;
}

static void test_start__the_listen_option__takes_the_place_of_the_files(void **state)
{
    char address[160], sentence[240];
    struct process *p;

    (void)state;
    write_config("good", "listen: [\"127.0.0.1:1\", \"[::1]:1\"]\n");
    snprintf(address, sizeof address, "unix:%s", in_dir("socket"));
    p = START("-c", in_dir("good"), "-l", address);
    await(p, "ready, listening on unix:");
    assert_true(answers_at(in_dir("socket")));
    snprintf(sentence, sizeof sentence, " error cannot listen on %s: Address already in use\n", address);
    assert_one_sentence(START("-c", in_dir("good"), "-l", address), EXIT_FAILURE, sentence);
    assert_true(answers_at(in_dir("socket"))); /* the second one took nothing away */
    process_signal(p, SIGTERM);
    assert_ends(p, EXIT_SUCCESS);
    process_free(p);
    assert_int_equal(access(in_dir("socket"), F_OK), -1);
}

static void test_start__after_a_kill__the_socket_that_was_left_is_taken(void **state)
{
    char address[160];
    struct process *p;

    (void)state;
    snprintf(address, sizeof address, "unix:%s", in_dir("socket"));
    for (int again = 0; again < 2; again++) {
        p = START("-c", write_config("good", GOOD), "-l", address);
        await(p, "ready, listening on unix:");
        process_signal(p, SIGKILL);
        assert_ends(p, 128 + SIGKILL);
        process_free(p);
        assert_int_equal(access(in_dir("socket"), F_OK), 0);
    }
}

static void test_log__at_any_level__shows_no_key(void **state)
{
    struct process *p;
    char *log;

    (void)state;
    setenv("METERGATE_TEST_KEY", KEY, 1);
    p = START("-c", write_config("good", GOOD "upstreams:\n  openai: {api_key: {env: METERGATE_TEST_KEY}}\n"),
              "--log-level", "debug");
    unsetenv("METERGATE_TEST_KEY");
    assert_int_equal(health(await_port(p)), 200);
    process_signal(p, SIGTERM);
    assert_ends(p, EXIT_SUCCESS);
    assert_true(process_wait_log(p, 0, "stopped\n", TIMEOUT_MS));
    log = process_log(p);
    assert_null(strstr(log, KEY));
    free(log);
    process_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help__goes_to_stdout_and_names_every_option),
        cmocka_unit_test(test_version__is_one_line),
        cmocka_unit_test(test_usage__what_is_no_option__is_64),
        cmocka_unit_test(test_check__a_good_file__is_ok_and_warned_of),
        cmocka_unit_test(test_check__every_mistake_of_a_bad_file__is_a_line_and_the_status_78),
        cmocka_unit_test(test_check__a_fifo_in_the_files_place__is_an_error_at_once),
        cmocka_unit_test(test_check__goes_by_the_search_order),
        cmocka_unit_test(test_print__is_loadable_and_has_no_key),
        cmocka_unit_test(test_stop__either_signal__ends_it_with_0),
        cmocka_unit_test(test_hangup__reads_the_configuration_again),
        cmocka_unit_test(test_start__the_file_of_the_environment__is_used),
        cmocka_unit_test(test_start__an_address_in_use__is_one_sentence_and_1),
        cmocka_unit_test(test_start__an_address_for_other_machines__is_refused),
        cmocka_unit_test(test_start__the_listen_option__takes_the_place_of_the_files),
        cmocka_unit_test(test_start__after_a_kill__the_socket_that_was_left_is_taken),
        cmocka_unit_test(test_log__at_any_level__shows_no_key),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
