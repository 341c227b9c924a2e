/* config: what good files mean, that the printed configuration means the same, and that no key is ever shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "metergate/config/models.h"
#include "metergate/config/print.h"
#include "config_text.h"

#define MINUTE INT64_C(60000000)
#define DAY    INT64_C(86400000000)

static void test_config__nothing__is_the_built_in_configuration(void **state)
{
    struct config *c = config_from_good("");
    const struct config_upstream *u = config_upstream_of(c, CONFIG_OPENAI);

    (void)state;
    assert_int_equal(c->listen.n, 2);
    assert_string_equal(c->listen.v[0].text, "127.0.0.1:4283");
    assert_string_equal(c->listen.v[1].text, "[::1]:4283");
    assert_true(c->listen.v[0].optional && c->listen.v[1].optional);
    assert_string_equal(c->state_dir, "");
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->log.format, LOG_FORMAT_TEXT);
    assert_int_equal(c->queue.max_wait_us, DAY);
    assert_int_equal(c->queue.max_requests, 10000);
    assert_int_equal(c->queue.max_bytes, 1 << 30);
    assert_int_equal(c->queue.max_body, 64 << 20);
    assert_int_equal(c->queue.order, CONFIG_ORDER_FAIR);
    assert_int_equal(c->headroom_permille, 200);
    assert_int_equal(c->drain_us, MINUTE);
    assert_string_equal(u->name, "openai");
    assert_string_equal(u->base_url, "https://api.openai.com/v1");
    assert_false(secret_is_set(&u->api_key));
    assert_int_equal(u->counting, CONFIG_COUNTING_OPENAI);
    assert_int_equal(u->max_concurrent, 0);
    assert_int_equal(u->connect_timeout_us, INT64_C(10000000));
    assert_int_equal(u->first_byte_timeout_us, 60 * MINUTE);
    assert_int_equal(u->idle_timeout_us, 10 * MINUTE);
    assert_int_equal(u->retry_attempts, 3);
    assert_int_equal(u->retry_for,
                     CONFIG_RETRY_429 | CONFIG_RETRY_503 | CONFIG_RETRY_529 | CONFIG_RETRY_CONNECT);
    assert_string_equal(u->proxy, "");
    assert_string_equal(u->ca_file, "");
    assert_string_equal(config_upstream_of(c, CONFIG_ANTHROPIC)->base_url, "https://api.anthropic.com");
    assert_string_equal(config_upstream_of(c, CONFIG_GEMINI)->base_url,
                        "https://generativelanguage.googleapis.com");
    assert_null(config_upstream_of(c, CONFIG_AZURE));
    assert_null(config_upstream_named(c, SLICE("groq")));
    assert_int_equal(c->model_count, 1);
    assert_int_equal(config_model_for(c, SLICE("gpt-4o"), NULL)->limit_count, 0);
    config_free(c);
    config_free(NULL);
}

static const char every_option[] =
    "listen: [\"127.0.0.1:9\", \"[::1]:0\", \"unix:/tmp/x\"]\n"
    "state_dir: /var/lib/metergate\n"
    "user: nobody\n"
    "log: {level: debug, format: json}\n"
    "queue:\n"
    "  max_wait: 2h30m\n"
    "  max_requests: 5\n"
    "  max_bytes: 10737418241\n"
    "  max_body: 64KiB\n"
    "  keepalive: 1.5s\n"
    "  keepalive_agents: [\"my-agent/*\", \"b\\u00e4r \\\"x\\\"\"]\n"
    "  order: fifo\n"
    "headroom: 12.5%\n"
    "retention: 1h\n"
    "drain: 250ms\n"
    "upstreams:\n"
    "  groq:\n"
    "    dialect: openai\n"
    "    base_url: https://api.groq.com/openai/v1/\n"
    "    api_key: {env: METERGATE_TEST_KEY}\n"
    "    counting: actual\n"
    "    max_concurrent: 7\n"
    "    scope: key\n"
    "    timeout: {connect: 1s, first_byte: 2m, idle: 3m}\n"
    "    retry: {attempts: 2, for: [connect, 429]}\n"
    "    proxy: http://127.0.0.1:3128\n"
    "    ca_file: CA_FILE\n"
    "  bare: {base_url: \"http://[::1]:8080\", retry: {for: []}}\n"
    "models:\n"
    "  gpt-4.1:\n"
    "    rpm: 1\n"
    "    rpd: 1000\n"
    "    tpm: 30k\n"
    "    tpd: {max: 1000G, per: 12h}\n"
    "    itpm: {max: 5}\n"
    "    itpd: 6\n"
    "    otpm: 7\n"
    "    otpd: 8\n"
    "    concurrent: {max: 3}\n"
    "    usd_per_month: 1000000000\n"
    "    usd_per_hour: {max: 0.123456789, per: 90m}\n"
    "    usd_per_day: 2.50\n"
    "    smooth: true\n"
    "    polite: never\n"
    "    learn: true\n"
    "  'gpt 4: \"\xc3\xa4\" #x': {rpm: {max: 10, per: 36h}}\n"
    "  other: {match: [\"o*\", \"x-?\"], upstream: groq, rpd: {max: 4, per: 90s}}\n"
    "  \"*\": {match: [\"z*\"], tpm: 5}\n"
    "allow: {hosts: [proxy.lan], origins: [\"http://a.lan:80\", \"chrome-extension://abcdef\"]}\n"
    "clients: {require_token: false, users: [root, 4242], nightly: {priority: low, weight: 2, max_wait: 1h, "
    "tpm: 10k, rpm: {max: 3, per: 10s}, concurrent: 2, usd_per_day: 0.000001}, bare: }\n"
    "prices:\n"
    "  gpt-4o: {input: 2.50, cached: 1.25, cache_write: 3, cache_write_1h: 5, output: 10, long: {above: 272k, input: 4,\n"
    "    cached: 2, cache_write: 6, cache_write_1h: 7.5, output: 1000000}}\n"
    "  a.b: {output: 0.000001, long: {above: 1M}}\n";

static char ca_file[64];

/* A ca_file has a certificate, as far as the configuration looks. */
static int make_ca_file(void **state)
{
    static const char text[] = "-----BEGIN CERTIFICATE-----\n";
    int fd;

    (void)state;
    snprintf(ca_file, sizeof ca_file, "/tmp/metergate-ca-XXXXXX");
    fd = mkstemp(ca_file);
    if (fd < 0 || write(fd, text, sizeof text - 1) < 0)
        return -1;
    return close(fd);
}

