/*
 * line: one connection to the daemon that is kept, for who asks again and again and has other things to wait
 * for meanwhile (keys, signals, the end of a process). One question at a time; nothing but line_wait waits,
 * and that ends as soon as any of the other things is there, whatever the network does.
 */
#ifndef METERGATE_TOOL_LINE_H
#define METERGATE_TOOL_LINE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metergate/tool/client.h"

struct line;

/* `c` must outlive it. */
struct line *line_new(const struct client *c);
void line_free(struct line *l); /* a question under way is given up */

/* Not while it is busy. `r` and what it points at are borrowed until the answer; `timeout_ms` counts from
 * here. */
void line_ask(struct line *l, const struct client_request *r);
bool line_busy(const struct line *l);

/*
 * Waits until one of `fds` is ready, the answer is there or timeout_ms (0: none) passed; sets all `revents`.
 * -EAGAIN: no answer yet. 0 with the answer, to be released, or as client_call: the line is free again.
 */
int line_wait(struct line *l, struct pollfd *fds, size_t n, int64_t timeout_ms, struct client_answer *ret,
              struct errbuf *e) MG_MUSTCHECK;

#endif
