/* config: what is refused, where and in which words; what good files mean; that the documents are complete.
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

#include "metergate/base/buf.h"
#include "metergate/config/config.h"
#include "metergate/config/format.h"
#include "metergate/config/models.h"
#include "metergate/config/print.h"
#include "metergate/config/table.h"
#include "metergate/config/value.h"

/* The first problem of each file. */
static const struct {
    const char *yaml, *problem;
} bad[] = {
    {"listn: [127.0.0.1:1]", "1:1: unknown key \"listn\"; did you mean \"listen\"?"},
    {"\"upstreams.*\": {base_url: \"http://x\"}", "1:1: unknown key \"upstreams.*\""},
    {"\"queue.max_wait\": 3s", "1:1: unknown key \"queue.max_wait\""},
    {"headroom: 95%", "1:11: headroom: \"95%\" is out of range (0% to 90%)"},
    {"headroom: 20", "1:11: headroom: \"20\" is not a percentage (20%)"},
    {"headroom: -1%", "1:11: headroom: \"-1%\" is not a percentage (20%)"},
    {"headroom: abc", "1:11: headroom: \"abc\" is not a percentage (20%)"},
    {"headroom:", "1:10: headroom wants a single value, not nothing"},
    {"headroom: [1%]", "1:11: headroom wants a single value, not a list"},
    {"queue: 3", "1:8: queue wants a mapping, not a single value"},
    {"queue: {max_wait: 1 fortnight}",
     "1:19: queue.max_wait: \"1 fortnight\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"queue: {max_wait: -5s}", "1:19: queue.max_wait: \"-5s\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"queue: {max_wait: 400d}", "1:19: queue.max_wait: \"400d\" is out of range (0s to 365d)"},
    {"queue: {max_requests: 0}", "1:23: queue.max_requests: \"0\" is out of range (1 to 1M)"},
    {"queue: {max_requests: 1.5}", "1:23: queue.max_requests: \"1.5\" is not a count (500, 30k, 1.5M)"},
    {"queue: {max_body: 3 apples}", "1:19: queue.max_body: \"3 apples\" is not a size (64KiB, 1MiB, 1GiB)"},
    {"queue: {max_body: 0}", "1:19: queue.max_body: \"0\" is out of range (1 to 1GiB)"},
    {"queue: {max_body: 2GiB}", "1:19: queue.max_body: \"2GiB\" is out of range (1 to 1GiB)"},
    {"queue: {order: random}", "1:16: queue.order: \"random\" is not fair or fifo"},
    {"queue: {keepalive_agents: [\"[\"]}",
     "1:28: queue.keepalive_agents: \"[\" is not a glob: a [ without its ]"},
    {"queue: {max_wayt: 3s}", "1:9: unknown key \"max_wayt\"; did you mean \"max_wait\"?"},
    {"queue:\n  max_wait: 1h\n  max_wait: 2h", "3:3: max_wait: stands here twice, first in line 2"},
    {"log: {level: loud}", "1:14: log.level: \"loud\" is not error, warn, info or debug"},
    {"log: {format: xml}", "1:15: log.format: \"xml\" is not text or json"},
    {"log: {level: [info]}", "1:14: log.level wants a single value, not a list"},
    {"drain: forever", "1:8: drain: \"forever\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"drain: {a: 1}", "1:8: drain wants a single value, not a mapping"},
    {"listen: 127.0.0.1:4283", "1:9: listen wants a list, such as [127.0.0.1:4283], not a single value"},
    {"listen: [127.0.0.1]",
     "1:10: listen: \"127.0.0.1\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"0.0.0.0:4283\"]",
     "1:10: listen: 0.0.0.0 can be reached from other machines: that needs clients.require_token: true, "
     "which this version does not have; listen on 127.0.0.1, [::1] or unix:/PATH"},
    {"listen: [\"localhost:4283\"]",
     "1:10: listen: \"localhost\" is not an address in numbers (127.0.0.1, [::1])"},
    {"listen: [\"127.0.0.1:99999\"]",
     "1:10: listen: \"127.0.0.1:99999\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"unix:relative\"]", "1:10: listen: unix: takes an absolute path of at most 107 bytes"},
    {"listen: []", "listen: no address is left to listen on"},
    {"listen: [\"127.0.0.1:1\", \"127.0.0.1:1\"]", "1:25: listen: \"127.0.0.1:1\" stands here twice"},
    {"upstreams: [a]", "1:12: upstreams wants a mapping, not a list"},
    {"upstreams:\n  v1: {base_url: \"http://x\"}",
     "2:3: \"v1\" cannot be the name of an upstream: it begins a path of its own"},
    {"upstreams:\n  a b: {base_url: \"http://x\"}",
     "2:3: \"a b\" cannot be the name of an upstream: that is made of letters, digits, '-', '_' and '.'"},
    {"upstreams:\n  \"\": {base_url: \"http://x\"}",
     "2:3: \"\" cannot be the name of an upstream: that has 1 to 64 characters"},
    {"upstreams:\n  anthropic: {base_url: \"http://x\"}",
     "2:3: upstreams.anthropic: the dialect of that name is not served by this version; if it speaks "
     "OpenAI's interface, write dialect: openai"},
    {"upstreams:\n  a: {}", "2:3: upstreams.a wants a base_url: what the provider's own SDK would be given"},
    {"upstreams:\n  a:", "2:3: upstreams.a wants a base_url: what the provider's own SDK would be given"},
    {"upstreams:\n  a: {base_url: \"ftp://x\"}",
     "2:17: upstreams.a.base_url: takes a URL that begins with http or https and ://"},
    {"upstreams:\n  a: {base_url: \"http://\"}", "2:17: upstreams.a.base_url: the URL has no host"},
    {"upstreams:\n  a: {base_url: \"http://u:p@x\"}",
     "2:17: upstreams.a.base_url: the URL must not hold a user or a password"},
    {"upstreams:\n  a: {base_url: \"http://x/?q\"}",
     "2:17: upstreams.a.base_url: the URL must not have a query or a fragment"},
    {"upstreams:\n  a: {base_url: \"http://x\", dialect: anthropic}",
     "2:38: upstreams.a.dialect: \"anthropic\" is not served by this version, only openai"},
    {"upstreams:\n  a: {base_url: \"http://x\", dialect: klingon}",
     "2:38: upstreams.a.dialect: \"klingon\" is not openai"},
    {"upstreams:\n  a: {base_url: \"http://x\", counting: gemini}",
     "2:39: upstreams.a.counting: \"gemini\" is not served by this version, only actual or openai"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: sk-secret-123}",
     "2:38: upstreams.a.api_key: a credential does not stand in the file itself; write {env: NAME}, {file: "
     "PATH} or {credential: NAME}"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {env: NOT_SET_HERE}}",
     "2:44: upstreams.a.api_key: the environment variable NOT_SET_HERE is not set"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {env: \"A B\"}}",
     "2:44: upstreams.a.api_key.env: takes the name of an environment variable (OPENAI_API_KEY), not a key"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {file: /nonexistent/key}}",
     "2:45: upstreams.a.api_key: cannot read /nonexistent/key: No such file or directory"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {env: HOME, file: /etc/passwd}}",
     "2:38: upstreams.a.api_key wants one of env, file and credential"},
    {"upstreams:\n  a: {base_url: \"http://x\", timeout: {conect: 1s}}",
     "2:39: unknown key \"conect\"; did you mean \"connect\"?"},
    {"upstreams:\n  a: {base_url: \"http://x\", timeout: {connect: 0s}}",
     "2:48: upstreams.a.timeout.connect: \"0s\" is out of range (1ms to 1h)"},
    {"upstreams:\n  a: {base_url: \"http://x\", retry: {for: [500]}}",
     "2:43: upstreams.a.retry.for: \"500\" is not 429, 503, 529 or connect"},
    {"upstreams:\n  a: {base_url: \"http://x\", retry: {attempts: 0}}",
     "2:47: upstreams.a.retry.attempts: \"0\" is out of range (1 to 100)"},
    {"upstreams:\n  a: {base_url: \"http://x\", proxy: \"https://p\"}",
     "2:36: upstreams.a.proxy: takes a URL that begins with http and ://"},
    {"upstreams:\n  a: {base_url: \"http://x\", ca_file: /nonexistent.pem}",
     "2:38: upstreams.a.ca_file: cannot be read: No such file or directory"},
    {"upstreams:\n  a: {base_url: \"http://x\", max_concurrent: -1}",
     "2:45: upstreams.a.max_concurrent: \"-1\" is not a count (500, 30k, 1.5M)"},
    {"models: 3", "1:9: models wants a mapping, not a single value"},
    {"models:\n  m: 3", "2:6: models.m wants a mapping, not a single value"},
    {"models:\n  m: {tpm: 0}", "2:12: models.m.tpm: \"0\" is out of range (1 to 1000G)"},
    {"models:\n  m: {tpm: lots}", "2:12: models.m.tpm: \"lots\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  m: {tpm: 1e99}", "2:12: models.m.tpm: \"1e99\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  m: {tpm: {max: 3, per: 0s}}", "2:26: models.m.tpm: \"0s\" is out of range (1ms to 366d)"},
    {"models:\n  m: {tpm: {per: 3s}}", "2:12: models.m.tpm wants max, as in {max: 1000, per: 10s}"},
    {"models:\n  m: {tpm: {max: 3, pr: 1s}}",
     "2:21: models.m.tpm.pr is unknown; a limit is a number or {max: N, per: DURATION}"},
    {"models:\n  m: {concurrent: {max: 3, per: 1s}}",
     "2:33: models.m.concurrent counts calls in flight and has no `per`"},
    {"models:\n  m: {tmp: 3}", "2:7: unknown key \"tmp\"; did you mean \"tpm\"?"},
    {"models:\n  m: {usd_per_day: 5}",
     "2:7: models.m.usd_per_day is not enforced by this version; remove it, so that nobody relies on it"},
    {"models:\n  m: {upstream: nowhere}", "2:17: models.m.upstream: there is no upstream \"nowhere\""},
    {"models:\n  m: {match: \"*\"}", "2:14: models.m.match wants a list, such as [*], not a single value"},
    {"models:\n  m: {match: [\"[\"]}", "2:15: models.m.match: \"[\" is not a glob: a [ without its ]"},
    {"models:\n  m: {match: [\"\"]}", "2:15: models.m.match: \"\" is not a glob: it is empty"},
    {"models:\n  a: {match: [\"q*\"]}\n  b: {match: [\"q*\"]}",
     "3:15: models.b: \"q*\" is matched by models.a already, line 2"},
    {"models:\n  a: {match: [x, y, x]}", "2:21: models.a: \"x\" is matched by models.a already, line 2"},
    {"models:\n  gpt-4o: {tpm: 1}\n  b: {match: [o3, gpt-4o]}",
     "3:19: models.b: \"gpt-4o\" is matched by models.gpt-4o already, line 2"},
    {"models:\n  m: {upstream: opnai}",
     "2:17: models.m.upstream: there is no upstream \"opnai\"; did you mean \"openai\"?"},
    {"models:\n  claude: {upstream: anthropic, rpm: 5}",
     "2:22: models.claude.upstream: calls to \"anthropic\" pass through in this version; limits on them "
     "would not be enforced"},
    {"models:\n  \"\": {tpm: 1}",
     "2:3: \"\" cannot be a name: that has 1 to 128 bytes and no control character"},
    {"models:\n  \"a\\nb\": {tpm: 1}",
     "2:3: \"a?b\" cannot be a name: that has 1 to 128 bytes and no control character"},
    {"models:\n  m: {tpm: 1}\n  m: {tpm: 2}", "3:3: m: stands here twice, first in line 2"},
    {"models:\n  m: {smooth: maybe}", "2:15: models.m.smooth: \"maybe\" is not true or false"},
    {"models:\n  m: {learn: 1}", "2:14: models.m.learn: \"1\" is not true or false"},
    {"clients: {require_token: true}",
     "1:11: clients.require_token is not enforced by this version; remove it, so that nobody relies on it"},
    {"clients:\n  n: {weight: 0}", "2:15: clients.n.weight: \"0\" is out of range (1 to 1000)"},
    {"clients:\n  n: {token: abc}", "2:14: clients.n.token: a credential does not stand in the file itself; "
                                    "write {env: NAME}, {file: PATH} or {credential: NAME}"},
    {"clients:\n  n: {priority: urgent}", "2:17: clients.n.priority: \"urgent\" is not high, normal or low"},
    {"prices:\n  m: {input: cheap}", "2:14: prices.m.input: \"cheap\" is not an amount of dollars (2.50)"},
    {"- a", "1:1: the file wants a mapping of options, not a list"},
    {"just text", "1:1: the file wants a mapping of options, not a single value"},
    {"a: [1", "2:1: did not find expected ',' or ']', while parsing a flow sequence"},
    {"a: {b: }}", "1:9: did not find expected key, while parsing a block mapping"},
    {"\tx: 1", "1:1: found character that cannot start any token, while scanning for the next token"},
    {"a: &x [1]\nb: *y", "2:4: an alias of an anchor that is not above it"},
    {"headroom: 20%\n---\nheadroom: 10%", "2:1: a second document; a configuration is one"},
    {"? [a]\n: b", "1:3: a key must be a word, not a list or a mapping"},
};

