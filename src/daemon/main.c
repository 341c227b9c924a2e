/*
 * main: boot order. Each step needs the ones before it, and what was made is released in the opposite order:
 * options, configuration, limits of the process, sockets handed over, loop and signals (before any thread), proxy, listeners,
 * state, run.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/config/config.h"
#include "metergate/config/print.h"
#include "metergate/daemon/activation.h"
#include "metergate/daemon/listeners.h"
#include "metergate/daemon/notify.h"
#include "metergate/daemon/options.h"
#include "metergate/daemon/reload.h"
#include "metergate/daemon/state.h"
#include "metergate/net/loop.h"
#include "metergate/proxy/capacity.h"
#include "metergate/proxy/proxy.h"

struct daemon {
    struct config *config; /* owned share */
    struct reload reload;
    struct loop *loop;
    struct proxy *proxy;
    struct listeners listeners;
    struct notify notify;
    struct buf where; /* the addresses that it listens on, for people */
    int handed; /* sockets from a service manager, instead of `listen` */
    bool draining;
};

static int load_config(const struct options *o, struct config **ret)
{
    struct buf said;
    int rc;

    buf_init(&said, BUF_UNLIMITED);
    rc = reload_read(o, ret, &said);
    if (said.n)
        fwrite(said.p, 1, said.n, stderr);
    buf_release(&said);
    return rc;
}

static void print_ok(const struct options *o)
{
    char *path = config_find(o->config);

    printf("%s: OK\n", path ? path : "built-in configuration");
    free(path);
}

/* Keys live in this process: no core dump, no ptrace by others. Leak checking needs ptrace of itself. */
static void protect_memory(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0)
        log_warn("cannot forbid core dumps: %s", strerror(errno));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        log_warn("cannot make this process undumpable: %s", strerror(errno));
#endif
}

/* Every held call is an open connection: take what the system lets us have. The limit that holds then. */
static uint64_t raise_descriptor_limit(void)
{
    struct rlimit now = {0, 0}, all;

    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        log_warn("cannot read the limit of open files: %s", strerror(errno));
    all = (struct rlimit){now.rlim_max, now.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &all) == 0)
        return all.rlim_cur;
    log_warn("cannot raise the limit of open files: %s", strerror(errno));
    return now.rlim_cur;
}

/*
 * Big bodies are mapped, each by itself, and so go back to the system when they are freed. Left alone, glibc raises the
 * size that counts as big to whatever was freed last.
 */
