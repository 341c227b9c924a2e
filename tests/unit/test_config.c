/* config: what is refused and what is warned of, where and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "metergate/base/buf.h"
#include "metergate/config/config.h"
#include "config_text.h"

#define KNOWN                                                                                                \
    "; known here: listen, state_dir, user, log, queue, headroom, retention, drain, upstreams, models, allow, "    \
    "clients, prices"

/* The first problem of each file. */
static const struct {
    const char *yaml, *problem;
} bad[] = {
    {"listn: [127.0.0.1:1]", "1:1: unknown key \"listn\"; did you mean \"listen\"?"},
    {"\"upstreams.*\": {base_url: \"http://x\"}",
     "1:1: unknown key \"upstreams.*\"; did you mean \"upstreams\"?"},
    {"\"queue.max_wait\": 3s", "1:1: unknown key \"queue.max_wait\"" KNOWN},
    {"\"\": {headroom: 10%}", "1:1: unknown key \"\"" KNOWN},
    {"\"\": 3", "1:1: unknown key \"\"" KNOWN},
    {"Listen: [127.0.0.1:1]", "1:1: unknown key \"Listen\"; did you mean \"listen\"?"},
    {"model: {}", "1:1: unknown key \"model\"; did you mean \"models\"?"},
    {"something_else: 1", "1:1: unknown key \"something_else\"" KNOWN},
    {"\"a\\eb\": 1", "1:1: unknown key \"a?b\"" KNOWN},
    {"<<: {headroom: 1%}",
     "1:1: merge keys (<<) are not read: write the options out, or an alias for a whole value"},
    {"headroom: 20.55%", "1:11: headroom: \"20.55%\" is not a percentage (20%)"},
    {"headroom: 99999999999999999999%",
     "1:11: headroom: \"99999999999999999999%\" is out of range (0% to 90%)"},
    {"headroom: 95%", "1:11: headroom: \"95%\" is out of range (0% to 90%)"},
    {"headroom: 20", "1:11: headroom: \"20\" is not a percentage (20%)"},
    {"headroom: -1%", "1:11: headroom: \"-1%\" is not a percentage (20%)"},
    {"headroom: abc", "1:11: headroom: \"abc\" is not a percentage (20%)"},
    {"headroom:", "1:10: headroom wants a single value, such as 20%, not nothing"},
    {"headroom: [1%]", "1:11: headroom wants a single value, such as 20%, not a list"},
    {"queue: 3", "1:8: queue wants a mapping, such as {max_wait: ...}, not a single value"},
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
    {"queue:\n  max_wait: 1h\n  max_wait: 2h",
     "3:3: max_wait: stands here twice, first in line 2; remove one of them"},
    {"queue: {max_bytes: 99999999999GiB}",
     "1:20: queue.max_bytes: \"99999999999GiB\" is out of range (1 to 1024GiB)"},
    {"queue: {max_wait: 10m5}", "1:19: queue.max_wait: \"10m5\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"queue: {max_wait: null}", "1:19: queue.max_wait wants a single value, such as 24h, not nothing"},
    {"queue: {max_wait: \"\"}", "1:19: queue.max_wait: \"\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"queue: {max_wait: {a: 1}}", "1:19: queue.max_wait wants a single value, such as 24h, not a mapping"},
    {"queue: {keepalive_agents: \"curl/*\"}",
     "1:27: queue.keepalive_agents wants a list, such as [curl/*], not a single value"},
    {"queue: {\"*\": 1}",
     "1:9: unknown key \"*\"; known here: max_wait, max_requests, max_bytes, max_body, keepalive, "
     "keepalive_agents, order"},
    {"queue: [max_wait]", "1:8: queue wants a mapping, such as {max_wait: ...}, not a list"},
    {"log: {level: loud}", "1:14: log.level: \"loud\" is not error, warn, info or debug"},
    {"log: {format: xml}", "1:15: log.format: \"xml\" is not text or json"},
    {"log: {level: [info]}", "1:14: log.level wants a single value, such as info, not a list"},
    {"drain: forever", "1:8: drain: \"forever\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"drain: {a: 1}", "1:8: drain wants a single value, such as 60s, not a mapping"},
    {"listen: 127.0.0.1:4283", "1:9: listen wants a list, such as [127.0.0.1:4283], not a single value"},
    {"listen: [127.0.0.1]",
     "1:10: listen: \"127.0.0.1\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"0.0.0.0:4283\"]",
     "1:10: listen: 0.0.0.0 can be reached from other machines: that needs clients.require_token: true "
     "and tokens for the clients; else listen on 127.0.0.1, [::1] or unix:/PATH"},
    {"listen: [\"localhost:4283\"]",
     "1:10: listen: \"localhost\" is not an address in numbers (127.0.0.1, [::1])"},
    {"listen: [\"127.0.0.1:99999\"]",
     "1:10: listen: \"127.0.0.1:99999\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"unix:relative\"]", "1:10: listen: unix: takes an absolute path of at most 107 bytes"},
    {"listen: []", "1:9: listen wants at least one address"},
    {"listen:\n", "1:8: listen wants a list, such as [a, b], not nothing"},
    {"listen: [~]", "1:10: listen wants a single value, not nothing"},
    {"listen: [[127.0.0.1:1]]", "1:10: listen wants a single value, not a list"},
    {"listen: [\"[::]:4283\"]",
     "1:10: listen: :: can be reached from other machines: that needs clients.require_token: true and "
     "tokens for the clients; else listen on 127.0.0.1, [::1] or unix:/PATH"},
    {"listen: [\":4283\"]",
     "1:10: listen: \":4283\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"[::1\"]",
     "1:10: listen: \"[::1\" is not an address (127.0.0.1:4283, [::1]:4283, unix:/PATH)"},
    {"listen: [\"unix:/\\x07\"]", "1:10: listen: has a control character"},
    {"listen: [\"127.0.0.1:1\", \"127.0.0.1:1\"]", "1:25: listen: \"127.0.0.1:1\" stands here twice"},
    {"upstreams: [a]", "1:12: upstreams wants a mapping, such as {NAME: ...}, not a list"},
    {"upstreams:\n  v1: {base_url: \"http://x\"}",
     "2:3: \"v1\" cannot be the name of an upstream: it begins a path of its own; choose another"},
    {"upstreams:\n  a b: {base_url: \"http://x\"}",
     "2:3: \"a b\" cannot be the name of an upstream: that begins with a letter or digit and goes on with "
     "those, '-', '_' and '.'"},
    {"upstreams:\n  -x: {base_url: \"http://x\"}",
     "2:3: \"-x\" cannot be the name of an upstream: that begins with a letter or digit and goes on with "
     "those, '-', '_' and '.'"},
    {"upstreams:\n  \"@x\": {base_url: \"http://x\"}",
     "2:3: \"@x\" cannot be the name of an upstream: that begins with a letter or digit and goes on with "
     "those, '-', '_' and '.'"},
    {"upstreams:\n  \"a/b\": {base_url: \"http://x\"}",
     "2:3: \"a/b\" cannot be the name of an upstream: that begins with a letter or digit and goes on with "
     "those, '-', '_' and '.'"},
    {"upstreams:\n  \"*\": {base_url: \"http://x\"}",
     "2:3: \"*\" cannot be the name of an upstream: that begins with a letter or digit and goes on with "
     "those, '-', '_' and '.'"},
    {"upstreams:\n  \"\": {base_url: \"http://x\"}",
     "2:3: \"\" cannot be the name of an upstream: that has 1 to 64 characters"},
    {"upstreams:\n  anthropic: {base_url: \"https://api.anthropic.com/v1\"}",
     "2:25: upstreams.anthropic.base_url: ends in /v1, which the caller's path brings along: write the "
     "address without it, such as https://api.anthropic.com"},
    {"upstreams:\n  g: {dialect: gemini, base_url: \"http://x/v1beta/\"}",
     "2:34: upstreams.g.base_url: ends in /v1beta, which the caller's path brings along: write the address "
     "without it, such as https://generativelanguage.googleapis.com"},
    {"upstreams:\n  azure:", "2:3: upstreams.azure wants a base_url: what the provider's own SDK would be "
                             "given, such as https://RESOURCE.openai.azure.com"},
    {"upstreams:\n  azure: {base_url: \"http://x/openai\"}",
     "2:21: upstreams.azure.base_url: ends in /openai, which the caller's path brings along: write the "
     "address without it, such as https://RESOURCE.openai.azure.com"},
    {"upstreams:\n  local: {dialect: ollama}",
     "2:3: upstreams.local wants a base_url: what the provider's own "
     "SDK would be given, such as http://127.0.0.1:11434"},
    {"upstreams:\n  anthropic: {dialect: openai}",
     "2:3: upstreams.anthropic wants a base_url: what the provider's own SDK would be given, such as "
     "https://api.example.com/v1"},
    {"upstreams:\n  a: [b]", "2:6: upstreams.a wants a mapping, such as {dialect: ...}, not a list"},
    {"upstreams:\n  a: {base_url: [b]}", "2:17: upstreams.a.base_url wants a single value, not a list"},
    {"upstreams:\n  a: {base_url: }", "2:17: upstreams.a.base_url wants a single value, not nothing"},
    {"upstreams:\n  a: {base_url: \"\"}",
     "2:17: upstreams.a.base_url: takes a URL that begins with http or https and ://"},
    {"upstreams:\n  a: {base_url: api.openai.com}",
     "2:17: upstreams.a.base_url: takes a URL that begins with http or https and ://"},
    {"upstreams:\n  a: {base_url: \"http:///v1\"}", "2:17: upstreams.a.base_url: the URL has no host"},
    {"upstreams:\n  a: {base_url: \"http://[]/v1\"}", "2:17: upstreams.a.base_url: the URL has no host"},
    {"upstreams:\n  a: {base_url: \"http://[::1/v1\"}", "2:17: upstreams.a.base_url: the URL has no host"},
    {"upstreams:\n  a: {base_url: \"http://x:0/v1\"}",
     "2:17: upstreams.a.base_url: the URL has a port that is not between 1 and 65535"},
    {"upstreams:\n  a: {base_url: \"http://x:99999\"}",
     "2:17: upstreams.a.base_url: the URL has a port that is not between 1 and 65535"},
    {"upstreams:\n  a: {base_url: \"http://x:http\"}",
     "2:17: upstreams.a.base_url: the URL has a port that is not between 1 and 65535"},
    {"upstreams:\n  a: {base_url: \"http://x y/\"}",
     "2:17: upstreams.a.base_url: the URL has a space or a character that a URL cannot have"},
    {"upstreams:\n  a: {base_url: \"http://x/\\r\\nHost: y\"}",
     "2:17: upstreams.a.base_url: the URL has a space or a character that a URL cannot have"},
    {"upstreams:\n  a: {base_url: \"http://x/#f\"}",
     "2:17: upstreams.a.base_url: the URL must not have a query or a fragment"},
    {"upstreams:\n  a: {base_url: \"http://x!y/\"}",
     "2:17: upstreams.a.base_url: the URL has a host with a character that hosts cannot have"},
    {"upstreams:\n  a: {}", "2:3: upstreams.a wants a base_url: what the provider's own SDK would be given, "
                            "such as https://api.example.com/v1"},
    {"upstreams:\n  a:", "2:3: upstreams.a wants a base_url: what the provider's own SDK would be given, "
                         "such as https://api.example.com/v1"},
    {"upstreams:\n  a: {base_url: \"ftp://x\"}",
     "2:17: upstreams.a.base_url: takes a URL that begins with http or https and ://"},
    {"upstreams:\n  a: {base_url: \"http://\"}", "2:17: upstreams.a.base_url: the URL has no host"},
    {"upstreams:\n  a: {base_url: \"http://u:p@x\"}",
     "2:17: upstreams.a.base_url: the URL must not hold a user or a password"},
    {"upstreams:\n  a: {base_url: \"http://x/?q\"}",
     "2:17: upstreams.a.base_url: the URL must not have a query or a fragment"},
    {"upstreams:\n  a: {base_url: \"http://x\", dialect: klingon}",
     "2:38: upstreams.a.dialect: \"klingon\" is not openai, anthropic, gemini, azure or ollama"},
    {"upstreams:\n  a: {base_url: \"http://x\", counting: ollama}",
     "2:39: upstreams.a.counting: \"ollama\" is not actual, openai, anthropic, gemini, azure or groq"},
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
     "2:38: upstreams.a.api_key wants one of env, file and credential, not more"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: [sk-secret-123]}",
     "2:38: upstreams.a.api_key: a credential does not stand in the file itself; write {env: NAME}, {file: "
     "PATH} or {credential: NAME}"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {env: sk-secret-123}}",
     "2:44: upstreams.a.api_key.env: takes the name of an environment variable (OPENAI_API_KEY), not a key"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {file: sk-secret-123}}",
     "2:45: upstreams.a.api_key.file: takes a path that begins with / or ~/"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {credential: ../sk-secret-123}}",
     "2:51: upstreams.a.api_key.credential: takes the name of a systemd credential "
     "(LoadCredential=NAME:PATH), not a path"},
    {"upstreams:\n  a: {base_url: \"http://x\", api_key: {credential: sk-secret-123}}",
     "2:51: upstreams.a.api_key: $CREDENTIALS_DIRECTORY is not set; systemd sets it when it starts a unit "
     "with LoadCredential="},
    {"upstreams:\n  a: {base_url: \"http://x\", timeout: 3s}",
     "2:38: upstreams.a.timeout wants a mapping, such as {connect: ...}, not a single value"},
    {"upstreams:\n  a: {base_url: \"http://x\", retry: {for: 429}}",
     "2:42: upstreams.a.retry.for wants a list, such as [429], not a single value"},
    {"upstreams:\n  a: {base_url: \"http://x\", ca_file: relative.pem}",
     "2:38: upstreams.a.ca_file: takes a path that begins with / or ~/"},
    {"upstreams:\n  a: {base_url: \"http://x\", scope: mine}",
     "2:36: upstreams.a.scope: \"mine\" is not shared or key"},
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
    {"models:\n  m: {upstream: opnai}",
     "2:17: models.m.upstream: there is no upstream \"opnai\"; did you mean \"openai\"?"},
    {"upstreams:\n  ollama:\nmodels:\n  llama: {upstream: ollama, rpm: 5}",
     "4:21: models.llama.upstream: calls of dialect ollama are limited by the max_concurrent of \"ollama\" "
     "alone, and this limit would not be enforced; for limits on its models give it dialect: openai and a "
     "base_url that ends in /v1"},
    {"models: 3", "1:9: models wants a mapping, such as {NAME: ...}, not a single value"},
    {"models:\n  m: 3", "2:6: models.m wants a mapping, such as {match: ...}, not a single value"},
    {"models:\n  \"\": {tpm: 1}",
     "2:3: \"\" cannot be a name: that has 1 to 128 bytes and no control character"},
    {"models:\n  \"a\\nb\": {tpm: 1}",
     "2:3: \"a?b\" cannot be a name: that has 1 to 128 bytes and no control character"},
    {"models:\n  \"gpt[\": {tpm: 1}", "2:3: models.gpt[: \"gpt[\" is not a glob: a [ without its ]"},
    {"models:\n  gpt-4.1: {tpm: lots}", "2:18: models.gpt-4.1.tpm: \"lots\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  a.b: {tmp: 1}", "2:9: unknown key \"tmp\"; did you mean \"tpm\"?"},
    {"models:\n  m.tpm: 5", "2:10: models.m.tpm wants a mapping, such as {match: ...}, not a single value"},
    {"models:\n  m: {tpm: 1, tpm: 2, tpm: 3, tpm: 4, tpm: 5, tpm: 6, tpm: 7, tpm: 8, tpm: 9, tpm: 10, tpm: "
     "11}",
     "2:15: tpm: stands here twice, first in line 2; remove one of them"},
    {"models:\n  m: {tpm: {max: 1, max: 2}}",
     "2:21: max: stands here twice, first in line 2; remove one of them"},
    {"models:\n  m: {tpm: [1]}", "2:12: models.m.tpm wants a number or {max: N, per: DURATION}, not a list"},
    {"models:\n  m: {tpm: ~}", "2:12: models.m.tpm wants a single value, not nothing"},
    {"models:\n  m: {tpm: {max: ~}}", "2:18: models.m.tpm wants a single value, not nothing"},
    {"models:\n  m: {tpm: {max: 1, per: [1s]}}", "2:26: models.m.tpm wants a single value, not a list"},
    {"models:\n  m: {tpm: 1001G}", "2:12: models.m.tpm: \"1001G\" is out of range (1 to 1000G)"},
    {"models:\n  m: {tpm: {max: 1, per: 367d}}",
     "2:26: models.m.tpm: \"367d\" is out of range (1ms to 366d)"},
    {"models:\n  m: {tpm: 30,000}",
     "2:15: unknown key \"000\"; numbers are written without commas (30000, 30k)"},
    {"models:\n  m: {rpm: 1.5}", "2:12: models.m.rpm: \"1.5\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  m: {match: [[a]]}", "2:15: models.m.match wants a single value, not a list"},
    {"models:\n  m: {match: }", "2:14: models.m.match wants a list, such as [a, b], not nothing"},
    {"models:\n  m: {match: [\"a\\\\\"]}",
     "2:15: models.m.match: \"a\\\" is not a glob: it ends in a backslash"},
    {"models:\n  m: {match: [a, a]}", "2:18: models.m: \"a\" is matched by models.m already, line 2"},
    {"models:\n  gpt-4o:\n  b: {match: [gpt-4o]}",
     "3:15: models.b: \"gpt-4o\" is matched by models.gpt-4o already, line 2"},
    {"models:\n  b: {match: [\"q*\"]}\n  \"q*\":",
     "3:3: models.q*: \"q*\" is matched by models.b already, line 2"},
    {"models:\n  \"*\":\n  b: {match: [\"*\"]}",
     "3:15: models.b: \"*\" is matched by models.* already, line 2"},
    {"models:\n  m: {polite: rude}", "2:15: models.m.polite: \"rude\" is not auto, always or never"},
    {"models:\n  m: {tpm: 0}", "2:12: models.m.tpm: \"0\" is out of range (1 to 1000G)"},
    {"models:\n  m: {tpm: lots}", "2:12: models.m.tpm: \"lots\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  m: {tpm: 1e99}", "2:12: models.m.tpm: \"1e99\" is not a count (500, 30k, 1.5M)"},
    {"models:\n  m: {tpm: {max: 3, per: 0s}}", "2:26: models.m.tpm: \"0s\" is out of range (1ms to 366d)"},
    {"models:\n  m: {tpm: {per: 3s}}", "2:12: models.m.tpm wants max, as in {max: 1000, per: 10s}"},
    {"models:\n  m: {tpm: {max: 3, pr: 1s}}",
     "2:21: unknown key \"pr\" of models.m.tpm; a limit is a number or {max: N, per: DURATION}"},
    {"models:\n  m: {concurrent: {max: 3, per: 1s}}",
     "2:33: models.m.concurrent counts calls in flight and has no per: write the number alone"},
    {"models:\n  m: {tmp: 3}", "2:7: unknown key \"tmp\"; did you mean \"tpm\"?"},
    {"models:\n  m: {usd_per_day: 0}",
     "2:20: models.m.usd_per_day: \"0\" is out of range (0.000001 to 1000000000)"},
    {"models:\n  m: {usd_per_day: 0.0000009}",
     "2:20: models.m.usd_per_day: \"0.0000009\" is out of range (0.000001 to 1000000000)"},
    {"models:\n  m: {usd_per_day: 1000000000.01}",
     "2:20: models.m.usd_per_day: \"1000000000.01\" is out of range (0.000001 to 1000000000)"},
    {"models:\n  m: {usd_per_day: 99999999999999999}",
     "2:20: models.m.usd_per_day: \"99999999999999999\" is out of range (0.000001 to 1000000000)"},
    {"models:\n  m: {usd_per_day: 1.0000000001}",
     "2:20: models.m.usd_per_day: \"1.0000000001\" is not an amount of dollars (2.50)"},
    {"models:\n  m: {usd_per_day: -5}",
     "2:20: models.m.usd_per_day: \"-5\" is not an amount of dollars (2.50)"},
    {"models:\n  m: {usd_per_day: 5 USD}",
     "2:20: models.m.usd_per_day: \"5 USD\" is not an amount of dollars (2.50)"},
    {"models:\n  m: {usd_per_day: [5]}",
     "2:20: models.m.usd_per_day wants a number or {max: N, per: DURATION}, not a list"},
    {"models:\n  m: {usd_per_day: {max: 5, per: 0s}}",
     "2:34: models.m.usd_per_day: \"0s\" is out of range (1ms to 366d)"},
    {"models:\n  m: {usd_per_hour: {max: 1, per: 24h}, usd_per_month: 9, usd_per_day: 5}",
     "2:72: models.m.usd_per_day: its window is as long as that of usd_per_hour; keep one of them"},
    {"models:\n  m: {usd_per_day: 1, usd_per_day: 2}",
     "2:23: usd_per_day: stands here twice, first in line 2; remove one of them"},
    {"models:\n  m: {usd_per_days: 1}", "2:7: unknown key \"usd_per_days\"; did you mean \"usd_per_day\"?"},
    {"models:\n  m: {upstream: ollama, usd_per_day: 1}\nupstreams:\n  ollama:",
     "2:17: models.m.upstream: calls of dialect ollama are limited by the max_concurrent of \"ollama\" alone, and this "
     "limit would not be enforced; for limits on its models give it dialect: openai and a base_url that ends in /v1"},
    {"models:\n  m: {upstream: nowhere}",
     "2:17: models.m.upstream: there is no upstream \"nowhere\"; there are openai, anthropic, gemini"},
    {"models:\n  m: {match: \"*\"}", "2:14: models.m.match wants a list, such as [*], not a single value"},
    {"models:\n  m: {match: [\"[\"]}", "2:15: models.m.match: \"[\" is not a glob: a [ without its ]"},
    {"models:\n  m: {match: [\"\"]}", "2:15: models.m.match: \"\" is not a glob: it is empty"},
    {"models:\n  a: {match: [\"q*\"]}\n  b: {match: [\"q*\"]}",
     "3:15: models.b: \"q*\" is matched by models.a already, line 2"},
    {"models:\n  m: {tpm: 1}\n  m: {tpm: 2}",
     "3:3: m: stands here twice, first in line 2; remove one of them"},
    {"models:\n  m: {smooth: maybe}", "2:15: models.m.smooth: \"maybe\" is not true or false"},
    {"models:\n  m: {learn: 1}", "2:14: models.m.learn: \"1\" is not true or false"},
    {"listen: [\"192.0.2.1:1\"]\nclients: {require_token: false}",
     "1:10: listen: 192.0.2.1 can be reached from other machines: that needs clients.require_token: true and "
     "tokens for the clients; else listen on 127.0.0.1, [::1] or unix:/PATH"},
    {"clients: {require_token: yes}", "1:26: clients.require_token: \"yes\" is not true or false"},
    {"clients:\n  n: {weight: 0}", "2:15: clients.n.weight: \"0\" is out of range (1 to 1000)"},
    {"clients:\n  n: {token: abc}", "2:14: clients.n.token: a credential does not stand in the file itself; "
                                    "write {env: NAME}, {file: PATH} or {credential: NAME}"},
    {"clients:\n  n: {priority: urgent}", "2:17: clients.n.priority: \"urgent\" is not high, normal or low"},
    {"clients: {users: [no-such-user]}",
     "1:19: clients.users: there is no user \"no-such-user\" in /etc/passwd; a user of another directory is "
     "written as a number"},
    {"clients: {users: [4294967295]}",
     "1:19: clients.users: there is no user \"4294967295\" in /etc/passwd; a user of another directory is "
     "written as a number"},
    {"clients: {users: []}", "1:18: clients.users wants at least one user"},
    {"clients: {users: root}", "1:18: clients.users wants a list, such as [root], not a single value"},
    {"clients:\n  a b: {weight: 1}",
     "2:3: \"a b\" cannot be the name of a client: that has 1 to 64 letters, digits, '.', '_' or '-'"},
    {"clients:\n  ..: {weight: 1}",
     "2:3: \"..\" cannot be the name of a client: that has 1 to 64 letters, digits, '.', '_' or '-'"},
    {"clients:\n  other: {weight: 1}",
     "2:3: \"other\" cannot be the name of a client: it stands for those beyond the first 1,000"},
    {"clients:\n  n: {max_wait: never}",
     "2:17: clients.n.max_wait: \"never\" is not a duration (250ms, 15s, 10m, 2h, 1d)"},
    {"clients:\n  n: {usd_per_hour: 2, usd_per_day: {max: 2, per: 1h}}",
     "2:37: clients.n.usd_per_day: its window is as long as that of usd_per_hour; keep one of them"},
    {"clients:\n  n: {token: {env: METERGATE_TEST_UNSET}}",
     "2:20: clients.n.token: the environment variable METERGATE_TEST_UNSET is not set"},
    {"clients:\n  n: {token: {env: sk-secret-123}}",
     "2:20: clients.n.token.env: takes the name of an environment variable (OPENAI_API_KEY), not a key"},
    {"clients:\n  n: {token: {credential: x}}", "2:27: clients.n.token: $CREDENTIALS_DIRECTORY is not set; "
                                                "systemd sets it when it starts a unit with LoadCredential="},
    {"clients:\n  n: {token: {env: HOME, file: /dev/null}}",
     "2:14: clients.n.token wants one of env, file and credential, not more"},
    {"clients: [n]", "1:10: clients wants a mapping, such as {require_token: ...}, not a list"},
    {"allow: {hosts: a}", "1:16: allow.hosts wants a list, such as [a], not a single value"},
    {"allow: {hosts: [\"http://a.lan\"]}", "1:17: allow.hosts: \"http://a.lan\" is not a host as a Host "
                                           "header names it (proxy.lan, proxy.lan:4283, [fd00::1])"},
    {"allow: {hosts: [\"\"]}", "1:17: allow.hosts: \"\" is not a host as a Host header names it (proxy.lan, "
                               "proxy.lan:4283, [fd00::1])"},
    {"allow: {origins: [app.example]}", "1:19: allow.origins: \"app.example\" is not an origin as a browser "
                                        "writes it (https://app.example, no path and no "
                                        "slash at the end)"},
    {"allow: {origins: [\"https://app.example/\"]}",
     "1:19: allow.origins: \"https://app.example/\" is not an origin as a browser writes it "
     "(https://app.example, no path "
     "and no slash at the end)"},
    {"allow: {host: [a]}", "1:9: unknown key \"host\"; did you mean \"hosts\"?"},
    {"prices:\n  m: {input: -1}", "2:14: prices.m.input: \"-1\" is not an amount of dollars (2.50)"},
    {"prices:\n  m: {input: cheap}", "2:14: prices.m.input: \"cheap\" is not an amount of dollars (2.50)"},
    {"- a", "1:1: the file wants a mapping of options, not a list"},
    {"just text", "1:1: the file wants a mapping of options, not a single value"},
    {"a: [1", "2:1: a list wants , or ] here; its [ stands in line 1"},
    {"a: {b: }}",
     "1:9: this does not belong here: check the indentation and the brackets of the mapping that begins in "
     "line 1"},
    {"\tx: 1", "1:1: a tab: indent with spaces"},
    {"a: &x [*x]", "1:8: an alias inside its own anchor: write the value out"},
    {"a: \"\\0\"", "1:4: a NUL character: remove it"},
    {"a: b: c",
     "1:5: a second \": \" of one value: indent the line like those above it, or put the text in quotes"},
    {"'a", "1:3: a quote is not closed; it was opened in line 1"},
    {"\xc3\xa4\xc3\xb6: \xff", "1:5: not UTF-8: save the file as UTF-8"},
    {"a: 1\nb: \x01", "2:4: a control character: remove it"},
    {"a: &x [1]\nb: *y",
     "2:4: an alias of an anchor (&NAME) that is not above it; a text that begins with * must be in quotes"},
    {"headroom: 20%\n---\nheadroom: 10%", "2:1: a second document: a configuration is one; remove this line"},
    {"? [a]\n: b",
     "1:3: a key must be a word, not a list or a mapping: put a text that begins with [ or { in quotes"},
};

