/*
 * table: rows of one mapping stand together and a nested mapping's rows stand together inside it, because the
 * printer opens and closes mappings as the paths change. Every `fallback` and bound is text that value_read
 * accepts (a test reads them all).
 */
#include "metergate/config/table.h"

#include <string.h>

#include "metergate/config/config.h"

#define CONFIG(member)   .home = TABLE_IN_CONFIG, .offset = offsetof(struct config, member)
#define UPSTREAM(member) .home = TABLE_IN_UPSTREAM, .offset = offsetof(struct config_upstream, member)
#define MODEL(member)    .home = TABLE_IN_MODEL, .offset = offsetof(struct config_model, member)
#define CLIENT(member)   .home = TABLE_IN_CLIENT, .offset = offsetof(struct config_client, member)
#define PRICE(member)    .home = TABLE_IN_PRICE, .offset = offsetof(struct config_price, member)

#define LIMIT(AT, metric_, span_)                                                                            \
    .type = TABLE_LIMIT, AT(limits), .min = "1", .max = "1000G", .metric = (metric_), .span = (span_)

/* The limits of a section; `AT` is the macro of its entries. */
#define LIMITS(section, AT)                                                                                  \
    {.path = section ".rpm", LIMIT(AT, METRIC_REQUESTS, "1m"), .help = "requests per minute"},               \
    {.path = section ".rpd",                                                                                 \
     LIMIT(AT, METRIC_REQUESTS, "1d"),                                                                       \
     .help = "requests per day; used in full, whatever headroom"},                                           \
    {.path = section ".tpm", LIMIT(AT, METRIC_TOKENS, "1m"), .help = "tokens per minute, input plus output"},\
    {.path = section ".tpd", LIMIT(AT, METRIC_TOKENS, "1d"), .help = "tokens per day, input plus output"},   \
    {.path = section ".itpm", LIMIT(AT, METRIC_INPUT, "1m"), .help = "input tokens per minute"},             \
    {.path = section ".itpd", LIMIT(AT, METRIC_INPUT, "1d"), .help = "input tokens per day"},                \
    {.path = section ".otpm", LIMIT(AT, METRIC_OUTPUT, "1m"), .help = "output tokens per minute"},           \
    {.path = section ".otpd", LIMIT(AT, METRIC_OUTPUT, "1d"), .help = "output tokens per day"},              \
    {.path = section ".concurrent",                                                                          \
     LIMIT(AT, METRIC_CONCURRENT, NULL),                                                                     \
     .help = "calls in flight; used in full, whatever headroom"}

#define MONEY(section, AT, key, span_, words)                                                                \
    {.path = section "." key, .type = TABLE_MONEY, AT(money), .min = "0.000001", .max = "1000000000",        \
     .span = (span_),                                                                                        \
     .help = "money per rolling " words "; used in full, whatever headroom; what goes beyond is refused, never held"}

/* The money limits of a section. */
#define MONEYS(section, AT)                                                                                  \
    MONEY(section, AT, "usd_per_hour", "1h", "hour"), MONEY(section, AT, "usd_per_day", "1d", "day"),        \
        MONEY(section, AT, "usd_per_month", "30d", "30 days")

/* Bounded as PRICE_RATE_MAX is. */
#define USD_PER_MILLION .type = TABLE_USD, .min = "0", .max = "1000000"
#define RATE(which)      USD_PER_MILLION, PRICE(rates.pico[(which)])
#define LONG_RATE(which) USD_PER_MILLION, PRICE(long_rates.pico[(which)])