static void fix_malloc(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

static void on_drained(void *ctx)
{
    struct daemon *d = ctx;

    loop_stop(d->loop);
}

static void on_stop_signal(void *ctx, int signo)
{
    struct daemon *d = ctx;

    notify_stopping(&d->notify, d->draining ? "stopping at once" : "calls in flight end, held ones are told to come again");
    if (d->draining) {
        log_warn("%s again, stopping at once", strsignal(signo));
        proxy_stop(d->proxy);
        return;
    }
    log_info("%s, draining for up to %.4g s", strsignal(signo), (double)d->config->drain_us / CLOCK_S);
    d->draining = true;
    proxy_drain(d->proxy, on_drained, d);
}

static void say_ready(const struct daemon *d, const char *after)
{
    struct buf status;

    buf_init(&status, BUF_UNLIMITED);
    buf_addf(&status, "listening on %s%s", d->where.p, after);
    notify_ready(&d->notify, status.p);
    buf_release(&status);
}

/* However it was asked for. */
static int on_reload(void *ctx, struct buf *said)
{
    struct daemon *d = ctx;
    int rc;

    notify_reloading(&d->notify);
    rc = reload_again(&d->reload, said);
    say_ready(d, rc < 0 ? "; the last reload was refused, see the log" : "");
    return rc;
}

static void on_hangup(void *ctx, int signo)
{
    struct daemon *d = ctx;
    struct buf said; /* it is in the log */

    (void)signo;
    log_info("SIGHUP: reading the configuration again");
    buf_init(&said, BUF_UNLIMITED);
    (void)!on_reload(d, &said);
    buf_release(&said);
}

/* A hangup before the loop takes signals must not end the daemon: it waits, and is a reload then. */
static void hold_hangups(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/*
 * What other daemons take for "open your log again" or "tell me how you are", and timers that nobody set: here they mean nothing,
 * and nobody who sends one wants every call to be lost. Real-time signals, SIGQUIT and faults of our own still end us.
 */
static void ignore_signals(void)
{
    static const int meaningless[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR};

    for (size_t i = 0; i < MG_ARRAY_LEN(meaningless); i++)
        signal(meaningless[i], SIG_IGN);
}

static int take_signals(struct daemon *d)
{
    int rc = loop_signal(d->loop, SIGTERM, on_stop_signal, d);

    if (rc == 0)
        rc = loop_signal(d->loop, SIGINT, on_stop_signal, d);
    if (rc == 0)
        rc = loop_signal(d->loop, SIGHUP, on_hangup, d);
    if (rc < 0)
        log_error("cannot take signals: %s", strerror(-rc));
    return rc;
}

static int open_listeners(struct daemon *d, struct errbuf *e)
{
    int rc = listeners_open(&d->listeners, d->config, d->handed, e);

    if (rc == 0)
        rc = listeners_check(&d->listeners, d->config, e);
    if (rc == 0)
        rc = listeners_serve(&d->listeners, d->proxy, e);
    if (rc < 0)
        return rc;
    listeners_warn(&d->listeners, d->config);
    listeners_print(&d->listeners, &d->where);
    return 0;
}

static void keep_state(struct daemon *d)
{
    struct buf dir;

    buf_init(&dir, BUF_UNLIMITED);
    if (state_dir_open(d->config, &dir))
        proxy_keep(d->proxy, dir.p);
    buf_release(&dir);
}

static int run(struct daemon *d)
{
    struct capacity capacity;
    struct errbuf e;
    int rc;

    if (activation_take(&d->handed, &e) < 0) {
        log_error("%s", e.text);
        return EXIT_FAILURE;
    }
    d->loop = loop_new();
    if (!d->loop) {
        log_error("cannot start the event loop: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (take_signals(d) < 0)
        return EXIT_FAILURE;
    if (capacity_of(raise_descriptor_limit(), &capacity, &e) < 0 ||
        proxy_new(d->loop, d->config, &capacity, &d->proxy, &e) < 0) {
        log_error("%s", e.text);
        return EXIT_FAILURE;
    }
    d->reload.proxy = d->proxy;
    proxy_on_reload(d->proxy, on_reload, d);
    rc = open_listeners(d, &e);
    if (rc < 0) {
        log_error("%s", e.text);
    } else {
        keep_state(d); /* it is ours now: nobody else listens where we do. Nobody is served before the loop runs */
        capacity_say(&capacity);
        capacity_check_queue(&capacity, d->config->queue.max_requests);
        log_info("metergated %s ready, listening on %s", METERGATE_VERSION, d->where.p);
        say_ready(d, "");
        notify_watch(&d->notify, d->loop);
        loop_run(d->loop);
    }
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void release(struct daemon *d)
{
    notify_close(&d->notify);
    proxy_free(d->proxy);
    listeners_release(&d->listeners);
    loop_free(d->loop);
    config_free(d->config);
    buf_release(&d->where);
}

int main(int argc, char **argv)
{
    struct daemon d = {.notify = {.fd = -1}};
    struct options o;
    struct buf text;
    int rc;

    fix_malloc();
    buf_init(&d.where, BUF_UNLIMITED);
    rc = options_read(&o, argc, argv);

    if (rc != OPTIONS_GO_ON)
        return rc;
    hold_hangups();
    ignore_signals();
    d.reload = (struct reload){.options = &o, .config = &d.config, .listeners = &d.listeners};
    rc = load_config(&o, &d.config);
    if (rc == 0 && o.test)
        print_ok(&o);
    if (rc == 0 && o.print) {
        buf_init(&text, BUF_UNLIMITED);
        config_print(d.config, &text);
        fwrite(text.p, 1, text.n, stdout);
        buf_release(&text);
    } else if (rc == 0 && !o.test) {
        log_setup(d.config->log.level, d.config->log.format);
        protect_memory();
        notify_open(&d.notify);
        rc = run(&d);
        if (rc == 0)
            log_info("stopped");
    }
    release(&d);
    return rc;
}
