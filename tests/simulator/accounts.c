/* accounts: the first account has no model and no organization. A model's pool is of its own organization. */
#include "accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"

void accounts_init(struct accounts *a)
{
    *a = (struct accounts){.first = xcalloc(1, sizeof *a->first), .shared = organization_shared()};
}

void accounts_release(struct accounts *a)
{
    struct account *next;
    struct pool *next_pool;

    for (struct account *i = a->first; i; i = next) {
        next = i->next;
        arrivals_release(&i->arrivals);
        model_free(i->model);
        free(i);
    }
    for (struct pool *p = a->pools; p; p = next_pool) {
        next_pool = p->next;
        limits_release(&p->limits);
        free(p);
    }
}

/* The pool of that name and of who pays for the account, made when it is new. */
static struct pool *find_pool(struct accounts *a, const struct named_pool *named, const struct account *payer)
{
    struct pool **p = &a->pools;

    while (*p && (strcmp((*p)->name, named->name) != 0 ||
                  strcmp((*p)->organization, payer->organization.name) != 0))
        p = &(*p)->next;
    if (!*p) {
        *p = xcalloc(1, sizeof **p);
        snprintf((*p)->name, sizeof(*p)->name, "%s", named->name);
        snprintf((*p)->organization, sizeof(*p)->organization, "%s", payer->organization.name);
        (*p)->of_key = payer->of_key;
        limits_init(&(*p)->limits, &named->limits);
    }
    return *p;
}

static void join_pool(struct accounts *a, const struct settings *s, struct account *account)
{
    const struct named_pool *named = settings_pool(s, account->model->name);

    account->model->pool = named ? find_pool(a, named, account) : NULL;
}

struct account *accounts_find(struct accounts *a, const struct settings *s, struct slice model,
                              struct slice key)
{
    struct organization org = s->scope == SCOPE_KEY ? organization_of_key(key) : a->shared;
    char name[MODEL_NAME_MAX];
    const char *known;
    struct account *i, *last = a->first;

    if (model.n == 0)
        return a->first;
    snprintf(name, sizeof name, "%.*s", (int)(model.n < sizeof name ? model.n : sizeof name - 1), model.p);
    known = settings_account(s, name);
    for (i = a->first->next; i; last = i, i = i->next)
        if (strcmp(i->model->name, known) == 0 && strcmp(i->organization.name, org.name) == 0)
            return i;
    if (a->n == ACCOUNTS_MAX)
        return a->first;
    i = xcalloc(1, sizeof *i);
    i->organization = org;
    i->of_key = s->scope == SCOPE_KEY;
    i->model = model_new(known, settings_model(s, name));
    join_pool(a, s, i);
    last->next = i;
    a->n++;
    return i;
}

void accounts_configure(struct accounts *a, const struct settings *s, int64_t now_us)
{
    /* what was used so far was used under the old settings */
    accounts_look_at_all(a, now_us);
    for (struct pool *p = a->pools; p; p = p->next)
        for (size_t i = 0; i < s->n_pools; i++)
            if (strcmp(s->pools[i].name, p->name) == 0)
                limits_configure(&p->limits, &s->pools[i].limits);
    for (struct account *i = a->first->next; i; i = i->next) {
        model_configure(i->model, settings_model(s, i->model->name));
        join_pool(a, s, i);
    }
}

void accounts_reset(struct accounts *a)
{
    for (struct account *i = a->first; i; i = i->next) {
        arrivals_reset(&i->arrivals);
        i->bill = (struct bill){0};
        if (i->model)
            model_reset(i->model);
    }
    for (struct pool *p = a->pools; p; p = p->next)
        limits_reset(&p->limits);
}

/* The one of the pool's models whose foreign use comes next. */
static struct model *next_foreign(struct accounts *a, const struct pool *pool)
{
    struct model *first = NULL;

    for (struct account *i = a->first->next; i; i = i->next)
        if (i->model->pool == pool && (!first || i->model->foreign_us < first->foreign_us))
            first = i->model;
    return first;
}

void accounts_look(struct accounts *a, struct account *account, int64_t now_us)
{
    struct model *m = account->model;

    if (m && !m->pool)
        model_look(m, now_us);
    if (!m || !m->pool)
        return;
    for (struct model *next = next_foreign(a, m->pool); next->foreign_us <= now_us;
         next = next_foreign(a, m->pool))
        model_step_foreign(next);
}

void accounts_look_at_all(struct accounts *a, int64_t now_us)
{
    for (struct account *i = a->first->next; i; i = i->next)
        accounts_look(a, i, now_us);
}

int64_t accounts_in_flight(const struct accounts *a)
{
    int64_t n = 0;

    for (const struct account *i = a->first; i; i = i->next)
        n += i->arrivals.in_flight;
    return n;
}
