/* terminal: bytes are played when somebody waits; the cursor is always inside of the page, or one right of
 * its last column (the next character wraps). */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "metergate/base/clock.h"
#include "metergate/base/err.h"

#define SIDE_MAX   200
#define TIMEOUT_US (20 * CLOCK_S)
#define NUMBERS    8

struct terminal {
    pid_t pid;
    int fd;
    bool ended; /* nobody has the other end open */
    int status; /* -1: not reaped */
    int rows, columns, row, column, top, bottom;
    char cells[SIDE_MAX][SIDE_MAX], text[SIDE_MAX * (SIDE_MAX + 1) + 1];
    char sequence[64]; /* an escape sequence that has begun, without the ESC */
    size_t n;
    bool escaped;
    char last; /* the character that was written last */
    struct terminal_state state;
};

static void erase(struct terminal *t, int row, int from, int to)
{
    for (int i = from < 0 ? 0 : from; i < to && i < SIDE_MAX; i++)
        t->cells[row][i] = ' ';
}

static void scroll(struct terminal *t, int top, int bottom, int lines)
{
    for (; lines > 0; lines--) {
        memmove(t->cells[top], t->cells[top + 1], (size_t)(bottom - top) * SIDE_MAX);
        erase(t, bottom, 0, SIDE_MAX);
    }
    for (; lines < 0; lines++) {
        memmove(t->cells[top + 1], t->cells[top], (size_t)(bottom - top) * SIDE_MAX);
        erase(t, top, 0, SIDE_MAX);
    }
}

static void line_feed(struct terminal *t)
{
    if (t->row == t->bottom)
        scroll(t, t->top, t->bottom, 1);
    else if (t->row < t->rows - 1)
        t->row++;
}

static int within(int v, int most)
{
    if (v < 0)
        return 0;
    return v < most ? v : most - 1;
}

static void go(struct terminal *t, int row, int column)
{
    t->row = within(row, t->rows);
    t->column = within(column, t->columns);
}

static void put(struct terminal *t, char c)
{
    if (t->column >= t->columns) {
        t->state.wrapped = true;
        t->column = 0;
        line_feed(t);
    }
    t->cells[t->row][t->column++] = c;
    t->last = c;
}

/* ---- CSI ---- */

static void set_mode(struct terminal *t, const int *v, size_t n, bool on)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] == 1049 || v[i] == 47 || v[i] == 1047)
            t->state.alternate = on;
        if (v[i] == 25)
            t->state.cursor_hidden = !on;
    }
}

static void erase_display(struct terminal *t, int what)
{
    for (int row = 0; row < SIDE_MAX; row++) {
        if (what == 2 || (what == 0 && row > t->row) || (what == 1 && row < t->row))
            erase(t, row, 0, SIDE_MAX);
    }
    if (what < 2)
        erase(t, t->row, what ? 0 : t->column, what ? t->column + 1 : SIDE_MAX);
}

static void shift_cells(struct terminal *t, int by)
{
    char *line = t->cells[t->row];

    for (; by > 0; by--) {
        memmove(line + t->column + 1, line + t->column, (size_t)(SIDE_MAX - 1 - t->column));
        line[t->column] = ' ';
    }
    for (; by < 0; by++) {
        memmove(line + t->column, line + t->column + 1, (size_t)(SIDE_MAX - 1 - t->column));
        line[SIDE_MAX - 1] = ' ';
    }
}

/* `one` is the first number, 1 where there is none. True: known. */
static bool move_cursor(struct terminal *t, char final, int one, int two)
{
    switch (final) {
    case 'A':
        go(t, t->row - one, t->column);
        return true;
    case 'B':
        go(t, t->row + one, t->column);
        return true;
    case 'C':
        go(t, t->row, t->column + one);
        return true;
    case 'D':
        go(t, t->row, t->column - one);
        return true;
    case 'G':
        go(t, t->row, one - 1);
        return true;
    case 'd':
        go(t, one - 1, t->column);
        return true;
    case 'H':
    case 'f':
        go(t, one - 1, two - 1);
        return true;
    case 'Z':
        go(t, t->row, (t->column - 1) / 8 * 8);
        return true;
    default:
        return false;
    }
}