static int remove_ca_file(void **state)
{
    (void)state;
    return unlink(ca_file);
}

/* The text with that file for CA_FILE; static. */
static const char *with_ca_file(const char *yaml)
{
    static char text[4096];
    const char *at = strstr(yaml, "CA_FILE");

    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - yaml), yaml, ca_file, at + strlen("CA_FILE"));
    return text;
}

static void check_limits(const struct config_model *m)
{
    static const struct {
        const char *key;
        int64_t max, span_us;
        enum metric metric;
    } want[CONFIG_LIMITS_MAX] = {
        {"rpm", 1, MINUTE, METRIC_REQUESTS},     {"rpd", 1000, DAY, METRIC_REQUESTS},
        {"tpm", 30000, MINUTE, METRIC_TOKENS},   {"tpd", INT64_C(1000000000000), DAY / 2, METRIC_TOKENS},
        {"itpm", 5, MINUTE, METRIC_INPUT},       {"itpd", 6, DAY, METRIC_INPUT},
        {"otpm", 7, MINUTE, METRIC_OUTPUT},      {"otpd", 8, DAY, METRIC_OUTPUT},
        {"concurrent", 3, 0, METRIC_CONCURRENT},
    };

    assert_int_equal(m->limit_count, CONFIG_LIMITS_MAX);
    for (size_t i = 0; i < m->limit_count; i++) {
        assert_string_equal(m->limits[i].key, want[i].key);
        assert_int_equal(m->limits[i].max, want[i].max);
        assert_int_equal(m->limits[i].span_us, want[i].span_us);
        assert_int_equal(m->limits[i].metric, want[i].metric);
        assert_int_equal(m->limits[i].smooth, i == 0); /* inside the minute: a day's requests are no matter of it */
    }
}

