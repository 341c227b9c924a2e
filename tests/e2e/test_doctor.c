/*
 * `metergate doctor`: a daemon, a shell and providers that are broken on purpose, one way at a time, and what
 * it says of each. What is looked for are the findings of --json; the form for people has one test.
 */
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

#include "metergate/base/err.h"
#include "doctor_fixture.h"

/* ---- all is well ---- */

static void test_doctor__all_is_well__says_so_of_everything(void **state)
{
    static const char *const ok[][2] = {
        {"daemon", "Metergate " METERGATE_VERSION " answers at http://127.0.0.1:"},
        {"variables", "OPENAI_BASE_URL leads to Metergate"},
        {"variables", "GEMINI_API_BASE leads to Metergate"},
        {"proxy", "HTTP_PROXY set, and NO_PROXY leaves Metergate out"},
        {"keys", "set: OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY"},
        {"queue", "no call is held"},
        {"upstream", "openai answers in "},
        {"upstream", "anthropic answers in "},
        {"upstream", "gemini answers in "},
        {"limits", "configured for gpt-4o"},
        {"headroom", "20 % of the limits"},
        {"descriptors", "room for"},
        {"state", "kept in /tmp/"},
        {"ledger", "written since the start"},
        {"config", "/metergate.yaml is right"}};
    struct client_reply r;
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("OPENAI_API_KEY", "sk-secret-one", 1);
    setenv("ANTHROPIC_API_KEY", "sk-secret-two", 1);
    setenv("GEMINI_API_KEY", "secret-three", 1);
    setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1", 1);
    fixture_start(&f, "{\"api_keys\":[\"sk-secret-one\",\"sk-secret-two\",\"secret-three\"]}",
                  "state_dir: $DIR/state\n" ALL_UPSTREAMS "models:\n  gpt-4o: {tpm: 30000}\n");
    r = fixture_chat(&f, "{\"model\":\"gpt-4o\",\"messages\":[]}");
    client_reply_release(&r);
    o = TOOL("run", "--url", f.url, "--client", "nightly", "--", tool_path(), "doctor", "--json");
    for (size_t i = 0; i < MG_ARRAY_LEN(ok); i++)
        doctor_has(&o, "ok", ok[i][0], ok[i][1]);
    assert_int_equal(doctor_count(&o, "ok", "upstream", ", and takes the key"), 3);
    assert_int_equal(o.status, 0);
    assert_null(strstr(o.out, "secret"));
    outcome_release(&o);
    fixture_assert_idle(&f);
    fixture_stop(&f);
}

static void test_doctor__for_people__is_a_line_a_finding_and_a_count(void **state)
{
    static const struct fake_answer answers[] = {
        {"/healthz", 200, "ok\n"},
        {"/", 200, "Metergate\n"},
        {"/-/status", 200,
         "{\"version\":\"0.0.9\\u001b[31m\",\"uptime_s\":7325.3,\"paused\":true,\"budgets\":[]}"},
        {0}};
    struct fake_server *s = fake_server_start(answers);
    struct outcome o = TOOL("doctor", "--offline", "--url", fake_server_url(s));

    (void)state;
    assert_memory_equal(o.out, "ok    daemon       Metergate 0.0.9?[31m answers at http://127.0.0.1:", 66);
    text_has(o.out,
             ", up 2h 2m\nwarn  version      the daemon is 0.0.9?[31m, this command is " METERGATE_VERSION
             "\n          ");
    text_has(o.out, "\nfail  paused       the daemon is paused: calls are held, and none is sent\n"
                    "                   `metergate resume`\n");
    text_has(o.out, "\n\n1 problem, ");
    assert_int_equal(o.status, 1);
    assert_string_equal(o.err, "");
    outcome_release(&o);
    fake_server_stop(s);
}

static void test_doctor__for_people__an_advice_for_several_stands_once(void **state)
{
    struct outcome o;
    const char *first;

    (void)state;
    setenv("OPENAI_BASE_URL", "http://somewhere.else/v1", 1);
    setenv("ANTHROPIC_BASE_URL", "http://somewhere.else", 1);
    o = TOOL("doctor", "--offline", "--url", unanswered_url());
    unsetenv("OPENAI_BASE_URL");
    unsetenv("ANTHROPIC_BASE_URL");
    text_has(o.out, "\nwarn  variables    OPENAI_BASE_URL leads to somewhere.else: such calls go past Metergate\n"
                    "warn  variables    ANTHROPIC_BASE_URL leads to somewhere.else: such calls go past Metergate\n"
                    "                   `eval \"$(metergate env)\"`");
    first = strstr(o.out, "`eval");
    assert_non_null(first);
    assert_null(strstr(first + 1, "`eval"));
    outcome_release(&o);
}

