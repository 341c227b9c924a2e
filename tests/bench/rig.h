/*
 * rig: what every measurement stands on: the origin (a cheap provider of our own, origin.h), the daemon and nginx side
 * by side before it, and what the system says of their cost. Where there are two cores, the programs that are measured
 * have core 0 to themselves, and the origin and the clients share core 1. Everything here ends the program with a
 * sentence when it does not get what it wants: a measurement has no use for less.
 */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rig {
    char dir[64]; /* temporary; removed at the end */
    pid_t origin, daemon, nginx, simulator;
    int simulator_port;
    int origin_port, origin_tls_port;
    int port; /* the daemon's */
    int nginx_port, nginx_tls_port; /* before the plain origin, and before the TLS one */
};

/* The origin and, if `with_nginx`, nginx. Exits 77 with the package's name when nginx is not installed. */
void rig_start(struct rig *r, bool with_nginx);

/* The provider simulator with these settings, in the place of the origin: it has limits. */
void rig_start_simulator(struct rig *r, const char *settings);
void rig_stop_simulator(struct rig *r);

/*
 * metergated with this YAML; $ORIGIN and $TLS in it become the origin's base URLs, $SIMULATOR the simulator's, $CA the file of its authority; `listen`
 * and `state_dir` are added: a directory that goes with the rig, so that the ledger is on; METERGATE_BENCH_STATE=none in the
 * environment does without. Returns how many microseconds it took until it answered /healthz.
 */
int64_t rig_start_daemon(struct rig *r, const char *yaml);
void rig_stop_daemon(struct rig *r);

void rig_stop(struct rig *r);

/* Ends the program with a sentence. */
void rig_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* This process and what it forks from now on: core 1, where the clients live. */
void rig_pin_clients(void);

/* ---- what the system says ---- */

int64_t rig_now_ns(void); /* CLOCK_MONOTONIC */
void rig_wait_ms(int ms);

double rig_cpu_us(pid_t pid);        /* of all its threads, since its start */
int64_t rig_switches(pid_t pid);     /* how often its threads have gone to sleep and were woken again */
double rig_rss_mb(pid_t pid);        /* resident now */
double rig_peak_rss_mb(pid_t pid);   /* at most, since rig_reset_peak */
void rig_reset_peak(pid_t pid);

/* The integer after "NAME": in the daemon's /-/status. */
int64_t rig_status(const struct rig *r, const char *name);

/* Waits until that is `value`; fails after a minute. */
void rig_wait_status(const struct rig *r, const char *name, int64_t value);

double quantile(double *v, int n, double q); /* sorts v; 0.5 is the median */

#endif