static void check_money(const struct config *c)
{
    static const struct money_limit want[] = {
        {"usd_per_month", INT64_C(1000000000000000000), 30 * DAY},
        {"usd_per_hour", 123456789, 90 * MINUTE},
        {"usd_per_day", 2500000000, DAY},
    };
    const struct config_model *m = c->models[0];
    const struct config_client *client = config_client_named(c, SLICE("nightly"));

    assert_int_equal(m->money_count, MG_ARRAY_LEN(want));
    for (size_t i = 0; i < m->money_count; i++) {
        assert_string_equal(m->money[i].key, want[i].key);
        assert_int_equal(m->money[i].max, want[i].max);
        assert_int_equal(m->money[i].span_us, want[i].span_us);
    }
    assert_int_equal(client->money_count, 1);
    assert_int_equal(client->money[0].max, 1000);
    assert_int_equal(client->money[0].span_us, DAY);
    assert_int_equal(c->models[1]->money_count, 0);
}

static void check_upstreams(const struct config *c)
{
    const struct config_upstream *u = config_upstream_named(c, SLICE("groq"));
    const struct config_upstream *bare = config_upstream_named(c, SLICE("bare"));

    assert_string_equal(u->base_url, "https://api.groq.com/openai/v1");
    assert_true(slice_eq(secret_expose(&u->api_key), SLICE("sk-not-to-be-shown")));
    assert_int_equal(u->counting, CONFIG_COUNTING_ACTUAL);
    assert_int_equal(u->max_concurrent, 7);
    assert_int_equal(u->scope, CONFIG_SCOPE_KEY);
    assert_int_equal(u->connect_timeout_us, MINUTE / 60);
    assert_int_equal(u->first_byte_timeout_us, 2 * MINUTE);
    assert_int_equal(u->idle_timeout_us, 3 * MINUTE);
    assert_int_equal(u->retry_attempts, 2);
    assert_int_equal(u->retry_for, CONFIG_RETRY_429 | CONFIG_RETRY_CONNECT);
    assert_string_equal(u->proxy, "http://127.0.0.1:3128");
    assert_string_equal(u->ca_file, ca_file);
    assert_string_equal(bare->base_url, "http://[::1]:8080");
    assert_int_equal(bare->retry_for, 0);                      /* an empty list is none, not the default */
    assert_ptr_equal(config_upstream_of(c, CONFIG_OPENAI), u); /* the file's come before the built-in ones */
    assert_int_equal(config_upstream_named(c, SLICE("openai"))->line, 0);
}

