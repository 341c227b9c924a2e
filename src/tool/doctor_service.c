/*
 * doctor_service: only where systemd can be asked: everywhere else `systemctl` is missing or fails, and
 * nothing is said. A daemon that somebody starts by hand is as good as a service.
 */
#include "metergate/tool/doctor.h"
#include "metergate/tool/output.h"

#define TIMEOUT_MS 3000
#define OUTPUT_MAX ((size_t)16 << 10)

struct unit {
    struct slice load, active, enabled, result; /* borrowed from what systemctl said */
};

/* The value of NAME=... in a block of lines. */
static struct slice property(struct slice block, const char *name)
{
    while (block.n) {
        struct slice line = slice_head(block, slice_find(block, '\n'));
        size_t equals = slice_find(line, '=');

        if (slice_eq(slice_head(line, equals), slice_str(name)))
            return slice_skip(line, equals + 1);
        block = slice_skip(block, line.n + 1);
    }
    return SLICE("");
}

static struct unit read_unit(struct slice block)
{
    return (struct unit){property(block, "LoadState"), property(block, "ActiveState"),
                         property(block, "UnitFileState"), property(block, "Result")};
}

/* Where the blocks of two units meet: at an empty line. */
static size_t first_block(struct slice text)
{
    const char *gap = text.n ? memmem(text.p, text.n, "\n\n", 2) : NULL;

    return gap ? (size_t)(gap - text.p) + 1 : text.n;
}

static void judge(struct doctor *d, const struct unit *service, bool by_socket, const char *user)
{
    bool active = slice_eq(service->active, SLICE("active"));
    bool enabled = by_socket || !slice_eq(service->enabled, SLICE("disabled"));

    if (slice_eq(service->active, SLICE("failed"))) {
        findings_add(&d->findings, "service", FINDING_FAIL, "the service has failed (%.*s)",
                     (int)service->result.n, service->result.p);
        findings_advise(&d->findings,
                        "`journalctl %s-u metergate -n 20` says why; then `systemctl %sstart metergate`.",
                        user, user);
    } else if (active && !enabled) {
        findings_add(&d->findings, "service", FINDING_WARN,
                     "the service runs, and is not started at the next boot");
        findings_advise(&d->findings, "`systemctl %senable metergate`", user);
    } else if (active) {
        findings_add(&d->findings, "service", FINDING_OK, "the service is active, and enabled");
    } else if (d->answers) {
        findings_add(&d->findings, "service", FINDING_OK,
                     "a service is installed and does not run; another daemon answers");
    } else {
        findings_add(&d->findings, "service", FINDING_FAIL, "a service is installed and does not run");
        findings_advise(&d->findings, "`systemctl %senable --now metergate`", user);
    }
}

/* Whether one is installed. */
static bool look(struct doctor *d, bool of_user)
{
    const char *argv[] = {"systemctl",
                          of_user ? "--user" : "--system",
                          "show",
                          "metergate.service",
                          "metergate.socket",
                          "--property=Id,LoadState,ActiveState,UnitFileState,Result",
                          NULL};
    struct unit service, socket;
    struct slice said;
    struct buf out;
    bool there;

    buf_init(&out, OUTPUT_MAX);
    there = output_of(argv, TIMEOUT_MS, &out) == 0;
    said = buf_slice(&out);
    service = read_unit(slice_head(said, first_block(said)));
    socket = read_unit(slice_skip(said, first_block(said)));
    there = there && slice_eq(service.load, SLICE("loaded"));
    if (there)
        judge(d, &service, slice_eq(socket.enabled, SLICE("enabled")), of_user ? "--user " : "");
    buf_release(&out);
    return there;
}

void doctor_service(struct doctor *d)
{
    if (!look(d, false))
        (void)look(d, true);
}