/* ---- the daemon ---- */

/* The variables are right, and what is wrong is the address that was asked: nothing is said against the variables. */
static void test_doctor__address_where_no_daemon_is__variables_that_lead_to_one_are_right(void **state)
{
    char url[96], https[96];
    const char *asked[] = {unanswered_url(), https};
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    snprintf(url, sizeof url, "%s/v1", f.url);
    snprintf(https, sizeof https, "https%.60s", f.url + 4);
    setenv("OPENAI_BASE_URL", url, 1);
    setenv("ANTHROPIC_BASE_URL", url, 1);
    for (size_t i = 0; i < MG_ARRAY_LEN(asked); i++) {
        struct outcome o = TOOL("doctor", "--json", "--offline", "--url", asked[i]);

        assert_int_equal(o.status, 69);
        doctor_has(&o, "ok", "variables", "OPENAI_BASE_URL leads to Metergate");
        doctor_has(&o, "fail", "variables", "programs that read it add /v1 themselves");
        assert_int_equal(doctor_count(&o, "warn", "variables", "_URL"), 0);
        assert_int_equal(doctor_count(&o, "fail", "variables", "_URL"), 1);
        outcome_release(&o);
    }
    unsetenv("OPENAI_BASE_URL");
    unsetenv("ANTHROPIC_BASE_URL");
    fixture_stop(&f);
}

static void test_doctor__no_daemon__is_69_and_the_shell_is_looked_at_all_the_same(void **state)
{
    struct outcome o;

    (void)state;
    setenv("OPENAI_BASE_URL", unanswered_url(), 1);
    o = TOOL("doctor", "--json", "--url", unanswered_url());
    assert_int_equal(o.status, 69);
    doctor_has(&o, "fail", "daemon", "no daemon answers at http://127.0.0.1:");
    doctor_has(&o, "fail", "variables", "OPENAI_BASE_URL leads to Metergate, but /v1 is missing");
    outcome_release(&o);
    o = TOOL("doctor", "--json", "--url", "unix:/nowhere/metergate.sock");
    assert_int_equal(o.status, 69);
    doctor_has(&o, "warn", "variables", "OPENAI_BASE_URL is set; whether it leads to unix:");
    outcome_release(&o);
}

static void test_doctor__something_else_there__is_69_and_says_what(void **state)
{
    static const struct fake_answer web[] = {{"/", 200, "<html>"}, {0}};
    static const struct fake_answer odd[] = {
        {"/healthz", 200, "ok\n"}, {"/", 200, "x"}, {"/-/status", 200, "<html>"}, {0}};
    struct fake_server *s = fake_server_start(web);
    char tls[80];

    (void)state;
    doctor_says(fake_server_url(s), 69, "fail", "daemon", "is not Metergate (status 200");
    snprintf(tls, sizeof tls, "https%s", fake_server_url(s) + 4);
    doctor_says(tls, 69, "fail", "daemon", "");
    fake_server_stop(s);
    s = fake_server_start(odd);
    doctor_says(fake_server_url(s), 1, "fail", "status", "is answered with something else");
    fake_server_stop(s);
}

static void test_doctor__tokens__wanted_wrong_and_right(void **state)
{
    struct fixture f;
    struct outcome o;

    (void)state;
    setenv("TOKEN_OF_TEST", "the-right-token-of-me", 1);
    fixture_start(&f, NULL,
                  ALL_UPSTREAMS "clients:\n  require_token: true\n  me: {token: {env: TOKEN_OF_TEST}}\n");
    doctor_says(f.url, 1, "fail", "token", "wants a client token");
    setenv("METERGATE_TOKEN", "another", 1);
    doctor_says(f.url, 1, "fail", "token", "does not know this token");
    setenv("METERGATE_TOKEN", "the-right-token-of-me", 1);
    doctor_says(f.url, 0, "ok", "token", "takes the client token");
    /* where the token stands in the place of a key it is the daemon's alone */
    setenv("OPENAI_API_KEY", "the-right-token-of-me", 1);
    o = TOOL("doctor", "--json", "--url", f.url);
    doctor_has(&o, "ok", "upstream", "openai answers");
    assert_int_equal(doctor_count(&o, "ok", "upstream", "takes the key"), 0);
    outcome_release(&o);
    unsetenv("METERGATE_TOKEN");
    unsetenv("OPENAI_API_KEY");
    fixture_stop(&f);
}

