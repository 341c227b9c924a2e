/*
 * line: a flow is in its class's tree exactly while calls of it wait, under the place (tag and half of its
 * first call, number of that), and weighs there what the lightest of its calls does. n is the sum of the
 * classes' n, and each of those that of its flows' calls. A flow without calls that wait or are in flight is
 * kept only for the tag that it is ahead with; when nothing of its class waits or is in flight, no flow of
 * that is left.
 */
#include "metergate/gate/line.h"

#include <stdlib.h>

#include "metergate/base/err.h"
#include "metergate/gate/ticket.h"

/* Tags are tokens by weight, in steps of 1/1024 of a token. */
#define TAG_ONE 1024

/* What a class may save up of its credit, and what it may be in debt with a call that was served by it. */
#define CREDIT_MAX  500000
#define DEBT_MAX    (-950000)
#define CREDIT_TURN 100000 /* pays for any call */

/* Fewer flows than this are never swept. */
#define SWEEP_MIN 64

void line_init(struct line *l)
{
    *l = (struct line){.sweep_at = SWEEP_MIN};
    map_init(&l->by_client);
    list_init(&l->flows);
}

struct flow_key {
    const void *client;
    uint64_t class;
};

static struct slice key_slice(const struct flow_key *key)
{
    return slice_of((const char *)key, sizeof *key);
}

static void free_flow(struct line *l, struct flow *f)
{
    const struct flow_key key = {f->client, f->class};

    map_remove(&l->by_client, key_slice(&key));
    list_unlink(&f->link);
    l->flow_count--;
    free(f);
}

void line_release(struct line *l)
{
    LIST_EACH (&l->flows, node, next)
        free_flow(l, LIST_ENTRY(node, struct flow, link));
    map_release(&l->by_client);
}

static struct ticket *ticket_of(struct queue_node *node)
{
    return MG_CONTAINER(node, struct ticket, node);
}

static struct flow *flow_of(struct queue_node *node)
{
    return MG_CONTAINER(node, struct flow, node);
}

/* ---- flows ---- */

static struct line_class *class_of(struct line *l, const struct flow *f)
{
    return &l->classes[f->class];
}

static bool is_idle(const struct flow *f)
{
    return f->calls.n == 0 && f->in_flight == 0;
}

static bool is_class_idle(const struct line_class *c)
{
    return c->n == 0 && c->in_flight == 0;
}

/* Whether forgetting it changes nothing: a client that comes anew has the tag that was served last. */
static bool is_forgettable(struct line *l, const struct flow *f)
{
    return is_idle(f) && (is_class_idle(class_of(l, f)) || f->tag <= class_of(l, f)->served_tag);
}

static void sweep(struct line *l)
{
    LIST_EACH (&l->flows, node, next) {
        struct flow *f = LIST_ENTRY(node, struct flow, link);

        if (!is_forgettable(l, f))
            continue;
        class_of(l, f)->idle--;
        free_flow(l, f);
    }
    l->sweep_at = 2 * l->flow_count > SWEEP_MIN ? 2 * l->flow_count : SWEEP_MIN;
}

/* After something that waited or flew has gone. */
static void forget_idle(struct line *l, struct flow *f)
{
    struct line_class *c = class_of(l, f);

    if (is_forgettable(l, f))
        free_flow(l, f);
    else if (is_idle(f))
        c->idle++;
    if (is_class_idle(c)) {
        if (c->idle > 0)
            sweep(l);
        c->served_tag = 0;
    }
    if (l->n == 0) {
        for (int k = 0; k < TICKET_CLASSES; k++)
            l->classes[k].credit_ppm = 0;
    }
}

static struct flow *find_flow(struct line *l, const struct ticket *t)
{
    const struct flow_key key = {l->by_arrival ? NULL : t->client, l->by_arrival ? TICKET_NORMAL : t->class};

    return map_get(&l->by_client, key_slice(&key));
}

static struct flow *add_flow(struct line *l, const struct ticket *t)
{
    const struct flow_key key = {l->by_arrival ? NULL : t->client, l->by_arrival ? TICKET_NORMAL : t->class};
    struct flow *f = xcalloc(1, sizeof *f);

    if (l->flow_count >= l->sweep_at)
        sweep(l);
    f->client = key.client;
    f->class = (enum ticket_class)key.class;
    list_init(&f->link);
    list_push_back(&l->flows, &f->link);
    map_set(&l->by_client, key_slice(&key), f);
    l->flow_count++;
    return f;
}

