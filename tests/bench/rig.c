/* rig: children die with this process; ports of others are found free just before they are used. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../simulator/tls.h"
#include "conn.h"
#include "metergate/base/buf.h"
#include "origin.h"

#define NGINX "/usr/sbin/nginx"

void rig_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

int64_t rig_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void rig_wait_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static void pin(int core)
{
    cpu_set_t set;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        rig_fail("cannot pin to core %d: %s", core, strerror(errno));
}

void rig_pin_clients(void)
{
    pin(1);
}

static pid_t start(const struct rig *r, const char *const *argv, const char *log)
{
    pid_t pid = fork();
    char path[128];
    int fd;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(0);
    snprintf(path, sizeof path, "%s/%s", r->dir, log);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void stop(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static int listen_anywhere(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        rig_fail("cannot listen: %s", strerror(errno));
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int free_port(void)
{
    int port;

    close(listen_anywhere(&port));
    return port;
}

static void write_file(const struct rig *r, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        rig_fail("cannot write %s", path);
}

/* Tries until it answers; the process may be starting. */
static void wait_answer(int port, pid_t pid, const char *what)
{
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int64_t until = rig_now_ns() + INT64_C(10000000000);

    while (rig_now_ns() < until && waitpid(pid, NULL, WNOHANG) == 0) {
        enum conn_event e = CONN_MORE;
        struct conn c;

        conn_open(&c, port);
        conn_send(&c, get, sizeof get - 1);
        while (e == CONN_MORE && rig_now_ns() < until) {
            struct pollfd wait = {.fd = c.fd, .events = (short)(POLLIN | (conn_is_sending(&c) ? POLLOUT : 0))};

            poll(&wait, 1, 100);
            e = conn_turn(&c, NULL, NULL);
        }
        conn_close(&c);
        if (e == CONN_ANSWER)
            return;
    }
    rig_fail("%s does not start", what);
}

/* Paths are relative to the rig's directory (-p). */
static const char nginx_common[] =
    "daemon off; master_process off; worker_rlimit_nofile 20000; pid nginx.pid; error_log nginx.log;\n"
    "events { worker_connections 16384; }\n"
    "http { access_log access.log; client_max_body_size 0; client_body_buffer_size 256k;\n"
    " client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n"
    " keepalive_requests 1000000000; proxy_http_version 1.1; proxy_set_header Connection \"\";\n"
    " proxy_buffering off; proxy_read_timeout 600s;\n"
    " proxy_ssl_trusted_certificate ca.pem; proxy_ssl_verify on; proxy_ssl_name localhost;\n";

static void start_nginx(struct rig *r)
{
    struct buf text;

    r->nginx_port = free_port();
    r->nginx_tls_port = free_port();
    buf_init(&text, BUF_UNLIMITED);
    buf_add_str(&text, nginx_common);
    buf_addf(&text,
             " upstream plain { server 127.0.0.1:%d; keepalive 4096; keepalive_requests 1000000000; }\n"
             " upstream secure { server 127.0.0.1:%d; keepalive 4096; keepalive_requests 1000000000; }\n"
             " server { listen 127.0.0.1:%d backlog=4096; location / { proxy_pass http://plain; } }\n"
             " server { listen 127.0.0.1:%d backlog=4096; location / { proxy_pass https://secure; } } }\n",
             r->origin_port, r->origin_tls_port, r->nginx_port, r->nginx_tls_port);
    write_file(r, "nginx.conf", text.p);
    buf_release(&text);
    r->nginx = start(r, (const char *const[]){NGINX, "-p", r->dir, "-c", "nginx.conf", NULL}, "nginx.log");
    wait_answer(r->nginx_port, r->nginx, "nginx");
}

static void need_nginx(void)
{
    if (access(NGINX, X_OK) == 0)
        return;
    fputs("nginx is not installed: apt-get install nginx-light\n", stderr);
    exit(77);
}

void rig_start(struct rig *r, bool with_nginx)
{
    char cert[128], key[128];
    struct errbuf e;
    int plain, tls;

    if (with_nginx)
        need_nginx();
    signal(SIGPIPE, SIG_IGN);
    *r = (struct rig){0};
    snprintf(r->dir, sizeof r->dir, "/tmp/metergate-bench-XXXXXX");
    if (!mkdtemp(r->dir) || tls_make_certs(r->dir, &e) < 0)
        rig_fail("cannot make a directory with certificates");
    snprintf(cert, sizeof cert, "%s/cert.pem", r->dir);
    snprintf(key, sizeof key, "%s/key.pem", r->dir);
    plain = listen_anywhere(&r->origin_port);
    tls = listen_anywhere(&r->origin_tls_port);
    rig_pin_clients();
    r->origin = fork();
    if (r->origin == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        origin_serve(plain, tls, cert, key);
    }
    close(plain);
    close(tls);
    if (with_nginx)
        start_nginx(r);
}

static void add_replaced(struct buf *out, const char *yaml, const struct rig *r)
{
    while (*yaml) {
        if (strncmp(yaml, "$ORIGIN", 7) == 0) {
            buf_addf(out, "http://127.0.0.1:%d/v1", r->origin_port);
            yaml += 7;
        } else if (strncmp(yaml, "$SIMULATOR", 10) == 0) {
            buf_addf(out, "http://127.0.0.1:%d", r->simulator_port);
            yaml += 10;
        } else if (strncmp(yaml, "$TLS", 4) == 0) {
            buf_addf(out, "https://localhost:%d/v1", r->origin_tls_port);
            yaml += 4;
        } else if (strncmp(yaml, "$CA", 3) == 0) {
            buf_addf(out, "%s/ca.pem", r->dir);
            yaml += 3;
        } else {
            buf_add_char(out, *yaml++);
        }
    }
}

