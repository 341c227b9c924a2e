/* main: options, signals, and the lines on stdout that tell where the provider and its control listen. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "fault.h"
#include "metergate/base/buf.h"
#include "server.h"
#include "sim.h"
#include "tls.h"

struct options {
    const char *listen, *control, *config, *cert, *key, *make_certs;
};

static void usage(FILE *out)
{
    fputs("usage: metergate-simulator [--listen ADDR:PORT] [--control ADDR:PORT] [--config FILE|JSON]\n"
          "                           [--tls CERT KEY] [--make-certs DIR]\n"
          "  --listen      where to listen (127.0.0.1:0: any free port); the address is printed on stdout\n"
          "  --control     listen there too, for /_sim/ alone: it answers while the provider is down\n"
          "  --config      settings as JSON, the same as POST /_sim/config takes\n"
          "  --tls         speak HTTPS with this chain and key (PEM)\n"
          "  --make-certs  write DIR/ca.pem, cert.pem and key.pem for localhost, and serve with them unless --tls is given\n"
          "tests/simulator/README.md tells the rest. Faults, for settings and for [[fault=NAME:N,...]] in a prompt:\n",
          out);
    fault_help(out);
}

static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"listen", required_argument, NULL, 'l'},
                                          {"control", required_argument, NULL, 'o'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"tls", required_argument, NULL, 't'},
                                          {"make-certs", required_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (c == 'l') {
            o->listen = optarg;
        } else if (c == 'o') {
            o->control = optarg;
        } else if (c == 'c') {
            o->config = optarg;
        } else if (c == 't' && optind < argc) {
            o->cert = optarg;
            o->key = argv[optind++];
        } else if (c == 'm') {
            o->make_certs = optarg;
        } else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 1 : -EINVAL;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return -EINVAL;
    }
    return 0;
}

static int read_file(const char *path, struct buf *ret, struct errbuf *e)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    size_t n;

    if (!f) {
        err_set(e, "cannot read %s: %s", path, strerror(errno));
        return -EIO;
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(ret, piece, n);
    fclose(f);
    return 0;
}

static int configure(struct sim *sim, const char *config, struct errbuf *e)
{
    struct buf text;
    cJSON *json = NULL;
    int rc = 0;

    buf_init(&text, BUF_UNLIMITED);
    if (config[0] == '{')
        buf_add_str(&text, config);
    else
        rc = read_file(config, &text, e);
    if (rc == 0) {
        json = cJSON_ParseWithLength(text.p ? text.p : "", text.n);
        err_set(e, "the configuration is not JSON");
        rc = json ? sim_configure(sim, json, e) : -EINVAL;
    }
    cJSON_Delete(json);
    buf_release(&text);
    return rc;
}

/* The context for HTTPS, NULL with 0 when there is none to be. */
static int make_tls(const struct options *o, struct ssl_ctx_st **ret, struct errbuf *e)
{
    char cert[4096], key[4096];

    *ret = NULL;
    if (o->make_certs && tls_make_certs(o->make_certs, e) < 0)
        return -EIO;
    if (!o->cert && !o->make_certs)
        return 0;
    snprintf(cert, sizeof cert, "%s/cert.pem", o->make_certs ? o->make_certs : "");
    snprintf(key, sizeof key, "%s/key.pem", o->make_certs ? o->make_certs : "");
    *ret = tls_context_new(o->cert ? o->cert : cert, o->key ? o->key : key, e);
    return *ret ? 0 : -EIO;
}

static int run(struct sim *sim, const struct options *o, int stop_fd, struct errbuf *e)
{
    struct ssl_ctx_st *tls = NULL;
    struct server server;
    int rc = make_tls(o, &tls, e);

    if (rc < 0)
        return rc;
    rc = server_open(&server, sim, o->listen, o->control, tls, e);
    if (rc == 0) {
        printf("listening on %s\n", server.provider.address);
        if (o->control)
            printf("control on %s\n", server.control.address);
        fflush(stdout);
        server_run(&server, stop_fd);
    }
    server_close(&server);
    tls_context_free(tls);
    return rc;
}

/* SIGTERM and SIGINT are read from this descriptor; no thread is ever interrupted by them. */
static int take_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct options o = {.listen = "127.0.0.1:0"};
    struct sim *sim;
    struct errbuf e = {""};
    int rc = read_options(&o, argc, argv), stop_fd;

    if (rc != 0)
        return rc < 0 ? EX_USAGE : 0;
    stop_fd = take_signals();
    sim = xcalloc(1, sizeof *sim);
    sim_init(sim);
    rc = o.config ? configure(sim, o.config, &e) : 0;
    if (rc == 0)
        rc = run(sim, &o, stop_fd, &e);
    if (rc < 0)
        fprintf(stderr, "metergate-simulator: %s\n", e.text);
    sim_release(sim);
    free(sim);
    close(stop_fd);
    return rc < 0 ? 1 : 0;
}