static void test_config__every_option__means_what_it_says(void **state)
{
    struct config *c;
    const struct config_model *m;

    (void)state;
    setenv("METERGATE_TEST_KEY", "sk-not-to-be-shown", 1);
    c = config_from_good(with_ca_file(every_option));
    assert_int_equal(c->listen.n, 3);
    assert_false(c->listen.v[0].optional);
    assert_string_equal(c->state_dir, "/var/lib/metergate");
    assert_string_equal(c->user, "nobody");
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_int_equal(c->queue.max_wait_us, 150 * MINUTE);
    assert_int_equal(c->queue.max_requests, 5);
    assert_int_equal(c->queue.max_bytes, INT64_C(10737418241));
    assert_int_equal(c->queue.max_body, 65536);
    assert_int_equal(c->queue.keepalive_us, 1500000);
    assert_string_equal(c->queue.keepalive_agents.v[1], "b\xc3\xa4r \"x\"");
    assert_int_equal(c->queue.order, CONFIG_ORDER_FIFO);
    assert_int_equal(c->headroom_permille, 125);
    assert_int_equal(c->drain_us, 250000);
    check_upstreams(c);
    m = config_model_for(c, SLICE("gpt-4.1-2025-04-14"), NULL);
    check_limits(m);
    check_money(c);
    assert_true(m->smooth && m->learn);
    assert_int_equal(m->polite, CONFIG_POLITE_NEVER);
    assert_int_equal(c->models[1]->limits[0].span_us, DAY + DAY / 2);
    assert_false(c->models[1]->limits[0].smooth);
    assert_int_equal(c->models[2]->match.n, 2);
    assert_ptr_equal(c->models[2]->upstream, config_upstream_named(c, SLICE("groq")));
    assert_int_equal(c->model_count, 5); /* an entry "*" with globs of its own is not the last resort */
    assert_string_equal(c->allow.hosts.v[0], "proxy.lan");
    assert_string_equal(c->allow.origins.v[0], "http://a.lan:80");
    assert_int_equal(c->price_count, 2);
    assert_memory_equal(&c->prices[0].rates, (&(struct rates){{2500000, 1250000, 3000000, 5000000, 10000000}}),
                        sizeof(struct rates));
    assert_memory_equal(&c->prices[0].long_rates,
                        (&(struct rates){{4000000, 2000000, 6000000, 7500000, PRICE_RATE_MAX}}), sizeof(struct rates));
    assert_int_equal(c->prices[0].long_above, 272000);
    assert_memory_equal(&c->prices[1].rates, (&(struct rates){{-1, -1, -1, -1, 1}}), sizeof(struct rates));
    assert_memory_equal(&c->prices[1].long_rates, (&(struct rates){{-1, -1, -1, -1, -1}}), sizeof(struct rates));
    assert_int_equal(c->prices[1].long_above, 1000000);
    config_free(c);
    unsetenv("METERGATE_TEST_KEY");
}

static void test_config__names_with_stars_and_dots__are_names(void **state)
{
    struct config *c = config_from_good(
        "models:\n  a.b.c: {tpm: 6}\n  m.tpm: {tpm: 7}\n  \"q*\": {tpm: 8}\n  \"*\": {tpm: 5}\n"
        "prices:\n  models.a: {input: 2}\n  \"*\": {input: 1}\n");

    (void)state;
    assert_int_equal(c->model_count, 4);
    assert_int_equal(config_model_for(c, SLICE("a.b.c"), NULL)->limits[0].max, 6);
    assert_int_equal(config_model_for(c, SLICE("m.tpm"), NULL)->limits[0].max, 7);
    assert_int_equal(config_model_for(c, SLICE("qwen"), NULL)->limits[0].max, 8);
    assert_int_equal(config_model_for(c, SLICE("anything"), NULL)->limits[0].max, 5);
    assert_string_equal(c->prices[0].name, "models.a");
    config_free(c);
}

static void test_config__names_of_the_manual__are_names_as_well(void **state)
{
    struct config *c = config_from_good(
        "upstreams:\n  models: {base_url: \"http://x\"}\n  api_key: {base_url: \"http://y\"}\n"
        "models:\n  upstreams: {tpm: 1}\n  match: {tpm: 2}\n  api_key:\n"
        "clients:\n  token: {weight: 1}\n  listen: {weight: 1}\n");

    (void)state;
    assert_string_equal(config_upstream_named(c, SLICE("api_key"))->base_url, "http://y");
    assert_int_equal(config_model_for(c, SLICE("match"), NULL)->limits[0].max, 2);
    config_free(c);
}

