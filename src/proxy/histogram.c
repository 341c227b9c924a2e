/* histogram: each observation is in exactly one count; bounds are cumulated only when they are written. */
#include "metergate/proxy/histogram.h"

#include "metergate/proxy/metric_text.h"

#define MS INT64_C(1000)
#define S  INT64_C(1000000)

const struct histogram_scale histogram_waits = {
    18,
    {1 * MS, 10 * MS, 100 * MS, 500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 300 * S, 600 * S, 1800 * S,
     3600 * S, 7200 * S, 21600 * S, 86400 * S}};

const struct histogram_scale histogram_answers = {
    17,
    {5 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S, 20 * S, 30 * S, 60 * S, 120 * S,
     300 * S, 600 * S, 3600 * S}};

const struct histogram_scale histogram_calls = {
    18,
    {10 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 300 * S, 600 * S,
     1800 * S, 3600 * S, 21600 * S, 86400 * S}};

/* One part in a thousand, and so on: an exact count differs by nothing, a guess of another vocabulary by a fifth. */
const struct histogram_scale histogram_errors = {
    13, {1 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS, 100 * MS, 150 * MS, 200 * MS, 250 * MS, 500 * MS, 1 * S, 2 * S, 5 * S}};

void histogram_add(struct histogram *h, const struct histogram_scale *scale, int64_t millionths)
{
    int64_t v = millionths > 0 ? millionths : 0;
    size_t i = 0;

    while (i < scale->n && v > scale->bound[i])
        i++;
    h->count[i]++;
    h->sum = h->sum > INT64_MAX - v ? INT64_MAX : h->sum + v;
}

int64_t histogram_total(const struct histogram *h, const struct histogram_scale *scale)
{
    int64_t n = 0;

    for (size_t i = 0; i <= scale->n; i++)
        n += h->count[i];
    return n;
}

/* One line: NAME, SUFFIX, labels, le (NULL: none), the value. */
static void write_line(const char *name, const char *suffix, struct slice labels, const char *le, const char *value,
                       struct buf *out)
{
    buf_add_str(out, name);
    buf_add_str(out, suffix);
    if (labels.n || le)
        buf_add_char(out, '{');
    buf_add_slice(out, labels);
    if (le) {
        buf_add_str(out, labels.n ? ",le=\"" : "le=\"");
        buf_add_str(out, le);
        buf_add_char(out, '"');
    }
    if (labels.n || le)
        buf_add_char(out, '}');
    buf_add_char(out, ' ');
    buf_add_str(out, value);
    buf_add_char(out, '\n');
}

void histogram_write(const struct histogram *h, const struct histogram_scale *scale, const char *name, struct slice labels,
                     struct buf *out)
{
    char le[METRIC_NUMBER_MAX], text[METRIC_NUMBER_MAX];
    int64_t n = 0;

    for (size_t i = 0; i < scale->n; i++) {
        n += h->count[i];
        write_line(name, "_bucket", labels, metric_number(scale->bound[i], METRIC_MICRO, le), metric_number(n, METRIC_ONE, text),
                   out);
    }
    n += h->count[scale->n];
    write_line(name, "_bucket", labels, "+Inf", metric_number(n, METRIC_ONE, text), out);
    write_line(name, "_sum", labels, NULL, metric_number(h->sum, METRIC_MICRO, text), out);
    write_line(name, "_count", labels, NULL, metric_number(n, METRIC_ONE, text), out);
}
