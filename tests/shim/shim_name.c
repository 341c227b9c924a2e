/* shim_name: the one name that is steered is answered as the memory says at that moment; all others by the system. */
#include "shim.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* As a resolver whose servers say nothing: it waits, and nobody can call it off. */
static int answer_now(struct steer *s)
{
    int now = atomic_load(&s->answer);

    while (s->answers[now].hangs) {
        struct timespec moment = {.tv_nsec = 2000000};

        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
        now = atomic_load(&s->answer);
    }
    return now;
}

/* The system's structures, one after the other: so that the system's freeaddrinfo takes them. */
static int give_addresses(const struct steer_answer *a, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    SHIM_REAL(getaddrinfo);
    struct addrinfo numeric = hints ? *hints : (struct addrinfo){0}, *list = NULL, **tail = &list;

    numeric.ai_flags = AI_NUMERICHOST;
    for (int i = 0; i < a->n; i++) {
        struct addrinfo *one;

        if (getaddrinfo_real.function(a->address[i], service, &numeric, &one) != 0)
            continue; /* of a family that was not asked for */
        *tail = one;
        while (*tail)
            tail = &(*tail)->ai_next;
    }
    if (!list)
        return EAI_NONAME;
    *ret = list;
    return 0;
}

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
    SHIM_REAL(getaddrinfo);
    struct steer *s = shim_steer();
    const struct steer_answer *a;

    if (!s || !node || s->name[0] == '\0' || strcmp(node, s->name) != 0)
        return getaddrinfo_real.function(node, service, hints, ret);
    atomic_fetch_add(&s->asked, 1);
    a = &s->answers[answer_now(s)];
    return a->error ? a->error : give_addresses(a, service, hints, ret);
}
