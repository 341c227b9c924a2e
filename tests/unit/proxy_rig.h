/*
 * proxy_rig: a whole proxy in the test's own thread, whose clock is a variable (it takes the place of base/clock.c), so
 * that minutes are a step of it. For one driver a file: it defines what it needs.
 */
#ifndef UNIT_PROXY_RIG_H
#define UNIT_PROXY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_text.h"
#include "metergate/base/clock.h"
#include "metergate/base/log.h"
#include "metergate/proxy/hub.h"
#include "metergate/proxy/proxy.h"

#define TURN_US     (100 * CLOCK_MS)
#define TURNS_MAX   100

/* ---- the clock ---- */

static int64_t ahead_us;

static inline int64_t real_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return real_us(CLOCK_BOOTTIME) + ahead_us;
}

int64_t clock_wall_us(void)
{
    return real_us(CLOCK_REALTIME) + ahead_us;
}

int64_t clock_spent_us(void)
{
    return real_us(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- the proxy and its clients ---- */

struct rig {
    struct loop *loop;
    struct proxy *proxy;
    struct listener listener;
};

static inline void rig_start(struct rig *r, const char *yaml)
{
    struct config *config = config_from_good(yaml);
    struct capacity capacity;
    struct errbuf e = {""};

    *r = (struct rig){0};
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    r->loop = loop_new();
    assert_non_null(r->loop);
    if (capacity_of(CAPACITY_DESCRIPTORS_LEAST, &capacity, &e) < 0 ||
        proxy_new(r->loop, config, &capacity, &r->proxy, &e) < 0 ||
        listener_open(&r->listener, "127.0.0.1:0", 0, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(proxy_listen(r->proxy, &r->listener), 0);
    config_free(config);
}

static inline void rig_stop(struct rig *r)
{
    proxy_free(r->proxy);
    listener_release(&r->listener);
    loop_free(r->loop);
}

static inline int begin(struct rig *r, const char *method, const char *path, const char *body)
{
    int fd = socket(r->listener.addr.sa.ss_family, SOCK_STREAM, 0);
    struct buf text;

    buf_init(&text, BUF_UNLIMITED);
    buf_addf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             method, path, strlen(body), body);
    assert_int_equal(connect(fd, (struct sockaddr *)&r->listener.addr.sa, r->listener.addr.len), 0);
    assert_int_equal(send(fd, text.p, text.n, 0), text.n);
    buf_release(&text);
    return fd;
}

/* Turns the loop until the proxy has answered and closed. Release it. */
static inline struct buf answer(struct rig *r, int fd)
{
    struct buf got;
    char piece[4096];
    ssize_t n = -1;

    buf_init(&got, BUF_UNLIMITED);
    for (int i = 0; i < TURNS_MAX && n != 0; i++) {
        loop_turn(r->loop, TURN_US);
        while ((n = recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
            buf_add(&got, piece, (size_t)n);
    }
    assert_int_equal(n, 0);
    close(fd);
    buf_add_char(&got, '\0');
    return got;
}

static inline struct buf ask(struct rig *r, const char *method, const char *path, const char *body)
{
    return answer(r, begin(r, method, path, body));
}

/* What is due by then happens. */
static inline void pass(struct rig *r, int64_t us)
{
    ahead_us += us;
    loop_turn(r->loop, 0);
}

#endif
