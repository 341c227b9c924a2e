/*
 * fuzz_ledger: a row that row_is_sound takes is written to the database, is there once, and reads back as it was; and a
 * database whose bytes were changed by somebody is read without harm: what reports give of it has a text. The first byte says which:
 * of `r` the rest are patches of a row, of anything else patches of the file. A patch is an offset (2 bytes), a length
 * (1 byte) and so many bytes.
 */
#include <stddef.h>
#include <stdint.h>

#include "metergate/ledger/history.h"
#include "metergate/ledger/report.h"
#include "metergate/ledger/store.h"
#include "metergate/proxy/report_text.h"
#include "place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define T0_US    INT64_C(1795860000000000) /* 2026-11-28T10:00:00Z */
#define ROWS_MAX 500                       /* then the database is begun anew */

static struct store *store; /* of rows; NULL: not begun */
static int64_t written;
static struct buf template; /* the bytes of a small database */

static void close_store(void)
{
    store_close(store);
    store = NULL;
    written = 0;
}

static struct store *opened(const char *name)
{
    struct store *s = NULL;
    struct errbuf e = {""};

    if (store_open(place_path(name).text, 100, &s, &e) != 0)
        err_bug(e.text, __FILE__, __LINE__);
    return s;
}

static struct ledger_row a_row(int64_t number)
{
    struct ledger_row r = {.id = row_id(1, (uint64_t)number),
                           .kind = ROW_CALL,
                           .t_us = T0_US + number * 1000000,
                           .client = "c",
                           .upstream = "openai",
                           .budget = "b",
                           .model = "gpt-4o",
                           .endpoint = "chat",
                           .budget_scope = "entry",
                           .status = 200,
                           .attempts = 1,
                           .usage = {.input = 10, .output = 3},
                           .source = ROW_BY_PROVIDER,
                           .cost_nano = 5000,
                           .price = {.name = "gpt-4o", .since = 20261101},
                           .total_us = 2000000,
                           .first_byte_us = 300000,
                           .charge = {.sent_us = T0_US, .on_arrival = {1, 13, 10, 3}},
                           .hold_count = 1,
                           .hold = {{.what = "tpm", .to_us = 1000}}};

    return r;
}

static bool patch(struct slice *input, char *p, size_t n)
{
    const unsigned char *in = (const unsigned char *)input->p;
    size_t at, size;

    if (input->n < 4)
        return false;
    at = (size_t)in[0] << 8 | in[1];
    size = in[2] % 64;
    *input = slice_skip(*input, 3);
    size = size < input->n ? size : input->n;
    for (size_t i = 0; i < size && at + i < n; i++)
        p[at + i] = input->p[i];
    *input = slice_skip(*input, size);
    return true;
}

/* ---- rows ---- */

/* Spans of decades are cut, so that sums of them fit. */
static int64_t to_ms(int64_t us)
{
    const int64_t most = INT64_MAX / 1000 / REPORT_SAMPLE;

    return (us / 1000 > most ? most : us / 1000) * 1000;
}

static void check_same(const struct ledger_row *a, const struct ledger_row *b)
{
    MG_ASSERT(a->id == b->id && a->t_us == b->t_us && a->outcome == b->outcome && a->status == b->status);
    MG_ASSERT(!strcmp(a->client, b->client) && !strcmp(a->upstream, b->upstream) && !strcmp(a->budget, b->budget));
    MG_ASSERT(!strcmp(a->account, b->account) && !strcmp(a->model, b->model) && !strcmp(a->endpoint, b->endpoint));
    MG_ASSERT(!strcmp(a->reason, b->reason) && a->attempts == b->attempts && a->source == b->source);
    MG_ASSERT(a->usage.input == b->usage.input && a->usage.cached == b->usage.cached && a->usage.output == b->usage.output);
    MG_ASSERT(a->usage.cache_write == b->usage.cache_write && a->usage.cache_write_1h == b->usage.cache_write_1h);
    MG_ASSERT(a->usage.reasoning == b->usage.reasoning && a->usage.tier == b->usage.tier && a->cost_nano == b->cost_nano);
    MG_ASSERT(a->estimated_input == b->estimated_input && a->estimated_output == b->estimated_output);
    MG_ASSERT(to_ms(a->queued_us) == b->queued_us && to_ms(a->total_us) == b->total_us);
    MG_ASSERT(a->first_byte_us < 0 ? b->first_byte_us < 0 : to_ms(a->first_byte_us) == b->first_byte_us);
    MG_ASSERT(a->hold_count == b->hold_count);
    for (int i = 0; i < a->hold_count; i++)
        MG_ASSERT(!strcmp(a->hold[i].what, b->hold[i].what) && a->hold[i].whose == b->hold[i].whose);
    if (a->price.name[0]) {
        MG_ASSERT(!strcmp(a->price.name, b->price.name) && a->price.since == b->price.since);
        for (int i = 0; i < RATES; i++)
            MG_ASSERT(a->price.rates.pico[i] == b->price.rates.pico[i]);
    }
}