static int parse(const char *yaml, struct config **ret, struct problems *problems)
{
    problems_init(problems);
    return config_parse("file", slice_str(yaml), ret, problems);
}

/* The configuration of a good text. */
static struct config *good(const char *yaml)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    if (parse(yaml, &c, &problems) < 0) {
        problems_print_all(&problems, &text);
        fail_msg("%s", text.p);
    }
    problems_release(&problems);
    buf_release(&text);
    return c;
}

static void test_config__every_mistake__is_named_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++) {
        struct problems problems;
        struct config *c;
        struct buf text;

        if (parse(bad[i].yaml, &c, &problems) == 0)
            fail_msg("accepted: %s", bad[i].yaml);
        buf_init(&text, BUF_UNLIMITED);
        problems_print(&problems, 0, &text);
        if (strncmp(text.p, "file:", 5) != 0 ||
            !strstr(slice_trim(slice_skip(buf_slice(&text), 5)).p, bad[i].problem))
            fail_msg("%s\n  gave  %s\n  want  %s", bad[i].yaml, text.p, bad[i].problem);
        buf_release(&text);
        problems_release(&problems);
    }
}

static void test_config__several_mistakes__are_all_reported_in_the_order_of_the_file(void **state)
{
    struct problems problems;
    struct config *c;

    (void)state;
    assert_true(parse("headroom: 99%\ndrain: x\nmodels:\n  m: {tpm: 0, rpm: 0}\n", &c, &problems) < 0);
    assert_int_equal(problems.errors, 4);
    for (size_t i = 1; i < problems.n; i++)
        assert_true(problems.v[i - 1].line <= problems.v[i].line);
    problems_release(&problems);
}

