/*
 * terminal: a program on a terminal of its own (a pty), and what a person would see there: the sequences of
 * xterm and vt100 that curses writes, played on a grid of characters. Nothing is waited for but text.
 */
#ifndef E2E_TERMINAL_H
#define E2E_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

struct terminal;

/* Starts argv[0] (a path) as the leader of the terminal's session, with $TERM and in a locale of ASCII. */
struct terminal *terminal_start(const char *const *argv, const char *term, int rows, int columns);
void terminal_free(struct terminal *t); /* kills what still runs */

/* The process group that has the terminal now. */
pid_t terminal_group(const struct terminal *t);
void terminal_type(struct terminal *t, const char *keys);
void terminal_resize(struct terminal *t, int rows, int columns);

/* Waits until the text is seen (it may have several lines), or is not; fails the test and shows the page
 * else. */
void terminal_wait(struct terminal *t, const char *text);
void terminal_wait_gone(struct terminal *t, const char *text);

/* Waits until both show the same page, and the text is on it. */
void terminal_wait_same(struct terminal *t, struct terminal *other, const char *text);

/* Waits for the end: exit status, 128 + N after signal N. */
int terminal_wait_exit(struct terminal *t);

/* The page: a line a row, without blanks at its end. Good until the next such question. */
const char *terminal_text(struct terminal *t);

/* What it was told besides characters. */
struct terminal_state {
    bool alternate; /* the other page is shown, which programs take that want the whole screen */
    bool cursor_hidden;
    bool wrapped; /* a line was longer than the terminal is wide */
    int colours;  /* how often one was chosen */
    int unknown;  /* sequences that are not known here */
    struct termios modes;
};
struct terminal_state terminal_state(const struct terminal *t);

#endif