/* No client is so far behind that more would matter; so that tags never overflow. */
#define STEP_TOKENS_MAX (INT64_C(1) << 45)

static int64_t step_of(int64_t tokens, int64_t weight)
{
    return (tokens < STEP_TOKENS_MAX ? tokens : STEP_TOKENS_MAX) * TAG_ONE / weight;
}

static int64_t tag_step(const struct flow *f, int64_t tokens)
{
    return step_of(tokens, f->weight);
}

/* Its place and weight in the class are those of its calls; its place is the middle of what its first call
 * takes. */
static void replace_flow(struct line *l, struct flow *f)
{
    struct line_class *c = class_of(l, f);
    struct queue_node *first = queue_first(&f->calls);
    struct queue_weight least, sum;

    if (f->node.queued)
        queue_remove(&c->flows, &f->node);
    if (!first)
        return;
    least = queue_least(&f->calls);
    sum = queue_sum(&f->calls);
    queue_push(&c->flows, &f->node, f->tag + tag_step(f, ticket_share_tokens(ticket_of(first))) / 2,
               first->seq, &least, &sum);
}

bool line_is_ahead(const struct flow *f, const struct flow *other, int64_t tokens)
{
    return f->tag - other->tag > tag_step(f, tokens);
}

/* ---- coming and going ---- */

void line_push(struct line *l, struct ticket *t)
{
    struct queue_weight weight = ticket_weight(t), load = ticket_load(t);
    struct flow *f = find_flow(l, t);
    struct line_class *c;

    if (f)
        class_of(l, f)->idle -= is_idle(f);
    else
        f = add_flow(l, t);
    c = class_of(l, f);
    f->weight = l->by_arrival ? 1 : t->weight;
    if (f->calls.n == 0 && f->tag < c->served_tag)
        f->tag = c->served_tag;
    queue_push(&f->calls, &t->node, 0, t->seq, &weight, &load);
    replace_flow(l, f);
    t->flow = f;
    c->n++;
    l->n++;
    if (c->head && c->head->flow == f && t->seq < c->head->seq)
        c->head = NULL; /* one that came back is before it */
}

static void take_out(struct line *l, struct ticket *t)
{
    struct line_class *c = class_of(l, t->flow);

    if (c->head == t)
        c->head = NULL;
    if (l->granted == t)
        l->granted = NULL;
    queue_remove(&t->flow->calls, &t->node);
    c->n--;
    l->n--;
}

void line_remove(struct line *l, struct ticket *t)
{
    struct flow *f = t->flow;

    take_out(l, t);
    replace_flow(l, f);
    t->flow = NULL;
    forget_idle(l, f);
}

uint64_t line_place_behind(const struct line *l, const struct ticket *t, unsigned n)
{
    const struct flow *f = find_flow((struct line *)l, t);
    uint64_t place = t->seq;

    for (struct queue_node *node = f ? queue_first(&f->calls) : NULL; node;
         node = queue_after(&f->calls, node)) {
        if (node->seq > place + 1 && n == 0)
            break; /* there is a gap */
        if (node->seq >= place)
            place = node->seq;
        n -= n > 0;
    }
    return place == t->seq ? place : place + 1;
}

static struct ticket *first_of(const struct line_class *c)
{
    if (c->head)
        return c->head;
    return ticket_of(queue_first(&flow_of(queue_first(&c->flows))->calls));
}

static struct ticket *head_of(struct line_class *c)
{
    c->head = first_of(c);
    if (c->head->flow->tag > c->served_tag)
        c->served_tag = c->head->flow->tag;
    return c->head;
}

/* A class that waits behind others and whose credit pays its first call. */
static struct line_class *due_class(struct line *l)
{
    size_t above = l->n;

    for (int k = TICKET_LOW; k > TICKET_HIGH; k--) {
        struct line_class *c = &l->classes[k];
        int64_t part;

        above -= c->n;
        if (c->n == 0 || above == 0 || c->credit_ppm <= 0)
            continue;
        part = c->credit_ppm >= CREDIT_TURN ? 0 : ticket_part_ppm(first_of(c));
        if (c->credit_ppm >= part)
            return c;
    }
    return NULL;
}

struct ticket *line_head(struct line *l)
{
    struct line_class *due;
    int k = TICKET_HIGH;

    MG_ASSERT(l->n > 0);
    if (l->granted)
        return l->granted;
    due = due_class(l);
    if (due) {
        l->granted = head_of(due);
        return l->granted;
    }
    while (l->classes[k].n == 0)
        k++;
    return head_of(&l->classes[k]);
}