static void test_config__what_comes_later__is_a_warning(void **state)
{
    struct problems problems;
    struct config *c;

    (void)state;
    assert_int_equal(
        parse("retention: 10d\nqueue: {keepalive: 5s}\nclients: {nightly: {priority: low}}\n", &c, &problems),
        0);
    assert_int_equal(problems.n, 3);
    assert_int_equal(problems.errors, 0);
    assert_string_equal(problems.v[0].message, "retention: not implemented in this version, ignored");
    assert_int_equal(problems.v[1].line, 2);
    problems_release(&problems);
    config_free(c);
}

static void test_config__entries_that_no_name_reaches__are_warned_about(void **state)
{
    static const struct {
        const char *yaml, *problem;
    } rows[] = {
        {"models:\n  \"*\": {tpm: 1}\n  gpt-4o: {tpm: 2}\n",
         "models.gpt-4o: never reached; models.* in line 2 matches its names first"},
        {"models:\n  \"gpt-*\": {tpm: 1}\n  gpt-4o: {tpm: 2}\n",
         "models.gpt-4o: never reached; models.gpt-* in line 2 matches its names first"},
        {"models:\n  gpt-4o: {tpm: 1}\n  gpt-4o-2024-08-06: {tpm: 2}\n",
         "models.gpt-4o-2024-08-06: never reached; models.gpt-4o in line 2 matches its names first"},
        {"models:\n  gpt-4o-2024-08-06: {tpm: 1}\n  gpt-4o: {tpm: 2}\n", NULL},
        {"models:\n  a: {match: [\"x*\"]}\n  b: {match: [x1, y1]}\n", NULL},
        {"models:\n  c: {match: [\"claude*\"], upstream: anthropic}\n  claude-3: {tpm: 5}\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct problems problems;
        struct config *c;

        assert_int_equal(parse(rows[i].yaml, &c, &problems), 0);
        assert_int_equal(problems.n, rows[i].problem != NULL);
        if (rows[i].problem)
            assert_string_equal(problems.v[0].message, rows[i].problem);
        problems_release(&problems);
        config_free(c);
    }
}

/* Each once made the reader stop at an assertion or follow a null pointer. */
static void test_config__the_same_key_many_times__is_only_an_error(void **state)
{
    static const char *const rows[] = {
        "models: {m: {tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1, tpm: 1}}",
        "upstreams:\n  a: {base_url: \"http://x\", api_key: x, api_key: {env: HOME}}\n",
        "models:\n  m: {upstream: [x], upstream: openai}\n",
        "models: {m: {tpm: 1}}\nmodels: {m: {tpm: 2}}\n",
        "upstreams: {openai: {}}\nupstreams: {openai: {}}\n",
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct problems problems;
        struct config *c;

        assert_true(parse(rows[i], &c, &problems) < 0);
        problems_release(&problems);
    }
}

static void test_config__a_key_file_that_all_can_read__is_warned_about(void **state)
{
    char path[] = "/tmp/metergate-key-XXXXXX", yaml[200];
    struct problems problems;
    struct config *c;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "sk-file\n", 8), 8);
    snprintf(yaml, sizeof yaml, "upstreams:\n  openai:\n    api_key: {file: %s}\n", path);
    for (int open_to_all = 0; open_to_all < 2; open_to_all++) {
        assert_int_equal(fchmod(fd, open_to_all ? 0644 : 0600), 0);
        assert_int_equal(parse(yaml, &c, &problems), 0);
        assert_int_equal(problems.n, open_to_all);
        if (open_to_all)
            assert_string_equal(problems.v[0].message,
                                "upstreams.openai.api_key: every user of this machine can read that file");
        assert_true(
            slice_eq(secret_expose(&config_upstream_of(c, CONFIG_OPENAI)->api_key), SLICE("sk-file")));
        problems_release(&problems);
        config_free(c);
    }
    close(fd);
    unlink(path);
}

