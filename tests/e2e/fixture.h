/*
 * fixture: what every end-to-end test stands on: the provider simulator, the daemon in front of it with a configuration
 * of the test's own, and questions to both. Everything here fails the test when it does not get what it wants, and
 * shows the daemon's log then.
 *
 *     struct fixture f;
 *     fixture_start(&f, "{\"models\":{\"gpt-4o\":{\"tpm\":30000}}}", FIXTURE_UPSTREAM "models:\n  gpt-4o: {tpm: 30000}\n");
 *     reply = fixture_chat(&f, "{\"model\":\"gpt-4o\",...}");
 *     ...
 *     fixture_assert_idle(&f);
 *     fixture_stop(&f);
 */
#ifndef E2E_FIXTURE_H
#define E2E_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "process.h"

struct cJSON;

#define FIXTURE_TIMEOUT_MS 20000

struct fixture {
    struct process *simulator;
    struct process *daemon;
    int simulator_port, port;
    char simulator_url[64]; /* "http://127.0.0.1:N" */
    char control_url[64];   /* the simulator's own entrance, which is there while the provider is down */
    char url[64];           /* the daemon's, likewise */
    char dir[64];           /* a temporary directory; removed at the end */
    char config[96];        /* the daemon's configuration file */
};

/* An upstream of the name openai that is the simulator and charges as it does by default. */
#define FIXTURE_UPSTREAM                                                                                     \
    "upstreams:\n"                                                                                           \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual}\n"

/*
 * Both programs. `settings` is the simulator's JSON (NULL: its defaults). `yaml` is the daemon's configuration; $SIMULATOR in
 * it becomes the simulator's URL and $DIR the directory; `listen: [127.0.0.1:0]`, `state_dir: none` and, so that calls of no
 * entry are held by nothing, `models: {"*": {learn: false}}` are added unless it has them.
 */
void fixture_start(struct fixture *f, const char *settings, const char *yaml);

/* One after the other. `more` are further arguments, NULL at the end; may be NULL. */
void fixture_start_simulator(struct fixture *f, const char *settings, const char *const *more);
void fixture_start_daemon(struct fixture *f, const char *yaml, const char *const *more);

/* Replaces the configuration file; the daemon is not told. */
void fixture_write_config(struct fixture *f, const char *yaml);

/* SIGTERM to the daemon, if it runs: it must end with 0. */
void fixture_stop_daemon(struct fixture *f);

/* Ends both and removes the directory. The simulator must have seen no violation. */
void fixture_stop(struct fixture *f);

/* The path of a program that was built, by $MG_BIN. */
void fixture_program(const char *name, char *ret, size_t size);

/* ---- calls through the daemon ---- */

/* A call to the daemon, with an Authorization header; path begins with "/". */
struct client_reply fixture_call(const struct fixture *f, const char *method, const char *path, const char *body);

/* POST /v1/chat/completions. */
struct client_reply fixture_chat(const struct fixture *f, const char *body);
struct client_async *fixture_chat_start(const struct fixture *f, const char *body);

/* ---- the daemon ---- */

/* GET /-/status. cJSON_Delete it. */
struct cJSON *fixture_status(const struct fixture *f);

/* Waits until the number at `path` of the status ("budgets.0.held") is `value`. */
void fixture_wait_status(const struct fixture *f, const char *path, double value);

/* Waits for text in the daemon's log. */
void fixture_wait_log(struct fixture *f, size_t mark, const char *text);

/* Waits until nothing is held, in flight or reserved, at the daemon and the provider; then no counter may be off. */
void fixture_assert_idle(const struct fixture *f);

/* ---- the simulator ---- */

/* POST of settings; POST /_sim/reset and the like, with or without a body. */
void fixture_sim_config(const struct fixture *f, const char *settings);
void fixture_sim_post(const struct fixture *f, const char *path, const char *body);

/* GET /_sim/wait?CONDITIONS, which must come true. */
void fixture_sim_wait(const struct fixture *f, const char *conditions);

/* GET /_sim/audit. cJSON_Delete it. */
struct cJSON *fixture_audit(const struct fixture *f);

/* ---- JSON ---- */

/* The node at a path of names and indexes, "models.gpt-3.5-turbo.list.0.status"; NULL when it is not there. */
const struct cJSON *json_at(const struct cJSON *json, const char *path);

/* The number, text there; fails the test when there is none. */
double json_number(const struct cJSON *json, const char *path);
const char *json_text(const struct cJSON *json, const char *path);

#endif
