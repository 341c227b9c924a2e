/*
 * remains: which bytes are still to be found in the memory of a running program. It is read through /proc/PID/mem, every mapping that
 * can be written to: heap, stacks, libraries' data. Of an undumpable process that takes root's rights.
 */
#ifndef E2E_REMAINS_H
#define E2E_REMAINS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether this test may look, and whether what is freed is wiped in this build: sanitizers keep it on purpose. */
bool remains_can_be_seen(pid_t pid);

/* Whether memory can be locked here: a container may forbid it, and then the keys' own is only not dumped. */
bool remains_can_be_locked(void);

/* How many copies of the text are there; `locked`: in memory that is locked and not dumped, else in all other. Where each is, is printed
 * when `show`. */
int remains_of(pid_t pid, const char *text, bool locked, bool show);

/* Waits until no copy is left in memory that is not locked: what ends with a connection ends a moment later. Fails the test when time is up. */
void remains_wait_none(pid_t pid, const char *text, const char *what);

#endif