static void test_config__nothing__is_the_built_in_configuration(void **state)
{
    struct config *c = good("");

    (void)state;
    assert_int_equal(c->listen.n, 2);
    assert_true(c->listen.v[0].optional);
    assert_int_equal(c->headroom_permille, 200);
    assert_int_equal(c->queue.max_wait_us, INT64_C(86400) * 1000000);
    assert_int_equal(c->queue.max_body, 64 << 20);
    assert_string_equal(config_upstream_of(c, CONFIG_OPENAI)->base_url, "https://api.openai.com/v1");
    assert_string_equal(config_model_for(c, SLICE("gpt-4o"), NULL)->name, "*");
    assert_int_equal(config_model_for(c, SLICE("gpt-4o"), NULL)->limit_count, 0);
    config_free(c);
}

static void test_config__a_full_file__means_what_it_says(void **state)
{
    struct config *c =
        good("listen: [\"127.0.0.1:9\", \"unix:/tmp/x\"]\nheadroom: 12.5%\ndrain: 250ms\n"
             "queue: {max_wait: 2h, max_requests: 5, max_bytes: 1MiB, max_body: 64KiB, order: fifo}\n"
             "upstreams:\n  groq: {base_url: \"https://api.groq.com/openai/v1/\", counting: actual, "
             "max_concurrent: 7,\n"
             "         timeout: {connect: 1s, first_byte: 2m, idle: 3m}, retry: {attempts: 2, for: [429, "
             "connect]}}\n"
             "models:\n  gpt-4.1: {tpm: 30k, rpm: {max: 10, per: 10s}, concurrent: 3, smooth: true}\n"
             "  other: {match: [\"o*\", \"x-?\"], upstream: groq, rpd: 1000}\n");
    const struct config_model *m = config_model_for(c, SLICE("gpt-4.1-2025-04-14"), NULL);
    const struct config_upstream *u = config_upstream_named(c, SLICE("groq"));

    (void)state;
    assert_int_equal(c->headroom_permille, 125);
    assert_int_equal(c->drain_us, 250000);
    assert_string_equal(u->base_url, "https://api.groq.com/openai/v1");
    assert_int_equal(u->counting, PROFILE_ACTUAL);
    assert_int_equal(u->retry_for, CONFIG_RETRY_429 | CONFIG_RETRY_CONNECT);
    assert_ptr_equal(config_upstream_of(c, CONFIG_OPENAI), u); /* the file's come before the built-in ones */
    assert_int_equal(m->limit_count, 3);
    assert_int_equal(m->limits[0].max, 30000);
    assert_int_equal(m->limits[0].span_us, 60000000);
    assert_string_equal(m->limits[1].key, "rpm");
    assert_int_equal(m->limits[1].span_us, 10000000);
    assert_int_equal(m->limits[2].metric, METRIC_CONCURRENT);
    assert_true(m->limits[1].smooth);
    assert_false(m->limits[0].smooth);
    assert_true(m->smooth);
    m = config_model_for(c, SLICE("x-1"), u);
    assert_string_equal(m->name, "other");
    assert_ptr_equal(m->upstream, u);
    assert_string_equal(m->limits[0].key, "rpd");
    config_free(c);
}

