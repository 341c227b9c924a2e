/* account: every account is in by_print and has at least one model's budget, but while budgets.c makes or frees that. */
#include "metergate/proxy/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "metergate/base/buf.h"
#include "metergate/base/clock.h"
#include "metergate/base/err.h"
#include "metergate/dialect/dialect.h"
#include "metergate/proxy/provider.h"

void accounts_init(struct accounts *as)
{
    *as = (struct accounts){.next_id = 1};
    map_init(&as->by_print);
    if (getrandom(as->salt, sizeof as->salt, GRND_NONBLOCK) != (ssize_t)sizeof as->salt) {
        int64_t now = clock_wall_us(); /* before the kernel has any: still another one at each start */

        memcpy(as->salt, &now, sizeof now);
    }
}

void accounts_set_salt(struct accounts *as, const unsigned char salt[SECRET_FINGERPRINT_BYTES])
{
    MG_ASSERT(as->next_id == 1); /* what has a fingerprint by the old one would never be found again */
    memcpy(as->salt, salt, sizeof as->salt);
}

void accounts_release(struct accounts *as)
{
    map_release_values(&as->by_print);
}

/* ---- whose credential ---- */

static struct slice without_scheme(struct slice value)
{
    static const char bearer[] = "bearer ";

    if (slice_eq_nocase(slice_head(value, sizeof bearer - 1), slice_str(bearer)))
        value = slice_skip(value, sizeof bearer - 1);
    return slice_trim(value);
}

static struct slice key_of_query(struct slice query)
{
    while (query.n) {
        struct slice pair = slice_head(query, slice_find(query, '&'));
        size_t equals = slice_find(pair, '=');

        query = slice_skip(query, pair.n + 1);
        if (slice_eq(slice_head(pair, equals), SLICE("key")))
            return slice_skip(pair, equals + 1);
    }
    return slice_of(NULL, 0);
}

struct slice account_credential(const struct http_head *head, struct slice query, const struct dialect *spoken)
{
    const char *const names[] = {spoken->key_header, "authorization", "x-api-key", "api-key", "x-goog-api-key"};

    for (size_t i = 0; i < MG_ARRAY_LEN(names); i++) {
        struct slice value =
            without_scheme(http_header_get(head->headers, head->header_count, slice_str(names[i])));

        if (value.n)
            return value;
    }
    return key_of_query(query);
}

/* One credential at two providers is two accounts. */
static struct payer payer_of(const struct accounts *as, const struct provider *via, enum payer_kind kind,
                             struct slice credential)
{
    const struct config_upstream *u = via->config;
    struct payer payer = {.kind = kind};
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    /* at once, so that no copy of it is left behind */
    buf_need(&text, sizeof as->salt + strlen(u->name) + credential.n + 32);
    buf_add(&text, as->salt, sizeof as->salt);
    buf_addf(&text, "%d/%d/%s\n", (int)kind, (int)u->dialect, u->name);
    buf_add_slice(&text, credential);
    payer.print = secret_fingerprint_of(buf_slice(&text));
    buf_release_secret(&text);
    return payer;
}

struct payer accounts_payer(const struct accounts *as, const struct provider *via, struct slice credential)
{
    if (via->config->scope == CONFIG_SCOPE_SHARED || provider_has_key(via))
        return (struct payer){.kind = PAYER_SHARED};
    return payer_of(as, via, credential.n ? PAYER_KEY : PAYER_NONE, credential);
}

struct payer accounts_rest(const struct accounts *as, const struct provider *via)
{
    return payer_of(as, via, PAYER_REST, SLICE(""));
}

/* ---- accounts ---- */

static struct slice print_slice(const struct secret_fingerprint *print)
{
    return slice_of((const char *)print->bytes, sizeof print->bytes);
}

struct account *accounts_look(const struct accounts *as, const struct payer *payer)
{
    return payer->kind == PAYER_SHARED ? NULL : map_get(&as->by_print, print_slice(&payer->print));
}

/* `digits` of the fingerprint; of those who have no credential of their own, a word. */
static void write_name(const struct payer *payer, size_t digits, char *out, size_t size)
{
    size_t n;

    if (payer->kind != PAYER_KEY) {
        snprintf(out, size, "%s", payer->kind == PAYER_NONE ? "none" : "other");
        return;
    }
    n = (size_t)snprintf(out, size, "k-");
    MG_ASSERT(n + digits < size && digits <= 2 * sizeof payer->print.bytes);
    for (size_t i = 0; i < digits / 2; i++)
        n += (size_t)snprintf(out + n, size - n, "%02x", payer->print.bytes[i]);
}

struct account *accounts_add(struct accounts *as, const struct payer *payer, struct gate *g)
{
    struct account *a = xcalloc(1, sizeof *a);

    MG_ASSERT(payer->kind != PAYER_SHARED);
    a->print = payer->print;
    a->id = as->next_id++;
    write_name(payer, 8, a->label, sizeof a->label);
    write_name(payer, 20, a->scope, sizeof a->scope);
    a->budget = gate_budget_new(g, a->label, 0, NULL, 0);
    map_set(&as->by_print, print_slice(&a->print), a);
    return a;
}

void accounts_free(struct accounts *as, struct account *a, struct gate *g)
{
    map_remove(&as->by_print, print_slice(&a->print));
    gate_budget_free(g, a->budget);
    free(a);
}
