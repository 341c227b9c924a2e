/* `metergate top` on a terminal: what is seen there, keys, sizes, and that the terminal is given back
 * whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "terminal.h"
#include "tool_fixture.h"

#define CHAT                                                                                                 \
    "{\"model\":\"gpt-4o\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"

#define LIMIT                                                                                                \
    "{\"metric\":\"tpm\",\"max\":30000,\"window_s\":60,\"used\":17877,\"reserved\":4100,\"usable\":24000}"
#define BUDGET(name, held, last)                                                                             \
    "{\"name\":\"" name "\",\"upstream\":\"openai\",\"held\":" #held                                         \
    ",\"in_flight\":2,\"next_dispatch_ms\":5230,"                                                            \
    "\"last_dispatch_ms\":" #last ",\"limits\":[" LIMIT                                                      \
    "],\"waits_for\":{\"limit\":\"tpm\",\"of\":\"budget\"},\"queue\":["                                      \
    "{\"id\":\"" name "-1\",\"client\":\"editor\",\"priority\":\"high\",\"model\":\"" name                   \
    "\",\"tokens\":512,"                                                                                     \
    "\"waited_ms\":800,\"start_ms\":5230,\"attempts\":0},"                                                   \
    "{\"id\":\"" name                                                                                        \
    "-2\",\"client\":\"nightly\\u001b[31m\\u4e2d\",\"priority\":\"low\",\"tokens\":1187,\"start_ms\":" #last \
    "}]}"

static const char document[] =
    "{\"version\":\"9.9.9\",\"time_ms\":1764343392123,\"uptime_s\":7325.3,\"held\":5,\"in_flight\":2,"
    "\"budgets\":[" BUDGET("gpt-4o", 3, 41230) "," BUDGET(
        "gpt-5", 2,
        71230) "],"
               "\"clients\":[{\"name\":\"nightly\",\"held\":2,\"in_flight\":1,\"calls\":20,\"tokens\":81234,"
               "\"cost_usd\":0.41,"
               "\"hour\":{\"tokens\":75}},{\"name\":\"editor\",\"held\":1,\"calls\":7,\"hour\":{\"tokens\":"
               "25}}],"
               "\"upstreams\":[{\"name\":\"openai\",\"reachable\":false,\"problem\":\"refused\"}]}";

static const struct fake_answer answers[] = {{"/-/status", 200, document}, {0}};

static struct terminal *start_top(const char *url, const char *term, int rows, int columns)
{
    return terminal_start((const char *const[]){tool_path(), "top", "--url", url, NULL}, term, rows, columns);
}

static int setup(void **state)
{
    setenv("TZ", "UTC", 1);
    unsetenv("NO_COLOR");
    return tool_environment(state);
}

/* ---- what is seen */

static void test_top__document__every_part_of_it_is_seen(void **state)
{
    static const char *const parts[] = {
        "Metergate 9.9.9  running  up 2h 2m  http://127.0.0.1:",
        "15:23:12\n",
        "5 held  2 in flight  429s 0  refused 0\n",
        "\n5 calls wait; the last of them starts in 1 min 11 s, at 15:24:23.\n",
        "\nThe last connection to upstream openai failed: refused\n",
        "BUDGETS ",
        "> gpt-5                      2       2    5.2 s   71.2 s 15:24:23 tpm\n",
        "] 17,877 + 4,100 of 24,000\n",
        "  gpt-4o                     3 ",
        "QUEUE of gpt-5 ",
        "> editor                high   gpt-5             512   800 ms     5.2 s 15:23:17\n",
        "  nightly?[31m?         low    -               1,187     0 ms    71.2 s 15:24:23\n",
        "> nightly                    2       1       20      81,234    $0.410000  75.0 %\n",
        "  editor                     1       0        7           0            -  25.0 %\n",
        "\n? help  q quit",
    };
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t = start_top(fake_server_url(s), "xterm-256color", 24, 80);

    (void)state;
    terminal_wait(t, "25.0 %");
    terminal_wait(t, "? help");
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++)
        text_has(terminal_text(t), parts[i]);
    assert_false(terminal_state(t).wrapped);
    assert_int_equal(terminal_state(t).unknown, 0);
    assert_true(terminal_state(t).alternate);
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    fake_server_stop(s);
}