static void test_models__first_match_wins__snapshots_and_fine_tunes_belong_to_their_base(void **state)
{
    static const struct {
        const char *model, *entry;
    } rows[] = {
        {"gpt-4o", "gpt-4o"},
        {"gpt-4o-2024-08-06", "gpt-4o"},
        {"gpt-4o-mini", "*"},
        {"gpt-4o-mini-2024-07-18", "*"},
        {"gpt-4", "gpt-4"},
        {"gpt-4-0613", "gpt-4"},
        {"gpt-4-1106-preview", "gpt-4"},
        {"gpt-4-2048", "*"},
        {"gpt-4-turbo", "*"},
        {"ft:gpt-4o-2024-08-06:org::id", "gpt-4o"},
        {"text-embedding-3-large", "embeddings"},
        {"", "*"},
        {"gpt-4o\n", "*"},
    };
    struct config *c = good("models:\n  gpt-4o: {tpm: 1}\n  gpt-4: {tpm: 1}\n  embeddings: {match: "
                            "[\"text-embedding-*\"], tpm: 1}\n");

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        const char *name = config_model_for(c, slice_str(rows[i].model), NULL)->name;

        if (strcmp(name, rows[i].entry) != 0)
            fail_msg("%s: got %s, want %s", rows[i].model, name, rows[i].entry);
    }
    config_free(c);
}

