/* doctor_machine: the clock and the descriptors; where the system does not tell, nothing is said. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/timex.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/figure.h"

#define SKEW_MAX_MS 60000

/* As the kernel has been told by whoever keeps it. */
static bool is_synchronised(bool *known)
{
    struct timex t = {.modes = 0};
    int rc = adjtimex(&t);

    *known = rc >= 0;
    return rc >= 0 && rc != TIME_ERROR && !(t.status & STA_UNSYNC);
}

void doctor_clock(struct doctor *d)
{
    int64_t off_ms = d->skew.ahead_ms < 0 ? -d->skew.ahead_ms : d->skew.ahead_ms;
    bool known, synchronised = is_synchronised(&known);
    char s[FIGURE_SIZE];

    if (d->skew.known && off_ms > SKEW_MAX_MS) {
        findings_add(&d->findings, "clock", FINDING_WARN, "this machine's clock is %s %s that of %s",
                     figure_ms(off_ms, s), d->skew.ahead_ms < 0 ? "behind" : "ahead of", d->skew.of);
        findings_advise(
            &d->findings,
            "Set it (`timedatectl set-ntp true`): resets that providers tell as a time, days of the "
            "ledger and certificates go by it.");
    } else if (d->skew.known) {
        findings_add(&d->findings, "clock", FINDING_OK, "agrees with that of %s%s", d->skew.of,
                     known && !synchronised ? ", though nothing keeps it so" : "");
    } else if (known && !synchronised) {
        findings_add(&d->findings, "clock", FINDING_WARN, "nothing keeps this machine's clock right");
        findings_advise(&d->findings, "`timedatectl set-ntp true`, or whatever keeps the time here.");
    } else if (known) {
        findings_add(&d->findings, "clock", FINDING_OK, "is kept right");
    }
}

/* At four fifths of either, new clients will soon be turned away. */
static bool is_near(int64_t used, int64_t max)
{
    return max > 0 && used >= max - max / 5;
}

void doctor_descriptors(struct doctor *d)
{
    int64_t open = doc_int(d->status, "process.descriptors"),
            max = doc_int(d->status, "process.descriptors_max");
    int64_t clients = doc_int(d->status, "process.connections"),
            room = doc_int(d->status, "process.connections_max");
    int64_t queue = doc_int(d->status, "process.held_max");

    if (max <= 0)
        return;
    if (is_near(open, max) || is_near(clients, room)) {
        findings_add(&d->findings, "descriptors", FINDING_WARN,
                     "%" PRId64 " of %" PRId64 " open, %" PRId64 " of %" PRId64
                     " connections of clients: new ones will soon be turned away",
                     open, max, clients, room);
        findings_advise(&d->findings,
                        "Raise its limit of open files (LimitNOFILE of the service, `ulimit -n`).");
    } else if (queue > 0 && room > 0 && room < queue) {
        findings_add(&d->findings, "descriptors", FINDING_WARN,
                     "room for %" PRId64 " clients, and queue.max_requests is %" PRId64
                     ": the queue can never fill",
                     room, queue);
        findings_advise(&d->findings,
                        "Raise its limit of open files (LimitNOFILE of the service, `ulimit -n`), or lower "
                        "`queue.max_requests`.");
    } else {
        findings_add(&d->findings, "descriptors", FINDING_OK,
                     "%" PRId64 " of %" PRId64 " open; room for %" PRId64 " clients", open, max, room);
    }
}
