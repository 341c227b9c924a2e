/* account: sum is always what is counted from `first` on and what the slips of open attempts still
 * reserve. */
#include "account.h"

#include <stdlib.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

void account_init(struct account *a, const struct limit *limits, int headroom_permille, int64_t now_us)
{
    *a = (struct account){.now_us = now_us};
    while (a->limit_count < ACCOUNT_LIMITS && limits[a->limit_count].max > 0) {
        struct account_limit *l = &a->limits[a->limit_count];
        bool in_full = limits[a->limit_count].metric == METRIC_CONCURRENT;

        l->limit = limits[a->limit_count++];
        l->usable = in_full ? l->limit.max : l->limit.max * (1000 - headroom_permille) / 1000;
    }
}

void account_release(struct account *a)
{
    for (size_t i = 0; i < a->limit_count; i++)
        free(a->limits[i].counted);
}

static void count(struct account_limit *l, int64_t now_us, int64_t amount)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        l->counted = xrealloc(l->counted, l->cap * sizeof *l->counted);
    }
    l->counted[l->n++] = (struct entry){now_us + l->limit.span_us, amount};
}

/* When the first limit next changes by itself, at most to_us. */
static int64_t next_us(const struct account *a, int64_t to_us)
{
    const struct account_limit *l = &a->limits[0];

    return l->first < l->n && l->counted[l->first].until_us < to_us ? l->counted[l->first].until_us : to_us;
}

static void forget(struct account_limit *l, int64_t now_us)
{
    while (l->first < l->n && l->counted[l->first].until_us <= now_us)
        l->sum -= l->counted[l->first++].amount;
}

void account_advance(struct account *a, int64_t now_us, bool somebody_waits)
{
    while (a->limit_count > 0 && a->now_us < now_us) {
        int64_t at_us = next_us(a, now_us);

        if (somebody_waits) {
            a->waited_us += at_us - a->now_us;
            a->filled_us +=
                (double)(at_us - a->now_us) * (double)a->limits[0].sum / (double)a->limits[0].usable;
        }
        a->now_us = at_us;
        forget(&a->limits[0], at_us);
    }
    for (size_t i = 1; i < a->limit_count; i++)
        forget(&a->limits[i], now_us);
}

static int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

bool account_open(struct account *a, const struct cost *c, struct slip *slips)
{
    bool room = true;

    for (size_t i = 0; i < a->limit_count; i++) {
        struct account_limit *l = &a->limits[i];
        enum metric m = l->limit.metric;
        int64_t need;

        slips[i] = (struct slip){.on_arrival = smaller(c->on_arrival[m], l->limit.max)};
        slips[i].at_end = smaller(c->at_end[m], l->limit.max - slips[i].on_arrival);
        need = slips[i].on_arrival + slips[i].at_end;
        l->sum += need;
        room &= need == 0 || l->sum <= (need > l->usable ? l->limit.max : l->usable);
    }
    return room;
}

void account_sent(struct account *a, struct slip *slips)
{
    for (size_t i = 0; i < a->limit_count; i++) {
        struct account_limit *l = &a->limits[i];

        if (l->limit.metric == METRIC_CONCURRENT || slips[i].sent)
            continue;
        slips[i].sent = true;
        slips[i].entry = l->n;
        count(l, a->now_us, slips[i].on_arrival);
    }
}

/* So much of what was reserved for the end is counted now; what is more than that is added. */
static void count_end(struct account *a, struct account_limit *l, struct slip *s, int64_t amount)
{
    int64_t more = amount > s->at_end ? amount - s->at_end : 0;

    if (amount <= 0)
        return;
    s->at_end -= amount - more;
    l->sum += more;
    count(l, a->now_us, amount);
}

static void note_excess(struct account *a, const struct account_limit *l)
{
    double percent = 100 * (double)(l->sum - l->usable) / (double)l->usable;
    bool of_tokens = l->limit.metric != METRIC_REQUESTS && l->limit.metric != METRIC_CONCURRENT;

    if (of_tokens && percent > a->worst_percent)
        a->worst_percent = percent;
}

void account_produced(struct account *a, struct slip *slips, int64_t tokens)
{
    for (size_t i = 0; i < a->limit_count; i++) {
        struct account_limit *l = &a->limits[i];

        if (l->limit.metric == METRIC_OUTPUT || l->limit.metric == METRIC_TOKENS)
            count_end(a, l, &slips[i], tokens);
        slips[i].produced += tokens;
        note_excess(a, l);
    }
}

void account_close(struct account *a, struct slip *slips, const struct cost *final)
{
    for (size_t i = 0; i < a->limit_count; i++) {
        struct account_limit *l = &a->limits[i];
        struct slip *s = &slips[i];

        if (l->limit.metric == METRIC_CONCURRENT) {
            l->sum -= s->on_arrival;
            continue;
        }
        if (s->entry >= l->first) { /* else it has left the window, whatever it was */
            l->sum += final->on_arrival[l->limit.metric] - l->counted[s->entry].amount;
            l->counted[s->entry].amount = final->on_arrival[l->limit.metric];
        }
        count_end(a, l, s, final->at_end[l->limit.metric] - s->produced);
        l->sum -= s->at_end;
        s->at_end = 0;
        note_excess(a, l);
    }
}
