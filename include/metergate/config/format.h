/*
 * format: values as YAML text that config/value reads back as the same value.
 */
#ifndef METERGATE_CONFIG_FORMAT_H
#define METERGATE_CONFIG_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "metergate/base/buf.h"
#include "metergate/base/slice.h"
#include "metergate/config/table.h"

/* The value of a field on one line; a limit is its max alone (int64_t). A text that is unset is "". */
void format_value(const struct table_row *row, const void *field, struct buf *out);

/* In the largest unit that leaves a whole number: 90s, 24h, 250ms. */
void format_duration(int64_t us, struct buf *out);

/* v >= 0 in units of 10^-digits, digits in 1..18, without zeros at the end: 2.5, 10. */
void format_decimal(int64_t v, int digits, struct buf *out);

/* As a scalar: plain where that is safe, else in double quotes. */
void format_text(struct slice text, struct buf *out);

/* True when the field holds what `text` would set in an unset field (NULL: nothing). */
bool format_is(const struct table_row *row, const void *field, const char *text);

#endif
