/* crowd: at most OPENING connections are between connect and their last byte sent, so that no backlog overflows. */
#include "crowd.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conn.h"
#include "rig.h"

enum { OPENING = 256 };

static const char drips[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ";

struct member {
    struct conn conn;
    bool ready, ended;
};

struct state {
    int epoll_fd, port, n, opened, ready, ended, tell_fd;
    enum crowd_kind kind;
    const struct requests *rs;
    struct member *members;
    struct crowd_end end;
};

static void open_member(struct state *s, struct member *m)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = m};

    conn_open(&m->conn, s->port);
    if (s->kind == CROWD_CALL) {
        size_t i = (size_t)(m - s->members) % s->rs->n;

        conn_send(&m->conn, s->rs->bytes.p + s->rs->at[i], s->rs->at[i + 1] - s->rs->at[i]);
    } else {
        conn_send(&m->conn, drips, s->kind == CROWD_DRIP ? 20 : 0);
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

static void on_event(struct state *s, struct member *m)
{
    enum conn_event e = conn_turn(&m->conn, NULL, NULL);

    if (!m->ready && e != CONN_BROKEN && !conn_is_sending(&m->conn)) {
        m->ready = true;
        s->ready++;
        if (s->ready == s->n && write(s->tell_fd, "r", 1) != 1)
            _exit(EXIT_FAILURE);
    }
    if (s->kind == CROWD_CALL && e != CONN_MORE) {
        end_member(s, m, e == CONN_ANSWER && m->conn.status == 200);
    } else if (e != CONN_MORE) {
        conn_close(&m->conn);
        open_member(s, m);
    }
}

static void drip(struct state *s)
{
    for (int i = 0; i < s->opened; i++)
        if (s->members[i].ready && !conn_is_sending(&s->members[i].conn))
            conn_send(&s->members[i].conn, "x", 1);
    for (int i = 0; i < s->opened; i++)
        if (s->members[i].ready)
            on_event(s, &s->members[i]);
}

static void run(struct state *s)
{
    int64_t next_drip_ns = rig_now_ns();
    struct epoll_event batch[256];

    while (s->ended < s->n) {
        int n;

        open_more(s);
        n = epoll_wait(s->epoll_fd, batch, MG_ARRAY_LEN(batch), s->kind == CROWD_DRIP ? 100 : -1);
        for (int i = 0; i < n; i++)
            if (!((struct member *)batch[i].data.ptr)->ended)
                on_event(s, batch[i].data.ptr);
        if (s->kind == CROWD_DRIP && rig_now_ns() >= next_drip_ns) {
            next_drip_ns += 1000000000;
            drip(s);
        }
    }
    if (write(s->tell_fd, &s->end, sizeof s->end) != (ssize_t)sizeof s->end)
        _exit(EXIT_FAILURE);
}

void crowd_start(struct crowd *c, int port, int n, enum crowd_kind kind, const struct requests *rs)
{
    struct state s = {.port = port, .n = n, .kind = kind, .rs = rs};
    int fds[2];
    char ready;

    if (pipe(fds) < 0)
        rig_fail("pipe");
    c->pid = fork();
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
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
