/*
 * main: boot order. Each step needs the ones before it, and what was made is released in the opposite order:
 * options, limits of the process (before keys are read), configuration, sockets handed over, loop and signals (before any thread),
 * what root alone may do (listeners, the state directory), the user that we stay, proxy, run.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "metergate/base/clock.h"
#include "metergate/base/json.h"
#include "metergate/base/log.h"
#include "metergate/config/config.h"
#include "metergate/config/print.h"
#include "metergate/daemon/activation.h"
#include "metergate/daemon/listeners.h"
#include "metergate/daemon/notify.h"
#include "metergate/daemon/options.h"
#include "metergate/daemon/privileges.h"
#include "metergate/daemon/reload.h"
#include "metergate/daemon/state.h"
#include "metergate/ledger/db.h"
#include "metergate/net/loop.h"
#include "metergate/net/trust.h"
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
    bool refused; /* the last reload was */
    bool draining;
};

static int load_config(const struct options *o, struct config **ret)
{
    struct buf said;
    int rc;

    buf_init(&said, BUF_UNLIMITED);
    rc = reload_read(o, ret, &said);
    for (struct slice left = buf_slice(&said); left.n;) {
        struct slice line = slice_head(left, slice_find(left, '\n'));

        fprintf(stderr, "%s%.*s\n", log_prefix(rc == EX_OK ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR), (int)line.n, line.p);
        left = slice_skip(left, line.n + 1);
    }
    buf_release(&said);
    return rc;
}

static void print_ok(const struct options *o)
{
    char *path = config_find(o->config);

    printf("%s: OK\n", path ? path : "built-in configuration");
    free(path);
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

/* For `systemctl status`. */
static void describe(void *ctx, struct buf *status)
{
    const struct daemon *d = ctx;
    struct proxy_figures now = proxy_figures(d->proxy);

    if (d->draining) {
        buf_addf(status, "draining: %" PRId64 " call%s in flight", now.in_flight, now.in_flight == 1 ? "" : "s");
        return;
    }
    buf_addf(status, "%sholding %" PRId64 ", in flight %" PRId64 "; listening on %s%s", now.paused ? "paused, " : "", now.held,
             now.in_flight, d->where.p, d->refused ? "; the last reload was refused, see the log" : "");
}

/*
 * Where a service manager keeps the sockets open, who comes from now on is served by the daemon that it starts next; where they are ours,
 * he would wait for nobody, and is told to come again.
 */
static void on_stop_signal(void *ctx, int signo)
{
    struct daemon *d = ctx;
    struct buf status;

    if (d->draining) {
        notify_stopping(&d->notify, "stopping at once", NOTIFY_STOP_US);
        log_warn("%s again, stopping at once", strsignal(signo));
        proxy_stop(d->proxy);
        return;
    }
    log_info("%s, draining for up to %.4g s", strsignal(signo), (double)d->config->drain_us / CLOCK_S);
    d->draining = true;
    if (d->handed > 0)
        proxy_stop_listening(d->proxy);
    proxy_drain(d->proxy, on_drained, d);
    buf_init(&status, BUF_UNLIMITED);
    describe(d, &status);
    notify_stopping(&d->notify, status.p, d->config->drain_us + NOTIFY_STOP_US);
    buf_release(&status);
}

static void say_ready(struct daemon *d)
{
    struct buf status;

    buf_init(&status, BUF_UNLIMITED);
    describe(d, &status);
    notify_ready(&d->notify, status.p);
    buf_release(&status);
}

/* However it was asked for. */
static int on_reload(void *ctx, struct buf *said)
{
    struct daemon *d = ctx;
    int rc;

    if (d->draining) /* it is refused, and READY would not be true */
        return reload_again(&d->reload, said);
    notify_reloading(&d->notify);
    rc = reload_again(&d->reload, said);
    d->refused = rc < 0;
    say_ready(d);
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

/* What only root may do, if we are root: sockets and the directory; from then on we are who we stay. */
static int take_places(struct daemon *d, struct buf *state_dir, struct errbuf *e)
{
    struct privileges who;
    const struct file_owner *owner;
    int rc = privileges_plan(d->config, &who, e);

    if (rc < 0)
        return rc;
    owner = who.leaves_root ? &who.who : NULL;
    rc = listeners_open(&d->listeners, d->config, d->handed, e);
    if (rc == 0)
        rc = listeners_check(&d->listeners, d->config, e);
    if (rc == 0 && owner)
        rc = listeners_give(&d->listeners, owner, e);
    if (rc == 0)
        rc = state_dir_open(d->config, owner, state_dir, e);
    if (rc == 0)
        rc = privileges_drop(&who, e);
    if (rc == 0)
        privileges_say_who(&who, d->config);
    return rc;
}

static int start_proxy(struct daemon *d, struct capacity *capacity, const struct buf *state_dir, struct errbuf *e)
{
    int rc = capacity_of(raise_descriptor_limit(), capacity, e);

    if (rc == 0)
        rc = proxy_new(d->loop, d->config, capacity, &d->proxy, e);
    if (rc < 0)
        return rc;
    d->reload.proxy = d->proxy;
    proxy_on_reload(d->proxy, on_reload, d);
    rc = listeners_serve(&d->listeners, d->proxy, e);
    if (rc < 0)
        return rc;
    listeners_warn(&d->listeners, d->config);
    listeners_print(&d->listeners, &d->where);
    if (state_dir->n)
        proxy_keep(d->proxy, state_dir->p); /* it is ours now: nobody else listens where we do. Nobody is served before the loop runs */
    return 0;
}

static int run(struct daemon *d)
{
    struct capacity capacity;
    struct buf state_dir;
    struct errbuf e;
    int rc = activation_take(&d->handed, &e);

    if (rc < 0) {
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
    buf_init(&state_dir, BUF_UNLIMITED);
    rc = take_places(d, &state_dir, &e);
    if (rc == 0)
        rc = start_proxy(d, &capacity, &state_dir, &e);
    buf_release(&state_dir);
    if (rc < 0) {
        log_error("%s", e.text);
        return EXIT_FAILURE;
    }
    capacity_say(&capacity);
    capacity_check_queue(&capacity, d->config->queue.max_requests);
    log_info("metergated %s ready, listening on %s", METERGATE_VERSION, d->where.p);
    say_ready(d);
    notify_watch(&d->notify, d->loop);
    notify_follow(&d->notify, d->loop, describe, d);
    proxy_on_change(d->proxy, notify_changed, &d->notify);
    loop_run(d->loop);
    return EXIT_SUCCESS;
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
    struct privileges_wanting wanting;
    struct options o;
    struct buf text;
    int rc;

    fix_malloc();
    log_find_journal();
    trust_use_spare(); /* before anything of OpenSSL */
    json_use_spare();
    db_use_spare();
    buf_init(&d.where, BUF_UNLIMITED);
    rc = options_read(&o, argc, argv);

    if (rc != OPTIONS_GO_ON)
        return rc;
    privileges_begin(&wanting); /* before any key is read */
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
        privileges_say(&wanting);
        privileges_say_room();
        notify_open(&d.notify);
        rc = run(&d);
        if (rc == 0)
            log_info("stopped");
    }
    release(&d);
    return rc;
}
