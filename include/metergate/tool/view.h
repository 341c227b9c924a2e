/*
 * view: the page of `metergate top`: which pane has the keys, which row is chosen, how rows are sorted; what
 * a key does to that, and the page as cells. Pure: documents, keys and sizes come in; cells and wishes go
 * out.
 */
#ifndef METERGATE_TOOL_VIEW_H
#define METERGATE_TOOL_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "metergate/base/slice.h"
#include "metergate/tool/grid.h"
#include "metergate/tool/pane.h"

/* Keys besides those that are characters of ASCII. */
enum view_key {
    VIEW_KEY_UP = 0x100,
    VIEW_KEY_DOWN,
    VIEW_KEY_LEFT,
    VIEW_KEY_RIGHT,
    VIEW_KEY_PAGE_UP,
    VIEW_KEY_PAGE_DOWN,
    VIEW_KEY_HOME,
    VIEW_KEY_END,
    VIEW_KEY_BACK_TAB,
};

enum view_wish { VIEW_NOTHING, VIEW_LEAVE, VIEW_PAUSE, VIEW_RESUME };

enum view_pane { VIEW_BUDGETS, VIEW_QUEUE, VIEW_CLIENTS, VIEW_PANES };

/* Private. */
struct view_list {
    struct pane pane; /* of the page that was drawn last */
    size_t row;
    char *id; /* owned; of the row that was chosen by a key; NULL: the first one, whichever it is */
    int column;
    bool reverse;
};

struct view {
    struct view_list lists[VIEW_PANES]; /* private */
    enum view_pane on;                  /* private: it has the keys */
    bool whole;                         /* private: that pane alone */
    bool help;                          /* private */
    enum view_wish asked;               /* private: what is to be confirmed */
    bool paused;                        /* private: of the document that was drawn last */
    char *said;                         /* private: at the bottom, until a key is pressed */
    char *title;                        /* private: of the queue */
};

void view_init(struct view *v);
void view_release(struct view *v);

/*
 * The page, as large as the grid. `doc` is a status document; empty: none came yet. `problem` is why none
 * came of late (NULL: one did). `url` is where the daemon is.
 */
void view_draw(struct view *v, struct slice doc, const char *url, const char *problem, struct grid *g);

/* A character or an enum view_key; others do nothing. */
enum view_wish view_key(struct view *v, int key);

/* A sentence for the bottom line. */
void view_say(struct view *v, const char *sentence);

#endif
