/*
 * tool_fixture: runs a program to its end and keeps what it wrote, and a server that gives fixed answers, so
 * that the `metergate` command can be tested without a daemon.
 */
#ifndef E2E_TOOL_FIXTURE_H
#define E2E_TOOL_FIXTURE_H

#include <stddef.h>

struct outcome {
    int status; /* the exit status; 128 + N after signal N */
    char *out;  /* what it wrote to stdout, as text; owned */
    size_t out_n;
    char *err; /* to stderr; owned */
};

/* `argv` ends with NULL, argv[0] is looked up in PATH; `input` is its stdin (NULL: empty). Release the
 * outcome. */
struct outcome tool_run_program(const char *const *argv, const char *input);
void outcome_release(struct outcome *o);

/* A script of /bin/sh that stops at the first command that fails; $0 is `metergate`. */
struct outcome tool_shell(const char *script);

/* Fails the test, and shows all of the text, unless the part is in it. */
void text_has(const char *text, const char *part);
int text_lines(const char *text);

/* A cmocka setup: an environment that says nothing about daemons, and names a proxy that must be used by nobody. */
int tool_environment(void **state);

/* `metergate` with these arguments (no NULL at the end). */
#define TOOL(...) tool_run_program((const char *const[]){tool_path(), __VA_ARGS__, NULL}, NULL)
#define TOOL_WITH_INPUT(input, ...)                                                                          \
    tool_run_program((const char *const[]){tool_path(), __VA_ARGS__, NULL}, input)

/* The path of a program that was built, by $MG_BIN; and of `metergate`. Good until the next such question. */
const char *program_path(const char *name);
const char *tool_path(void);

/* A path that a fake server answers, with status and body. */
struct fake_answer {
    const char *path;
    int status;
    const char *body;
};

struct fake_server;

/* `answers` ends with a NULL path; others are answered 404. */
struct fake_server *fake_server_start(const struct fake_answer *answers);
const char *fake_server_url(const struct fake_server *s);
void fake_server_stop(struct fake_server *s);

/* A URL on this machine where nothing listens, as long as the test runs. */
const char *unanswered_url(void);

#endif