/* The keys in the texts of this file all begin alike. */
static void assert_no_key(const struct problems *problems)
{
    for (size_t i = 0; i < problems->n; i++)
        assert_null(strstr(problems->v[i].message, "sk-"));
}

/* False, and told, when the row is not answered as it says. */
static bool is_answered(const char *yaml, const char *problem)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf text;
    bool good;

    buf_init(&text, BUF_UNLIMITED);
    if (config_from(yaml, &c, &problems) == 0)
        fail_msg("accepted: %s", yaml);
    assert_null(c);
    assert_true(problems.errors > 0);
    problems_print(&problems, 0, &text);
    good = strncmp(text.p, "file:", 5) == 0 && strcmp(text.p + 5, problem) == 0;
    if (!good)
        print_error("%s\n  gave  %s\n  want  file:%s\n", yaml, text.p, problem);
    assert_no_key(&problems);
    buf_release(&text);
    problems_release(&problems);
    return good;
}

static void test_config__every_mistake__is_named_with_its_place(void **state)
{
    bool good = true;

    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(bad); i++)
        good &= is_answered(bad[i].yaml, bad[i].problem);
    assert_true(good);
}

static void test_config__several_mistakes__are_all_reported_in_the_order_of_the_file(void **state)
{
    struct problems problems;
    struct config *c;

    (void)state;
    assert_true(config_from("headroom: 99%\ndrain: x\nmodels:\n  m: {tpm: 0, rpm: 0}\n", &c, &problems) < 0);
    assert_int_equal(problems.errors, 4);
    for (size_t i = 1; i < problems.n; i++)
        assert_true(problems.v[i - 1].line <= problems.v[i].line);
    problems_release(&problems);
}

