/* doctor_limits: a budget may have several limits; it is learned when one of them is, and learning while none
 * is known. */
#include <inttypes.h>
#include <stdlib.h>

#include "metergate/tool/doc.h"
#include "metergate/tool/doctor.h"
#include "metergate/tool/figure.h"
#include "metergate/tool/names.h"

enum kind { CONFIGURED, LEARNED, LEARNING, MISSING, KINDS };

static enum kind kind_of(struct slice budget)
{
    enum kind kind = MISSING;
    struct doc_list list;
    struct slice limit;

    doc_list_begin(&list, budget, "limits");
    while (doc_list_next(&list, &limit)) {
        if (doc_is(limit, "metric", "learning"))
            return LEARNING;
        if (doc_truth(limit, "learned"))
            kind = LEARNED;
        else if (kind == MISSING)
            kind = CONFIGURED;
    }
    return kind;
}

static void say_limits(struct doctor *d, struct names names[KINDS])
{
    static const char *const before[KINDS] = {"configured for ", "learned from the provider for ",
                                              "being learned for ", "none known for "};
    static const char *const after[KINDS] = {"", "",
                                             ": few calls at a time until an answer tells what they are",
                                             ": such calls are counted, and never held"};

    for (int k = 0; k < KINDS; k++) {
        if (names[k].n)
            findings_add(&d->findings, "limits", k == MISSING ? FINDING_WARN : FINDING_OK, "%s%s%s",
                         before[k], names_text(&names[k]), after[k]);
    }
    if (names[MISSING].n)
        findings_advise(
            &d->findings,
            "Give them numbers under `models` (`tpm`, `rpm`; your account's page at the provider has "
            "them), or `learn: true`.");
}

/* What is left unused on purpose: the same everywhere, or it is said of each. */
static void say_headroom(struct doctor *d)
{
    int64_t least = 0, most = 0;
    size_t n = 0;
    struct doc_list list;
    struct slice budget;

    doc_list_begin(&list, d->status, "budgets");
    while (doc_list_next(&list, &budget)) {
        int64_t v;

        if (doc_scaled(budget, "headroom", 3, &v) < 0)
            continue;
        least = n == 0 || v < least ? v : least;
        most = n == 0 || v > most ? v : most;
        n++;
    }
    if (n && least == most)
        findings_add(&d->findings, "headroom", FINDING_OK, "%" PRId64 " %% of the limits are left unused",
                     most / 10);
    else if (n)
        findings_add(&d->findings, "headroom", FINDING_OK,
                     "%" PRId64 " to %" PRId64 " %% of the limits are left unused", least / 10, most / 10);
}

void doctor_limits(struct doctor *d)
{
    struct names names[KINDS];
    struct doc_list list;
    struct slice budget;
    size_t n = 0;

    for (int k = 0; k < KINDS; k++)
        names_init(&names[k]);
    doc_list_begin(&list, d->status, "budgets");
    while (doc_list_next(&list, &budget)) {
        names_add_of(&names[kind_of(budget)], budget, "name");
        n++;
    }
    if (n == 0)
        findings_add(&d->findings, "limits", FINDING_OK,
                     "no model has been called yet: each gets its budget with its first call");
    say_limits(d, names);
    say_headroom(d);
    for (int k = 0; k < KINDS; k++)
        names_release(&names[k]);
}