static bool change_cells(struct terminal *t, char final, int zero, int one)
{
    switch (final) {
    case 'J':
        erase_display(t, zero);
        return true;
    case 'K':
        erase(t, t->row, zero == 0 ? t->column : 0, zero == 1 ? t->column + 1 : SIDE_MAX);
        return true;
    case 'X':
        erase(t, t->row, t->column, t->column + one);
        return true;
    case '@':
        shift_cells(t, one);
        return true;
    case 'P':
        shift_cells(t, -one);
        return true;
    case 'L':
        scroll(t, t->row, t->bottom, -one);
        return true;
    case 'M':
        scroll(t, t->row, t->bottom, one);
        return true;
    case 'S':
        scroll(t, t->top, t->bottom, one);
        return true;
    case 'T':
        scroll(t, t->top, t->bottom, -one);
        return true;
    case 'b':
        while (one-- > 0)
            put(t, t->last);
        return true;
    default:
        return false;
    }
}

static void csi(struct terminal *t)
{
    char final = t->sequence[t->n - 1];
    bool private = t->sequence[1] == '?';
    int v[NUMBERS] = {0}, one, two;
    size_t n = 0;

    for (char *p = t->sequence + 1 + private; n < NUMBERS && *p; n++) {
        v[n] = (int)strtol(p, &p, 10);
        if (*p++ != ';') {
            n++;
            break;
        }
    }
    one = v[0] ? v[0] : 1;
    two = v[1] ? v[1] : 1;
    if (final == 'h' || final == 'l') {
        set_mode(t, v, n, final == 'h');
    } else if (final == 'm') {
        for (size_t i = 0; i < n; i++)
            t->state.colours += v[i] >= 30 && v[i] <= 48 && v[i] != 39;
    } else if (final == 'r') {
        t->top = within(one - 1, t->rows);
        t->bottom = v[1] ? within(v[1] - 1, t->rows) : t->rows - 1;
        go(t, 0, 0);
    } else if (!move_cursor(t, final, one, two) && !change_cells(t, final, v[0], one) &&
               !strchr("tpc", final)) {
        t->state.unknown++;
    }
}

/* ---- bytes ---- */

static bool complete(const struct terminal *t)
{
    char first = t->sequence[0], last = t->sequence[t->n - 1];

    if (first == '[')
        return t->n > 1 && last >= '@' && last <= '~';
    if (first == '(' || first == ')')
        return t->n == 2;
    return true;
}

static void escape(struct terminal *t)
{
    t->sequence[t->n] = '\0';
    switch (t->sequence[0]) {
    case '[':
        csi(t);
        break;
    case 'M':
        if (t->row == t->top)
            scroll(t, t->top, t->bottom, -1);
        else
            go(t, t->row - 1, t->column);
        break;
    case 'D':
        line_feed(t);
        break;
    default: /* charsets, keypads, a saved cursor: nothing to be seen */
        break;
    }
}

static void play(struct terminal *t, char c)
{
    if (t->escaped) {
        t->sequence[t->n++] = c;
        if (complete(t)) {
            escape(t);
            t->escaped = false;
        }
        assert_true(t->n < sizeof t->sequence - 1);
    } else if (c == '\x1b') {
        t->escaped = true;
        t->n = 0;
    } else if (c == '\n') {
        line_feed(t);
    } else if (c == '\r') {
        t->column = 0;
    } else if (c == '\b') {
        go(t, t->row, t->column - 1);
    } else if (c == '\t') {
        go(t, t->row, (t->column / 8 + 1) * 8);
    } else if (c >= ' ' && c != '\x7f') {
        put(t, c);
    }
}

