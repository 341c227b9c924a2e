/* bars: rows of one workload stand together, so that it need be run only once. */
#include "bars.h"

#include "metergate/base/err.h"

static double util(const struct figures *f)
{
    return f->util;
}

static double makespan(const struct figures *f)
{
    return f->makespan;
}

static double excess(const struct figures *f)
{
    return f->last_s - f->bound_s;
}

static double high_p50(const struct figures *f)
{
    return f->classes[TICKET_HIGH].p50_s;
}

static double high_p95(const struct figures *f)
{
    return f->classes[TICKET_HIGH].p95_s;
}

static double high_p99(const struct figures *f)
{
    return f->classes[TICKET_HIGH].p99_s;
}

static double high_max(const struct figures *f)
{
    return f->classes[TICKET_HIGH].max_s;
}

static double normal_max(const struct figures *f)
{
    return f->classes[TICKET_NORMAL].max_s;
}

static double low_max(const struct figures *f)
{
    return f->classes[TICKET_LOW].max_s;
}

static double second_max(const struct figures *f)
{
    return f->streams[1].max_s;
}

static double jain(const struct figures *f)
{
    return f->jain;
}

/* Never measured is not near. */
static double gap(const struct figures *f)
{
    return f->gap > 0 ? f->gap : 1000;
}

static double late(const struct figures *f)
{
    return f->late_s;
}

/* How far the mean waits of the first three streams are apart. */
static double spread(const struct figures *f)
{
    double least = f->streams[0].mean_s, most = least;

    for (int s = 1; s < 3; s++) {
        if (f->streams[s].mean_s < least)
            least = f->streams[s].mean_s;
        if (f->streams[s].mean_s > most)
            most = f->streams[s].mean_s;
    }
    return 100 * (most - least) / least;
}

#define AT_LEAST true
#define AT_MOST  false

const struct bar bars[] = {
    {"W1", "makespan over the bound", "", makespan, AT_MOST, 1.01, 1.001},
    {"W1", "util", "%", util, AT_LEAST, 99, 99.8},
    {"W1", "head after its promise", "s", late, AT_MOST, 0, 0},
    {"W9", "longest wait", "s", normal_max, AT_MOST, 0, 0},
    {"W2q", "high p50", "s", high_p50, AT_MOST, 4, 2.6},
    {"W2q", "high p95", "s", high_p95, AT_MOST, 12, 8.9},
    {"W2q", "high max", "s", high_max, AT_MOST, 25, 18.7},
    {"W2q", "util", "%", util, AT_LEAST, 96, 97.0},
    {"W2q", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W2", "high p95", "s", high_p95, AT_MOST, 27, 20.9},
    {"W2", "util", "%", util, AT_LEAST, 95, 96.9},
    {"W2", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W11", "high p95", "s", high_p95, AT_MOST, 14, 11.2},
    {"W11", "high max", "s", high_max, AT_MOST, 25, 20.2},
    {"W11", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W10", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W4", "high p95", "s", high_p95, AT_MOST, 8, 5.2},
    {"W4", "util", "%", util, AT_LEAST, 92, 93.6},
    {"W4", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W3", "means of the clients apart", "%", spread, AT_MOST, 5, 3.3},
    {"W3", "Jain, a minute", "", jain, AT_LEAST, 0.85, 0.89},
    {"W3", "clients off their shares, in largest calls", "", gap, AT_MOST, 1.5, -1},
    {"W3", "high p95", "s", high_p95, AT_MOST, 13, 10.3},
    {"W3", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W6", "high p95", "s", high_p95, AT_MOST, 1.5, 0.9},
    {"W6", "high p99", "s", high_p99, AT_MOST, 4, 2.7},
    {"W6", "high max", "s", high_max, AT_MOST, 6, 4.6},
    {"W6", "makespan beyond the bound", "s", excess, AT_MOST, 40, 28},
    {"W6", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W6r", "high p95", "s", high_p95, AT_MOST, 1.5, 0.9},
    {"W6r", "makespan beyond the bound", "s", excess, AT_MOST, 40, 32},
    {"W6r", "head after its promise", "s", late, AT_MOST, 0.15, 0.04},
    {"W5b", "huge max", "s", second_max, AT_MOST, 120, 92},
    {"W5b", "head after its promise", "s", late, AT_MOST, 0, 0},
    {"weights", "clients off their shares, in largest calls", "", gap, AT_MOST, 1, -1},
    {"weights", "high p95", "s", high_p95, AT_MOST, 12, -1},
    {"W8", "huge low max", "s", low_max, AT_MOST, 1400, 1152},
};
const size_t bars_count = MG_ARRAY_LEN(bars);

bool bar_is_met(const struct bar *b, double reached)
{
    return b->at_least ? reached >= b->bar : reached <= b->bar;
}
