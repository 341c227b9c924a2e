/*
 * lists: the budgets, the queue of one and the clients of a status document (docs/status.md) as rows of
 * panes, for `metergate top`. Pure. What the document does not say is shown as such.
 */
#ifndef METERGATE_TOOL_LISTS_H
#define METERGATE_TOOL_LISTS_H

#include "metergate/base/slice.h"
#include "metergate/tool/pane.h"

/* Each initialises `p`; release it. */
void lists_budgets(struct slice doc, struct pane *p);

/* In the order in which they are predicted to go. `title` is borrowed; `budget` may be empty. */
void lists_queue(struct slice doc, struct slice budget, const char *title, struct pane *p);
void lists_clients(struct slice doc, struct pane *p);

/* The budget of that row id; empty when there is none. Borrowed from the document. */
struct slice lists_budget(struct slice doc, const char *id);

#endif