void line_grant(struct line *l, struct ticket *head)
{
    l->granted = head;
}

static void pay(struct line *l, const struct ticket *t, bool by_credit)
{
    struct line_class *own = class_of(l, t->flow);
    int64_t least = by_credit ? DEBT_MAX : 0, part;
    size_t below = 0;

    for (const struct line_class *c = own + 1; c < l->classes + TICKET_CLASSES; c++)
        below += c->n;
    if (below == 0 && own->credit_ppm <= least)
        return;
    part = ticket_part_ppm(t);
    for (struct line_class *c = own + 1; c < l->classes + TICKET_CLASSES; c++) {
        int64_t credit = c->credit_ppm + part * LINE_SHARE_PERMILLE / 1000;

        if (c->n > 0)
            c->credit_ppm = credit < CREDIT_MAX ? credit : CREDIT_MAX;
    }
    if (own->credit_ppm > least)
        own->credit_ppm = own->credit_ppm - part > least ? own->credit_ppm - part : least;
}

void line_serve(struct line *l, struct ticket *t)
{
    struct flow *f = t->flow;
    struct line_class *c = class_of(l, f);

    pay(l, t, l->granted == t);
    take_out(l, t);
    t->share_tokens = ticket_share_tokens(t);
    t->share_weight = f->weight;
    f->tag += tag_step(f, t->share_tokens);
    f->in_flight++;
    c->in_flight++;
    replace_flow(l, f);
}

void line_settle(struct line *l, struct ticket *t, int64_t tokens)
{
    struct flow *f = t->flow;

    f->in_flight--;
    class_of(l, f)->in_flight--;
    f->tag += step_of(tokens, t->share_weight) - step_of(t->share_tokens, t->share_weight);
    replace_flow(l, f);
    t->flow = NULL;
    forget_idle(l, f);
}

bool line_is_before(const struct ticket *a, const struct ticket *b)
{
    int class_a = (int)a->flow->class, class_b = (int)b->flow->class;

    return class_a < class_b || (class_a == class_b && a->seq < b->seq);
}

/* ---- searching ---- */

struct search {
    const struct queue_weight *most;
    line_may *may;
    queue_fits *fits;
    void *arg;
    struct queue_node *found;
};

/* queue_fits for a flow: whether one of its calls does. */
static bool flow_fits(void *arg, struct queue_node *node)
{
    struct search *s = arg;

    s->found =
        s->may(s->arg, flow_of(node)) ? queue_find(&flow_of(node)->calls, s->most, s->fits, s->arg) : NULL;
    return s->found != NULL;
}

struct ticket *line_find(const struct line *l, enum ticket_class class, const struct queue_weight *most,
                         line_may *may, queue_fits *fits, void *arg)
{
    struct search s = {.most = most, .may = may, .fits = fits, .arg = arg};

    return queue_find(&l->classes[class].flows, most, flow_fits, &s) ? ticket_of(s.found) : NULL;
}

/* ---- what waits ---- */

static void add_load(struct line_load *to, int64_t calls, const struct queue_weight *tokens)
{
    to->calls += calls;
    for (int i = 0; i < QUEUE_WEIGHTS; i++)
        to->tokens.of[i] += tokens->of[i];
}

static void add_class(struct line_load *to, const struct line_class *c)
{
    struct queue_weight sum = queue_sum(&c->flows);

    add_load(to, (int64_t)c->n, &sum);
}

void line_all(const struct line *l, struct line_load *ret)
{
    *ret = (struct line_load){0};
    for (int k = 0; k < TICKET_CLASSES; k++)
        add_class(ret, &l->classes[k]);
}

void line_ahead_at_most(const struct line *l, enum ticket_class class, struct line_load *ret)
{
    *ret = (struct line_load){0};
    for (int k = 0; k <= (int)(l->by_arrival ? TICKET_NORMAL : class); k++)
        add_class(ret, &l->classes[k]);
}

/* a x part / whole, for part <= whole. */
static int64_t share_of(int64_t a, int64_t part, int64_t whole)
{
    __extension__ typedef __int128 wide;

    return whole == 0 ? 0 : (int64_t)((wide)a * part / whole);
}

/* What client f is served before its tag reaches `tag`. */
static void add_flow_until(struct line_load *to, const struct flow *f, int64_t tag)
{
    struct queue_weight sum = queue_sum(&f->calls);
    int64_t all = tag_step(f, sum.of[0] > 0 ? sum.of[0] : (int64_t)f->calls.n), before = tag - f->tag;

    if (before <= 0)
        return;
    if (before > all)
        before = all;
    for (int i = 0; i < QUEUE_WEIGHTS; i++)
        sum.of[i] = share_of(sum.of[i], before, all);
    add_load(to, share_of((int64_t)f->calls.n, before, all), &sum);
}

