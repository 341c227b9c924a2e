/*
 * config: what the operator asked for, as plain data: the file (or the built-in configuration), checked, with
 * every default filled in. Readers may read every field of these structs; nobody but this module writes them.
 *
 * One struct config owns everything below it and is freed whole when the last of its owners has called
 * config_free: after a reload the calls of an upstream that is gone still read theirs. What is handed out
 * (upstreams, model entries) is borrowed and lives as long as the configuration. A bad file yields no
 * configuration at all, and every problem in it, never only the first.
 *
 * What each option means, its bounds and whether it has an effect in this version stands in one table
 * (config/table.h); docs/configuration.md and conf/metergate.yaml are checked against it.
 */
#ifndef METERGATE_CONFIG_CONFIG_H
#define METERGATE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "metergate/base/buf.h"
#include "metergate/base/err.h"
#include "metergate/base/log.h"
#include "metergate/base/secret.h"
#include "metergate/base/slice.h"
#include "metergate/config/problems.h"
#include "metergate/gate/budget.h"
#include "metergate/gate/price.h"
#include "metergate/gate/purse.h"

enum config_dialect { CONFIG_OPENAI, CONFIG_ANTHROPIC, CONFIG_GEMINI, CONFIG_AZURE, CONFIG_OLLAMA };

/* How the provider charges a call; where the file does not say, as the dialect's own provider does. */
enum config_counting {
    CONFIG_COUNTING_ACTUAL,    /* input on arrival, output at the end */
    CONFIG_COUNTING_OPENAI,    /* max(input + expected output, characters / 4, max_tokens x n) on arrival */
    CONFIG_COUNTING_ANTHROPIC, /* input without cache reads on arrival, output as produced */
    CONFIG_COUNTING_GEMINI,    /* input alone */
    CONFIG_COUNTING_AZURE,     /* prompt and max_tokens on arrival */
    CONFIG_COUNTING_GROQ       /* likewise; what was read from a cache is given back */
};

#define CONFIG_LIMITS_MAX 9 /* one of each key */

enum config_order { CONFIG_ORDER_FAIR, CONFIG_ORDER_FIFO };
enum config_scope { CONFIG_SCOPE_SHARED, CONFIG_SCOPE_KEY };
enum config_priority { CONFIG_PRIORITY_HIGH, CONFIG_PRIORITY_NORMAL, CONFIG_PRIORITY_LOW };
enum config_polite { CONFIG_POLITE_AUTO, CONFIG_POLITE_ALWAYS, CONFIG_POLITE_NEVER };

/* Bits of config_upstream.retry_for. */
#define CONFIG_RETRY_429     1u
#define CONFIG_RETRY_503     2u
#define CONFIG_RETRY_529     4u
#define CONFIG_RETRY_CONNECT 8u

/* Owned strings. */
struct config_strings {
    char **v;
    size_t n;
};

/*
 * An address to listen on: 127.0.0.1:4283, [::1]:4283, unix:/run/metergate.sock, and with require_token any
 * other address.
 */
struct config_listen {
    char *text;
    bool optional; /* a default address: that the machine lacks it is only a warning */
};

struct config_listens {
    struct config_listen *v;
    size_t n;
};

/* A local user who may call. */
struct config_user {
    char *text; /* a name or a number, as the file has it */
    uid_t uid;  /* as it was when the file was read */
};

struct config_users {
    struct config_user *v;
    size_t n;
};

struct config_upstream {
    char *name;
    enum config_dialect dialect;
    char *base_url;           /* http(s)://HOST[:PORT][/PATH], without '/' at its end */
    char *api_key_env;        /* where api_key came from: at most one of the three is not NULL */
    char *api_key_file;       /* (the second) */
    char *api_key_credential; /* (the third: a name in systemd's $CREDENTIALS_DIRECTORY) */
    struct secret api_key;    /* unset: the client's own key travels */
    enum config_counting counting;
    int64_t max_concurrent; /* calls in flight; 0 = no cap */
    enum config_scope scope;
    int64_t connect_timeout_us;
    int64_t first_byte_timeout_us;
    int64_t idle_timeout_us;
    int64_t retry_attempts; /* in all, the first included; waits that the provider asked for do not count */
    unsigned retry_for;     /* CONFIG_RETRY_* */
    char *proxy;            /* http://HOST:PORT; "" = none */
    char *ca_file;          /* readable when the file was read; "" = none */
    int line;               /* in the file; 0 for a built-in one */
};

struct config_model {
    char *name;                             /* the key; also the budget's name when it has limits */
    struct config_strings match;            /* globs; empty: the key itself and its dated snapshots */
    char *upstream_name;                    /* NULL: whichever upstream the call goes to */
    const struct config_upstream *upstream; /* borrowed, of the same configuration; NULL with upstream_name */
    struct limit limits[CONFIG_LIMITS_MAX]; /* those given, in the order of the file */
    size_t limit_count;
    struct money_limit money[PURSE_LIMITS_MAX]; /* likewise; each of another span */
    size_t money_count; /* without limits of either kind: one budget per model name, counted but not held */
    bool smooth;                            /* spread requests inside rpm's window; the limit says so as well */
    enum config_polite polite;
    bool learn;
    int line; /* in the file; 0 for a built-in one */
};

