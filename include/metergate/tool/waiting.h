/*
 * waiting: who waits for which budget, from when to when, as a table.
 */
#ifndef METERGATE_TOOL_WAITING_H
#define METERGATE_TOOL_WAITING_H

#include <stddef.h>

#include "metergate/base/slice.h"

/* Prints an empty line and a row for each client that a budget of the status document holds calls of; nothing
 * when there is none. `width` as paper_width. */
void waiting_print(struct slice doc, size_t width);

#endif