static void on_sums(void *arg, struct slice key, const struct report_sums *sums)
{
    (void)key;
    *(int64_t *)arg += sums->calls;
}

static void check_row(struct slice input)
{
    const struct report_span always = {0, ROW_TIME_MAX};
    struct ledger_row row = a_row(written + 1), back;
    const struct ledger_row *rows[2] = {&row, &row}; /* a batch may be written twice */
    struct report *report;
    struct errbuf e = {""};
    bool found;
    int64_t id = row.id, sum = 0;

    while (patch(&input, (char *)&row, sizeof row))
        ;
    row.id = id;
    row.kind = ROW_CALL;
    if (!row_is_sound(&row))
        return;
    if (!store)
        store = opened("ledger.db");
    MG_ASSERT(store_write(store, rows, 2, &e) == 0);
    written++;
    MG_ASSERT(report_open(place, &report, &e) == 0);
    MG_ASSERT(report_call(report, id, &back, &found, &e) == 0 && found && row_is_sound(&back));
    check_same(&row, &back);
    if (written % 50 == 0) {
        MG_ASSERT(report_usage(report, REPORT_BY_MODEL, &always, on_sums, &sum, &e) == 0 && sum == written);
    }
    report_close(report);
    if (written < ROWS_MAX)
        return;
    close_store();
    place_clear();
}

/* ---- files ---- */

static void write_text(void *arg, const struct ledger_row *r)
{
    struct json_writer w;

    json_init(&w, arg);
    report_text_ended(&w, r);
    buf_reset(arg);
}

static void write_sums(void *arg, struct slice key, const struct report_sums *sums)
{
    struct json_writer w;

    MG_ASSERT(sums->calls <= INT64_MAX);
    json_init(&w, arg);
    report_text_sums(&w, key, sums);
    buf_reset(arg);
}

static void on_charges(void *arg, struct slice scope, const struct ledger_charged *v, size_t n)
{
    (void)arg;
    (void)v;
    MG_ASSERT(scope.n > 0 && n > 0);
}

/* All that can be asked; each answer is one or an error. */
static void ask_everything(void)
{
    const struct report_span spans[] = {{T0_US, T0_US + 30 * INT64_C(60000000)}, {0, ROW_TIME_MAX}};
    const struct report_filter filter = {.limit = 100};
    struct report_model model;
    struct ledger_row row;
    struct report *r;
    struct errbuf e;
    struct buf text;
    bool found;

    if (report_open(place, &r, &e) != 0)
        return;
    buf_init(&text, BUF_UNLIMITED);
    for (size_t i = 0; i < MG_ARRAY_LEN(spans); i++) {
        for (int by = 0; by < REPORT_BYS; by++)
            (void)!report_usage(r, (enum report_by)by, &spans[i], write_sums, &text, &e);
        (void)!report_compare(r, SLICE("gpt-4o"), &spans[i], &model, &e);
    }
    (void)!report_calls(r, &filter, write_text, &text, &e);
    if (report_call(r, row_id(1, 3), &row, &found, &e) == 0 && found)
        write_text(&text, &row);
    report_close(r);
    (void)!history_read(place_path("ledger.db").text, 100, SLICE("budget:"), 0, on_charges, NULL, &e);
    buf_release(&text);
}

static void make_template(void)
{
    struct errbuf e = {""};
    struct store *s = opened("ledger.db");
    int fd;

    for (int64_t i = 1; i <= 6; i++) {
        const struct ledger_row row = a_row(i), *rows = &row;

        MG_ASSERT(store_write(s, &rows, 1, &e) == 0);
    }
    store_close(s); /* the last connection: all is in the one file */
    buf_init(&template, BUF_UNLIMITED);
    fd = open(place_path("ledger.db").text, O_RDONLY | O_CLOEXEC);
    MG_ASSERT(fd >= 0 && buf_reserve(&template, 1 << 20) == 0);
    template.n = (size_t)read(fd, template.p, 1 << 20);
    close(fd);
    MG_ASSERT(template.n > 4096 && template.n < 65536 * 2);
}

static void check_file(struct slice input)
{
    const struct ledger_row row = a_row(100), *rows = &row;
    struct store *s = NULL;
    struct errbuf e = {""};
    struct buf file;

    close_store();
    place_clear();
    if (!template.n)
        make_template();
    buf_init(&file, BUF_UNLIMITED);
    buf_add_slice(&file, buf_slice(&template));
    while (patch(&input, file.p, file.n))
        ;
    place_write("ledger.db", buf_slice(&file));
    buf_release(&file);
    ask_everything();
    if (store_open(place_path("ledger.db").text, 100, &s, &e) == 0)
        MG_ASSERT(store_write(s, &rows, 1, &e) == 0 || e.text[0]);
    store_close(s);
    place_clear();
}

static void release(void)
{
    close_store();
    buf_release(&template);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice input = slice_of((const char *)data + (n > 0), n - (n > 0));

    if (place_make())
        MG_ASSERT(atexit(release) == 0);
    if (n && data[0] == 'r')
        check_row(input);
    else
        check_file(input);
    return 0;
}
