/* metric_text: row i of a table has values [i * n, (i + 1) * n), and the i-th text in `labels`. */
#include "metergate/proxy/metric_text.h"

#include <stdlib.h>
#include <string.h>

#include "metergate/base/err.h"

/* By hand: a page has tens of thousands of numbers where budgets and clients are many, and the loop waits for it. */
const char *metric_number(int64_t value, enum metric_part part, char out[METRIC_NUMBER_MAX])
{
    uint64_t n = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *p = &out[METRIC_NUMBER_MAX - 1];
    int digits = 0;

    *p = '\0';
    for (; n > 0 || digits <= (int)part; n /= 10, digits++) {
        if (digits == (int)part && *p != '\0')
            *--p = '.';
        if (digits >= (int)part || n % 10 != 0 || *p != '\0') /* no zeros at the end of decimals */
            *--p = (char)('0' + n % 10);
    }
    if (value < 0)
        *--p = '-';
    return p;
}

void metric_head(struct buf *out, const struct metric_family *m)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

void metric_label(struct buf *out, const char *name, struct slice value)
{
    buf_addf(out, "%s%s=\"", out->n ? "," : "", name);
    while (value.n) {
        size_t n = slice_utf8(value);

        if (value.p[0] == '\n')
            buf_add_str(out, "\\n");
        else if (n == 0) /* one such byte, and Prometheus drops all of the page */
            buf_add_str(out, "\xef\xbf\xbd");
        else if (value.p[0] == '"' || value.p[0] == '\\')
            buf_addf(out, "\\%c", value.p[0]);
        else
            buf_add(out, value.p, n);
        value = slice_skip(value, n ? n : 1);
    }
    buf_add_char(out, '"');
}

void metric_value(struct buf *out, const struct metric_family *m, struct slice labels, int64_t value)
{
    char text[METRIC_NUMBER_MAX];

    if (value == METRIC_ABSENT)
        return;
    buf_add_str(out, m->name);
    if (labels.n) {
        buf_add_char(out, '{');
        buf_add_slice(out, labels);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
    buf_add_str(out, value == METRIC_UNKNOWN ? "NaN" : metric_number(value, m->part, text));
    buf_add_char(out, '\n');
}

void metric_single(struct buf *out, const struct metric_family *m, int64_t value)
{
    metric_head(out, m);
    metric_value(out, m, slice_of(NULL, 0), value);
}

/* ---- tables ---- */

void metric_table_init(struct metric_table *t, const struct metric_family *metrics, size_t n)
{
    *t = (struct metric_table){.metrics = metrics, .n = n};
    buf_init(&t->labels, BUF_UNLIMITED);
}

int64_t *metric_table_row(struct metric_table *t, struct slice labels)
{
    int64_t *row;

    if (t->rows == t->room) {
        t->room = t->room ? t->room * 2 : 16;
        t->values = xrealloc(t->values, t->room * t->n * sizeof *t->values);
    }
    buf_add_slice(&t->labels, labels);
    buf_add_char(&t->labels, '\0');
    row = t->values + t->rows++ * t->n;
    for (size_t i = 0; i < t->n; i++)
        row[i] = METRIC_ABSENT;
    return row;
}

void metric_table_write(struct metric_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *labels = t->labels.p;

        metric_head(out, &t->metrics[i]);
        for (size_t row = 0; row < t->rows; row++) {
            metric_value(out, &t->metrics[i], slice_str(labels), t->values[row * t->n + i]);
            labels += strlen(labels) + 1;
        }
    }
    buf_release(&t->labels);
    free(t->values);
    *t = (struct metric_table){0};
}