static void test_doctor__paused__is_a_problem_until_resume(void **state)
{
    struct client_async *held;
    struct fixture f;
    struct client_reply r;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    r = fixture_call(&f, "POST", "/-/pause", "");
    client_reply_release(&r);
    held =
        fixture_chat_start(&f, "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    fixture_wait_status(&f, "held", 1);
    doctor_says(f.url, 1, "fail", "paused", "the daemon is paused");
    doctor_says(f.url, 1, "ok", "queue", "1 held; when the last of them goes cannot be known yet");
    r = fixture_call(&f, "POST", "/-/resume", "");
    client_reply_release(&r);
    r = client_finish(held);
    assert_int_equal(r.status, 200);
    client_reply_release(&r);
    doctor_says(f.url, 0, "ok", "queue", "no call is held");
    fixture_stop(&f);
}

/* A systemctl that says so of the system's units, in a new directory, and goes on with `then`. */
static void make_systemctl(const char *says, const char *then, char *dir, char *path, size_t size)
{
    FILE *f;

    assert_non_null(mkdtemp(dir));
    snprintf(path, size, "%s/systemctl", dir);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n[ \"$1\" = --system ] || exit 1\ncat <<'END'\n%sEND\n%s\n", says, then);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

/* `part` NULL: nothing is said. */
static void assert_service_of(const char *says, const char *then, const char *result, const char *part)
{
    char dir[] = "/tmp/mg-doctor-XXXXXX", path[64], search[4096];
    char *old = xstrdup(getenv("PATH"));
    struct outcome o;

    make_systemctl(says, then, dir, path, sizeof path);
    snprintf(search, sizeof search, "%s:%s", dir, old);
    setenv("PATH", search, 1);
    o = TOOL("doctor", "--json", "--url", unanswered_url());
    setenv("PATH", old, 1);
    free(old);
    unlink(path);
    rmdir(dir);
    assert_int_equal(o.status, 69);
    if (part)
        doctor_has(&o, result, "service", part);
    else
        assert_int_equal(doctor_count(&o, "ok", "service", "") + doctor_count(&o, "warn", "service", "") +
                             doctor_count(&o, "fail", "service", ""),
                         0);
    outcome_release(&o);
}

static void assert_service(const char *says, const char *result, const char *part)
{
    assert_service_of(says, "", result, part);
}

#define UNIT(id, load, active, enabled, result)                                                              \
    "Id=" id "\nLoadState=" load "\nActiveState=" active "\nUnitFileState=" enabled "\nResult=" result "\n"

static void test_doctor__service__is_told_as_systemd_sees_it(void **state)
{
    (void)state;
    assert_service(UNIT("metergate.service", "loaded", "failed", "enabled", "exit-code"), "fail",
                   "the service has failed (exit-code)");
    assert_service(UNIT("metergate.service", "loaded", "inactive", "disabled", "success"), "fail",
                   "a service is installed and does not run");
    assert_service(UNIT("metergate.service", "loaded", "active", "disabled",
                        "success") "\n" UNIT("metergate.socket", "loaded", "inactive", "disabled", "success"),
                   "warn", "not started at the next boot");
    assert_service(UNIT("metergate.service", "loaded", "active", "disabled",
                        "success") "\n" UNIT("metergate.socket", "loaded", "active", "enabled", "success"),
                   "ok", "active, and enabled");
    assert_service(UNIT("metergate.service", "not-found", "inactive", "", "success"), NULL, NULL);
    assert_service("", NULL, NULL);
}

static void test_doctor__systemctl_that_has_no_end__is_not_waited_for(void **state)
{
    static const char says[] = UNIT("metergate.service", "loaded", "active", "enabled", "success");

    (void)state;
    assert_service_of(says, "exec sleep 600", NULL, NULL);
    assert_service_of(says, "exec >/dev/null 2>&1 sleep 600", NULL, NULL);
}

/* ---- the shell ---- */

static void test_doctor__base_urls__are_judged_one_by_one(void **state)
{
    /* $ is the daemon's port; other ports are where nobody listens */
    static const char *const rows[][4] = {
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/v1", "ok", "leads to Metergate"},
        {"OPENAI_BASE_URL", "http://localhost:$/v1/", "ok", "leads to Metergate"},
        {"OPENAI_BASE_URL", "http://[::1]:$/@nightly:low/v1", "ok", "leads to Metergate"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/openai/v1", "ok", "leads to Metergate"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/v1beta/openai", "ok", "leads to Metergate"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$", "fail", "/v1 is missing at its end"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/@nightly", "fail", "/v1 is missing at its end"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/v1/v1", "fail", "/v1 stands twice"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:$/v2", "warn", "a path that it does not know (/v2)"},
        {"OPENAI_BASE_URL", "https://localhost:$/v1", "fail", "says https, and Metergate speaks plain http"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:1/v1", "fail",
         "leads to port 1 of this machine, where nobody listens"},
        {"OPENAI_BASE_URL", "127.0.0.1:$/v1", "fail", "is no http URL"},
        {"OPENAI_BASE_URL", "http://[::1/v1", "fail", "is no http URL"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:99999/v1", "fail", "is no http URL"},
        {"OPENAI_API_BASE", "https://me:secret@gateway.example/key-secret/v1", "warn",
         "leads to gateway.example:"},
        {"ANTHROPIC_BASE_URL", "http://127.0.0.1:$", "ok", "leads to Metergate"},
        {"ANTHROPIC_BASE_URL", "http://127.0.0.1:$/v1", "fail", "add /v1 themselves"},
        {"GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:$/v1beta", "fail", "add /v1beta themselves"},
        {"GOOGLE_VERTEX_BASE_URL", "http://127.0.0.1:$", "fail", "has no upstream for it"},
        {"AZURE_OPENAI_ENDPOINT", "http://127.0.0.1:$/v1", "fail", "add /v1 themselves"},
    };
    struct fixture f;

    (void)state;
    fixture_start(&f, NULL, ALL_UPSTREAMS);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const char *dollar = strchr(rows[i][1], '$');
        char value[128], part[128];
        struct outcome o;

        if (dollar)
            snprintf(value, sizeof value, "%.*s%d%s", (int)(dollar - rows[i][1]), rows[i][1], f.port,
                     dollar + 1);
        else
            snprintf(value, sizeof value, "%s", rows[i][1]);
        snprintf(part, sizeof part, "%s ", rows[i][0]);
        setenv(rows[i][0], value, 1);
        o = TOOL("doctor", "--json", "--offline", "--url", f.url);
        unsetenv(rows[i][0]);
        doctor_has(&o, rows[i][2], "variables", part);
        doctor_has(&o, rows[i][2], "variables", rows[i][3]);
        assert_null(strstr(o.out, "secret"));
        assert_int_equal(o.status, strcmp(rows[i][2], "fail") == 0);
        outcome_release(&o);
    }
    fixture_stop(&f);
}

static void test_doctor__base_urls_that_are_not_set__matter_where_a_key_is(void **state)
{
    (void)state;
    doctor_says_of("{}", 0, "warn", "variables", "no base URL is set in this shell");
    setenv("ANTHROPIC_API_KEY", "sk-ant", 1);
    setenv("OPENAI_BASE_URL", "https://api.example/v1", 1);
    doctor_says_of("{}", 0, "warn", "variables", "ANTHROPIC_BASE_URL is not set and ANTHROPIC_API_KEY is");
    unsetenv("ANTHROPIC_API_KEY");
    doctor_says_of("{}", 0, "ok", "variables",
                   "not set, and read by some programs alone: OPENAI_API_BASE, ANTHROPIC_BASE_URL");
    unsetenv("OPENAI_BASE_URL");
}

static void test_doctor__proxy_variables__stand_in_the_way_or_do_not(void **state)
{
    static const struct {
        const char *proxy, *upper, *lower, *result, *part;
    } rows[] = {
        {"HTTP_PROXY", NULL, NULL, "fail", "HTTP_PROXY set, and NO_PROXY does not leave 127.0.0.1 out"},
        {"http_proxy", "example.com, .local", "", "fail", "does not leave"},
        {"ALL_PROXY", "localhost", "localhost", "fail", "ALL_PROXY set"},
        {"HTTP_PROXY", "127.0.0.1", NULL, "ok", "leaves Metergate out"},
        {"HTTP_PROXY", NULL, "localhost,127.0.0.1", "ok", "leaves Metergate out"},
        {"HTTP_PROXY", "*", "*", "ok", "leaves Metergate out"},
        {"HTTP_PROXY", "127.0.0.1:4283", NULL, "warn", "not every program"},
        {"HTTP_PROXY", "127.0.0.1", "localhost", "warn", "not every program"},
        {"HTTP_PROXY", "localhost", "127.0.0.1", "warn", "not every program"},
        {"HTTP_PROXY", "127.0.0.0/8", NULL, "warn", "not every program"},
        {"HTTPS_PROXY", NULL, NULL, "ok", "no proxy variable stands between"},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        setenv(rows[i].proxy, "http://user:secret@127.0.0.1:1", 1);
        if (rows[i].upper)
            setenv("NO_PROXY", rows[i].upper, 1);
        if (rows[i].lower)
            setenv("no_proxy", rows[i].lower, 1);
        doctor_says_of("{}", strcmp(rows[i].result, "fail") == 0, rows[i].result, "proxy", rows[i].part);
        unsetenv(rows[i].proxy);
        unsetenv("NO_PROXY");
        unsetenv("no_proxy");
    }
}

/* The shell calls the daemon by another name than the one that was asked for. */
static void test_doctor__proxy_exception_for_another_name__is_not_enough(void **state)
{
    (void)state;
    setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
    setenv("NO_PROXY", "localhost", 1);
    setenv("OPENAI_BASE_URL", "http://localhost:1/v1", 1);
    doctor_says("http://localhost:1", 69, "ok", "proxy", "leaves Metergate out");
    setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", 1);
    doctor_says("http://localhost:1", 69, "fail", "proxy", "does not leave 127.0.0.1 out");
    unsetenv("OPENAI_BASE_URL");
}

static void test_doctor__key_with_what_no_key_has__is_told_and_not_shown(void **state)
{
    static const char *const values[] = {"sk-secret ", "\"sk-secret\"", "sk-secret\n",
                                         "sk-\xe2\x80\x8bsecret"};

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(values); i++) {
        struct outcome o;

        setenv("OPENAI_API_KEY", values[i], 1);
        o = TOOL("doctor", "--json", "--url", unanswered_url());
        doctor_has(&o, "fail", "keys", "OPENAI_API_KEY has a space");
        assert_null(strstr(o.out, "secret"));
        outcome_release(&o);
    }
    unsetenv("OPENAI_API_KEY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_doctor__all_is_well__says_so_of_everything, doctor_environment),
        cmocka_unit_test_setup(test_doctor__for_people__is_a_line_a_finding_and_a_count, doctor_environment),
        cmocka_unit_test_setup(test_doctor__for_people__an_advice_for_several_stands_once, doctor_environment),
        cmocka_unit_test_setup(test_doctor__address_where_no_daemon_is__variables_that_lead_to_one_are_right, doctor_environment),
        cmocka_unit_test_setup(test_doctor__no_daemon__is_69_and_the_shell_is_looked_at_all_the_same,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__something_else_there__is_69_and_says_what, doctor_environment),
        cmocka_unit_test_setup(test_doctor__tokens__wanted_wrong_and_right, doctor_environment),
        cmocka_unit_test_setup(test_doctor__paused__is_a_problem_until_resume, doctor_environment),
        cmocka_unit_test_setup(test_doctor__service__is_told_as_systemd_sees_it, doctor_environment),
        cmocka_unit_test_setup(test_doctor__systemctl_that_has_no_end__is_not_waited_for, doctor_environment),
        cmocka_unit_test_setup(test_doctor__base_urls__are_judged_one_by_one, doctor_environment),
        cmocka_unit_test_setup(test_doctor__base_urls_that_are_not_set__matter_where_a_key_is,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__proxy_variables__stand_in_the_way_or_do_not, doctor_environment),
        cmocka_unit_test_setup(test_doctor__proxy_exception_for_another_name__is_not_enough,
                               doctor_environment),
        cmocka_unit_test_setup(test_doctor__key_with_what_no_key_has__is_told_and_not_shown,
                               doctor_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