static void test_config__names_with_stars_and_dots__are_names(void **state)
{
    struct config *c = good("models:\n  \"*\": {tpm: 5}\n  a.b.c: {tpm: 6}\nprices:\n  \"*\": {input: 1}\n");

    (void)state;
    assert_int_equal(c->model_count, 2);
    assert_int_equal(config_model_for(c, SLICE("anything"), NULL)->limits[0].max, 5);
    config_free(c);
}

static void test_print__loads_again_as_the_same_and_shows_no_key(void **state)
{
    static const char key[] = "sk-not-to-be-shown";
    struct config *c, *again;
    struct buf first, second;

    (void)state;
    assert_int_equal(setenv("METERGATE_TEST_KEY", key, 1), 0);
    c = good("upstreams:\n  a: {base_url: \"http://x/v1\", api_key: {env: METERGATE_TEST_KEY}}\n"
             "models:\n  \"gpt 4: odd \\u00e9\": {tpm: {max: 7, per: 90s}, match: [\"[a-c]*\"]}\nallow: "
             "{hosts: [proxy.lan]}\n"
             "prices: {gpt-4o: {input: 2.5, output: 0}}\n");
    assert_true(secret_is_set(&config_upstream_named(c, SLICE("a"))->api_key));
    buf_init(&first, BUF_UNLIMITED);
    buf_init(&second, BUF_UNLIMITED);
    config_print(c, &first);
    again = good(first.p);
    config_print(again, &second);
    assert_string_equal(first.p, second.p);
    assert_null(strstr(first.p, key));
    assert_non_null(strstr(first.p, "METERGATE_TEST_KEY"));
    buf_release(&first);
    buf_release(&second);
    config_free(again);
    config_free(c);
    unsetenv("METERGATE_TEST_KEY");
}

static void test_table__defaults_and_bounds__are_values_themselves(void **state)
{
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const char *const texts[] = {rows[i].fallback, rows[i].min, rows[i].max, rows[i].idle};

        assert_ptr_equal(table_find(slice_str(rows[i].path)), &rows[i]);
        assert_true(rows[i].help && rows[i].help[strlen(rows[i].help) - 1] != '.');
        assert_true((rows[i].status == TABLE_WORKS) <= (rows[i].idle == NULL)); /* what works is never idle */
        for (size_t j = 0; j < MG_ARRAY_LEN(texts); j++) {
            union value_any field = {0};
            struct errbuf e;

            if (!texts[j] || value_is_list(rows[i].type))
                continue;
            if (value_read(&rows[i], slice_str(texts[j]), &field, &e) < 0)
                fail_msg("%s: %s", rows[i].path, e.text);
            assert_true(format_is(&rows[i], &field, texts[j]));
            value_release(&rows[i], &field);
        }
    }
}

