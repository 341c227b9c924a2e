/* worker: who waits for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "metergate/proxy/worker.h"

struct rig {
    struct loop *loop;
    struct workers *workers;
    int done;
    int wanted;      /* the loop stops when so many are done */
    sem_t let_go;    /* long ones wait for it */
    atomic_int most; /* long ones at one time */
    atomic_int longs;
};

struct task {
    struct worker_job job;
    struct rig *rig;
    int place; /* of its end, from 1 */
};

static void work(struct worker_job *job)
{
    struct rig *r = MG_CONTAINER(job, struct task, job)->rig;
    int now;

    if (!job->long_one)
        return;
    now = atomic_fetch_add(&r->longs, 1) + 1;
    if (now > atomic_load(&r->most))
        atomic_store(&r->most, now);
    sem_wait(&r->let_go);
    atomic_fetch_sub(&r->longs, 1);
}

static void done(struct worker_job *job)
{
    struct task *t = MG_CONTAINER(job, struct task, job);

    t->place = ++t->rig->done;
    if (t->rig->done == t->rig->wanted)
        loop_stop(t->rig->loop);
}

static void submit(struct rig *r, struct task *t, bool long_one)
{
    *t = (struct task){.job = {.work = work, .done = done, .long_one = long_one}, .rig = r};
    workers_submit(r->workers, &t->job);
}

static void run_until(struct rig *r, int wanted)
{
    r->wanted = wanted;
    loop_run(r->loop);
}

static void start(struct rig *r, unsigned threads)
{
    *r = (struct rig){.loop = loop_new()};
    assert_non_null(r->loop);
    sem_init(&r->let_go, 0, 0);
    r->workers = workers_new(r->loop, threads);
    assert_non_null(r->workers);
}

static void stop(struct rig *r)
{
    workers_free(r->workers);
    loop_free(r->loop);
    sem_destroy(&r->let_go);
}

static void test_worker__long_jobs_without_end__leave_a_thread_for_the_others(void **state)
{
    struct task longs[5], usual[20];
    struct rig r;

    (void)state;
    start(&r, 2);
    for (int i = 0; i < 5; i++)
        submit(&r, &longs[i], true);
    for (int i = 0; i < 20; i++)
        submit(&r, &usual[i], false);
    run_until(&r, 20); /* though not one long one has ended */
    for (int i = 0; i < 20; i++) /* in which order, two threads that begin may have decided */
        assert_in_range(usual[i].place, 1, 20);
    for (int i = 0; i < 5; i++)
        sem_post(&r.let_go);
    run_until(&r, 25);
    for (int i = 0; i < 5; i++)
        assert_int_equal(longs[i].place, 21 + i);
    assert_int_equal(atomic_load(&r.most), 1);
    stop(&r);
}

static void test_worker__one_thread_alone__has_both_kinds(void **state)
{
    struct task one, other;
    struct rig r;

    (void)state;
    start(&r, 1);
    sem_post(&r.let_go);
    submit(&r, &one, true);
    submit(&r, &other, false);
    run_until(&r, 2);
    stop(&r);
}

static void test_worker__stopped__drops_what_was_not_begun(void **state)
{
    struct task longs[3];
    struct rig r;

    (void)state;
    start(&r, 2);
    for (int i = 0; i < 3; i++)
        submit(&r, &longs[i], true);
    for (int i = 0; i < 3; i++)
        sem_post(&r.let_go);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker__long_jobs_without_end__leave_a_thread_for_the_others),
        cmocka_unit_test(test_worker__one_thread_alone__has_both_kinds),
        cmocka_unit_test(test_worker__stopped__drops_what_was_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