static void test_config__an_upstream_of_a_built_in_name__replaces_it(void **state)
{
    struct config *c =
        config_from_good("upstreams:\n  openai: {counting: actual}\n  other: {base_url: \"http://x\"}\n");

    (void)state;
    assert_string_equal(config_upstream_named(c, SLICE("openai"))->base_url, "https://api.openai.com/v1");
    assert_int_equal(config_upstream_named(c, SLICE("openai"))->counting, CONFIG_COUNTING_ACTUAL);
    assert_int_equal(c->upstream_count, 4); /* these two, Anthropic and Gemini */
    config_free(c);
}

static void test_config__dialects__bring_their_base_url_and_counting(void **state)
{
    static const struct {
        const char *yaml, *name, *base_url;
        enum config_dialect dialect;
        enum config_counting counting;
    } rows[] = {
        {"", "openai", "https://api.openai.com/v1", CONFIG_OPENAI, CONFIG_COUNTING_OPENAI},
        {"", "anthropic", "https://api.anthropic.com", CONFIG_ANTHROPIC, CONFIG_COUNTING_ANTHROPIC},
        {"", "gemini", "https://generativelanguage.googleapis.com", CONFIG_GEMINI, CONFIG_COUNTING_GEMINI},
        {"upstreams: {openai: , anthropic: , gemini: , ollama: }", "gemini",
         "https://generativelanguage.googleapis.com", CONFIG_GEMINI, CONFIG_COUNTING_GEMINI},
        {"upstreams: {ollama: }", "ollama", "http://127.0.0.1:11434", CONFIG_OLLAMA, CONFIG_COUNTING_ACTUAL},
        {"upstreams: {anthropic: {api_key: {env: HOME}}}", "anthropic", "https://api.anthropic.com",
         CONFIG_ANTHROPIC, CONFIG_COUNTING_ANTHROPIC},
        {"upstreams: {azure: {base_url: \"https://r.openai.azure.com/\"}}", "azure",
         "https://r.openai.azure.com", CONFIG_AZURE, CONFIG_COUNTING_AZURE},
        {"upstreams: {eu: {dialect: azure, base_url: \"http://x\"}}", "eu", "http://x", CONFIG_AZURE,
         CONFIG_COUNTING_AZURE},
        {"upstreams: {b: {counting: actual, dialect: anthropic, base_url: \"http://x\"}}", "b", "http://x",
         CONFIG_ANTHROPIC, CONFIG_COUNTING_ACTUAL},
        {"upstreams: {b: {counting: gemini, base_url: \"http://x\"}}", "b", "http://x", CONFIG_OPENAI,
         CONFIG_COUNTING_GEMINI},
        {"upstreams: {anthropic: {dialect: openai, base_url: \"http://x/v1\"}}", "anthropic", "http://x/v1",
         CONFIG_OPENAI, CONFIG_COUNTING_OPENAI},
    };

    (void)state;
    setenv("HOME", "/root", 1);
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        struct config *c = config_from_good(rows[i].yaml);
        const struct config_upstream *u = config_upstream_named(c, slice_str(rows[i].name));

        assert_string_equal(u->base_url, rows[i].base_url);
        assert_int_equal(u->dialect, rows[i].dialect);
        assert_int_equal(u->counting, rows[i].counting);
        config_free(c);
    }
}

static void test_config__models_of_every_dialect_but_ollama__have_limits(void **state)
{
    struct config *c = config_from_good(
        "upstreams:\n  azure: {base_url: \"http://x\"}\n  ollama: {max_concurrent: 1}\n"
        "models:\n  claude-sonnet-5: {upstream: anthropic, rpm: 1000, itpm: 2M, otpm: 400k}\n"
        "  g: {match: [\"gemini-*\"], upstream: gemini, tpm: 1M}\n  d: {upstream: azure, rpm: 6}\n"
        "  llama3: {upstream: ollama}\n");

    (void)state;
    assert_int_equal(c->models[0]->limit_count, 3);
    assert_ptr_equal(c->models[1]->upstream, config_upstream_of(c, CONFIG_GEMINI));
    assert_int_equal(config_model_for(c, SLICE("d"), config_upstream_of(c, CONFIG_AZURE))->limits[0].max, 6);
    config_free(c);
}

