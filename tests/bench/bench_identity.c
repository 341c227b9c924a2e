/*
 * bench_identity: what it costs to know who is behind a connection. "on the loop" is paid once a connection by the loop's thread:
 * the kernel is asked who made the peer's socket, and a worker is woken and its answer taken. The rest is the worker's. Every connection is
 * one from this process to a listener of its own. Nothing is asserted; the bar is 20 us on the loop.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "metergate/base/cgroup.h"
#include "metergate/base/clock.h"
#include "metergate/base/holders.h"
#include "metergate/base/unit.h"
#include "metergate/net/listener.h"
#include "metergate/net/loop.h"
#include "metergate/net/peer.h"
#include "metergate/proxy/worker.h"

enum { CONNECTIONS = 400, ROUNDS = 9 };

struct ends {
    int near, far;
    struct net_addr peer, local;
};

static struct ends ends[CONNECTIONS];
static struct peer who[CONNECTIONS];

static double now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Of this machine's own making: the far end first. */
static void connect_all(int listening, const struct sockaddr_in *to)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        struct ends *e = &ends[i];

        e->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        e->peer.len = sizeof e->peer.sa;
        e->local.len = sizeof e->local.sa;
        if (e->far < 0 || connect(e->far, (const struct sockaddr *)to, sizeof *to) < 0)
            exit(1);
        e->near = accept(listening, (struct sockaddr *)&e->peer.sa, &e->peer.len);
        if (e->near < 0 || getsockname(e->near, (struct sockaddr *)&e->local.sa, &e->local.len) < 0)
            exit(1);
    }
}

static void look(int i)
{
    if (peer_look(ends[i].near, &ends[i].peer, &ends[i].local, &who[i]) < 0)
        exit(1);
}

static char root[CGROUP_PATH_SIZE], path[CGROUP_PATH_SIZE];

static void find_group(int i)
{
    if (cgroup_mount(root) == 0 && cgroup_path(root, who[i].cgroup, CLOCK_NEVER, path) == 0)
        (void)unit_of_cgroup(slice_str(path));
}

static struct process_wanted wanted(int i)
{
    return (struct process_wanted){.uid = who[i].uid, .inode = who[i].inode};
}

static void find_process(int i)
{
    const struct process_wanted w = wanted(i);
    char name[CLIENT_NAME_SIZE];
    int fd;

    (void)process_program(process_find(NULL, &w, CLOCK_NEVER, &fd), w.uid, name);
}

static struct holders *holders;

static void find_next(int i)
{
    const struct process_wanted w = wanted(i);
    char name[CLIENT_NAME_SIZE];

    (void)process_program(holders_find(holders, NULL, &w), w.uid, name);
}

/* ---- there and back ---- */

struct errand {
    struct worker_job job;
    bool done;
};

static struct loop *loop;
static struct workers *workers;
static double woken_us[CONNECTIONS * ROUNDS];
static int woken;

static void do_nothing(struct worker_job *job)
{
    (void)job;
}

static void come_back(struct worker_job *job)
{
    MG_CONTAINER(job, struct errand, job)->done = true;
}

/* What the loop's thread itself works: waiting for the worker costs it nothing. */
static double thread_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void hand_over(void)
{
    struct errand e = {.job = {.work = do_nothing, .done = come_back}};
    double start = thread_us();

    workers_submit(workers, &e.job);
    while (!e.done)
        loop_turn(loop, CLOCK_S);
    woken_us[woken++] = thread_us() - start;
}

static void print_row(const char *what, double *took, int n)
{
    qsort(took, (size_t)n, sizeof took[0], by_value);
    printf("%-60s %8.1f %8.1f\n", what, took[n / 2], took[n * 99 / 100]);
}

static void measure_hand_over(void)
{
    loop = loop_new();
    workers = loop ? workers_new(loop, 2) : NULL;
    if (!workers)
        exit(1);
    for (int i = 0; i < CONNECTIONS * ROUNDS; i++)
        hand_over();
    print_row("on the loop: a worker is woken, and what it says is taken", woken_us, woken);
    workers_free(workers);
    loop_free(loop);
}

/* Median and 99th percentile of single ones, over some rounds. */
static void measure(const char *what, void (*step)(int i))
{
    static double took[CONNECTIONS * ROUNDS];
    int n = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            double start = now_us();

            step(i);
            took[n++] = now_us() - start;
        }
    }
    print_row(what, took, n);
}

int main(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof to;

    if (fd < 0 || bind(fd, (struct sockaddr *)&to, n) < 0 || listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&to, &n) < 0)
        return 1;
    connect_all(fd, &to);
    printf("%d connections of one process, each looked at %d times\n", CONNECTIONS, ROUNDS);
    printf("%-60s %8s %8s\n", "", "p50 us", "p99 us");
    measure("on the loop: the kernel is asked", look);
    measure_hand_over();
    measure("by a worker: the control group is found, its unit named", find_group);
    measure("by a worker: a process is found among all, its program named", find_process);
    holders = holders_new();
    measure("by a worker: the next connection of the same process", find_next);
    holders_free(holders);
    return 0;
}
