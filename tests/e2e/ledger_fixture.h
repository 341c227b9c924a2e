/*
 * ledger_fixture: the daemon's ledger as a test sees it: a daemon that keeps one in DIR/state, its reports,
 * its health, and the database itself, which is opened for reading beside it. Everything here fails the test
 * when it does not get what it wants.
 */
#ifndef E2E_LEDGER_FIXTURE_H
#define E2E_LEDGER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "fixture.h"

/* Where it is kept, and all three providers in one simulator. */
#define LEDGER_STATE "state_dir: $DIR/state\nheadroom: 0%\n"
#define LEDGER_UPSTREAMS                                                                                     \
    "upstreams:\n"                                                                                           \
    "  openai: {dialect: openai, base_url: $SIMULATOR/v1, counting: actual}\n"                               \
    "  anthropic: {dialect: anthropic, base_url: $SIMULATOR}\n"                                              \
    "  gemini: {dialect: gemini, base_url: $SIMULATOR}\n"

/* A POST with an Authorization header and one more ("Name: value"; NULL: none). */
struct client_reply ledger_post(const struct fixture *f, const char *path, const char *header,
                                const char *body);
struct client_async *ledger_post_start(const struct fixture *f, const char *path, const char *header,
                                       const char *body);

/* One chat, answered with that status; its reply is thrown away. */
void ledger_chat(const struct fixture *f, const char *model, int64_t out, int status);

/* ---- stopping and starting ---- */

/* SIGKILL, and the end of it. */
void ledger_kill(struct fixture *f);

/* ---- reports ---- */

/* GET of a path, 200 and JSON. cJSON_Delete it. */
struct cJSON *ledger_get(const struct fixture *f, const char *path);

/* The row of that key in a report of GET /-/usage; NULL when there is none. */
const struct cJSON *ledger_row(const struct cJSON *usage, const char *key);

/* A number of it. */
int64_t ledger_int(const struct cJSON *json, const char *path);

/* ---- the database ---- */

/* The path of a file in the state directory. Good until the third such question. */
const char *ledger_path(const struct fixture *f, const char *name);

/* How many files of the state directory have that in their name. */
int ledger_files(const struct fixture *f, const char *part);

/* The number that a statement gives, of one row and one column. */
int64_t ledger_ask(const struct fixture *f, const char *sql);

/* Waits until so many calls are in it: they come a moment after the call's end. */
void ledger_wait_calls(const struct fixture *f, int64_t calls);

/* Waits until the daemon says that the ledger is well, or that it is not. */
void ledger_wait_ok(const struct fixture *f, bool ok);

#endif