static void test_config__aliases_and_other_yaml__are_read(void **state)
{
    struct config *c = config_from_good("%YAML 1.1\n---\n"
                                        "models:\n"
                                        "  a: &limits {tpm: 10, \"rpm\": '5'}\n"
                                        "  b: *limits\n"
                                        "  c:\r\n    tpm: >-\r\n      20\r\n"
                                        "...\n");

    (void)state;
    assert_int_equal(config_model_for(c, SLICE("b"), NULL)->limits[1].max, 5);
    assert_int_equal(config_model_for(c, SLICE("c"), NULL)->limits[0].max, 20);
    config_free(c);
}

/* ---- printing ---- */

static void assert_prints_as_itself(const char *yaml)
{
    struct config *c = config_from_good(yaml), *again;
    struct buf first, second;

    buf_init(&first, BUF_UNLIMITED);
    buf_init(&second, BUF_UNLIMITED);
    config_print(c, &first);
    again = config_from_good(first.p);
    config_print(again, &second);
    assert_string_equal(first.p, second.p);
    assert_int_equal(again->upstream_count, c->upstream_count);
    assert_int_equal(again->model_count, c->model_count);
    assert_int_equal(again->price_count, c->price_count);
    for (size_t i = 0; i < c->price_count; i++) {
        assert_memory_equal(&again->prices[i].rates, &c->prices[i].rates, sizeof(struct rates));
        assert_memory_equal(&again->prices[i].long_rates, &c->prices[i].long_rates, sizeof(struct rates));
        assert_int_equal(again->prices[i].long_above, c->prices[i].long_above);
    }
    assert_null(strstr(first.p, "sk-not-to-be-shown"));
    buf_release(&first);
    buf_release(&second);
    config_free(again);
    config_free(c);
}

static void test_print__loads_again_as_the_same_and_shows_no_key(void **state)
{
    struct buf yaml;

    (void)state;
    setenv("METERGATE_TEST_KEY", "sk-not-to-be-shown", 1);
    assert_prints_as_itself("");
    assert_prints_as_itself(with_ca_file(every_option));
    assert_prints_as_itself(
        "models:\n  \"null\": {tpm: 1}\n  \"~\": {tpm: 1}\n  \"- a\": {tpm: 1}\n  \"%x\": {tpm: 1}\n"
        "  \"\\u2028\\ufeff\xf0\x9f\x98\x80\": {tpm: 1}\n  \"true\": {tpm: 1}\n  ' ': {}\n");
    assert_prints_as_itself("models:\n  \"*\": {tpm: 10000000000}\n");
    assert_prints_as_itself("upstreams:\n  azure: {base_url: \"http://x\", counting: actual}\n  ollama:\n"
                            "models:\n  c: {upstream: anthropic, itpm: 5}\n");
    assert_prints_as_itself("upstreams:\n  a: {base_url: \"http://x\", api_key: {file: /proc/self/personality}}\n");
    buf_init(&yaml, BUF_UNLIMITED);
    buf_add_str(&yaml, "models:\n  ");
    for (int i = 0; i < 64; i++) /* of 128 bytes: the longest key that printing makes */
        buf_add_str(&yaml, "\xc3\xa4");
    buf_add_str(&yaml, ": {tpm: 1}\n");
    assert_prints_as_itself(yaml.p);
    buf_release(&yaml);
    unsetenv("METERGATE_TEST_KEY");
}

#define REST_OF_UPSTREAM                                                                                     \
    "    max_concurrent: 0\n    scope: shared\n"                                                            \
    "    timeout:\n      connect: 10s\n      first_byte: 1h\n      idle: 10m\n"                              \
    "    retry:\n      attempts: 3\n      for: [429, 503, 529, connect]\n"                                   \
    "    proxy: \"\"\n    ca_file: \"\"\n"

