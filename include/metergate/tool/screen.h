/*
 * screen: the whole terminal, by curses. One at a time. Between screen_open and screen_close nothing else
 * writes to it.
 */
#ifndef METERGATE_TOOL_SCREEN_H
#define METERGATE_TOOL_SCREEN_H

#include "metergate/base/err.h"
#include "metergate/tool/grid.h"

/* Takes the terminal. -ENOTTY: standard input and output are none, or nothing is known of $TERM; with a
 * sentence. */
int screen_open(struct errbuf *e) MG_MUSTCHECK;

/* Gives it back as it was. */
void screen_close(void);

/* Gives it back for a while; the next screen_show takes it again and draws all anew. */
void screen_leave(void);

/* Asks the terminal how large it is now. */
void screen_size(int *ret_rows, int *ret_columns);

/* Shows a page of that size; draws what has changed. */
void screen_show(const struct grid *g);

/* The next key that was pressed (a character of ASCII or an enum view_key; 0 for what is neither); -1: none.
 * Does not wait.
 */
int screen_key(void);

#endif
