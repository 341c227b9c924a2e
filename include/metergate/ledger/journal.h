/*
 * journal: slots for rows, in a file that is mapped into memory. What stands in one is still there after the process was
 * killed, because the page cache keeps it (a power cut may lose what the last seconds wrote). It is also the queue to the
 * writer: an ended row is not copied, its slot waits until the row is in the database.
 *
 *   FREE --journal_take--> TAKEN --journal_open--> OPEN --journal_drop--> FREE
 *                            |--journal_drop--> FREE
 *                            '--journal_end--> ENDED --journal_written--> FREE
 *
 *   TAKEN   the loop writes the row; nobody would miss it
 *   OPEN    an attempt is about to be sent: if the process dies now, the row counts as it stands
 *   ENDED   the row is final, and the writer's
 *
 * What is OPEN or ENDED is never written on, so there is no moment at which a row is neither. When an attempt ends, its
 * final row is written into a slot of its own; once that is ENDED the OPEN one is dropped. A process that dies in between
 * leaves both: they have the same id and number of attempts, and the ENDED one is right. Each has a checksum; what is not
 * what was written is skipped and counted.
 *
 * Bounded: JOURNAL_SLOTS_MAX slots, the file grows by JOURNAL_STEP of them as they are needed, and its blocks are
 * allocated before they are used, so that a full disk is an error of journal_attach or of growing and never a signal (on
 * file systems that keep what was allocated: not on ZFS, nor, before Linux 6.16, on btrfs; nor when somebody truncates the
 * file meanwhile). Where the file cannot be had, or cannot grow, slots are in memory alone; journal_attach moves them into
 * the file later on. Ended rows that wait take at most 3/4 of the slots, then they are dropped and counted, so that
 * attempts still get one.
 *
 * The loop's thread takes, opens, ends and drops; the writer's thread fetches and says what was written. Both at once is
 * fine.
 */
#ifndef METERGATE_LEDGER_JOURNAL_H
#define METERGATE_LEDGER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/base/err.h"
#include "metergate/ledger/row.h"

#define JOURNAL_SLOTS_MAX 16384
#define JOURNAL_STEP      512

struct journal;

/* Slots in memory alone, for now. Never NULL. */
struct journal *journal_new(void);

/* Waits for nothing: the writer has ended. What is ENDED or OPEN stays in the file. NULL is fine. */
void journal_free(struct journal *j);

/*
 * Keeps the slots in DIR/journal from now on, 0600. What an earlier process left there is given to `found` first, row by
 * row, in the order in which they ended (then those that were OPEN, `open` true, unless the ENDED one is there, too),
 * unless it is damaged, and at last NULL: that was all of them. Then the file is emptied. `row` is `found`'s until it returns. If the process dies before the file is
 * empty, the next one is given the same rows again.
 *
 * Call it again after an error, and whenever journal_is_attached says no (the file could not grow; nothing is recovered
 * then), or journal_is_in_place does (a new file is begun, all slots move there, and what is left of the old one is
 * emptied): -EBUSY when another process has the file (it is locked as long as it is attached), else -errno with a sentence.
 * `found` may return false for a row, or at the end, when it could not keep what it was given: then the file stays as it is, nothing is attached, and
 * -EAGAIN is returned. So it is when the loop's thread kept a row TAKEN for a second.
 *
 * A file that is no journal of this layout is set aside as journal.damaged-20261128T101500Z; then, and when it was
 * removed or replaced, with 0, *e has a sentence that says so, else it is empty.
 *
 * The writer's thread calls it, or the loop's before there is one: it waits for the disk.
 */
typedef bool journal_found(void *arg, const struct ledger_row *row, bool open);
int journal_attach(struct journal *j, const char *dir, journal_found *found, void *arg, struct errbuf *e) MG_MUSTCHECK;

/* Whether all slots are the file's. */
bool journal_is_attached(struct journal *j);

/* The writer's thread: false when somebody removed or replaced the file that is attached. */
bool journal_is_in_place(const struct journal *j, const char *dir);

/* ---- the loop's thread ---- */

/* A slot to write a row into, zeroed; NULL: none is free. Open, end or drop it before anything is waited for. */
struct ledger_row *journal_take(struct journal *j);

/* From now on it counts if the process dies: call it before the first byte of an attempt is sent. */
void journal_open(struct journal *j, struct ledger_row *row);

/* It is final. True: the writer wants to be woken (nothing waited before it). */
bool journal_end(struct journal *j, struct ledger_row *row);

void journal_drop(struct journal *j, struct ledger_row *row);

/* ---- the writer's thread ---- */

/* Up to `max` ended rows, oldest first, from the `skip`-th on; their number. They stay the writer's until written. */
size_t journal_fetch(struct journal *j, size_t skip, const struct ledger_row **ret, size_t max);

/* The first n of them are kept: their slots are free. */
void journal_written(struct journal *j, size_t n);

/* ---- either ---- */

struct journal_figures {
    int64_t slots;   /* that there are now */
    int64_t waiting; /* ENDED */
    int64_t open;    /* OPEN */
    int64_t lost;    /* since the start: ended rows that found no room, and attempts that got no slot */
    int64_t damaged; /* rows of an earlier process that were not what was written */
    bool attached;
};
struct journal_figures journal_figures(struct journal *j);

#endif
