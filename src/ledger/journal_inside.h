/*
 * journal_inside: how the journal lies in its file, and what journal.c wants of the file. Nothing here is mapped: the file
 * is read and written by calls, so that a bad disk is an error and not a signal.
 *
 *   0                     JOURNAL_HEAD_BYTES           + sizeof(struct slot)
 *   | head | (unused)     | slot 0                     | slot 1 ...
 *
 * The slots begin at a page of any size there is, and JOURNAL_STEP of them fill whole pages, so that each step is mapped by
 * itself. Numbers are in the machine's own order: the file never leaves it.
 */
#ifndef METERGATE_LEDGER_JOURNAL_INSIDE_H
#define METERGATE_LEDGER_JOURNAL_INSIDE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/ledger/journal.h"

#define JOURNAL_HEAD_BYTES 65536
#define JOURNAL_VERSION    1

/* What stands in the file; what is neither of the last two is as good as free, or damaged. */
#define SLOT_FREE  UINT32_C(0)
#define SLOT_OPEN  UINT32_C(0x4e45504f) /* "OPEN" */
#define SLOT_ENDED UINT32_C(0x45444e45) /* "ENDE" */

struct slot {
    alignas(128) _Atomic uint32_t state; /* stored last: what it says holds for what stands below */
    uint32_t unused;
    uint64_t sequence; /* in which order they were opened or ended, from 1 on */
    uint64_t checksum; /* slot_checksum */
    struct ledger_row row;
};

_Static_assert(sizeof(struct slot) * JOURNAL_STEP % 65536 == 0, "a step fills pages of up to 64 KiB");
_Static_assert(sizeof(struct ledger_row) % 8 == 0, "the checksum goes over words");

/* Of all bytes of the row, its sequence and `state`. No change of a single word goes unseen. */
uint64_t slot_checksum(const struct slot *s, uint32_t state);

/*
 * Opens or makes DIR/journal and locks it; the descriptor, or -errno (-EBUSY, -ENOTSUP). What is there but not a journal of
 * this layout is renamed to journal.damaged-DATE, and *e says so; it is not written otherwise.
 */
int journal_file_open(const char *dir, struct errbuf *e) MG_MUSTCHECK;

/* Whether that is still what DIR/journal is. */
bool journal_file_is(int fd, const char *dir);

/*
 * Gives its rows (journal_attach says in which order) and empties it; -errno, -ECANCELED when `found` wants no more.
 * *ret_damaged: those that were not what was written.
 */
int journal_file_recover(int fd, journal_found *found, void *arg, int64_t *ret_damaged) MG_MUSTCHECK;

/* From now on it has blocks for so many slots, and their pages can be touched. -errno. */
int journal_file_reserve(int fd, size_t slots) MG_MUSTCHECK;

static inline int64_t journal_file_offset(size_t slot)
{
    return JOURNAL_HEAD_BYTES + (int64_t)(slot * sizeof(struct slot));
}

#endif
