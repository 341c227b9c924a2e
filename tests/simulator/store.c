/* store: one array, guarded by one lock; process-wide, like a provider's. */
#include "store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
    char id[128];
    struct buf json;
    int64_t tokens;
} kept[STORE_MAX];
static size_t n_kept, next_kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock. */
static size_t index_of(const char *id)
{
    size_t i = 0;

    while (i < n_kept && strcmp(kept[i].id, id) != 0)
        i++;
    return i;
}

void store_put(const char *id, struct slice json, int64_t tokens)
{
    size_t i;

    pthread_mutex_lock(&lock);
    i = index_of(id);
    if (i == n_kept) {
        i = next_kept;
        next_kept = (next_kept + 1) % STORE_MAX;
        n_kept += n_kept < STORE_MAX;
    }
    snprintf(kept[i].id, sizeof kept[i].id, "%s", id);
    buf_release(&kept[i].json);
    buf_init(&kept[i].json, BUF_UNLIMITED);
    buf_add_slice(&kept[i].json, json);
    kept[i].tokens = tokens;
    pthread_mutex_unlock(&lock);
}

bool store_find(const char *id, struct buf *json, int64_t *tokens)
{
    size_t i;
    bool found;

    pthread_mutex_lock(&lock);
    i = index_of(id);
    found = i < n_kept;
    if (found && json)
        buf_add_slice(json, buf_slice(&kept[i].json));
    if (found && tokens)
        *tokens = kept[i].tokens;
    pthread_mutex_unlock(&lock);
    return found;
}