static void test_top__real_daemon__held_calls_are_seen_and_let_go(void **state)
{
    struct client_async *calls[3];
    struct client_reply r;
    struct terminal *t;
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30k}\n");
    t = start_top(f.url, "xterm", 24, 80);
    terminal_wait(t, "No call waits.");
    terminal_type(t, "p");
    terminal_wait(t, "Hold all calls until resume? y/n");
    terminal_type(t, "n");
    terminal_wait(t, "? help");
    terminal_type(t, "py");
    terminal_wait(t, "PAUSED");
    for (size_t i = 0; i < MG_ARRAY_LEN(calls); i++)
        calls[i] = fixture_chat_start(&f, CHAT);
    terminal_wait(t, "3 calls wait until metergate resume.");
    terminal_wait(t, "> gpt-4o ");
    terminal_type(t, "p");
    terminal_wait(t, "Let calls go again? y/n");
    terminal_type(t, "y");
    terminal_wait(t, "running");
    terminal_wait(t, "No call waits.");
    for (size_t i = 0; i < MG_ARRAY_LEN(calls); i++) {
        r = client_finish(calls[i]);
        assert_int_equal(r.status, 200);
        client_reply_release(&r);
    }
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    fixture_stop(&f);
}

static void test_top__daemon_that_goes__is_said_and_asked_again(void **state)
{
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t = start_top(fake_server_url(s), "xterm", 24, 80);

    (void)state;
    terminal_wait(t, "running");
    fake_server_stop(s);
    terminal_wait(t, "NO ANSWER");
    terminal_wait(t, "no daemon answers at http://127.0.0.1:");
    terminal_wait(t, "Asking again. This is how it was at 15:23:12");
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
}

/* ---- keys */

static void test_top__keys__choose_panes_rows_and_order(void **state)
{
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t = start_top(fake_server_url(s), "xterm", 24, 80);

    (void)state;
    terminal_wait(t, "> gpt-5 ");
    terminal_type(t, "\x1bOB");
    terminal_wait(t, "> gpt-4o ");
    terminal_wait(t, "QUEUE 2/3 of gpt-4o ");
    terminal_type(t, "r");
    terminal_wait(t, "LAST^");
    terminal_type(t, ">");
    terminal_wait(t, "AT^");
    terminal_type(t, "\r");
    terminal_wait_gone(t, "BUDGETS");
    terminal_wait_gone(t, "CLIENTS");
    terminal_wait(t, "> editor                high   gpt-4o");
    terminal_type(t, "j");
    terminal_wait(t, "> nightly?[31m?");
    terminal_type(t, "\r");
    terminal_wait(t, "BUDGETS");
    terminal_type(t, "?");
    terminal_wait(t, "any key: back");
    terminal_type(t, "x");
    terminal_wait(t, "CLIENTS");
    terminal_type(t, "\x1b[Z\x1b"); /* a sequence, and an Esc that begins none */
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    fake_server_stop(s);
}