void line_ahead(const struct line *l, const struct ticket *t, struct line_load *ret)
{
    struct flow *own = t->flow ? t->flow : find_flow((struct line *)l, t);
    const struct line_class *c = &l->classes[own ? own->class : l->by_arrival ? TICKET_NORMAL : t->class];
    struct queue_weight mine = {{0}};
    int64_t tag = own && own->calls.n > 0 ? own->tag : c->served_tag;
    size_t n = 0;

    *ret = (struct line_load){0};
    for (const struct line_class *above = l->classes; above < c; above++)
        add_class(ret, above);
    if (own && own->calls.n == 0 && own->tag > tag)
        tag = own->tag;
    if (own) {
        mine = queue_sum_before(&own->calls, 0, t->seq ? t->seq : UINT64_MAX, &n);
        tag += tag_step(own, mine.of[0] > 0 ? mine.of[0] : (int64_t)n);
        add_load(ret, (int64_t)n, &mine);
    }
    for (struct queue_node *node = queue_first(&c->flows); node && node->tag < tag;
         node = queue_after(&c->flows, node)) {
        if (flow_of(node) != own)
            add_flow_until(ret, flow_of(node), tag);
    }
}

struct ticket *line_next_client(const struct line *l, const struct ticket *t)
{
    int k = t ? (int)t->flow->class : TICKET_HIGH;
    struct queue_node *node = queue_after(&l->classes[k].flows, t ? &t->flow->node : NULL);

    while (!node && ++k < TICKET_CLASSES)
        node = queue_first(&l->classes[k].flows);
    return node ? ticket_of(queue_first(&flow_of(node)->calls)) : NULL;
}

/* What queue_each is handed. */
struct for_each {
    void (*each)(void *arg, struct ticket *t);
    void *arg;
};

static void for_node(void *arg, struct queue_node *n)
{
    const struct for_each *f = arg;

    f->each(f->arg, ticket_of(n));
}

void line_each(const struct line *l, void (*each)(void *arg, struct ticket *t), void *arg)
{
    struct for_each f = {each, arg};

    LIST_EACH (&l->flows, node, next)
        queue_each(&LIST_ENTRY(node, struct flow, link)->calls, for_node, &f);
}

/* ---- changes ---- */

static void weigh_again(struct line *l, struct flow *f)
{
    struct queue old = f->calls;

    f->calls = (struct queue){0};
    for (struct queue_node *n; (n = queue_first(&old)) != NULL;) {
        struct queue_weight weight = ticket_weight(ticket_of(n)), load = ticket_load(ticket_of(n));
        uint64_t seq = n->seq;

        queue_remove(&old, n);
        queue_push(&f->calls, n, 0, seq, &weight, &load);
    }
    replace_flow(l, f);
}

void line_weigh_again(struct line *l)
{
    LIST_EACH (&l->flows, node, next)
        weigh_again(l, LIST_ENTRY(node, struct flow, link));
}

struct everybody {
    struct ticket **v;
    size_t n;
};

static void note(void *arg, struct ticket *t)
{
    struct everybody *all = arg;

    all->v[all->n++] = t;
}

void line_set_order(struct line *l, bool by_arrival)
{
    struct everybody all = {.v = xcalloc(l->n + 1, sizeof(struct ticket *))};

    line_each(l, note, &all);
    for (size_t i = 0; i < all.n; i++)
        line_remove(l, all.v[i]);
    l->by_arrival = by_arrival;
    for (size_t i = 0; i < all.n; i++)
        line_push(l, all.v[i]);
    free(all.v);
}

void line_copy_order(struct line *l, const struct line *from)
{
    for (int k = 0; k < TICKET_CLASSES; k++) {
        l->classes[k].served_tag = from->classes[k].served_tag;
        l->classes[k].credit_ppm = from->classes[k].credit_ppm;
    }
    LIST_EACH (&l->flows, node, next) {
        struct flow *f = LIST_ENTRY(node, struct flow, link);
        const struct flow_key key = {f->client, f->class};
        const struct flow *original = map_get(&from->by_client, key_slice(&key));

        if (!original) /* its calls have gone since they were copied */
            continue;
        f->tag = original->tag;
        replace_flow(l, f);
    }
}
