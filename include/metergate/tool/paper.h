/*
 * paper: how wide standard output is, and sentences on it.
 */
#ifndef METERGATE_TOOL_PAPER_H
#define METERGATE_TOOL_PAPER_H

#include <stddef.h>

#include "metergate/base/slice.h"

/* No end: what goes into a pipe or a file is never broken or left out. */
#define PAPER_ENDLESS ((size_t)10000)

/* The places of a line on the terminal that standard output is; PAPER_ENDLESS where it is none. */
size_t paper_width(void);

/* How many bytes of a safe text go into a line of `width` places: up to a space, if there is one; at least
 * one character where there is any. */
size_t paper_break(struct slice text, size_t width);

/* Prints a safe text, broken at spaces into lines of at most `width` places, each with `indent` spaces before
 * it. */
void paper_print(struct slice text, size_t width, int indent);

#endif