/* A socket that takes connections and never answers. */
static int silent_server(char *url, size_t size)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(url, size, "http://127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

static void test_top__daemon_that_does_not_answer__keys_do_not_wait_for_it(void **state)
{
    int64_t before_us = clock_now_us();
    struct terminal *t;
    char url[64];
    int fd = silent_server(url, sizeof url);

    (void)state;
    t = start_top(url, "xterm", 24, 80);
    terminal_wait(t, "asking");
    terminal_type(t, "?");
    terminal_wait(t, "any key: back");
    terminal_type(t, "xq");
    assert_int_equal(terminal_wait_exit(t), 0);
    assert_in_range(clock_now_us() - before_us, 0, 4 * CLOCK_S); /* the question itself would take five */
    terminal_free(t);
    close(fd);
}

/* ---- sizes */

/* A terminal may call itself as large as it likes. */
static void test_top__resized_beyond_all_terminals__lives_on(void **state)
{
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t = start_top(fake_server_url(s), "xterm", 8, 30);

    (void)state;
    terminal_wait(t, "> gpt-5");
    terminal_resize(t, 65535, 65535);
    terminal_wait(t, "CLIENTS"); /* for which there was no room */
    terminal_resize(t, 24, 80);
    terminal_wait(t, "25.0 %");
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    fake_server_stop(s);
}

/* After any way to a size the page is what a new one of that size is. */
static void test_top__resized__is_the_page_of_that_size(void **state)
{
    static const int sizes[][2] = {{10, 40}, {40, 120}, {8, 30}, {1, 1}, {16, 60}, {24, 80}};
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t = start_top(fake_server_url(s), "xterm", 24, 80), *fresh;

    (void)state;
    terminal_wait(t, "25.0 %");
    for (size_t i = 0; i < MG_ARRAY_LEN(sizes); i++) {
        int rows = sizes[i][0], columns = sizes[i][1];

        terminal_resize(t, rows, columns);
        if (columns < 10)
            continue; /* nothing can be read there: what matters is that it lives on */
        fresh = start_top(fake_server_url(s), "xterm", rows, columns);
        terminal_wait_same(t, fresh, rows > 20 ? "25.0 %" : "> gpt-5");
        assert_memory_equal(terminal_text(t), "Metergate 9.9.9", 15);
        assert_non_null(strstr(terminal_text(t), "\n? help"));
        assert_false(terminal_state(fresh).wrapped);
        terminal_type(fresh, "q");
        assert_int_equal(terminal_wait_exit(fresh), 0);
        terminal_free(fresh);
    }
    terminal_type(t, "q");
    assert_int_equal(terminal_wait_exit(t), 0);
    terminal_free(t);
    fake_server_stop(s);
}

/* ---- terminals */

static void test_top__without_colour__chooses_none(void **state)
{
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t;

    (void)state;
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            setenv("NO_COLOR", "1", 1);
        t = start_top(fake_server_url(s), i == 2 ? "vt100" : "xterm", 24, 80);
        terminal_wait(t, "25.0 %");
        terminal_wait(t, "? help");
        if (i == 0)
            assert_int_not_equal(terminal_state(t).colours, 0);
        else
            assert_int_equal(terminal_state(t).colours, 0);
        terminal_type(t, "q");
        assert_int_equal(terminal_wait_exit(t), 0);
        terminal_free(t);
    }
    unsetenv("NO_COLOR");
    fake_server_stop(s);
}

static void test_top__no_terminal__is_64_and_one_line(void **state)
{
    struct outcome o = TOOL("top", "--url", unanswered_url());
    struct terminal *t;

    (void)state;
    assert_int_equal(o.status, 64);
    assert_string_equal(o.out, "");
    text_has(o.err, "top wants a terminal");
    outcome_release(&o);
    t = start_top(unanswered_url(), "no-such-terminal", 24, 100);
    terminal_wait(t, "nothing is known of this terminal (TERM is no-such-terminal)");
    assert_int_equal(terminal_wait_exit(t), 64);
    terminal_free(t);
    t = start_top(unanswered_url(), "dumb", 24, 100);
    terminal_wait(t, "this terminal has no pages, but lines alone (TERM is dumb)");
    assert_int_equal(terminal_wait_exit(t), 64);
    terminal_free(t);
}

static void assert_given_back(const struct terminal *t, const struct terminal_state *before)
{
    struct terminal_state after = terminal_state(t);

    assert_false(after.alternate);
    assert_false(after.cursor_hidden);
    assert_int_equal(after.modes.c_lflag, before->modes.c_lflag);
    assert_int_equal(after.modes.c_iflag, before->modes.c_iflag);
    assert_int_equal(after.modes.c_oflag, before->modes.c_oflag);
}

/* The shell keeps the terminal open after the end, so that its modes can be asked for. */
static struct terminal *start_in_shell(const char *url, const char *script)
{
    return terminal_start((const char *const[]){"/bin/sh", "-c", script, tool_path(), url, NULL}, "xterm", 24,
                          80);
}

