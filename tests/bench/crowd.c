/*
 * crowd: at most OPENING connections are between connect and their last byte sent, so that no backlog overflows. Each
 * crowd has a source address of its own: the ports of one that has gone are in TIME_WAIT.
 */
#include "crowd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conn.h"
#include "rig.h"

enum { OPENING = 256, SIP_BUFFER = 2048, FIRST_HOST = 2, HOSTS = 200 };

#define HOST "HTTP/1.1\r\nHost: localhost\r\n"

/* What each kind sends at first; a byte a second follows, or is read, where `slow`. */
static const struct {
    const char *sent;
    bool slow;
} kinds[] = {
    [CROWD_IDLE] = {"", false},
    [CROWD_KEPT] = {"GET /healthz " HOST "\r\n", false},
    [CROWD_DRIP] = {"GET / " HOST "X-Long: ", true},
    [CROWD_BODY] = {"POST /v1/chat/completions " HOST "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{", true},
    [CROWD_SIP] = {"GET /-/ " HOST "\r\n", true},
    [CROWD_CALL] = {"", false},
};

struct member {
    struct conn conn;
    bool ready, ended;
};

struct state {
    int epoll_fd, port, host, n, opened, ready, ended, tell_fd;
    enum crowd_kind kind;
    const struct requests *rs;
    struct member *members;
    struct crowd_end end;
};

static void open_member(struct state *s, struct member *m)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = m};

    conn_open_from(&m->conn, s->port, s->host, s->kind == CROWD_SIP ? SIP_BUFFER : 0);
    if (s->kind == CROWD_CALL) {
        size_t i = (size_t)(m - s->members) % s->rs->n;

        conn_send(&m->conn, s->rs->bytes.p + s->rs->at[i], s->rs->at[i + 1] - s->rs->at[i]);
    } else {
        conn_send(&m->conn, kinds[s->kind].sent, strlen(kinds[s->kind].sent));
    }
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, m->conn.fd, &ev) < 0)
        rig_fail("epoll");
}

static void open_more(struct state *s)
{
    while (s->opened < s->n && s->opened - s->ready < OPENING)
        open_member(s, &s->members[s->opened++]);
}

static void end_member(struct state *s, struct member *m, bool answered)
{
    s->end.answered += answered;
    s->end.failed += !answered;
    s->end.last_ns = rig_now_ns();
    if (!s->end.first_ns)
        s->end.first_ns = s->end.last_ns;
    m->ended = true;
    s->ended++;
    conn_close(&m->conn);
}

static void set_ready(struct state *s, struct member *m)
{
    if (m->ready)
        return;
    m->ready = true;
    s->ready++;
    if (s->ready == s->n && write(s->tell_fd, "r", 1) != 1)
        _exit(EXIT_FAILURE);
}

static void come_again(struct state *s, struct member *m)
{
    conn_close(&m->conn);
    open_member(s, m);
}

static void on_event(struct state *s, struct member *m)
{
    enum conn_event e;

    if (s->kind == CROWD_SIP && !conn_is_sending(&m->conn)) {
        set_ready(s, m); /* what has come stays where it is */
        return;
    }
    e = conn_turn(&m->conn, NULL, NULL);
    if (s->kind == CROWD_KEPT ? e == CONN_ANSWER : e != CONN_BROKEN && !conn_is_sending(&m->conn))
        set_ready(s, m);
    if (s->kind == CROWD_CALL && e != CONN_MORE)
        end_member(s, m, e == CONN_ANSWER && m->conn.status == 200);
    else if (s->kind == CROWD_KEPT ? e == CONN_BROKEN : e != CONN_MORE)
        come_again(s, m);
}

static void sip(struct state *s, struct member *m)
{
    char byte;

    if (recv(m->conn.fd, &byte, 1, MSG_DONTWAIT) == 0)
        come_again(s, m);
}

static void drip(struct state *s)
{
    for (int i = 0; i < s->opened; i++) {
        struct member *m = &s->members[i];

        if (!m->ready)
            continue;
        if (s->kind == CROWD_SIP) {
            sip(s, m);
            continue;
        }
        if (!conn_is_sending(&m->conn))
            conn_send(&m->conn, "x", 1);
        on_event(s, m);
    }
}

static void run(struct state *s)
{
    int64_t next_drip_ns = rig_now_ns();
    struct epoll_event batch[256];

    while (s->ended < s->n) {
        int n;

        open_more(s);
        n = epoll_wait(s->epoll_fd, batch, MG_ARRAY_LEN(batch), kinds[s->kind].slow ? 100 : -1);
        for (int i = 0; i < n; i++)
            if (!((struct member *)batch[i].data.ptr)->ended)
                on_event(s, batch[i].data.ptr);
        if (kinds[s->kind].slow && rig_now_ns() >= next_drip_ns) {
            next_drip_ns += 1000000000;
            drip(s);
        }
    }
    if (write(s->tell_fd, &s->end, sizeof s->end) != (ssize_t)sizeof s->end)
        _exit(EXIT_FAILURE);
}

/* As many as there may be. */
static void raise_descriptors(void)
{
    struct rlimit most;

    if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
        most.rlim_cur = most.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &most);
    }
}

void crowd_start(struct crowd *c, int port, int n, enum crowd_kind kind, const struct requests *rs)
{
    static int crowds;
    struct state s = {.port = port, .host = FIRST_HOST + crowds++ % HOSTS, .n = n, .kind = kind, .rs = rs};
    int fds[2];
    char ready;

    if (pipe(fds) < 0)
        rig_fail("pipe");
    c->pid = fork();
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        raise_descriptors();
        s.tell_fd = fds[1];
        s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        s.members = xcalloc((size_t)n, sizeof s.members[0]);
        run(&s);
        _exit(0);
    }
    close(fds[1]);
    c->fd = fds[0];
    if (read(c->fd, &ready, 1) != 1)
        rig_fail("the crowd did not get in");
}

struct crowd_end crowd_wait_end(struct crowd *c)
{
    struct crowd_end end;

    if (read(c->fd, &end, sizeof end) != (ssize_t)sizeof end)
        rig_fail("the crowd has died");
    crowd_stop(c);
    return end;
}

void crowd_stop(struct crowd *c)
{
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->fd);
}
