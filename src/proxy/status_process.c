/* status_process: the process that answers. */
#include <unistd.h>

#include "metergate/base/self.h"
#include "status_inside.h"

void status_write_process(struct json_writer *w, const struct proxy *p)
{
    json_key(w, "process");
    json_object_begin(w);
    json_member_int(w, "pid", getpid());
    json_member_str(w, "user", slice_str(p->user));
    status_member_text(w, "config", p->config->path);
    status_member_text(w, "state_dir", p->state_dir.n ? p->state_dir.p : NULL);
    json_member_int(w, "descriptors", self_descriptors());
    json_member_int(w, "descriptors_max", (int64_t)p->capacity.descriptors);
    json_member_int(w, "connections", front_stats(p->front).connections);
    json_member_int(w, "connections_max", p->capacity.connections);
    json_member_int(w, "held_max", p->config->queue.max_requests);
    json_member_bool(w, "memory_short", p->shortage.on);
    json_object_end(w);
}
