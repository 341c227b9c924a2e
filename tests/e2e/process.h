/*
 * process: a program under test, with everything that it prints. A thread of ours reads its stdout and stderr into one
 * log; tests wait for text to appear there. The program dies with the test.
 */
#ifndef E2E_PROCESS_H
#define E2E_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process;

/* Starts argv[0] (a path) with argv. Fails the test when it cannot. */
struct process *process_start(const char *const *argv);

pid_t process_pid(const struct process *p);
void process_signal(struct process *p, int signo);

/* Where the log stands now: what is waited for "after" it comes later. */
size_t process_log_mark(struct process *p);

/* Waits until `text` is in the log after `mark`. False when time is up, or the program ended without it. */
bool process_wait_log(struct process *p, size_t mark, const char *text, int64_t timeout_ms);

/* A copy of the log so far; free it. */
char *process_log(struct process *p);

/* Waits for the end: the exit status, 128 + N after signal N, -1 when time is up. May be asked again. */
int process_wait_exit(struct process *p, int64_t timeout_ms);

/* Kills it if it still runs. NULL is fine. */
void process_free(struct process *p);

#endif
