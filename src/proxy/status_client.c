/* status_client: who has asked, and what each of them did. */
#include "metergate/base/clock.h"
#include "status_inside.h"

/* What its members are written with. */
struct client_writer {
    struct json_writer *w;
    int64_t now;
};

static const char *priority_name(int priority)
{
    static const char *const names[] = {[CONFIG_PRIORITY_HIGH] = "high",
                                        [CONFIG_PRIORITY_NORMAL] = "normal",
                                        [CONFIG_PRIORITY_LOW] = "low"};

    return priority == CLIENT_CHOOSES ? NULL : names[priority];
}

static void write_client(void *arg, struct slice key, void *value)
{
    const struct client_writer *cw = arg;
    struct client *c = value;
    struct json_writer *w = cw->w;

    json_object_begin(w);
    json_member_str(w, "name", key);
    json_member_int(w, "held", c->held);
    json_member_int(w, "in_flight", c->in_flight);
    json_member_int(w, "calls", c->calls);
    json_member_int(w, "tokens", c->tokens);
    status_member_usd(w, "cost_usd", c->cost_nano);
    json_member_int(w, "weight", c->weight);
    status_member_text(w, "priority", priority_name(c->priority));
    status_write_client_hour(w, c->hour, cw->now);
    status_write_limits(w, c->budget, &c->purse, cw->now);
    json_object_end(w);
}

void status_write_clients(struct json_writer *w, const struct proxy *p, int64_t now)
{
    json_key(w, "clients");
    json_array_begin(w);
    map_each(&p->clients.by_name, write_client, &(struct client_writer){w, now});
    json_array_end(w);
}
