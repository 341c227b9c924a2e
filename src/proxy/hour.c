/* hour: v[k % n] is step k, for k in last - n < k <= last; no other step has anything. */
#include "metergate/proxy/hour.h"

#include <stdlib.h>

#include "metergate/base/err.h"
#include "metergate/base/money.h"

#define HOUR_US (3600 * CLOCK_S)

struct hour {
    int64_t step_us;
    int64_t last; /* the step that was written to last */
    int n;
    struct hour_figures v[];
};

static const struct hour_figures nothing;

struct hour *hour_new(int64_t step_us)
{
    int n = (int)(HOUR_US / step_us);
    struct hour *h;

    MG_ASSERT(n > 0 && HOUR_US % step_us == 0);
    h = xcalloc(1, sizeof *h + (size_t)n * sizeof h->v[0]);
    h->step_us = step_us;
    h->n = n;
    return h;
}

void hour_free(struct hour *h)
{
    free(h);
}

static void add(struct hour_figures *to, const struct hour_figures *f)
{
    to->calls += f->calls;
    to->tokens += f->tokens;
    to->cost_nano = money_sum(to->cost_nano, f->cost_nano);
    to->unpriced += f->unpriced;
    to->waited_us += f->waited_us;
    if (f->longest_us > to->longest_us)
        to->longest_us = f->longest_us;
    to->refused += f->refused;
    to->upstream_429 += f->upstream_429;
    to->retries += f->retries;
}

/* Empties the steps that nothing was written to since the last one. */
static void go_on_to(struct hour *h, int64_t step)
{
    int64_t empty = step - h->last < h->n ? step - h->last : h->n;

    for (int64_t k = step - empty + 1; k <= step; k++)
        h->v[k % h->n] = nothing;
    h->last = step;
}

void hour_add(struct hour *h, int64_t now_us, const struct hour_figures *f)
{
    int64_t step = now_us / h->step_us;

    if (step > h->last)
        go_on_to(h, step);
    add(&h->v[h->last % h->n], f);
}

int hour_steps(const struct hour *h)
{
    return h->n;
}

const struct hour_figures *hour_step(const struct hour *h, int64_t now_us, int i)
{
    int64_t now = now_us / h->step_us, step;

    if (now < h->last)
        now = h->last;
    step = now - h->n + 1 + i;
    return step < 0 || step > h->last || step <= h->last - h->n ? &nothing : &h->v[step % h->n];
}

void hour_sum(const struct hour *h, int64_t now_us, struct hour_figures *ret)
{
    *ret = nothing;
    for (int i = 0; h && i < h->n; i++)
        add(ret, hour_step(h, now_us, i));
}

int64_t hour_step_ends_us(int64_t step_us, int64_t now_us)
{
    return (now_us / step_us + 1) * step_us;
}