static const char *programs(void)
{
    const char *bin = getenv("MG_BIN");

    if (!bin)
        rig_fail("MG_BIN must name the directory of metergated: use tests/bench/run.sh");
    return bin;
}

void rig_start_simulator(struct rig *r, const char *settings)
{
    struct buf program, address;

    r->simulator_port = free_port();
    buf_init(&program, BUF_UNLIMITED);
    buf_init(&address, BUF_UNLIMITED);
    buf_addf(&program, "%s/metergate-simulator", programs());
    buf_addf(&address, "127.0.0.1:%d", r->simulator_port);
    r->simulator =
        start(r, (const char *const[]){program.p, "--listen", address.p, "--config", settings, NULL}, "simulator.log");
    wait_answer(r->simulator_port, r->simulator, "metergate-simulator");
    buf_release(&program);
    buf_release(&address);
}

void rig_stop_simulator(struct rig *r)
{
    stop(&r->simulator);
}

int64_t rig_start_daemon(struct rig *r, const char *yaml)
{
    const char *bin = programs(), *none = getenv("METERGATE_BENCH_STATE");
    char state[sizeof r->dir + 8];
    struct buf text, program;
    int64_t from;

    r->port = free_port();
    snprintf(state, sizeof state, "%s/state", r->dir);
    if (none)
        snprintf(state, sizeof state, "%s", none);
    buf_init(&text, BUF_UNLIMITED);
    buf_init(&program, BUF_UNLIMITED);
    buf_addf(&text, "listen: [127.0.0.1:%d]\nstate_dir: %s\n", r->port, state);
    add_replaced(&text, yaml, r);
    write_file(r, "metergate.yaml", text.p);
    buf_reset(&text);
    buf_addf(&text, "%s/metergate.yaml", r->dir);
    buf_addf(&program, "%s/metergated", bin);
    from = rig_now_ns();
    r->daemon = start(r, (const char *const[]){program.p, "-c", text.p, NULL}, "metergated.log");
    wait_answer(r->port, r->daemon, "metergated");
    buf_release(&text);
    buf_release(&program);
    return (rig_now_ns() - from) / 1000;
}

void rig_stop_daemon(struct rig *r)
{
    stop(&r->daemon);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_stop(struct rig *r)
{
    stop(&r->daemon);
    stop(&r->nginx);
    stop(&r->simulator);
    stop(&r->origin);
    nftw(r->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- what the system says ------------------------------------------------------------------------------ */

/* The number after `key` in a file of /proc; -1: not there. */
static int64_t proc_number(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char line[512];
    int64_t n = -1;

    while (f && n < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            n = strtoll(line + strlen(key), NULL, 10);
    if (f)
        fclose(f);
    return n;
}

/* The sum over all threads of what `key` says in their file `name`. */
static int64_t sum_threads(pid_t pid, const char *name, const char *key)
{
    char pattern[96];
    int64_t sum = 0;
    glob_t files;

    snprintf(pattern, sizeof pattern, "/proc/%d/task/*/%s", pid, name);
    if (glob(pattern, 0, NULL, &files) != 0)
        rig_fail("no process %d any more", pid);
    for (size_t i = 0; i < files.gl_pathc; i++)
        sum += proc_number(files.gl_pathv[i], key);
    globfree(&files);
    return sum;
}

double rig_cpu_us(pid_t pid)
{
    return (double)sum_threads(pid, "schedstat", "") / 1000;
}

int64_t rig_switches(pid_t pid)
{
    return sum_threads(pid, "status", "voluntary_ctxt_switches:");
}

static double status_mb(pid_t pid, const char *key)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    return (double)proc_number(path, key) / 1024;
}

double rig_rss_mb(pid_t pid)
{
    return status_mb(pid, "VmRSS:");
}

double rig_peak_rss_mb(pid_t pid)
{
    return status_mb(pid, "VmHWM:");
}

void rig_reset_peak(pid_t pid)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/clear_refs", pid);
    f = fopen(path, "we");
    if (!f || fputs("5", f) < 0 || fclose(f) != 0)
        fprintf(stderr, "cannot reset the peak of process %d: it is that since its start\n", pid);
}

static void find_number(void *ctx, const char *p, size_t n)
{
    buf_add(ctx, p, n);
}

int64_t rig_status(const struct rig *r, const char *name)
{
    static const char get[] = "GET /-/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    enum conn_event e = CONN_MORE;
    struct buf body;
    struct conn c;
    char key[64];
    int64_t n;
    const char *at;

    buf_init(&body, BUF_UNLIMITED);
    snprintf(key, sizeof key, "\"%s\":", name);
    conn_open(&c, r->port);
    conn_send(&c, get, sizeof get - 1);
    while (e == CONN_MORE) {
        struct pollfd wait = {.fd = c.fd, .events = (short)(POLLIN | (conn_is_sending(&c) ? POLLOUT : 0))};

        poll(&wait, 1, -1);
        e = conn_turn(&c, find_number, &body);
    }
    conn_close(&c);
    at = body.n ? strstr(body.p, key) : NULL;
    if (e != CONN_ANSWER || !at)
        rig_fail("the daemon's status does not say %s", name);
    n = strtoll(at + strlen(key), NULL, 10);
    buf_release(&body);
    return n;
}

void rig_wait_status(const struct rig *r, const char *name, int64_t value)
{
    int64_t until = rig_now_ns() + INT64_C(60000000000), n = -1;

    while (rig_now_ns() < until) {
        n = rig_status(r, name);
        if (n == value)
            return;
        rig_wait_ms(20);
    }
    rig_fail("%s is %lld and does not become %lld", name, (long long)n, (long long)value);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

double quantile(double *v, int n, double q)
{
    if (n == 0)
        return 0;
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[(int)(q * (n - 1))];
}