/* Good files, and every warning that they get. */
static const struct {
    const char *yaml, *warnings;
} warned[] = {
    {"", ""},
    {"# only a comment\n", ""},
    {"---\n...\n", ""},
    {"queue:\nmodels:\nupstreams: ~\n", ""},
    {"queue: {max_wait: 0}", ""},
    {"headroom: 0", ""},
    {"models:\n  m:\n", ""},
    {"upstreams:\n  anthropic: {base_url: \"http://x\", dialect: openai}", ""},
    {"models:\n  gpt-4o: {tpm: 1}\n  b: {match: [\"gpt-4o-mini*\"]}\n", ""},
    {"models:\n  gpt-4o-2024-08-06: {tpm: 1}\n  gpt-4o: {tpm: 2}\n", ""},
    {"models:\n  a: {match: [\"x*\"]}\n  b: {match: [x1, y1]}\n", ""},
    {"models:\n  c: {match: [\"claude*\"], upstream: anthropic}\n  claude-3: {tpm: 5}\n", ""},
    {"upstreams:\n  a: {base_url: \"http://x\"}\nmodels:\n  m: {match: [\"q*\"], upstream: a}\n  n: {match: "
     "[\"q*\"]}\n",
     ""},
    {"retention: 10d", ""},
    {"queue: {keepalive: 5s}", ""},
    {"queue: {keepalive: 0s, keepalive_agents: []}", ""},
    {"state_dir: none", ""},
    {"state_dir: /var/lib/metergate", ""},
    {"upstreams:\n  openai: {scope: shared}", ""},
    {"upstreams:\n  openai: {scope: key}", ""},
    {"queue: {order: fifo}", ""},
    {"models:\n  m: {learn: false, polite: auto}", ""},
    {"models:\n  m: {learn: true}", ""},
    {"models:\n  a.b: {polite: never}\n  c: {polite: always}", ""},
    {"clients: {require_token: false}", ""},
    {"clients: {nightly: {priority: low, weight: 2, max_wait: 2h, tpm: 10k, rpm: {max: 5, per: 10s}}}", ""},
    {"clients: {require_token: true}",
     "file:1:26: clients.require_token: no client has a token, so nobody may call\n"},
    {"prices: {m: {input: 2.50}}", ""},
    {"prices:\n  gpt-4o-2024-08-06: {input: 1}\n  gpt-4o: {input: 1}\n  \"gpt-*\": {input: 1}\n  \"*\": {input: 1}", ""},
    {"prices:\n  gpt-4o: {input: 1}\n  gpt-4o-2024-08-06: {input: 1}\n",
     "file:3:3: prices.gpt-4o-2024-08-06: never used; prices.gpt-4o in line 2 matches its names first\n"},
    {"prices:\n  \"gpt-*\": {input: 1}\n  gpt-4o: {input: 1}\n  \"gpt-4*\": {input: 1}\n",
     "file:3:3: prices.gpt-4o: never used; prices.gpt-* in line 2 matches its names first\n"},
    {"prices:\n  \"*\": {input: 1}\n  \"g*\": {input: 1}\n",
     "file:3:3: prices.g*: never used; prices.* in line 2 matches its names first\n"},
    {"prices:\n  gpt-4o: {input: 1}\n  \"ft:gpt-4o*\": {input: 1}\n", ""},
    {"models:\n  \"*\": {tpm: 5}\n  b: {tpm: 3}\n  c:\n",
     "file:3:3: models.b: never reached; models.* in line 2 matches its names first\n"
     "file:4:3: models.c: never reached; models.* in line 2 matches its names first\n"},
    {"models:\n  all: {match: [x, \"*\"]}\n  b: {tpm: 3}\n",
     "file:3:3: models.b: never reached; models.all in line 2 matches its names first\n"},
    {"models:\n  \"gpt-*\": {tpm: 1}\n  gpt-4o: {tpm: 2}\n",
     "file:3:3: models.gpt-4o: never reached; models.gpt-* in line 2 matches its names first\n"},
    {"models:\n  gpt-4o: {tpm: 1}\n  gpt-4o-2024-08-06: {tpm: 2}\n",
     "file:3:3: models.gpt-4o-2024-08-06: never reached; models.gpt-4o in line 2 matches its names first\n"},
};