static void test_table__near_keys__are_found_within_two_edits(void **state)
{
    static const struct {
        const char *section, *key, *near;
    } rows[] = {
        {"", "listn", "listen"},
        {"", "Headroom", "headroom"},
        {"", "quue", "queue"},
        {"", "model", "models"},
        {"", "upstraem", "upstreams"},
        {"", "zzz", ""},
        {"models.*", "tmp", "tpm"},
        {"models.*", "rmp", "rpm"},
        {"models.*", "max_tokens", ""},
        {"queue", "max_waits", "max_wait"},
        {"upstreams.*.retry", "fr", "for"},
        {"", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct slice near = table_nearest(slice_str(rows[i].section), slice_str(rows[i].key));

        if (!slice_eq(near, slice_str(rows[i].near)))
            fail_msg("%s in %s: %.*s", rows[i].key, rows[i].section, (int)near.n, near.p);
    }
    assert_int_equal(table_distance(SLICE("abcd"), SLICE("abdc"), 2), 1);
    assert_int_equal(table_distance(SLICE(""), SLICE("ab"), 2), 2);
    assert_int_equal(table_distance(SLICE("kitten"), SLICE("sitting"), 2), 3);
}

static void test_override__replaces_one_option_or_says_why_not(void **state)
{
    struct config *c = good("");
    struct errbuf e;

    (void)state;
    assert_int_equal(config_override(c, "listen", "127.0.0.1:5", &e), 0);
    assert_int_equal(c->listen.n, 1);
    assert_string_equal(c->listen.v[0].text, "127.0.0.1:5");
    assert_true(config_override(c, "log.level", "loud", &e) < 0);
    assert_non_null(strstr(e.text, "log.level"));
    assert_int_equal(config_override(c, "log.level", "debug", &e), 0);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    config_free(c);
}

static void test_find__goes_by_the_search_order(void **state)
{
    char dir[] = "/tmp/metergate-config-XXXXXX", file[128];
    char *path;

    (void)state;
    assert_non_null(mkdtemp(dir));
    unsetenv("METERGATE_CONFIG");
    setenv("XDG_CONFIG_HOME", dir, 1);
    path = config_find(NULL);
    assert_true(path == NULL || strcmp(path, "/etc/metergate/metergate.yaml") == 0);
    free(path);
    setenv("METERGATE_CONFIG", "/from/env", 1);
    path = config_find(NULL);
    assert_string_equal(path, "/from/env");
    free(path);
    path = config_find("/given");
    assert_string_equal(path, "/given");
    free(path);
    snprintf(file, sizeof file, "%s/nothing.yaml", dir);
    unsetenv("METERGATE_CONFIG");
    unsetenv("XDG_CONFIG_HOME");
    rmdir(dir);
}

static void test_load__a_file_that_cannot_be_read__is_a_problem(void **state)
{
    struct problems problems;
    struct config *c;

    (void)state;
    problems_init(&problems);
    assert_true(config_load("/nonexistent/metergate.yaml", &c, &problems) < 0);
    assert_int_equal(problems.errors, 1);
    problems_release(&problems);
}

static void test_bombs__of_aliases_depth_and_size__are_refused(void **state)
{
    struct problems problems;
    struct config *c;
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (int ch = 'b'; ch < 'k'; ch++)
        buf_addf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", ch, ch, ch - 1, ch - 1, ch - 1,
                 ch - 1, ch - 1, ch - 1, ch - 1, ch - 1, ch - 1);
    assert_true(parse(text.p, &c, &problems) < 0);
    problems_release(&problems);
    buf_reset(&text);
    for (int i = 0; i < 10000; i++)
        buf_add_char(&text, '[');
    assert_true(parse(text.p, &c, &problems) < 0);
    problems_release(&problems);
    assert_true(parse("headroom: \xff\xfe", &c, &problems) < 0);
    problems_release(&problems);
    buf_release(&text);
}

/* ---- the documents
 * ------------------------------------------------------------------------------------------------------ */

static void read_all(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;

    if (!f)
        fail_msg("%s cannot be opened; run from the top of the tree", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(out, piece, n);
    fclose(f);
}

/* The key as a word of its own: `for` inside "before" does not count. */
static bool mentions(const struct buf *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = strstr(text->p, key); p; p = strstr(p + 1, key)) {
        bool begins = p == text->p || !strchr("abcdefghijklmnopqrstuvwxyz_", p[-1]);

        if (begins && !strchr("abcdefghijklmnopqrstuvwxyz_", p[n]))
            return true;
    }
    return false;
}

