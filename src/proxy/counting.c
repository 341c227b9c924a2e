/* counting: from counting_begin to counting_end it is a worker's; only left_body is the loop's meanwhile. */
#include "metergate/proxy/counting.h"

#include <stdlib.h>

#include "metergate/proxy/hub.h"

/* The client may leave, and its request with it, while a worker reads. */
static void keep(struct counting *k, const struct counted_input *in)
{
    struct slice *const parts[] = {&k->read.input.path, &k->read.input.query, &k->read.input.content_type, &k->read.coding};
    size_t at = 0;

    k->read = *in;
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++)
        buf_add_slice(&k->about, *parts[i]);
    for (size_t i = 0; i < MG_ARRAY_LEN(parts); i++) {
        parts[i]->p = k->about.p + at;
        at += parts[i]->n;
    }
}

void counting_begin(struct call *c, const struct counted_input *in, void (*work)(struct worker_job *job),
                    void (*done)(struct worker_job *job))
{
    struct counting *k = xcalloc(1, sizeof *k);

    MG_ASSERT(!c->counting);
    k->job = (struct worker_job){.work = work, .done = done};
    k->job.long_one = in && (c->body.n > WORKER_LONG_BYTES || c->is_coded); /* what it decodes to, nobody knows yet */
    k->call = c;
    buf_init(&k->about, BUF_UNLIMITED);
    buf_init(&k->left_body, BUF_UNLIMITED);
    if (in)
        keep(k, in);
    c->counting = k;
    workers_submit(c->proxy->workers, &k->job);
}

struct counting *counting_of(struct worker_job *job)
{
    return MG_CONTAINER(job, struct counting, job);
}

struct call *counting_end(struct worker_job *job)
{
    struct call *c = counting_of(job)->call;

    counting_free(c);
    return c;
}

void counting_free(struct call *c)
{
    struct counting *k = c->counting;

    if (!k)
        return;
    buf_release(&k->about);
    buf_release(&k->left_body);
    free(k);
    c->counting = NULL;
}
