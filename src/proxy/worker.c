/* worker: `first`, `last` and `stopping` are touched under the lock alone; a job is on the list or in one thread. */
#include "metergate/proxy/worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct workers {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct worker_job *first, *last;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

static void finish(struct loop_post *post)
{
    struct worker_job *job = MG_CONTAINER(post, struct worker_job, post);

    job->done(job);
}

/* The next job, or NULL when it is time to stop. */
static struct worker_job *take(struct workers *w)
{
    struct worker_job *job = NULL;

    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stopping)
        pthread_cond_wait(&w->wake, &w->lock);
    if (!w->stopping) {
        job = w->first;
        w->first = job->next;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *run(void *arg)
{
    struct workers *w = arg;

    for (;;) {
        struct worker_job *job = take(w);

        if (!job)
            return NULL;
        job->work(job);
        job->post.fn = finish;
        loop_post(w->loop, &job->post);
    }
}

struct workers *workers_new(struct loop *l, unsigned threads)
{
    struct workers *w = xcalloc(1, sizeof *w + threads * sizeof w->threads[0]);

    w->loop = l;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    while (w->thread_count < threads) {
        if (pthread_create(&w->threads[w->thread_count], NULL, run, w) != 0)
            break;
        w->thread_count++;
    }
    if (w->thread_count == 0) {
        workers_free(w);
        return NULL;
    }
    return w;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void workers_submit(struct workers *w, struct worker_job *job)
{
    MG_ASSERT(job->work && job->done);
    job->next = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->first)
        w->last->next = job;
    else
        w->first = job;
    w->last = job;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