/* What is there by then; false: nothing came. */
static bool play_some(struct terminal *t, int64_t until_us)
{
    struct pollfd in = {.fd = t->fd, .events = POLLIN};
    int64_t left_us = until_us - clock_now_us();
    char piece[4096];
    ssize_t n;

    if (t->ended || left_us <= 0 || poll(&in, 1, (int)(left_us / CLOCK_MS) + 1) <= 0)
        return false;
    n = read(t->fd, piece, sizeof piece);
    t->ended = n <= 0; /* EIO: nobody has it open */
    for (ssize_t i = 0; i < n; i++)
        play(t, piece[i]);
    return true;
}

/* ---- the program ---- */

static void set_size(struct terminal *t, int rows, int columns)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    t->rows = rows < SIDE_MAX ? rows : SIDE_MAX; /* what is drawn beyond is seen at the edge */
    t->columns = columns < SIDE_MAX ? columns : SIDE_MAX;
    t->top = 0;
    t->bottom = t->rows - 1;
    go(t, t->row, t->column);
    assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &size), 0);
}

struct terminal *terminal_start(const char *const *argv, const char *term, int rows, int columns)
{
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    struct terminal *t = xcalloc(1, sizeof *t);

    t->status = -1;
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setenv("TERM", term, 1);
        setenv("LC_ALL", "C", 1);
        unsetenv("LINES");
        unsetenv("COLUMNS");
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    for (int row = 0; row < SIDE_MAX; row++)
        erase(t, row, 0, SIDE_MAX);
    set_size(t, rows, columns);
    return t;
}

void terminal_free(struct terminal *t)
{
    if (t->status < 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    close(t->fd);
    free(t);
}

pid_t terminal_group(const struct terminal *t)
{
    pid_t group = tcgetpgrp(t->fd);

    assert_true(group > 1);
    return group;
}

void terminal_type(struct terminal *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

void terminal_resize(struct terminal *t, int rows, int columns)
{
    set_size(t, rows, columns);
}

const char *terminal_text(struct terminal *t)
{
    char *to = t->text;

    for (int row = 0; row < t->rows; row++) {
        int n = t->columns;

        while (n > 0 && t->cells[row][n - 1] == ' ')
            n--;
        memcpy(to, t->cells[row], (size_t)n);
        to += n;
        *to++ = '\n';
    }
    *to = '\0';
    return t->text;
}

static void wait_for(struct terminal *t, const char *text, bool there)
{
    int64_t until_us = clock_now_us() + TIMEOUT_US;

    while ((strstr(terminal_text(t), text) != NULL) != there) {
        if (!play_some(t, until_us))
            fail_msg("'%s' is %s:\n%s", text, there ? "not there" : "still there", terminal_text(t));
    }
}

void terminal_wait(struct terminal *t, const char *text)
{
    wait_for(t, text, true);
}

void terminal_wait_gone(struct terminal *t, const char *text)
{
    wait_for(t, text, false);
}

void terminal_wait_same(struct terminal *t, struct terminal *other, const char *text)
{
    int64_t until_us = clock_now_us() + TIMEOUT_US;

    while (strcmp(terminal_text(t), terminal_text(other)) != 0 || !strstr(t->text, text)) {
        int64_t now_us = clock_now_us();

        if (now_us > until_us)
            fail_msg("these are not the same, or '%s' is not there:\n%s\n%s", text, t->text, other->text);
        (void)!play_some(t, now_us + 20 * CLOCK_MS);
        (void)!play_some(other, now_us + 40 * CLOCK_MS);
    }
}

int terminal_wait_exit(struct terminal *t)
{
    int64_t until_us = clock_now_us() + TIMEOUT_US;
    int status;

    while (play_some(t, until_us))
        ;
    if (!t->ended)
        fail_msg("it has not ended:\n%s", terminal_text(t));
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    t->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return t->status;
}

struct terminal_state terminal_state(const struct terminal *t)
{
    struct terminal_state s = t->state;

    assert_int_equal(tcgetattr(t->fd, &s.modes), 0);
    return s;
}