static void test_config__what_has_no_effect__is_a_warning(void **state)
{
    (void)state;
    for (size_t i = 0; i < MG_ARRAY_LEN(warned); i++) {
        struct problems problems;
        struct config *c = NULL;
        struct buf text;

        buf_init(&text, BUF_UNLIMITED);
        buf_add_str(&text, "");
        if (config_from(warned[i].yaml, &c, &problems) < 0)
            fail_msg("refused: %s", warned[i].yaml);
        assert_int_equal(problems.errors, 0);
        problems_print_all(&problems, &text);
        if (strcmp(text.p, warned[i].warnings) != 0)
            fail_msg("%s\n  gave  %s\n  want  %s", warned[i].yaml, text.p, warned[i].warnings);
        for (size_t j = 0; j < problems.n; j++)
            assert_true(problems.v[j].warning);
        buf_release(&text);
        problems_release(&problems);
        config_free(c);
    }
}

static void test_config__more_mistakes_than_are_kept__are_counted(void **state)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf yaml, text;

    (void)state;
    buf_init(&yaml, BUF_UNLIMITED);
    buf_init(&text, BUF_UNLIMITED);
    for (int i = 0; i < PROBLEMS_MAX + 7; i++)
        buf_addf(&yaml, "wrong_%d: 1\n", i);
    assert_true(config_from(yaml.p, &c, &problems) < 0);
    assert_int_equal(problems.n, PROBLEMS_MAX);
    assert_int_equal(problems.errors, PROBLEMS_MAX + 7);
    problems_print_all(&problems, &text);
    assert_non_null(strstr(text.p, "file:100:1: unknown key \"wrong_99\"" KNOWN "\nand 7 more\n"));
    problems_release(&problems);
    buf_release(&yaml);
    buf_release(&text);
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

        assert_true(config_from(rows[i], &c, &problems) < 0);
        problems_release(&problems);
    }
}

static void test_config__a_name_over_128_bytes__is_refused(void **state)
{
    struct problems problems;
    struct config *c = NULL;
    struct buf yaml;

    (void)state;
    buf_init(&yaml, BUF_UNLIMITED);
    for (int extra = 0; extra < 2; extra++) {
        buf_reset(&yaml);
        buf_addf(&yaml, "models: {%0*d: {tpm: 1}}", 128 + extra, 7);
        assert_int_equal(config_from(yaml.p, &c, &problems) < 0, extra);
        if (extra)
            assert_non_null(strstr(problems.v[0].message, "cannot be a name: that has 1 to 128 bytes"));
        else
            config_free(c);
        problems_release(&problems);
    }
    buf_release(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__every_mistake__is_named_with_its_place),
        cmocka_unit_test(test_config__several_mistakes__are_all_reported_in_the_order_of_the_file),
        cmocka_unit_test(test_config__what_has_no_effect__is_a_warning),
        cmocka_unit_test(test_config__the_same_key_many_times__is_only_an_error),
        cmocka_unit_test(test_config__a_name_over_128_bytes__is_refused),
        cmocka_unit_test(test_config__more_mistakes_than_are_kept__are_counted),
    };

    unsetenv("CREDENTIALS_DIRECTORY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