/* A client that the file knows. Of its token only a digest is kept: nothing here can be sent or shown. */
struct config_client {
    char *name;
    enum config_priority priority; /* path and header may lower it */
    int64_t weight;                /* 1..1000 */
    int64_t max_wait_us;           /* -1: queue.max_wait's */
    struct limit limits[CONFIG_LIMITS_MAX]; /* those given, in the order of the file; no headroom is taken off */
    size_t limit_count;
    struct money_limit money[PURSE_LIMITS_MAX]; /* likewise; each of another span */
    size_t money_count;
    char *token_env;               /* where the token came from: at most one of the three is not NULL */
    char *token_file;              /* (the second) */
    char *token_credential;        /* (the third) */
    bool has_token;
    struct secret_fingerprint token; /* with has_token */
    int line;
};

/* A token has at least this many bytes: a local program can try some ten thousand a second. */
#define CONFIG_TOKEN_MIN 16

/* Prices of the models that the key matches; -1 where the file gives none. */
struct config_price {
    char *name; /* a name with its dated snapshots, or a glob */
    struct rates rates;
    int64_t long_above; /* as in struct price; with any of long_rates it is given */
    struct rates long_rates;
    int line;
};

struct config {
    unsigned owners; /* private: each of them calls config_free */
    char *path;      /* of the file it was read from, absolute; NULL: of none */
    struct config_listens listen;
    char *user;      /* who a daemon started by root becomes: a name or a number; "" = the default */
    char *state_dir; /* a path, "none", or "" for the default place */
    struct {
        enum log_level level;
        enum log_format format;
    } log;
    struct {
        int64_t max_wait_us;
        int64_t max_requests;
        int64_t max_bytes;
        int64_t max_body;
        int64_t keepalive_us; /* 0 = never */
        struct config_strings keepalive_agents;
        enum config_order order;
    } queue;
    int64_t headroom_permille;
    int64_t retention_us;
    int64_t drain_us;
    struct config_upstream **upstreams; /* the file's, then the built-in ones that it does not replace */
    size_t upstream_count;              /* at least 1 */
    struct config_model **models;       /* the file's; then the built-in "*" unless one of them takes all */
    size_t model_count;                 /* at least 1 */
    struct {
        struct config_strings hosts;
        struct config_strings origins;
    } allow;
    struct {
        bool require_token;
        struct config_users users; /* none: every user may call */
        struct config_client **v;  /* those that the file knows */
        size_t n;
    } clients;
    struct config_price *prices;
    size_t price_count;
};

/*
 * The file to read, by the search order of the manual: `given` (--config), $METERGATE_CONFIG, then
 * $XDG_CONFIG_HOME/metergate/metergate.yaml (or ~/.config) and /etc/metergate/metergate.yaml where they
 * exist. NULL when there is none: the built-in configuration. free() the result. A file that was named need
 * not exist here: config_load reports it.
 */
char *config_find(const char *given);

/*
 * Reads the file; NULL is the built-in configuration. 0, or -EINVAL with at least one error among the
 * problems. Warnings are added in both cases. `problems` is initialised by the caller.
 */
int config_load(const char *path, struct config **ret, struct problems *problems) MG_MUSTCHECK;

/* The same for text that is in memory already; `name` stands before the line numbers. */
int config_parse(const char *name, struct slice text, struct config **ret,
                 struct problems *problems) MG_MUSTCHECK;

/* One owner more, who calls config_free. Returns `c`. */
struct config *config_keep(struct config *c);

/* One owner less; the last one's frees it. NULL is fine. */
void config_free(struct config *c);

/*
 * Appends the names of the options that differ and that only a restart applies: "listen, state_dir"; nothing
 * when there are none.
 */
void config_name_restarts(const struct config *running, const struct config *next, struct buf *out);

/*
 * Replaces one option from the command line: "listen", "log.level". A list takes one value. -EINVAL with a
 * sentence.
 */
int config_override(struct config *c, const char *key, const char *value, struct errbuf *e) MG_MUSTCHECK;

/* The upstream of that name, or NULL. */
const struct config_upstream *config_upstream_named(const struct config *c, struct slice name);

/* The client of that name, or NULL. */
const struct config_client *config_client_named(const struct config *c, struct slice name);

/*
 * The client whose token that is, or NULL. In a time that depends neither on which client it is nor on
 * whether there is one.
 */
const struct config_client *config_client_of_token(const struct config *c, struct slice token);

/* The default upstream of a dialect (its first), or NULL. */
const struct config_upstream *config_upstream_of(const struct config *c, enum config_dialect dialect);

#endif