static void test_documents__name_every_option(void **state)
{
    struct buf manual, sample, reference;
    size_t n;
    const struct table_row *rows = table_rows(&n);

    (void)state;
    buf_init(&manual, BUF_UNLIMITED);
    buf_init(&sample, BUF_UNLIMITED);
    buf_init(&reference, BUF_UNLIMITED);
    read_all("docs/configuration.md", &manual);
    read_all("conf/metergate.yaml", &sample);
    print_reference(&reference);
    if (!strstr(manual.p, reference.p))
        fail_msg("docs/configuration.md does not hold the table as it is now: replace it by\n%s",
                 reference.p);
    for (size_t i = 0; i < n; i++) {
        const char *key = strrchr(rows[i].path, '.');

        key = key ? key + 1 : rows[i].path;
        if (!mentions(&sample, key))
            fail_msg("conf/metergate.yaml does not mention %s", rows[i].path);
    }
    buf_release(&manual);
    buf_release(&sample);
    buf_release(&reference);
}

/* A line that begins with "#" and a key is an option to uncomment. */
static void uncomment(const struct buf *sample, struct buf *out)
{
    struct slice rest = buf_slice(sample);

    while (rest.n) {
        struct slice line = slice_head(rest, slice_find(rest, '\n'));
        size_t hash = slice_find(line, '#');
        bool option =
            hash + 1 < line.n && line.p[hash + 1] != ' ' && slice_trim(slice_head(line, hash)).n == 0;
        bool inside =
            hash == 0 && line.n > 2 && line.p[1] == ' ' && line.p[2] == ' '; /* "#  max_wait: 24h" */

        if (option || inside) {
            buf_add_slice(out, slice_head(line, hash));
            buf_add_slice(out, slice_skip(line, hash + 1));
        } else {
            buf_add_slice(out, line);
        }
        buf_add_char(out, '\n');
        rest = slice_skip(rest, line.n + 1);
    }
}

static void test_sample__loads_as_it_is_and_uncommented(void **state)
{
    struct buf sample, text;
    struct config *c;

    (void)state;
    buf_init(&sample, BUF_UNLIMITED);
    buf_init(&text, BUF_UNLIMITED);
    read_all("conf/metergate.yaml", &sample);
    config_free(good(sample.p));
    uncomment(&sample, &text);
    setenv("OPENAI_API_KEY", "sk-test", 1);
    c = good(text.p);
    unsetenv("OPENAI_API_KEY");
    assert_int_equal(config_model_for(c, SLICE("gpt-4o"), NULL)->limits[0].max, 30000);
    assert_true(c->model_count > 5);
    config_free(c);
    buf_release(&sample);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__every_mistake__is_named_with_its_place),
        cmocka_unit_test(test_config__several_mistakes__are_all_reported_in_the_order_of_the_file),
        cmocka_unit_test(test_config__what_comes_later__is_a_warning),
        cmocka_unit_test(test_config__entries_that_no_name_reaches__are_warned_about),
        cmocka_unit_test(test_config__the_same_key_many_times__is_only_an_error),
        cmocka_unit_test(test_config__a_key_file_that_all_can_read__is_warned_about),
        cmocka_unit_test(test_config__nothing__is_the_built_in_configuration),
        cmocka_unit_test(test_config__a_full_file__means_what_it_says),
        cmocka_unit_test(test_models__first_match_wins__snapshots_and_fine_tunes_belong_to_their_base),
        cmocka_unit_test(test_config__names_with_stars_and_dots__are_names),
        cmocka_unit_test(test_print__loads_again_as_the_same_and_shows_no_key),
        cmocka_unit_test(test_table__defaults_and_bounds__are_values_themselves),
        cmocka_unit_test(test_table__near_keys__are_found_within_two_edits),
        cmocka_unit_test(test_override__replaces_one_option_or_says_why_not),
        cmocka_unit_test(test_find__goes_by_the_search_order),
        cmocka_unit_test(test_load__a_file_that_cannot_be_read__is_a_problem),
        cmocka_unit_test(test_bombs__of_aliases_depth_and_size__are_refused),
        cmocka_unit_test(test_documents__name_every_option),
        cmocka_unit_test(test_sample__loads_as_it_is_and_uncommented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
