/* doctor: the checks in the order in which a person would look: what is first spoils what follows. */
#include "metergate/tool/doctor.h"

#include <stdlib.h>
#include <sysexits.h>

#include "metergate/tool/command.h"
#include "metergate/tool/report.h"
#include "metergate/tool/token.h"

static const struct {
    void (*look)(struct doctor *d);
    bool needs_status;
} checks[] = {
    {doctor_daemon, false}, {doctor_version, true}, {doctor_service, false},    {doctor_variables, false},
    {doctor_proxy, false},  {doctor_keys, false},   {doctor_queue, true},       {doctor_upstreams, true},
    {doctor_limits, true},  {doctor_clock, false},  {doctor_descriptors, true}, {doctor_state, true},
    {doctor_config, false},
};

static int status_of(const struct doctor *d)
{
    if (!d->answers)
        return EX_UNAVAILABLE;
    return d->findings.count[FINDING_FAIL] ? EXIT_FAILURE : EX_OK;
}

int command_doctor(const struct arguments *a)
{
    struct doctor *d = xcalloc(1, sizeof *d);
    struct address address;
    struct secret token;
    struct errbuf e;
    int status;

    secret_init(&token);
    if (address_find(&address, a->url, &e) < 0 || token_find(&token, a->token_file, &e) < 0) {
        secret_release(&token);
        free(d);
        return report(EX_USAGE, "%s", e.text);
    }
    client_init(&d->client, &address, &token);
    findings_init(&d->findings);
    buf_init(&d->document, CLIENT_ANSWER_MAX);
    d->offline = a->offline;
    for (size_t i = 0; i < MG_ARRAY_LEN(checks); i++) {
        if (d->status.n || !checks[i].needs_status)
            checks[i].look(d);
    }
    if (a->json)
        findings_print_json(&d->findings, stdout);
    else
        findings_print(&d->findings, stdout);
    status = status_of(d);
    findings_release(&d->findings);
    buf_release(&d->document);
    client_release(&d->client);
    secret_release(&token);
    free(d);
    return status;
}
