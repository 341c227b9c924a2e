/*
 * requests, mutated: the rows of odd_requests.h with bytes changed, lost, doubled and put in by a seed,
 * several at once and each cut off at its end. Whatever comes of it, the provider sees well-formed requests
 * alone, each one that was sent for itself at most once, and the daemon ends with nothing held or open.
 * METERGATE_SEED runs one more seed.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <cjson/cJSON.h>

#include "fixture.h"
#include "odd_requests.h"

#define AT_ONCE    40
#define BATCHES    10
#define QUIET_MS   100  /* who has not been answered by then is waited for, and gets an end */
#define LONGEST    2000 /* rows longer than this are about sizes */
#define MUTATIONS  3
#define FOLLOW_UPS "/v1/models/followup-"

struct rng {
    uint64_t s;
};

static size_t pick(struct rng *r, size_t below)
{
    r->s = r->s * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(r->s >> 33) % below;
}

/* What a parser may trip over. */
static const struct {
    const char *p;
    size_t n;
} pieces[] = {
    {"\r\n", 2},
    {"\n", 1},
    {"\r", 1},
    {"\0", 1},
    {" ", 1},
    {"\t", 1},
    {":", 1},
    {"\r\n ", 3},
    {"\r\n\r\n", 4},
    {"Content-Length: 5\r\n", 19},
    {"Transfer-Encoding: chunked\r\n", 28},
    {"0\r\n\r\n", 5},
    {"Host: 127.0.0.1\r\n", 17},
    {"%2f", 3},
    {"%2e%2e/", 7},
    {"\xff", 1},
    {" HTTP/1.1\r\n", 11},
    {"Connection: close\r\n", 19},
    {"Expect: 100-continue\r\n", 22},
};

static void put_in(struct buf *b, size_t at, const char *p, size_t n)
{
    struct buf with;

    buf_init(&with, BUF_UNLIMITED);
    buf_add(&with, b->p, at);
    buf_add(&with, p, n);
    buf_add(&with, b->p + at, b->n - at);
    buf_release(b);
    *b = with;
}

static void mutate(struct buf *b, struct rng *r)
{
    size_t at = pick(r, b->n), n = 1 + pick(r, 20), what = pick(r, 4), i;
    char copy[32];

    if (n > b->n - at)
        n = b->n - at;
    switch (what) {
    case 0:
        b->p[at] = (char)pick(r, 256);
        break;
    case 1: /* lost */
        memmove(b->p + at, b->p + at + n, b->n - at - n);
        buf_drop_tail(b, n);
        break;
    case 2: /* doubled */
        memcpy(copy, b->p + at, n);
        put_in(b, at, copy, n);
        break;
    default:
        i = pick(r, MG_ARRAY_LEN(pieces));
        put_in(b, at, pieces[i].p, pieces[i].n);
        break;
    }
}

static void make_request(struct rng *r, unsigned number, struct buf *out)
{
    const struct odd_request *row;

    do
        row = &odd_requests[pick(r, odd_requests_count)];
    while (row->times || row->n > LONGEST);
    buf_init(out, BUF_UNLIMITED);
    odd_request_write(row, out);
    for (size_t i = pick(r, MUTATIONS + 1); i > 0 && out->n; i--)
        mutate(out, r);
    buf_addf(out, "GET " FOLLOW_UPS "%u HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", number);
}

/* Whether a line of what was sent is exactly that header. */
static bool was_sent(const struct buf *sent, const char *name, const char *value)
{
    char start[256];
    int n = snprintf(start, sizeof start, "\r\n%s:", name);

    for (int i = 0; i < AT_ONCE; i++) {
        struct slice rest = buf_slice(&sent[i]);
        const char *at;

        while ((at = memmem(rest.p, rest.n, start, (size_t)n)) != NULL) {
            struct slice line;

            rest = slice_skip(rest, (size_t)(at - rest.p) + (size_t)n);
            line = slice_head(rest, slice_find(rest, '\n'));
            if (slice_ends(line, SLICE("\r")) &&
                slice_eq(slice_trim(slice_head(line, line.n - 1)), slice_str(value)))
                return true;
        }
    }
    return false;
}

/* Every header that the provider saw is one of the client's, but for those that we write ourselves. */
static bool headers_were_sent(const cJSON *arrival, const struct buf *sent)
{
    const cJSON *header;

    cJSON_ArrayForEach(header, json_at(arrival, "headers"))
    {
        const char *name = cJSON_GetArrayItem(header, 0)->valuestring;
        const char *value = cJSON_GetArrayItem(header, 1)->valuestring;

        if (strcasecmp(name, "host") == 0 || strcasecmp(name, "content-length") == 0 ||
            strcasecmp(name, "transfer-encoding") == 0 || was_sent(sent, name, value))
            continue;
        print_error("the provider saw a header that nobody sent: %s: %s\n", name, value);
        return false;
    }
    return true;
}

