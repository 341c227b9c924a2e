/* promise: a ticket that left its line otherwise (it was cancelled) is seen by its state, or by its not
 * being the head any more. */
#include "promise.h"

#include "metergate/base/clock.h"
#include "metergate/gate/pick.h"

void promise_watch(struct promise *p, int64_t now_us)
{
    struct ticket *head = NULL;
    int64_t at_us = CLOCK_NEVER;

    if (p->b->line.n > 0)
        at_us = pick_head(p->b, now_us, &head).until_us;
    if (p->head == head)
        return;
    p->head = at_us < CLOCK_NEVER ? head : NULL;
    p->at_us = at_us;
}

void promise_before(struct promise *p)
{
    for (int k = 0; k < TICKET_CLASSES; k++)
        p->credit[k] = p->b->line.classes[k].credit_ppm;
}

static bool takes_from_the_same(const struct ticket *t, const struct ticket *head)
{
    for (size_t i = 0; i < head->budget_count; i++) {
        if (ticket_takes_from(t, head->budgets[i]))
            return true;
    }
    return false;
}

/* A lower class with credit may go because of it, or because it happens to fit: nobody can tell
 * afterwards. */
static bool has_a_right(const struct promise *p, const struct ticket *t)
{
    int class = (int)t->flow->class, of_head = (int)p->head->flow->class;

    if (t->budgets[0] != p->b)
        return takes_from_the_same(t, p->head);
    return class < of_head || (class > of_head && p->credit[class] > 0);
}

bool promise_after(struct promise *p, const struct ticket *t, int64_t now_us, int64_t *ret_late_us)
{
    if (!p->head)
        return false;
    if (t != p->head) {
        if (p->head->state != TICKET_HELD || has_a_right(p, t))
            p->head = NULL;
        return false;
    }
    p->head = NULL;
    *ret_late_us = now_us - p->at_us;
    return true;
}

void promise_void(struct promise *p)
{
    p->head = NULL;
}