static const struct table_row rows[] = {
    {.path = "listen",
     .type = TABLE_LISTEN,
     CONFIG(listen),
     .fallback = "127.0.0.1:4283, [::1]:4283",
     .restart = true,
     .help =
         "addresses to listen on: HOST:PORT with an address in numbers, [IPV6]:PORT, or unix:/PATH (mode "
         "0600); other machines' only with `clients.require_token`; a default address that the machine lacks "
         "is only a warning; sockets from systemd take the place of all"},
    {.path = "state_dir",
     .type = TABLE_PATH,
     CONFIG(state_dir),
     .fallback = "",
     .choices = "none",
     .restart = true,
     .help = "directory for the ledger of all calls and for what is learned of models; `none` keeps nothing; default "
             "$STATE_DIRECTORY, else $XDG_STATE_HOME/metergate (~/.local/state/metergate)"},
    {.path = "user",
     .type = TABLE_USER,
     CONFIG(user),
     .fallback = "",
     .restart = true,
     .help = "the local user, by name or number, that a daemon started by root becomes once keys are read and sockets are open, and who "
             "then has to be able to read the files at a reload; default `metergate` where there is such a user, else it stays root "
             "with few capabilities, and warns; its `state_dir` is /var/lib/metergate by default; a daemon that root does not start stays "
             "who it is"},
    {.path = "log.level",
     .type = TABLE_CHOICE,
     CONFIG(log.level),
     .fallback = "info",
     .choices = "error|warn|info|debug",
     .help = "how much is logged; `info` is one line a finished call"},
    {.path = "log.format",
     .type = TABLE_CHOICE,
     CONFIG(log.format),
     .fallback = "text",
     .choices = "text|json",
     .help = "how a line is written; never a body, a prompt or a key"},
    {.path = "queue.max_wait",
     .type = TABLE_DURATION,
     CONFIG(queue.max_wait_us),
     .fallback = "24h",
     .min = "0s",
     .max = "365d",
     .help = "longest time that a call is held, from its arrival"},
    {.path = "queue.max_requests",
     .type = TABLE_COUNT,
     CONFIG(queue.max_requests),
     .fallback = "10000",
     .min = "1",
     .max = "1M",
     .help = "calls held, all queues together; one client may hold at most 80 % of it"},
    {.path = "queue.max_bytes",
     .type = TABLE_SIZE,
     CONFIG(queue.max_bytes),
     .fallback = "1GiB",
     .min = "1",
     .max = "1024GiB",
     .help = "bodies held, all queues together; one client may hold at most 80 % of it"},
    {.path = "queue.max_body",
     .type = TABLE_SIZE,
     CONFIG(queue.max_body),
     .fallback = "64MiB",
     .min = "1",
     .max = "1GiB",
     .help = "the body of one call that may be held; what passes through is streamed and not limited"},
    {.path = "queue.keepalive",
     .type = TABLE_DURATION,
     CONFIG(queue.keepalive_us),
     .fallback = "15s",
     .min = "0s",
     .max = "1d",
     .help = "how often a held call is told that it is alive (102 Processing); 0 = never"},
    {.path = "queue.keepalive_agents",
     .type = TABLE_GLOBS,
     CONFIG(queue.keepalive_agents),
     .fallback = "",
     .help = "User-Agent globs that may get 102, besides the built-in ones"},
    {.path = "queue.order",
     .type = TABLE_CHOICE,
     CONFIG(queue.order),
     .fallback = "fair",
     .choices = "fair|fifo",
     .help = "who goes first: `fair` by priority, then shared among clients by tokens and weight; `fifo` in "
             "the order of arrival"},
    {.path = "headroom",
     .type = TABLE_SHARE,
     CONFIG(headroom_permille),
     .fallback = "20%",
     .min = "0%",
     .max = "90%",
     .help = "share of every token and per-minute request limit that is left unused; concurrency and "
             "requests per day "
             "are used in full, and one request is always usable"},
    {.path = "retention",
     .type = TABLE_DURATION,
     CONFIG(retention_us),
     .fallback = "400d",
     .min = "1h",
     .max = "36500d",
     .help = "how long the ledger keeps a row of each call; the sums of each hour stay"},
    {.path = "drain",
     .type = TABLE_DURATION,
     CONFIG(drain_us),
     .fallback = "60s",
     .min = "0s",
     .max = "1d",
     .help = "how long a stop waits for calls in flight"},

    {.path = "upstreams.*.dialect",
     .type = TABLE_CHOICE,
     UPSTREAM(dialect),
     .fallback = "openai",
     .choices = "openai|anthropic|gemini|azure|ollama",
     .help =
         "how the provider is spoken to; an upstream that is named like a dialect has that one by default; "
         "calls of `ollama` pass through and are limited by `max_concurrent` alone"},
    {.path = "upstreams.*.base_url",
     .type = TABLE_URL,
     UPSTREAM(base_url),
     .choices = "http|https",
     .help =
         "what the provider's own SDK would be given; of dialect openai it takes the place of the caller's "
         "leading /v1, of the others it is the host, and the caller's path is appended whole; required, but "
         "for the upstreams `openai` (https://api.openai.com/v1), `anthropic` (https://api.anthropic.com), "
         "`gemini` (https://generativelanguage.googleapis.com) and `ollama` (http://127.0.0.1:11434)"},
    {.path = "upstreams.*.api_key.env",
     .type = TABLE_ENV,
     UPSTREAM(api_key_env),
     .help = "name of the environment variable with the key that replaces the client's own"},
    {.path = "upstreams.*.api_key.file",
     .type = TABLE_FILE,
     UPSTREAM(api_key_file),
     .help = "file whose first line is that key; nobody but its owner may use it (mode 0600), a group may read one of root's (0640)"},
    {.path = "upstreams.*.api_key.credential",
     .type = TABLE_CREDENTIAL,
     UPSTREAM(api_key_credential),
     .help = "name of the systemd credential (LoadCredential=) with that key"},
    {.path = "upstreams.*.counting",
     .type = TABLE_CHOICE,
     UPSTREAM(counting),
     .choices = "actual|openai|anthropic|gemini|azure|groq",
     .help =
         "how the provider charges a call: `openai` all of max(input + expected output, characters / 4, "
         "max_tokens x n) on arrival; `anthropic` input without cache reads on arrival and output as it is "
         "produced; `gemini` input alone; `azure` prompt and max_tokens on arrival; `groq` the same, without what "
         "was read from a cache once that is known; `actual` input on arrival and output at the end, right for "
         "most others; default that of the dialect, `actual` of ollama"},
    {.path = "upstreams.*.max_concurrent",
     .type = TABLE_COUNT,
     UPSTREAM(max_concurrent),
     .fallback = "0",
     .min = "0",
     .max = "1M",
     .help = "calls in flight; 0 = no cap"},
    {.path = "upstreams.*.scope",
     .type = TABLE_CHOICE,
     UPSTREAM(scope),
     .fallback = "shared",
     .choices = "shared|key",
     .help = "`key` keeps one set of windows per client credential, for callers of several organisations; "
             "calls that go out with the upstream's api_key share one"},
    {.path = "upstreams.*.timeout.connect",
     .type = TABLE_DURATION,
     UPSTREAM(connect_timeout_us),
     .fallback = "10s",
     .min = "1ms",
     .max = "1h",
     .help = "name, connection and TLS"},
    {.path = "upstreams.*.timeout.first_byte",
     .type = TABLE_DURATION,
     UPSTREAM(first_byte_timeout_us),
     .fallback = "1h",
     .min = "1ms",
     .max = "7d",
     .help = "from the sent request to the head of its answer"},
    {.path = "upstreams.*.timeout.idle",
     .type = TABLE_DURATION,
     UPSTREAM(idle_timeout_us),
     .fallback = "10m",
     .min = "1ms",
     .max = "7d",
     .help = "between two pieces of an answer"},
    {.path = "upstreams.*.retry.attempts",
     .type = TABLE_COUNT,
     UPSTREAM(retry_attempts),
     .fallback = "3",
     .min = "1",
     .max = "100",
     .help = "attempts in all, the first included; waits that the provider asked for are not counted; with 1 nobody is "
             "held because a provider is down"},
    {.path = "upstreams.*.retry.for",
     .type = TABLE_CHOICES,
     UPSTREAM(retry_for),
     .fallback = "429, 503, 529, connect",
     .choices = "429|503|529|connect",
     .help = "what is tried again: these answers, and connections that failed before anything was sent"},
    {.path = "upstreams.*.proxy",
     .type = TABLE_URL,
     UPSTREAM(proxy),
     .fallback = "",
     .choices = "http",
     .help = "an HTTP proxy on the way to the provider, http://HOST:PORT; the environment's is not used"},
    {.path = "upstreams.*.ca_file",
     .type = TABLE_PATH,
     UPSTREAM(ca_file),
     .fallback = "",
     .help = "PEM file of trust roots besides the system's"},

    {.path = "models.*.match",
     .type = TABLE_GLOBS,
     MODEL(match),
     .fallback = "",
     .help = "shell globs; all matching names share this one budget; default the key itself and its dated "
             "snapshots"},
    {.path = "models.*.upstream",
     .type = TABLE_NAME,
     MODEL(upstream_name),
     .help = "the upstream that serves these models; default whichever the call's path chose; calls whose "
             "path chose "
             "another need an api_key of this one"},
    LIMITS("models.*", MODEL),
    MONEYS("models.*", MODEL),
    {.path = "models.*.smooth",
     .type = TABLE_BOOL,
     MODEL(smooth),
     .fallback = "false",
     .help = "spread requests inside the minute, or whatever the window of `rpm` is"},
    {.path = "models.*.polite",
     .type = TABLE_CHOICE,
     MODEL(polite),
     .fallback = "auto",
     .choices = "auto|always|never",
     .help = "pace lower priorities while a higher one is in play: `auto` while a client of a higher priority "
             "is configured or was lately seen"},
    {.path = "models.*.learn",
     .type = TABLE_BOOL,
     MODEL(learn),
     .fallback = "false",
     .help = "take the limits from what the provider says: a number here is the one to start with; until the "
             "provider's is known few calls are in flight"},

    {.path = "allow.hosts",
     .type = TABLE_HOSTS,
     CONFIG(allow.hosts),
     .fallback = "",
     .help = "Host values that are ours besides localhost and the listen addresses"},
    {.path = "allow.origins",
     .type = TABLE_ORIGINS,
     CONFIG(allow.origins),
     .fallback = "",
     .help = "Origin values of browser pages that may call, as https://app.example"},

    {.path = "clients.require_token",
     .type = TABLE_BOOL,
     CONFIG(clients.require_token),
     .fallback = "false",
     .help = "refuse callers without the token of a client, all but those of /healthz and /readyz"},
    {.path = "clients.users",
     .type = TABLE_USERS,
     CONFIG(clients.users),
     .help =
         "local users that may call, by name or number, root only if listed; nobody else may, nor anybody "
         "whose user cannot be seen; default everybody"},
    {.path = "clients.*.priority",
     .type = TABLE_CHOICE,
     CLIENT(priority),
     .fallback = "normal",
     .choices = "high|normal|low",
     .help = "whose calls go first, lower ones get a small share all the same; the client may lower it for a "
             "call, not raise it"},
    {.path = "clients.*.weight",
     .type = TABLE_COUNT,
     CLIENT(weight),
     .fallback = "1",
     .min = "1",
     .max = "1000",
     .help = "its share of a queue beside the other clients of its priority"},
    {.path = "clients.*.max_wait",
     .type = TABLE_DURATION,
     CLIENT(max_wait_us),
     .min = "0s",
     .max = "365d",
     .help = "as queue.max_wait, for this client, and in its place; default that one"},
    LIMITS("clients.*", CLIENT),
    MONEYS("clients.*", CLIENT),
    {.path = "clients.*.token.env",
     .type = TABLE_ENV,
     CLIENT(token_env),
     .help =
         "environment variable with the token that proves this client, 16 characters at least; without it "
         "nobody can be this client"},
    {.path = "clients.*.token.file",
     .type = TABLE_FILE,
     CLIENT(token_file),
     .help = "file whose first line is that token; its mode as that of a key"},
    {.path = "clients.*.token.credential",
     .type = TABLE_CREDENTIAL,
     CLIENT(token_credential),
     .help = "systemd credential with that token"},

    {.path = "prices.*.input", RATE(RATE_INPUT), .help = "USD per million input tokens; a key matches as "
             "one of `models` does, and replaces what the built-in table says, figure by figure"},
    {.path = "prices.*.cached", RATE(RATE_CACHED),
     .help = "USD per million input tokens that were read from the provider's cache; default the built-in one, else "
             "that of input"},
    {.path = "prices.*.cache_write", RATE(RATE_CACHE_WRITE),
     .help = "USD per million input tokens that were written to its cache; default as `cached`"},
    {.path = "prices.*.cache_write_1h", RATE(RATE_CACHE_WRITE_1H),
     .help = "the same where they are kept for an hour or longer; default the built-in one, else that of cache_write"},
    {.path = "prices.*.output", RATE(RATE_OUTPUT), .help = "USD per million output tokens, reasoning included"},
    {.path = "prices.*.long.above", .type = TABLE_COUNT, PRICE(long_above), .min = "1", .max = "1000M",
     .help = "a call with more input tokens than this is billed by the prices of `long` altogether"},
    {.path = "prices.*.long.input", LONG_RATE(RATE_INPUT), .help = "of such a call; default as a shorter one's"},
    {.path = "prices.*.long.cached", LONG_RATE(RATE_CACHED), .help = "likewise"},
    {.path = "prices.*.long.cache_write", LONG_RATE(RATE_CACHE_WRITE), .help = "likewise"},
    {.path = "prices.*.long.cache_write_1h", LONG_RATE(RATE_CACHE_WRITE_1H), .help = "likewise"},
    {.path = "prices.*.long.output", LONG_RATE(RATE_OUTPUT), .help = "likewise"},
};