static bool is_follow_up(const cJSON *arrival, size_t *ret_number)
{
    const char *target = json_text(arrival, "target");

    if (strncmp(target, FOLLOW_UPS, sizeof FOLLOW_UPS - 1) != 0)
        return false;
    *ret_number = strtoul(target + sizeof FOLLOW_UPS - 1, NULL, 10) % AT_ONCE;
    return true;
}

static bool has_violation(const cJSON *audit)
{
    const cJSON *violation;

    cJSON_ArrayForEach(violation, json_at(audit, "violations"))
    {
        if (strncmp(violation->valuestring, "a body of more than", 19) == 0) /* the simulator's own limit */
            continue;
        print_error("the provider saw: %s\n", violation->valuestring);
        return true;
    }
    return false;
}

/* True when the provider was shown nothing odd, and no follow-up twice; those that came are counted. */
static bool is_clean(const struct fixture *f, const struct buf *sent, int *follow_ups)
{
    cJSON *audit = fixture_audit(f);
    bool seen[AT_ONCE] = {false}, ok = !has_violation(audit);
    const cJSON *arrival;
    size_t number;

    cJSON_ArrayForEach(arrival, json_at(audit, "other.list"))
    {
        ok &= headers_were_sent(arrival, sent);
        if (!is_follow_up(arrival, &number))
            continue;
        if (seen[number])
            print_error("the provider saw follow-up %zu twice\n", number);
        ok &= !seen[number];
        seen[number] = true;
        ++*follow_ups;
    }
    cJSON_Delete(audit);
    return ok;
}

static void show(const struct buf *sent)
{
    for (int i = 0; i < AT_ONCE; i++) {
        print_error("--- %d\n", i);
        for (size_t k = 0; k < sent[i].n; k++)
            print_error(sent[i].p[k] >= ' ' && sent[i].p[k] != '\\' ? "%c" : "\\x%02x",
                        (unsigned char)sent[i].p[k]);
        print_error("\n");
    }
}

/* Reads what comes, until all connections have ended or nothing came for a while. */
static void read_answers(struct pollfd *fds)
{
    char piece[4096];

    while (poll(fds, AT_ONCE, QUIET_MS) > 0) {
        for (int i = 0; i < AT_ONCE; i++) {
            if (fds[i].revents && recv(fds[i].fd, piece, sizeof piece, 0) <= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
}

/* An end to those whose request is not whole. */
static void end_all(struct pollfd *fds)
{
    for (int i = 0; i < AT_ONCE; i++) {
        struct buf got;

        if (fds[i].fd < 0)
            continue;
        buf_init(&got, BUF_UNLIMITED);
        shutdown(fds[i].fd, SHUT_WR);
        assert_true(raw_read(fds[i].fd, &got, NULL, FIXTURE_TIMEOUT_MS) >= 0);
        buf_release(&got);
        close(fds[i].fd);
    }
}

static void run_batch(const struct fixture *f, struct rng *r, uint64_t seed, int *follow_ups)
{
    struct buf sent[AT_ONCE];
    struct pollfd fds[AT_ONCE];

    fixture_sim_post(f, "/_sim/reset", NULL);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        make_request(r, i, &sent[i]);
        fds[i] = (struct pollfd){.fd = raw_connect(f->port), .events = POLLIN};
        raw_send(fds[i].fd, sent[i].p, sent[i].n);
    }
    read_answers(fds);
    end_all(fds);
    fixture_assert_idle(f);
    if (!is_clean(f, sent, follow_ups)) {
        show(sent);
        fail_msg("METERGATE_SEED=%llu", (unsigned long long)seed);
    }
    for (int i = 0; i < AT_ONCE; i++)
        buf_release(&sent[i]);
}

static void run_seed(uint64_t seed)
{
    struct rng r = {seed};
    struct fixture f;
    int follow_ups = 0;

    fixture_start(&f, NULL, FIXTURE_UPSTREAM);
    for (int i = 0; i < BATCHES; i++)
        run_batch(&f, &r, seed, &follow_ups);
    assert_true(follow_ups > BATCHES); /* else nothing was tried */
    fixture_sim_post(&f, "/_sim/reset", NULL);
    fixture_stop(&f);
}

static void test_mutated_request__reaches_the_provider_well_formed_or_not_at_all(void **state)
{
    const char *more = getenv("METERGATE_SEED");

    (void)state;
    run_seed(1);
    if (more)
        run_seed(strtoull(more, NULL, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutated_request__reaches_the_provider_well_formed_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
