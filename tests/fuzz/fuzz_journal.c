/*
 * fuzz_journal: whatever stands in the journal's file, the next process gives it rows alone that all who read rows can
 * bear, and the file is of use afterwards: what is ended then is found by the one after. The first byte of the input says
 * how the file comes about: the rest is the file (0), or patches of a file of ours (1), or patches of rows before they
 * are given to the journal, so that their checksums are right (2). A patch is an offset (2 bytes), a byte of which the low
 * half is a length and the high half how many times more it is repeated, and so many bytes. A row's patches end with one
 * of no bytes.
 */
#include <stdint.h>

#include "metergate/ledger/journal.h"
#include "place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEAD_BYTES = 65536, ROWS = 4 };

/* ---- what is found ---- */

static int64_t tokens_of(const struct ledger_row *r)
{
    const struct usage *u = &r->usage;

    return u->input + u->cached + u->cache_write + u->cache_write_1h + u->output + u->reasoning + r->estimated_input +
           r->estimated_output;
}

static bool check(void *arg, const struct ledger_row *r, bool open)
{
    char id[ROW_ID_SIZE];
    struct buf out;

    if (!r)
        return true;
    (void)open;
    buf_init(&out, BUF_UNLIMITED);
    row_id_text(r->id, id);
    row_budget_scope(r, &out);
    row_client_scope(r, &out);
    buf_addf(&out, "%s %s %s %s %s %s %s %s %s", id, r->model, r->endpoint, r->reason, r->price.name, r->upstream,
             row_outcome_name(r->outcome), row_source_name(r->source), r->client);
    MG_ASSERT(out.n < 2 * sizeof *r && r->kind <= ROW_CORRECTION && r->usage.tier < USAGE_TIERS);
    MG_ASSERT(r->id > 0 && r->t_us >= 0 && r->total_us >= 0 && r->cost_nano >= -1 && tokens_of(r) >= 0);
    for (int m = 0; m < METRICS; m++)
        MG_ASSERT(r->charge.on_arrival[m] >= 0 && r->charge.on_arrival[m] + r->charge.at_end[m] >= 0);
    MG_ASSERT(r->hold_count >= 0 && r->hold_count <= ROW_HOLDS_MAX);
    for (int i = 0; i < r->hold_count; i++) {
        buf_addf(&out, "%s %s", r->hold[i].what, row_whose_name(r->hold[i].whose));
        MG_ASSERT(r->hold[i].to_us >= r->hold[i].from_us);
    }
    buf_release(&out);
    ++*(int *)arg;
    return true;
}

static int attach(struct journal *j)
{
    int found = 0;
    struct errbuf e;

    if (journal_attach(j, place, check, &found, &e) < 0)
        err_bug(e.text, __FILE__, __LINE__);
    return found;
}

/* ---- how the file comes about ---- */

/* Takes the next patch from the input onto n bytes at p, as far as it lies within; false: it has no bytes, or there is none. */
static bool patch(struct slice *input, char *p, size_t n)
{
    const unsigned char *in = (const unsigned char *)input->p;
    size_t at, size, times;

    if (input->n < 3)
        return false;
    at = (size_t)in[0] << 8 | in[1];
    size = in[2] % 16;
    times = in[2] / 16 + 1;
    *input = slice_skip(*input, 3);
    if (size > input->n)
        size = input->n;
    for (size_t i = 0; i < size * times && at + i < n; i++)
        p[at + i] = input->p[i % size];
    *input = slice_skip(*input, size);
    return size > 0;
}

static void put_row(struct journal *j, int64_t id, struct slice *input)
{
    struct ledger_row *r = journal_take(j);

    MG_ASSERT(r);
    r->id = id;
    memcpy(r->client, "c", 2);
    memcpy(r->model, "m", 2);
    r->hold_count = 1;
    while (input && patch(input, (char *)r, sizeof *r))
        ;
    if (id % 2)
        journal_open(j, r);
    else
        journal_end(j, r);
}

static void leave_rows(struct slice *input)
{
    struct journal *j = journal_new();

    attach(j);
    for (int64_t id = 1; id <= ROWS || (input && input->n >= 3 && id < 500); id++)
        put_row(j, id, input);
    journal_free(j);
}

/* The head (once more at offsets from 32768 on: the slots) of a file of ours. */
static void patch_file(struct slice input)
{
    char bytes[65536];
    int fd = open(place_path("journal").text, O_RDWR | O_CLOEXEC);

    MG_ASSERT(fd >= 0 && pread(fd, bytes, 32768, 0) == 32768 &&
              pread(fd, bytes + 32768, 32768, HEAD_BYTES) == 32768);
    while (patch(&input, bytes, sizeof bytes))
        ;
    MG_ASSERT(pwrite(fd, bytes, 32768, 0) == 32768 && pwrite(fd, bytes + 32768, 32768, HEAD_BYTES) == 32768);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice input = slice_of((const char *)data, n);
    struct journal *j;
    int kind = n ? data[0] % 3 : 0;

    (void)place_make();
    input = slice_skip(input, n ? 1 : 0);
    if (kind == 0) {
        place_write("journal", input);
    } else {
        leave_rows(kind == 2 ? &input : NULL);
        if (kind == 1)
            patch_file(input);
    }
    j = journal_new();
    attach(j);
    put_row(j, 1000, NULL);
    put_row(j, 1001, NULL);
    journal_free(j);
    j = journal_new();
    MG_ASSERT(attach(j) == 2 && journal_figures(j).damaged == 0);
    journal_free(j);
    place_clear();
    return 0;
}
