/*
 * report_text: what reports give, as JSON. docs/reports.md says what each member is. Tokens and money are
 * integers or exact decimals, never doubles; money is nano-dollars.
 */
#ifndef METERGATE_PROXY_REPORT_TEXT_H
#define METERGATE_PROXY_REPORT_TEXT_H

#include "metergate/base/json.h"
#include "metergate/ledger/report.h"
#include "metergate/ledger/row.h"

/* The members of a call; into an object that is open. One that has not `ended` has no outcome. */
void report_text_call(struct json_writer *w, const struct ledger_row *r, bool ended);

/* "holds": what kept it, in order; likewise. */
void report_text_holds(struct json_writer *w, const struct ledger_row *r);

/* A call that has ended, whole: an object of its own, what GET /-/calls/ID answers. */
void report_text_ended(struct json_writer *w, const struct ledger_row *r);

/* A row of sums, an object of its own. */
void report_text_sums(struct json_writer *w, struct slice key, const struct report_sums *s);

/* A model of a comparison, an object of its own; `first` is the one that it is compared with. */
void report_text_model(struct json_writer *w, struct slice name, const struct report_model *m,
                       const struct report_model *first);

/* A member that is a moment, to the millisecond. */
void report_text_time(struct json_writer *w, const char *key, int64_t us);

#endif
