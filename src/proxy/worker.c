/*
 * worker: everything but the threads is touched under the lock alone; a job is on its line or in one thread. At most
 * thread_count - 1 threads, and at least one, have long jobs at any time.
 */
#include "metergate/proxy/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct line {
    struct worker_job *first, *last;
};

struct workers {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct line usual, longs;
    unsigned longs_running;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

static void finish(struct loop_post *post)
{
    struct worker_job *job = MG_CONTAINER(post, struct worker_job, post);

    job->done(job);
}

static struct worker_job *pop(struct line *l)
{
    struct worker_job *job = l->first;

    if (job)
        l->first = job->next;
    return job;
}

static bool may_take_long(const struct workers *w)
{
    return w->thread_count < 2 || w->longs_running < w->thread_count - 1;
}

/* One that a thread may have now, or NULL. */
static struct worker_job *take_any(struct workers *w)
{
    struct worker_job *job = pop(&w->usual);

    if (job || !may_take_long(w))
        return job;
    job = pop(&w->longs);
    w->longs_running += job != NULL;
    return job;
}

/* The next job, or NULL when it is time to stop. */
static struct worker_job *take(struct workers *w)
{
    struct worker_job *job = NULL;

    pthread_mutex_lock(&w->lock);
    while (!w->stopping && (job = take_any(w)) == NULL)
        pthread_cond_wait(&w->wake, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return job;
}

/* The thread that calls takes the next long one itself, when there is one. */
static void end_long(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->longs_running--;
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct workers *w = arg;

    for (;;) {
        struct worker_job *job = take(w);
        bool was_long;

        if (!job)
            return NULL;
        was_long = job->long_one;
        job->work(job);
        if (was_long)
            end_long(w);
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
    pthread_mutex_lock(&w->lock); /* those that are there already look at their number */
    while (w->thread_count < threads) {
        if (pthread_create(&w->threads[w->thread_count], NULL, run, w) != 0)
            break;
        w->thread_count++;
    }
    pthread_mutex_unlock(&w->lock);
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

static void push(struct line *l, struct worker_job *job)
{
    job->next = NULL;
    if (l->first)
        l->last->next = job;
    else
        l->first = job;
    l->last = job;
}

void workers_submit(struct workers *w, struct worker_job *job)
{
    MG_ASSERT(job->work && job->done);
    pthread_mutex_lock(&w->lock);
    push(job->long_one ? &w->longs : &w->usual, job);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
