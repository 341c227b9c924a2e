/* status_inside: what the files that write GET /-/status share. All of one answer is of one moment, `now`. */
#ifndef METERGATE_PROXY_STATUS_INSIDE_H
#define METERGATE_PROXY_STATUS_INSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "metergate/base/json.h"
#include "metergate/proxy/hub.h"

/* The held calls of a budget that go first, in that order, and when the last of all of them goes. */
#define STATUS_QUEUE_MAX 30

struct status_queue {
    struct {
        const struct call *call;
        int64_t start_us; /* CLOCK_NEVER: not known; those come last, by arrival */
    } v[STATUS_QUEUE_MAX];
    size_t n, most;   /* of v */
    int64_t last_us; /* CLOCK_NEVER: not known, or nobody is held */
};

/* Looks at all held calls of the budget, keeps at most `most` of them, and writes `seen` of its shares. */
void status_queue_look(const struct proxy *p, struct model_budget *b, size_t most, int64_t now, struct status_queue *ret);

/* Members next_dispatch_ms, last_dispatch_ms and waits_for; clients; queue. */
void status_queue_write_next(struct json_writer *w, const struct status_queue *q, int64_t now);
void status_queue_write_clients(struct json_writer *w, const struct model_budget *b, int64_t now);
void status_queue_write(struct json_writer *w, const struct status_queue *q, int64_t now);

/* Members budgets and clients. */
void status_write_budgets(struct json_writer *w, const struct proxy *p, int64_t now);
void status_write_clients(struct json_writer *w, const struct proxy *p, int64_t now);

/* Member limits, of a budget (NULL: none) and a purse. */
void status_write_limits(struct json_writer *w, struct budget *b, struct purse *purse, int64_t now);

/* Member process. */
void status_write_process(struct json_writer *w, const struct proxy *p);

/* Member hour of everything, and of a client. */
void status_write_hour(struct json_writer *w, const struct hour *h, int64_t now);
void status_write_client_hour(struct json_writer *w, const struct hour *h, int64_t now);

/* From now on, in milliseconds rounded up; null at CLOCK_NEVER. */
void status_member_until(struct json_writer *w, const char *key, int64_t at_us, int64_t now);

/* US dollars, exactly. */
void status_member_usd(struct json_writer *w, const char *key, int64_t nano);

/* Text; null where it is NULL or empty. */
void status_member_text(struct json_writer *w, const char *key, const char *text);

#endif