static void test_print__of_the_built_in_configuration__is_this(void **state)
{
    struct config *c =
        config_from_good("models:\n  gpt-4o: {tpm: 30k, usd_per_day: 5.50, rpm: {max: 5, per: 1500ms}, concurrent: 2}\n");
    struct buf text;

    (void)state;
    buf_init(&text, BUF_UNLIMITED);
    config_print(c, &text);
    assert_string_equal(
        text.p,
        "listen: [\"127.0.0.1:4283\", \"[::1]:4283\"]\n"
        "state_dir: \"\"\n"
        "user: \"\"\n"
        "log:\n  level: info\n  format: text\n"
        "queue:\n  max_wait: 1d\n  max_requests: 10000\n  max_bytes: 1GiB\n  max_body: 64MiB\n  keepalive: "
        "15s\n  order: fair\n"
        "headroom: 20%\n"
        "retention: 400d\n"
        "drain: 1m\n"
        "clients:\n  require_token: false\n"
        "upstreams:\n"
        "  openai:\n    dialect: openai\n    base_url: \"https://api.openai.com/v1\"\n    counting: "
        "openai\n" REST_OF_UPSTREAM
        "  anthropic:\n    dialect: anthropic\n    base_url: \"https://api.anthropic.com\"\n"
        "    counting: anthropic\n" REST_OF_UPSTREAM
        "  gemini:\n    dialect: gemini\n    base_url: \"https://generativelanguage.googleapis.com\"\n"
        "    counting: gemini\n" REST_OF_UPSTREAM "models:\n"
        "  gpt-4o:\n    tpm: {max: 30000, per: 1m}\n    rpm: {max: 5, per: 1500ms}\n    concurrent: 2\n"
        "    usd_per_day: {max: 5.5, per: 1d}\n"
        "  # \"*\": built in: all other names, each on its own, by limits learned from the provider\n");
    buf_release(&text);
    config_free(c);
}

/* ---- the command line ---- */

static void test_override__replaces_one_option_or_says_why_not(void **state)
{
    struct config *c = config_from_good("");
    struct errbuf e;

    (void)state;
    assert_int_equal(config_override(c, "listen", "127.0.0.1:5", &e), 0);
    assert_int_equal(c->listen.n, 1);
    assert_string_equal(c->listen.v[0].text, "127.0.0.1:5");
    assert_true(config_override(c, "listen", "0.0.0.0:5", &e) < 0);
    assert_non_null(strstr(e.text, "listen: 0.0.0.0 can be reached from other machines"));
    assert_true(config_override(c, "listen", "", &e) < 0);
    assert_string_equal(c->listen.v[0].text, "127.0.0.1:5"); /* as it was */
    assert_true(config_override(c, "log.level", "loud", &e) < 0);
    assert_string_equal(e.text, "log.level: \"loud\" is not error, warn, info or debug");
    assert_int_equal(config_override(c, "log.level", "debug", &e), 0);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__nothing__is_the_built_in_configuration),
        cmocka_unit_test(test_config__every_option__means_what_it_says),
        cmocka_unit_test(test_config__names_with_stars_and_dots__are_names),
        cmocka_unit_test(test_config__names_of_the_manual__are_names_as_well),
        cmocka_unit_test(test_config__an_upstream_of_a_built_in_name__replaces_it),
        cmocka_unit_test(test_config__dialects__bring_their_base_url_and_counting),
        cmocka_unit_test(test_config__models_of_every_dialect_but_ollama__have_limits),
        cmocka_unit_test(test_config__aliases_and_other_yaml__are_read),
        cmocka_unit_test(test_print__loads_again_as_the_same_and_shows_no_key),
        cmocka_unit_test(test_print__of_the_built_in_configuration__is_this),
        cmocka_unit_test(test_override__replaces_one_option_or_says_why_not),
    };

    return cmocka_run_group_tests(tests, make_ca_file, remove_ca_file);
}
