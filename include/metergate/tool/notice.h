/*
 * notice: what `metergate run` says on standard error while the calls of its command are held, and when: at
 * once, then after 10 and 30 seconds and every minute while it lasts, and a line when it is over. Pure:
 * documents and times come in, lines go out.
 */
#ifndef METERGATE_TOOL_NOTICE_H
#define METERGATE_TOOL_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"

/* Zeroed at first; private. */
struct notice {
    int64_t said_us; /* when the last lines were said */
    int64_t calm_us; /* since when nothing is held; 0: something is */
    unsigned lines;  /* how often it was said; 0: never, or long enough ago */
    bool open;       /* it was said that calls are held, and not yet that they go on */
};

/*
 * Looks at a status document (docs/status.md) for calls of `client` that are held. Appends lines to `out`,
 * safe to show, each with its newline: metergate: holding 3 calls for gpt-4o, next in 12 s, the last in 1 min
 * 5 s metergate: all calls go on What goes within two seconds is not worth a line. Calls that are held again
 * soon after do not begin anew with the short intervals.
 */
void notice_look(struct notice *n, struct slice doc, const char *client, int64_t now_us, struct buf *out);

#endif
