/*
 * report_inside: what report.c wants of the body of a refusal.
 */
#ifndef METERGATE_DIALECT_REPORT_INSIDE_H
#define METERGATE_DIALECT_REPORT_INSIDE_H

#include "error_body.h"
#include "metergate/dialect/report.h"

/*
 * The limits that a 429 (or 413) says it is about, all `refused`; returns how many (0..REPORT_LIMITS_MAX).
 * Where it gives no figures but says what it counts, that is one limit with nothing but the metric.
 */
size_t report_refused(const struct error_facts *f, struct report_limit ret[REPORT_LIMITS_MAX]);

#endif