static void test_top__every_end__gives_the_terminal_back(void **state)
{
    static const struct {
        const char *key;
        int signal;
        const char *end;
    } rows[] = {
        {"q", 0, "ended with 0"},         {"\x03", 0, "ended with 0"},    {NULL, SIGTERM, "ended with 143"},
        {NULL, SIGHUP, "ended with 129"}, {NULL, SIGINT, "ended with 0"}, {"\x1c", 0, "ended with 131"},
    };
    struct fake_server *s = fake_server_start(answers);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct terminal *t = start_in_shell(fake_server_url(s),
                                            "ulimit -c 0; set -m; echo begin; read x; \"$0\" top -u \"$1\"\n"
                                            "echo ended with $?; read x");
        struct terminal_state before;

        terminal_wait(t, "begin");
        before = terminal_state(t);
        terminal_type(t, "\n");
        terminal_wait(t, "25.0 %");
        assert_true(terminal_state(t).cursor_hidden);
        if (rows[i].key)
            terminal_type(t, rows[i].key);
        else
            assert_int_equal(kill(-terminal_group(t), rows[i].signal), 0);
        terminal_wait(t, rows[i].end);
        assert_given_back(t, &before);
        terminal_type(t, "\n");
        assert_int_equal(terminal_wait_exit(t), 0);
        terminal_free(t);
    }
    fake_server_stop(s);
}

static void test_top__stopped__gives_the_terminal_back_and_takes_it_again(void **state)
{
    struct fake_server *s = fake_server_start(answers);
    struct terminal *t =
        start_in_shell(fake_server_url(s), "set -m; echo begin; read x; \"$0\" top -u \"$1\"\n"
                                           "echo was stopped; read x; fg; echo ended with $?; read x");
    struct terminal_state before;

    (void)state;
    terminal_wait(t, "begin");
    before = terminal_state(t);
    terminal_type(t, "\n");
    terminal_wait(t, "25.0 %");
    terminal_type(t, "\x1a");
    terminal_wait(t, "was stopped");
    assert_given_back(t, &before);
    terminal_type(t, "\n");
    terminal_wait_gone(t, "was stopped");
    terminal_wait(t, "25.0 %");
    assert_true(terminal_state(t).alternate);
    terminal_type(t, "q");
    terminal_wait(t, "ended with 0");
    assert_given_back(t, &before);
    terminal_type(t, "\n");
    terminal_wait_exit(t);
    terminal_free(t);
    fake_server_stop(s);
}

/* ---- status on a terminal */

static void test_status__on_a_terminal__no_line_is_longer_than_it(void **state)
{
    static const int widths[] = {120, 80, 60};
    struct fake_server *s = fake_server_start(answers);

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(widths); i++) {
        struct terminal *t =
            terminal_start((const char *const[]){tool_path(), "status", "--url", fake_server_url(s), NULL},
                           "xterm", 60, widths[i]);

        assert_int_equal(terminal_wait_exit(t), 0);
        text_has(terminal_text(t), "5 calls wait; the last of them starts in 1 min 11 s");
        text_has(terminal_text(t), "\nBUDGET  LIMIT ");
        assert_false(terminal_state(t).wrapped);
        terminal_free(t);
    }
    fake_server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_top__no_terminal__is_64_and_one_line, setup),
        cmocka_unit_test_setup(test_top__document__every_part_of_it_is_seen, setup),
        cmocka_unit_test_setup(test_top__without_colour__chooses_none, setup),
        cmocka_unit_test_setup(test_top__keys__choose_panes_rows_and_order, setup),
        cmocka_unit_test_setup(test_top__daemon_that_does_not_answer__keys_do_not_wait_for_it, setup),
        cmocka_unit_test_setup(test_top__daemon_that_goes__is_said_and_asked_again, setup),
        cmocka_unit_test_setup(test_top__resized__is_the_page_of_that_size, setup),
        cmocka_unit_test_setup(test_top__resized_beyond_all_terminals__lives_on, setup),
        cmocka_unit_test_setup(test_top__every_end__gives_the_terminal_back, setup),
        cmocka_unit_test_setup(test_top__stopped__gives_the_terminal_back_and_takes_it_again, setup),
        cmocka_unit_test_setup(test_top__real_daemon__held_calls_are_seen_and_let_go, setup),
        cmocka_unit_test_setup(test_status__on_a_terminal__no_line_is_longer_than_it, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