const struct table_row *table_rows(size_t *ret_n)
{
    *ret_n = MG_ARRAY_LEN(rows);
    return rows;
}

const struct table_row *table_find(struct slice path)
{
    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        if (slice_eq(path, slice_str(rows[i].path)))
            return &rows[i];
    }
    return NULL;
}

/* What follows `section` and its dot in the row's path; false when the row does not lie below the section. */
static bool below(const struct table_row *row, struct slice section, struct slice *ret_rest)
{
    struct slice path = slice_str(row->path);

    if (section.n) {
        if (!slice_starts(path, section) || path.n <= section.n || path.p[section.n] != '.')
            return false;
        path = slice_skip(path, section.n + 1);
    }
    *ret_rest = path;
    return true;
}

bool table_is_section(struct slice path)
{
    struct slice rest;

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        if (below(&rows[i], path, &rest))
            return true;
    }
    return false;
}

void table_name_keys(struct slice section, struct buf *out)
{
    struct slice rest, last = {NULL, 0};
    size_t before = out->n;

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        if (!below(&rows[i], section, &rest))
            continue;
        rest = slice_head(rest, slice_find(rest, '.'));
        if (slice_eq(rest, last))
            continue;
        buf_add_str(out, out->n > before ? ", " : "");
        buf_add_slice(out, slice_eq(rest, SLICE("*")) ? SLICE("NAME") : rest);
        last = rest;
    }
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

#define DISTANCE_MAX 32 /* longer words are not compared */

/* Optimal string alignment: row i of the matrix needs rows i-1 and i-2 alone. */
unsigned table_distance(struct slice a, struct slice b, unsigned limit)
{
    unsigned d[3][DISTANCE_MAX + 1];

    if (a.n > DISTANCE_MAX || b.n > DISTANCE_MAX)
        return limit + 1;
    for (unsigned j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];

        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            char x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);

            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && lower(a.p[i - 2]) == y &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return d[a.n % 3][b.n] <= limit ? d[a.n % 3][b.n] : limit + 1;
}

struct slice table_nearest(struct slice section, struct slice key)
{
    struct slice best = {NULL, 0}, rest;
    unsigned best_distance = 3;

    for (size_t i = 0; i < MG_ARRAY_LEN(rows); i++) {
        unsigned distance;

        if (!below(&rows[i], section, &rest))
            continue;
        rest = slice_head(rest, slice_find(rest, '.'));
        distance = table_distance(key, rest, 2);
        if (distance >= best_distance || 2 * (size_t)distance > rest.n)
            continue;
        best = rest;
        best_distance = distance;
    }
    return best;
}
