/*
 * piece_cache: who owns the tables. A thread-local pointer finds them; a pthread key frees them when the
 * thread ends.
 */
#include "metergate/tokens/piece_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "metergate/base/err.h"

struct thread_caches {
    struct piece_cache *of[ENCODINGS]; /* owned */
};

static _Thread_local struct thread_caches *caches;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_caches(void *arg)
{
    struct thread_caches *mine = arg;

    for (int e = 0; e < ENCODINGS; e++)
        free(mine->of[e]);
    free(mine);
    caches = NULL;
}

static void make_key(void)
{
    MG_ASSERT(pthread_key_create(&key, free_caches) == 0);
}

static struct thread_caches *make_caches(void)
{
    struct thread_caches *mine;

    MG_ASSERT(pthread_once(&once, make_key) == 0);
    mine = calloc(1, sizeof *mine);
    if (!mine)
        return NULL;
    if (pthread_setspecific(key, mine) != 0) {
        free(mine);
        return NULL;
    }
    caches = mine;
    return mine;
}

struct piece_cache *piece_cache_of_thread(enum encoding e)
{
    struct thread_caches *mine = caches ? caches : make_caches();

    if (!mine)
        return NULL;
    if (!mine->of[e])
        mine->of[e] = calloc(1, sizeof *mine->of[e]);
    return mine->of[e];
}
